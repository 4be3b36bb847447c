// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { newSealingKey, type SealingKey } from '@sev/fl';
import { z } from 'zod';
import { parseFile } from '../config/profile.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, writeFileOnce } from '../store/files.js';

const keyFile = z.strictObject({ publicKey: z.string(), privateKey: z.base64() });

/** Keys that components are released to: one an attempt, kept on disk so that a restarted arbiter can still read. */
export class ArbiterKeys {
  readonly #directory: string;

  /** @param directory made where it is missing; its owner alone can enter. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async keyOf(ref: AttemptRef): Promise<SealingKey> {
    await makePrivateDirectory(this.#directory);
    const path = join(this.#directory, `${attemptKey(ref).replaceAll('/', '.')}.json`);
    if ((await readJson(path)) === undefined) {
      const { publicKey, privateKey } = await newSealingKey();
      const made = { publicKey, privateKey: Buffer.from(privateKey).toString('base64') };
      await writeFileOnce(path, `${JSON.stringify(made)}\n`, { mode: PRIVATE_FILE });
    }
    const kept = parseFile(keyFile, path, await readJson(path));
    return { publicKey: kept.publicKey, privateKey: Buffer.from(kept.privateKey, 'base64') };
  }
}
