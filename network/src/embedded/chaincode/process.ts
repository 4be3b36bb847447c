// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LEAN_NODE_FLAGS, leanEnvironment } from '../../lean-process.js';
import type { ChaincodeConfig, ChaincodeProcessStatus, EmbeddedOrganisation } from '../types.js';
import { ChaincodeConnection, type ChaincodeCall, type ChaincodeResult, type ChaincodeTls } from './connection.js';
import type { TransactionSimulator } from '../simulation/simulator.js';

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

const HOST_SCRIPT = fileURLToPath(new URL('./host.js', import.meta.url));
const REGISTER_DEADLINE_MS = 60_000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
/** How long a call waits for a chaincode process that is being restarted. */
const LAUNCH_WAIT_MS = 10_000;
const STOP_GRACE_MS = 2_000;

/** A process that was asked for; it may never have come to be. */
interface SpawnedProcess {
  readonly child: ChildProcess;
  /** Why it ended, or was not started, once it has. */
  readonly ended: Promise<Error>;
}

/** One organisation's chaincode process: started, connected to, restarted when it dies, stopped. */
export class ChaincodeProcess {
  readonly #organisation: EmbeddedOrganisation;
  readonly #chaincode: ChaincodeConfig;
  readonly #directory: string;
  readonly #log: Log;
  readonly #tls: ChaincodeTls;
  #process: SpawnedProcess | undefined;
  #connection: ChaincodeConnection | undefined;
  #waiting = new Set<() => void>();
  #backoffMs = FIRST_BACKOFF_MS;
  #restart: NodeJS.Timeout | undefined;
  #isLaunching = false;
  #stopped = false;

  constructor(organisation: EmbeddedOrganisation, chaincode: ChaincodeConfig, dataDir: string, log: Log) {
    this.#organisation = organisation;
    this.#chaincode = chaincode;
    this.#directory = join(dataDir, 'chaincode', organisation.mspId);
    this.#log = log;
    this.#tls = {
      rootCertPem: organisation.tlsCaCert,
      ...organisation.chaincodeClientTls,
    };
  }

  get mspId(): string {
    return this.#organisation.mspId;
  }

  /** What the process writes, its log of errors among it. */
  get logFile(): string {
    return join(this.#directory, 'chaincode.log');
  }

  status(): ChaincodeProcessStatus {
    return {
      mspId: this.mspId,
      pid: this.#process?.child.pid,
      running: this.#connection !== undefined,
    };
  }

  /** Starts the process and waits until the chaincode is ready. @throws Error naming the log file where it is not. */
  async start(): Promise<void> {
    try {
      await this.#launch();
    } catch (cause) {
      await this.stop();
      throw new Error(
        `chaincode ${this.#chaincode.name} of ${this.mspId} did not start, see ${this.logFile}: ${String(cause)}`,
        { cause },
      );
    }
  }

  /** Calls the chaincode, waiting a little for a process that is being restarted. @throws Error worded as on Fabric. */
  async execute(call: ChaincodeCall, simulator: TransactionSimulator, timeoutMs: number): Promise<ChaincodeResult> {
    if (this.#connection === undefined) {
      await this.#untilReady();
    }
    const connection = this.#connection;
    if (connection === undefined) {
      throw new Error(`could not launch chaincode ${this.#chaincodeId}: connection to ${this.#chaincodeId} failed`);
    }
    return connection.execute(call, simulator, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restart);
    this.#connection?.close();
    this.#connection = undefined;
    if (this.#process !== undefined) {
      const { child, ended } = this.#process;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await ended;
      clearTimeout(timer);
    }
  }

  get #chaincodeId(): string {
    return `${this.#chaincode.name}:${this.#chaincode.version}`;
  }

  /** Starts the process and connects to it. Where that fails, the process has ended when this rejects. */
  async #launch(): Promise<void> {
    this.#isLaunching = true;
    try {
      const port = this.#organisation.chaincodePort || (await freePort());
      const process = await this.#spawn(port);
      try {
        await this.#connect(process, port);
      } catch (error) {
        process.child.kill('SIGKILL');
        await process.ended;
        throw error;
      }
    } finally {
      this.#isLaunching = false;
    }
    this.#backoffMs = FIRST_BACKOFF_MS;
    this.#wake();
  }

  async #connect({ child, ended }: SpawnedProcess, port: number): Promise<void> {
    // Left alone it would go on trying, and connect to the next process on this port.
    const abandoned = new AbortController();
    const connecting = ChaincodeConnection.open(
      `localhost:${String(port)}`,
      this.#tls,
      this.#chaincodeId,
      REGISTER_DEADLINE_MS,
      () => {
        this.#onDisconnect(child);
      },
      abandoned.signal,
    );
    const outcome = await Promise.race([connecting, ended]);
    if (outcome instanceof Error) {
      abandoned.abort();
      connecting.then(
        (connection) => {
          connection.close();
        },
        () => undefined, // It could not connect because the process ended, which is what is reported.
      );
      throw outcome;
    }
    this.#connection = outcome;
  }

  async #spawn(port: number): Promise<SpawnedProcess> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = async (name: string, content: string): Promise<string> => {
      const path = join(this.#directory, name);
      await writeFile(path, content, { mode: 0o600 });
      return path;
    };
    const keyFile = await file('server.key', this.#organisation.chaincodeServerTls.privateKeyPem);
    const certFile = await file('server.crt', this.#organisation.chaincodeServerTls.certificatePem);
    const caFile = await file('clientca.crt', this.#organisation.tlsCaCert);
    const output = await open(this.logFile, 'a', 0o600);
    try {
      const options = [
        ['--chaincode-address', `127.0.0.1:${String(port)}`],
        ['--chaincode-id', this.#chaincodeId],
        ['--chaincode-tls-key-file', keyFile],
        ['--chaincode-tls-cert-file', certFile],
        ['--chaincode-tls-client-cacert-file', caFile],
        ['--module-path', this.#chaincode.path],
      ].flat();
      if (this.#stopped) {
        throw new Error('the network is stopping');
      }
      const program = [HOST_SCRIPT, shimCli(this.#chaincode.path), 'server'];
      const child = spawn(process.execPath, [...LEAN_NODE_FLAGS, ...program, ...options], {
        cwd: this.#chaincode.path,
        env: leanEnvironment({
          PATH: process.env['PATH'],
          CORE_PEER_LOCALMSPID: this.mspId,
          CORE_CHAINCODE_LOGGING_LEVEL: 'ERROR',
        }),
        stdio: ['ignore', output.fd, output.fd, 'pipe'],
      });
      // In the same turn: a process that cannot be started says so in the next, and `stop` must find the others.
      this.#process = this.#watch(child);
      return this.#process;
    } finally {
      await output.close();
    }
  }

  #watch(child: ChildProcess): SpawnedProcess {
    const ended = new Promise<Error>((resolve) => {
      child.on('error', (error) => {
        // A process that runs may also fail to get a signal.
        if (child.pid === undefined) {
          resolve(error);
        }
      });
      child.once('exit', (code, signal) => {
        resolve(new Error(`the chaincode process ended (${signal ?? `exit code ${String(code)}`})`));
        this.#onExit(child);
      });
    });
    return { child, ended };
  }

  #onDisconnect(child: ChildProcess): void {
    if (child !== this.#process?.child) {
      return;
    }
    this.#connection = undefined;
    if (!this.#stopped && child.exitCode === null && child.signalCode === null) {
      // The process is alive but its stream is not: it is stuck.
      child.kill('SIGKILL');
    }
  }

  #onExit(child: ChildProcess): void {
    this.#connection?.close();
    this.#connection = undefined;
    if (this.#stopped || this.#isLaunching) {
      return;
    }
    this.#log('warn', 'a chaincode process ended and is started again', {
      mspId: this.mspId,
      pid: child.pid,
      backoffMs: this.#backoffMs,
    });
    this.#startAgain();
  }

  /** Tries until it succeeds, or until the network stops. */
  #startAgain(): void {
    this.#restart = setTimeout(() => {
      this.#launch().catch((error: unknown) => {
        if (this.#stopped) {
          return;
        }
        this.#log('error', 'a chaincode process did not start', {
          mspId: this.mspId,
          error: String(error),
          logFile: this.logFile,
        });
        this.#startAgain();
      });
    }, this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }

  #untilReady(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, LAUNCH_WAIT_MS);
      this.#waiting.add(wake);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) {
      wake();
    }
  }
}

/** `fabric-chaincode-node` as the chaincode package itself would find it. */
function shimCli(chaincodePath: string): string {
  return createRequire(join(chaincodePath, 'package.json')).resolve('fabric-shim/cli.js');
}

/** A port on loopback that is free now; a chaincode process cannot report one it chose. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new Error('no free port on loopback');
  }
  return address.port;
}
