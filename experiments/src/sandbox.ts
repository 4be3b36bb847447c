// SPDX-License-Identifier: Apache-2.0
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LEAN_NODE_FLAGS, leanEnvironment } from '@sev/network/lean-process';

const PROGRAM = fileURLToPath(new URL('../../application/bin/sev.js', import.meta.url));
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

interface RunningProgram {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
}

/** A service that was started in the sandbox. */
export interface StartedProgram {
  /** Where it answers; empty for one that only calls others. */
  readonly url: string;
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** By signal, as shells report it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type EndSignal = keyof typeof EXIT_CODES;
/** Programs that Ctrl-C reached have so long to end. */
const PATIENCE_MS = 5_000;

/** A network, homes and run folder of the benchmark's own, so that it neither finds nor leaves anything, Ctrl-C or not. */
export class Sandbox {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #running = new Set<RunningProgram>();
  readonly #onSignal = (signal: EndSignal): void => void this.#interrupt(signal);
  #isInterrupted = false;

  readonly folder: string;
  readonly networkHome: string;
  readonly homes: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.networkHome = join(folder, 'network');
    this.homes = join(folder, 'homes');
    this.#environment = {
      ...process.env,
      NETWORK: process.env['NETWORK'] === 'fabric' ? 'fabric' : 'embedded',
      NO_COLOR: '1',
      SEV_NETWORK_HOME: this.networkHome,
      SEV_HOMES: this.homes,
      SEV_PORT_OFFSET: 'ephemeral',
    };
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), 'sev-bench-')));
  }

  /**
   * Runs `sev … --json` in the sandbox.
   *
   * @param killed once it is aborted the program is killed, as with `kill -9`, and the promise rejects.
   * @returns the document it printed.
   */
  async sev(args: readonly string[], killed?: AbortSignal): Promise<unknown> {
    const run = promisify(execFile);
    const own = { env: this.#environment, cwd: this.folder, maxBuffer: MAX_OUTPUT_BYTES };
    const options = killed === undefined ? own : { ...own, signal: killed, killSignal: 'SIGKILL' as const };
    const answer = run(process.execPath, [PROGRAM, ...args, '--json'], options);
    const { stdout } = await this.#while({ child: answer.child, ended: answer }, answer);
    return JSON.parse(stdout) as unknown;
  }

  /** Starts a service, `sev … run --json`, and waits until it says that it is ready. */
  async start(args: readonly string[]): Promise<StartedProgram> {
    const child = spawn(process.execPath, [...LEAN_NODE_FLAGS, PROGRAM, ...args, '--json'], {
      env: leanEnvironment({ ...this.#environment, SEV_LOG_LEVEL: 'warn', SEV_STOP_WITH_STDIN: '1' }),
      cwd: this.folder,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    void this.#while({ child, ended }, ended);
    const ready = once(createInterface({ input: child.stdout }), 'line');
    const line: unknown = await Promise.race([ready.then(([text]) => text as unknown), ended.then(() => undefined)]);
    if (typeof line !== 'string') {
      throw new Error(`sev ${args.join(' ')} ended before it was ready`);
    }
    const { url = '' } = JSON.parse(line) as { readonly url?: string };
    const stop = async (): Promise<void> => {
      child.kill();
      await ended;
    };
    return { url, ended, stop };
  }

  /** Takes network and folder away. After a signal that is done already: then this never returns, and the process ends. */
  async remove(): Promise<void> {
    try {
      await this.#clean();
    } catch (error) {
      if (!this.#isInterrupted) {
        throw error;
      }
    }
    if (this.#isInterrupted) {
      await new Promise<never>(() => undefined);
    }
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
  }

  async #clean(): Promise<void> {
    if (existsSync(this.folder)) {
      await this.sev(['network', 'clean']);
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  /** Ctrl-C reaches the programs as well; whatever was not told to end is told after a while. Further signals change nothing. */
  async #interrupt(signal: EndSignal): Promise<void> {
    if (this.#isInterrupted) {
      return;
    }
    this.#isInterrupted = true;
    process.stderr.write('interrupted: stopping the network that was started for this\n');
    const running = [...this.#running];
    const ended = Promise.allSettled(running.map((program) => program.ended));
    await Promise.race([ended, setTimeout(signal === 'SIGINT' ? PATIENCE_MS : 0)]);
    running.forEach(({ child }) => child.kill());
    await ended;
    try {
      await this.#clean();
    } catch (error) {
      process.stderr.write(`${this.folder} could not be taken away: ${String(error)}\n`);
    }
    process.exit(EXIT_CODES[signal]);
  }

  async #while<T>(program: RunningProgram, outcome: Promise<T>): Promise<T> {
    this.#running.add(program);
    try {
      return await outcome;
    } finally {
      this.#running.delete(program);
    }
  }
}
