// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';

const SEV = fileURLToPath(new URL('../../../bin/sev.js', import.meta.url));
const READY_MS = 60_000;
const STOP_MS = 20_000;

/** How a `sev` that was started has ended. */
export interface Ending {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `sev` that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** What it has written so far. */
  readonly written: () => Pick<Ending, 'stdout' | 'stderr'>;
}

/** A `sev … run` that said that it is ready. */
export interface Service extends Running {
  /** Empty for a program that only calls others. */
  readonly url: string;
}

export interface Surroundings {
  /** Working directory; default: the sandbox's own. */
  readonly cwd?: string;
  /** Instead of the sandbox's own variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What `--json` prints for a problem. */
export interface Problem {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
  readonly exitCode: number;
}

/**
 * A folder under the system's temporary directory with a network and homes of its own, and the real `sev` as child
 * processes: nothing of the surroundings (`.network`, `.sev`, default ports, variables) is seen by them.
 */
export class Sandbox {
  readonly directory: string;
  readonly networkHome: string;
  readonly homes: string;
  readonly #running = new Set<Running>();

  private constructor(directory: string) {
    this.directory = directory;
    this.networkHome = join(directory, 'network');
    this.homes = join(directory, 'homes');
  }

  static async open(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), 'sev-e2e-')));
  }

  get env(): Record<string, string> {
    return this.bareEnv({
      SEV_NETWORK_HOME: this.networkHome,
      SEV_HOMES: this.homes,
      SEV_PORT_OFFSET: 'ephemeral',
    });
  }

  /** Only what a program needs to start at all, and what is given. */
  bareEnv(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    const path = process.env['PATH'] ?? '';
    return {
      PATH: path,
      HOME: this.directory,
      TMPDIR: tmpdir(),
      NETWORK: process.env['SEV_TEST_NETWORK'] ?? 'embedded',
      ...more,
    };
  }

  /** Starts `sev` in a process group of its own, so that a signal to it reaches nobody else. */
  spawn(args: readonly string[], surroundings: Surroundings = {}): Running {
    const child = spawn(process.execPath, [SEV, ...args], {
      cwd: surroundings.cwd ?? this.directory,
      env: surroundings.env ?? this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const texts = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
    const ended = new Promise<Ending>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode) => {
        this.#running.delete(running);
        resolve({ exitCode, ...texts });
      });
    });
    const running: Running = { child, pid: child.pid!, ended, written: () => ({ ...texts }) };
    this.#running.add(running);
    return running;
  }

  /** Runs `sev` to its end. */
  sev(args: readonly string[], surroundings: Surroundings = {}): Promise<Ending> {
    return this.spawn(args, surroundings).ended;
  }

  /** Runs `sev … --json`, which must succeed. @returns what it printed. */
  async json<T>(args: readonly string[], surroundings: Surroundings = {}): Promise<T> {
    const ending = await this.sev([...args, '--json'], surroundings);
    if (ending.exitCode !== 0) {
      throw new Error(`sev ${args.join(' ')}: exit code ${ending.exitCode}\n${ending.stdout}${ending.stderr}`);
    }
    return JSON.parse(ending.stdout) as T;
  }

  /** Runs `sev … --json`, which must fail. @returns the problem it printed. */
  async problem(args: readonly string[], surroundings: Surroundings = {}): Promise<Problem> {
    const ending = await this.sev([...args, '--json'], surroundings);
    if (ending.exitCode === 0 || ending.stdout === '') {
      throw new Error(`sev ${args.join(' ')}: exit code ${ending.exitCode}\n${ending.stdout}${ending.stderr}`);
    }
    const problem = JSON.parse(ending.stdout) as Problem;
    if (problem.exitCode !== ending.exitCode) {
      throw new Error(`it says exit code ${problem.exitCode} and ends with ${ending.exitCode}`);
    }
    return problem;
  }

  /** Starts `sev … run --json` and waits until it is ready. */
  async service(args: readonly string[], surroundings: Surroundings = {}): Promise<Service> {
    const running = this.spawn([...args, '--json'], surroundings);
    const ready = await until(() => {
      const line = running.written().stdout.split('\n', 1)[0]!;
      return line.includes('"ready":true') || running.child.exitCode !== null ? line : undefined;
    }, READY_MS);
    if (!ready.includes('"ready":true')) {
      throw new Error(`sev ${args.join(' ')} ended: ${running.written().stdout}${running.written().stderr}`);
    }
    return { ...running, url: (JSON.parse(ready) as { url?: string }).url ?? '' };
  }

  /** Ends a service in order. */
  async stop(running: Running): Promise<Ending> {
    running.child.kill('SIGTERM');
    const timer = setTimeout(() => running.child.kill('SIGKILL'), STOP_MS);
    const ending = await running.ended;
    clearTimeout(timer);
    return ending;
  }

  async networkUp(): Promise<void> {
    await this.json(['network', 'up']);
  }

  /** The kind of network that the tests run on, which is the name of its folder in the network's home. */
  get networkKind(): string {
    return this.env['NETWORK'] ?? 'embedded';
  }

  /** Kills the network's background process as a power cut would. */
  async killNetwork(): Promise<void> {
    const { pid } = JSON.parse(await readFile(join(this.networkHome, this.networkKind, 'process.json'), 'utf8')) as {
      pid: number;
    };
    await kill(pid);
  }

  /** Copies what organisations share, the connection profile, to where a program of its own looks for it. */
  async shareProfile(networkHome: string): Promise<void> {
    await mkdir(networkHome, { recursive: true });
    await cp(join(this.networkHome, 'connection.json'), join(networkHome, 'connection.json'));
  }

  /** Ends everything that was started here and removes the folder. */
  async close(): Promise<void> {
    await Promise.all([...this.#running].map((running) => this.stop(running)));
    await this.sev(['network', 'clean'], { cwd: dirname(this.directory) });
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Waits until a program has said something on stderr. @throws Error where it ends before that. */
export async function said(running: Running, pattern: RegExp, deadlineMs = 90_000): Promise<void> {
  await until(() => {
    const { stderr } = running.written();
    if (pattern.test(stderr)) {
      return true;
    }
    if (running.child.exitCode !== null || running.child.signalCode !== null) {
      throw new Error(`it ended without saying ${String(pattern)}: ${stderr}`);
    }
    return undefined;
  }, deadlineMs);
}

/** Sends SIGKILL and waits until the process is gone. */
export async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(() => (isAlive(pid) ? undefined : true), 10_000);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // ESRCH: there is nobody left.
  }
}

/** Polls until there is a value. @throws Error after the deadline. */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  deadlineMs: number,
  intervalMs = 20,
): Promise<T> {
  const giveUpAt = Date.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) {
      return value;
    }
    if (Date.now() > giveUpAt) {
      throw new Error(`nothing within ${deadlineMs} ms of: ${look.toString()}`);
    }
    await delay(intervalMs);
  }
}
