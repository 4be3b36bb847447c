// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import type { Terminal } from './terminal.js';

/** What a command's work is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C (SIGINT) or SIGTERM; asking for it makes the command responsible for ending in order. */
  readonly signal: () => AbortSignal;
}

/** What a command answers; nothing where it has already printed all that there is (services). */
export interface Answer {
  readonly data: unknown;
  readonly text: string;
  /** Default 0. */
  readonly exitCode?: number;
}

export type Work<O> = (context: CommandContext, options: O, operands: readonly string[]) => Promise<Answer | undefined>;

export interface CommandSpec<O> {
  /** Name and operands: `show <vehicle>`. */
  readonly usage: string;
  readonly summary: string;
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** Further text of the help. */
  readonly notes?: string;
  readonly options?: (command: Command) => void;
  readonly work: Work<O>;
}

/** Carries out a command's work, prints its answer or problem, and sets the exit code. */
export type Runner = <O>(work: Work<O>, options: O, operands: readonly string[]) => Promise<void>;

/** Adds a command with the options that all have, and its examples in the help. */
export function addCommand<O>(parent: Command, run: Runner, spec: CommandSpec<O>): void {
  const command = parent.command(spec.usage).summary(spec.summary).description(spec.summary);
  spec.options?.(command);
  command.option('--json', 'one JSON document on stdout instead of text');
  const examples = ['Examples:', ...spec.examples.map((example) => `  ${example}`)].join('\n');
  const notes = spec.notes === undefined ? '' : `\n${spec.notes}\n`;
  command.addHelpText('after', `${notes}\n${examples}`);
  command.action(async (...args: unknown[]) => {
    const operands = args
      .slice(0, -2)
      .flat()
      .filter((arg) => typeof arg === 'string');
    await run(spec.work, command.opts() as O, operands);
  });
}

/** Adds a group: a command that only holds others. */
export function addGroup(parent: Command, name: string, summary: string): Command {
  return parent.command(name).summary(summary).description(summary);
}
