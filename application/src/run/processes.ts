// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { LEAN_NODE_FLAGS, leanEnvironment } from '@sev/network/lean-process';
import { EXIT, SevError } from '../errors.js';

const SEV = fileURLToPath(new URL('../../bin/sev.js', import.meta.url));
const READY_MS = 60_000;
const STOP_MS = 15_000;
/** Last lines of a program's log that its failure is reported with. */
const KEPT_LINES = 5;
/** A run whose programs are killed more often than this is given up. */
const MAX_RESTARTS = 100;

const readyLine = z.object({ ready: z.literal(true), service: z.string(), url: z.string().optional() });

/** How a program ended. */
interface Ending {
  readonly name: string;
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly log: readonly string[];
}

/** One program of a run, in its own process. */
export interface Program {
  readonly name: string;
  /** Where it answers; empty for a program that only calls others. Stays the same when it is started again. */
  readonly url: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<Ending>;
}

/**
 * The programs that a run starts: real `sev … run` processes. One that is killed is started again in its place: all
 * that matters is on the ledger. They end with whoever started them, also when that is killed: their standard input is
 * then closed, which services started here take as the order to end.
 */
export class Programs {
  readonly #running = new Map<string, Running>();
  readonly #log: (name: string, line: string) => void;
  readonly #failure: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;
  #stopping = false;
  #restarts = 0;

  /** @param log told of every line that a program logs, and of every program that is started again. */
  constructor(log: (name: string, line: string) => void) {
    this.#log = log;
    this.#failure = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    this.#failure.catch(() => undefined);
  }

  /** Starts `sev <args> --json` and waits until it says that it is ready, or has nothing to do. @throws SevError PROGRAM_FAILED. */
  async start(name: string, args: readonly string[]): Promise<Program> {
    const running = await this.#launch(name, args);
    const { url } = running;
    const again = url === '' || args.includes('--port') ? args : [...args, '--port', new URL(url).port];
    this.#supervise(name, again, running).catch((error: unknown) => {
      this.#fail(error);
    });
    return { name, url };
  }

  /** Rejects as soon as a program has failed for good; never resolves. */
  watch(): Promise<never> {
    return this.#failure;
  }

  /** Ends all programs, newest first, and waits for them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const [name, { child, ended }] of [...this.#running].reverse()) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
      this.#running.delete(name);
    }
  }

  async #launch(name: string, args: readonly string[]): Promise<Running> {
    if (this.#stopping) {
      throw new SevError('PROGRAM_FAILED', `${name} was not started: the run is ending`);
    }
    const child = spawn(process.execPath, [...LEAN_NODE_FLAGS, SEV, ...args, '--json'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: leanEnvironment({ SEV_LOG_LEVEL: 'warn', ...process.env, SEV_STOP_WITH_STDIN: '1' }),
      // In a group of its own: Ctrl-C reaches the run, which then ends its programs in order.
      detached: true,
    });
    const log: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      log.push(line);
      log.splice(0, log.length - KEPT_LINES);
      this.#log(name, line);
    });
    const ended = new Promise<Ending>((resolve) => {
      child.once('error', (error) => {
        resolve({ name, code: 1, log: [error.message] });
      });
      child.once('close', (code) => {
        resolve({ name, code, log });
      });
    });
    const starting = { child, url: '', ended };
    this.#running.set(name, starting);
    const url = await Promise.race([readyUrl(child), endsEarly(ended), tooLate(name)]);
    const running = { ...starting, url };
    this.#running.set(name, running);
    return running;
  }

  async #supervise(name: string, args: readonly string[], first: Running): Promise<void> {
    let running = first;
    for (;;) {
      const ending = await running.ended;
      if (this.#stopping || ending.code === 0) {
        return;
      }
      this.#restarts += 1;
      if (ending.code !== null || this.#restarts > MAX_RESTARTS) {
        throw programFailed(ending);
      }
      this.#log(name, 'was killed; starting it again');
      running = await this.#launch(name, args);
    }
  }
}

function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    if (child.stdout === null) {
      return;
    }
    createInterface({ input: child.stdout }).on('line', (line) => {
      const parsed = readyLine.safeParse(parseJson(line));
      if (parsed.success) {
        resolve(parsed.data.url ?? '');
      }
    });
  });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined; // Not a ready line.
  }
}

/** A program that has nothing to do ends in order without having been ready. */
async function endsEarly(ended: Promise<Ending>): Promise<string> {
  const ending = await ended;
  if (ending.code === 0) {
    return '';
  }
  throw programFailed(ending);
}

function tooLate(name: string): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => {
      reject(new SevError('PROGRAM_FAILED', `${name} was not ready after ${String(READY_MS / 1000)} s`));
    }, READY_MS).unref();
  });
}

function programFailed({ name, code, log }: Ending): SevError {
  const words = log.length === 0 ? '' : `: ${log.join(' | ')}`;
  return new SevError('PROGRAM_FAILED', `${name} ended with ${String(code ?? 'a signal')}${words}`, {
    hint: 'The ledger keeps the round as it stands; the same task can be resumed.',
    exitCode: code === EXIT.unreachable ? EXIT.unreachable : EXIT.failure,
  });
}
