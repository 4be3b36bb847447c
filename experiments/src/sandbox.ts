// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROGRAM = fileURLToPath(new URL('../../application/bin/sev.js', import.meta.url));
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** A network, homes and run folder of the benchmark's own, so that it neither finds nor leaves anything. */
export class Sandbox {
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;

  readonly networkHome: string;
  readonly homes: string;

  private constructor(folder: string) {
    this.#folder = folder;
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
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(join(tmpdir(), 'sev-bench-')));
  }

  /** Runs `sev … --json` in the sandbox. @returns the document it printed. */
  async sev(args: readonly string[]): Promise<unknown> {
    const run = promisify(execFile);
    const options = { env: this.#environment, cwd: this.#folder, maxBuffer: MAX_OUTPUT_BYTES };
    const { stdout } = await run(process.execPath, [PROGRAM, ...args, '--json'], options);
    return JSON.parse(stdout) as unknown;
  }

  async remove(): Promise<void> {
    await this.sev(['network', 'clean']);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
