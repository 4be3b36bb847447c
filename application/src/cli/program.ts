// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { attackCommands } from './attack.js';
import { auditCommands } from './audit.js';
import type { Answer, CommandContext, Runner } from './command.js';
import { EXIT_CODES, exitCodesText } from './exit-codes.js';
import { governanceCommands } from './governance.js';
import { incidentCommands } from './incident.js';
import { Interrupt } from './interrupt.js';
import { networkCommands } from './network.js';
import { problemOf } from './problem.js';
import { rewardCommands } from './rewards.js';
import { roundCommands } from './round.js';
import { serviceCommands } from './services.js';
import { statisticsCommands } from './statistics.js';
import { taskCommands } from './task.js';
import { Terminal, type TextStream } from './terminal.js';
import { vehicleCommands } from './vehicle.js';

export interface CliStreams {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs one command line.
 *
 * @param args without the program's name.
 * @returns the exit code.
 */
export async function runCli(
  args: readonly string[],
  streams: CliStreams,
  interrupt = new Interrupt(),
): Promise<number> {
  const json = args.includes('--json');
  const terminal = new Terminal({ ...streams, json });
  let exitCode: number = EXIT_CODES.ok.code;
  const run: Runner = async (work, options, operands) => {
    const context: CommandContext = { terminal, signal: () => interrupt.claim() };
    const answer = await work(context, options, operands);
    exitCode = show(terminal, answer);
  };
  const program = newProgram(run, streams);
  try {
    await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    exitCode = failed(error, terminal, streams);
    if (interrupt.received !== undefined) {
      exitCode = EXIT_CODES.interrupted.code;
    }
  }
  // A service that was told to end and did so has done what it should.
  return exitCode;
}

function show(terminal: Terminal, answer: Answer | undefined): number {
  if (answer !== undefined) {
    terminal.answer(answer.data, answer.text);
  }
  return answer?.exitCode ?? EXIT_CODES.ok.code;
}

function failed(error: unknown, terminal: Terminal, streams: CliStreams): number {
  // What commander itself found wrong it has already told; an operand that a command found wrong it has not.
  if (error instanceof CommanderError && !(error instanceof InvalidArgumentError)) {
    const isHelp = error.exitCode === 0 || error.code === 'commander.help';
    if (!isHelp && terminal.json) {
      const message = error.message.replace(/^error: /, '');
      terminal.answer({ error: { code: 'USAGE', message }, exitCode: EXIT_CODES.usage.code }, '');
    }
    return error.exitCode === 0 ? EXIT_CODES.ok.code : EXIT_CODES.usage.code;
  }
  const problem = problemOf(error);
  terminal.problem(problem);
  if ((streams.env['SEV_DEBUG'] ?? '') !== '' && error instanceof Error) {
    streams.stderr.write(`${error.stack ?? ''}\n`);
  }
  return problem.exitCode;
}

function ownVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function newProgram(run: Runner, streams: CliStreams): Command {
  const program = new Command('sev')
    .description('Federated learning of electric vehicles, recorded and enforced by a ledger')
    .version(ownVersion(), '-V, --version', 'the version of this program')
    .helpOption('-h, --help', 'this text')
    .showHelpAfterError('(add --help for the options)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: (text, write) => {
        write(`USAGE: ${text.replace(/^error: /, '')}`);
      },
    });
  program.addHelpText(
    'after',
    `\n${exitCodesText()}\n\nStart with: sev network up, then sev round run --vehicles 20 --rounds 10`,
  );
  networkCommands(program, run);
  governanceCommands(program, run);
  vehicleCommands(program, run);
  taskCommands(program, run);
  roundCommands(program, run);
  statisticsCommands(program, run);
  attackCommands(program, run);
  incidentCommands(program, run);
  rewardCommands(program, run);
  auditCommands(program, run);
  serviceCommands(program, run);
  inheritSettings(program);
  return program;
}

/** Commander copies these settings only to commands that are added later; all are to behave alike. */
function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    child.exitOverride();
    inheritSettings(child);
  }
}
