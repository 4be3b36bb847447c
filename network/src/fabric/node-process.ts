// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { writeFileAtomic } from '../durable.js';
import { NetworkError, systemErrorCode } from '../errors.js';
import { formatJson } from '../supervisor/json.js';
import { poll } from '../supervisor/poll.js';
import { identifyProcess } from '../supervisor/process.js';
import { programEnvironment } from './run-program.js';

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/** A process that ran so long is taken to have been well: its next restart does not wait. */
const STABLE_MS = 30_000;
const STOP_GRACE_MS = 10_000;
const LOG_ROTATE_BYTES = 64 * 1024 * 1024;
const LOG_TAIL_CHARACTERS = 1_500;

export type NodeKind = 'ca' | 'orderer' | 'peer' | 'chaincode';

/** What a process of the network is. */
export interface NodeSpecification {
  /** Unique in a home: `peer.grid`, `chaincode.grid.sev_1.0-3f2a…`. */
  readonly name: string;
  readonly kind: NodeKind;
  readonly organisation: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly logFile: string;
  readonly pidFile: string;
  /** Where it can be reached, for people. */
  readonly address: string;
  /** Whether it, and not another on its port, is ready for work; asked again and again. */
  readonly isReady: (pid: number) => Promise<boolean>;
  readonly readyDeadlineMs: number;
}

/** What is known of a process now. */
export interface NodeStatus {
  readonly name: string;
  readonly kind: NodeKind;
  readonly organisation: string;
  readonly address: string;
  readonly pid: number | undefined;
  readonly running: boolean;
  /** How often it was started again after it had died. */
  readonly restarts: number;
  readonly log: string;
}

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** One supervised process: started, waited for, started again when it dies, stopped. */
export class NodeProcess {
  readonly specification: NodeSpecification;
  readonly #log: Log;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isReady = false;
  #restarts = 0;
  #backoffMs = FIRST_BACKOFF_MS;
  #startedAtMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(specification: NodeSpecification, log: Log) {
    this.specification = specification;
    this.#log = log;
  }

  status(): NodeStatus {
    const { name, kind, organisation, address, logFile } = this.specification;
    const running = this.#isReady && this.#isAlive;
    return {
      name,
      kind,
      organisation,
      address,
      pid: this.#child?.pid,
      running,
      restarts: this.#restarts,
      log: logFile,
    };
  }

  /**
   * Starts the process and waits until it is ready.
   * @throws NetworkError NETWORK_START_FAILED with the end of its log, when it ends or is not ready by its deadline
   */
  async start(): Promise<void> {
    await this.#spawn();
    const { name, readyDeadlineMs, logFile } = this.specification;
    const outcome = await poll(async () => {
      if (!this.#isAlive) {
        return 'ended';
      }
      return (await this.#asksReady()) ? 'ready' : undefined;
    }, readyDeadlineMs);
    if (outcome === 'ready') {
      this.#isReady = true;
      return;
    }
    await this.stop();
    const what = outcome === 'ended' ? 'ended' : `was not ready after ${(readyDeadlineMs / 1000).toString()} s`;
    throw new NetworkError('NETWORK_START_FAILED', `${name} ${what}; the end of ${logFile}:\n${await this.#logTail()}`);
  }

  /** Asks the process to end and waits; ends it by force when it does not. It is not started again. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#isReady = false;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== undefined && this.#isAlive) {
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await this.#ended;
      clearTimeout(force);
    }
    await rm(this.specification.pidFile, { force: true });
  }

  /** Stops the process and starts it again, with the files it has now. */
  async restart(): Promise<void> {
    await this.stop();
    this.#isStopping = false;
    await this.start();
  }

  get #isAlive(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async #asksReady(): Promise<boolean> {
    try {
      return await this.specification.isReady(this.#child?.pid ?? 0);
    } catch {
      // Whatever the reason: it does not answer as a process that is ready does.
      return false;
    }
  }

  async #spawn(): Promise<void> {
    const { command, args, env, cwd, logFile, pidFile } = this.specification;
    await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
    await rotate(logFile);
    const output = await open(logFile, 'a', 0o600);
    try {
      const child = spawn(command, [...args], {
        cwd,
        env: programEnvironment(env),
        // A chaincode process watches the fourth one, and ends when this process does.
        stdio: ['ignore', output.fd, output.fd, 'pipe'],
      });
      child.stdio[3]?.on('error', () => undefined); // The other end is gone, which its exit tells.
      this.#child = child;
      this.#startedAtMs = Date.now();
      this.#ended = new Promise((resolve) => {
        child.once('error', (error) => {
          if (child.pid === undefined) {
            this.#log('error', 'a process could not be started', {
              name: this.specification.name,
              error: String(error),
            });
            resolve();
          }
        });
        child.once('exit', (code, signal) => {
          resolve();
          this.#onExit(child, signal ?? `exit code ${String(code)}`);
        });
      });
    } finally {
      await output.close();
    }
    const pid = this.#child.pid;
    const identity = pid === undefined ? undefined : identifyProcess(pid);
    if (identity !== undefined) {
      await writeFileAtomic(pidFile, formatJson(identity), 0o600);
    }
  }

  #onExit(child: ChildProcess, how: string): void {
    if (this.#isStopping || child !== this.#child || !this.#isReady) {
      return;
    }
    this.#isReady = false;
    this.#restarts += 1;
    if (Date.now() - this.#startedAtMs > STABLE_MS) {
      this.#backoffMs = FIRST_BACKOFF_MS;
    }
    const { name, logFile } = this.specification;
    this.#log('warn', 'a process ended and is started again', { name, how, backoffMs: this.#backoffMs, logFile });
    this.#startAgain();
  }

  /** Tries until it is ready, or until the network stops. */
  #startAgain(): void {
    this.#restart = setTimeout(() => {
      this.#revive().catch((error: unknown) => {
        const { name, logFile } = this.specification;
        this.#log('error', 'a process does not start', { name, error: String(error), logFile });
        if (!this.#isStopping) {
          this.#startAgain();
        }
      });
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }

  async #revive(): Promise<void> {
    await this.#spawn();
    const end = Date.now() + this.specification.readyDeadlineMs;
    while (!this.#isStopping && this.#isAlive && Date.now() < end) {
      if (await this.#asksReady()) {
        this.#isReady = true;
        return;
      }
      await pause(50);
    }
    if (!this.#isStopping) {
      this.#child?.kill('SIGKILL');
      await this.#ended;
      throw new Error('it ended, or was not ready in time');
    }
  }

  async #logTail(): Promise<string> {
    return (await readFile(this.specification.logFile, 'utf8')).slice(-LOG_TAIL_CHARACTERS).trim();
  }
}

async function rotate(logFile: string): Promise<void> {
  try {
    if ((await stat(logFile)).size > LOG_ROTATE_BYTES) {
      await rename(logFile, `${logFile}.1`);
    }
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') {
      throw error;
    }
  }
}

/** Starts processes side by side. @throws the first failure, after all have started or failed */
export async function startAll(processes: readonly NodeProcess[]): Promise<void> {
  await settleAll(processes.map((process) => process.start()));
}

/** Stops processes side by side. */
export async function stopAll(processes: readonly NodeProcess[]): Promise<void> {
  await settleAll(processes.map((process) => process.stop()));
}

/** Waits for everything, whatever fails. @throws the first failure */
export async function settleAll(tasks: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(tasks);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed?.status === 'rejected') {
    throw failed.reason;
  }
}

/** A process's log and pid files. */
export const processFiles = (layout: { readonly logs: string; readonly pids: string }, name: string) => ({
  logFile: join(layout.logs, `${name}.log`),
  pidFile: join(layout.pids, `${name}.json`),
});
