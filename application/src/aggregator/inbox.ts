// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EXIT, SevError, systemCode } from '../errors.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import {
  PRIVATE_FILE,
  makePrivateDirectory,
  readIfThere,
  readJson,
  syncDirectory,
  writeFileOnce,
} from '../store/files.js';

/** AES-256-GCM (NIST SP 800-38D) with a random nonce; a file is nonce ‖ tag ‖ ciphertext. */
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const SECRETS = 'secrets.json';
const SHARES = 'shares';
const OPENINGS = 'openings';
const STATEMENTS = 'statements';
const FOLDER = /^(?<round>\d+)-(?<attempt>\d+)$/;

/** Writes a file durably unless there is one; `writeFileOnce` but in tests. */
export type WriteOnce = typeof writeFileOnce;

/**
 * What an aggregator keeps of its attempts, under its home: one folder an attempt, one file a share. Every file is whole
 * and on disk before a call that writes it returns, is written once and never changed. Files are for their owner only.
 */
export class Inbox {
  readonly #directory: string;
  readonly #write: WriteOnce;
  readonly #folders = new Map<string, AttemptFolder>();

  private constructor(directory: string, write: WriteOnce) {
    this.#directory = directory;
    this.#write = write;
  }

  static async open(directory: string, write: WriteOnce = writeFileOnce): Promise<Inbox> {
    await makePrivateDirectory(directory);
    return new Inbox(directory, write);
  }

  attempt(ref: AttemptRef): AttemptFolder {
    const key = attemptKey(ref);
    const known = this.#folders.get(key);
    if (known !== undefined) {
      return known;
    }
    const { taskId, round, attempt } = ref;
    const directory = join(this.#directory, taskId, `${String(round)}-${String(attempt)}`);
    const folder = new AttemptFolder({ taskId, round, attempt }, directory, this.#write);
    this.#folders.set(key, folder);
    return folder;
  }

  /** The attempts that have a folder. */
  async attempts(): Promise<AttemptRef[]> {
    const found: AttemptRef[] = [];
    for (const task of await readdir(this.#directory, { withFileTypes: true })) {
      const names = task.isDirectory() ? await readdir(join(this.#directory, task.name)) : [];
      for (const name of names) {
        const { round, attempt } = FOLDER.exec(name)?.groups ?? {};
        if (round !== undefined && attempt !== undefined) {
          found.push({ taskId: task.name, round: Number(round), attempt: Number(attempt) });
        }
      }
    }
    return found;
  }

  /** Destroys all that is kept of an attempt: its keys first, so that what is left meanwhile is unreadable. */
  async destroy(ref: AttemptRef): Promise<void> {
    await this.attempt(ref).destroy();
    this.#folders.delete(attemptKey(ref));
  }
}

/** The files of one attempt. */
export class AttemptFolder {
  readonly ref: AttemptRef;
  readonly #directory: string;
  readonly #write: WriteOnce;
  #made: Promise<void> | undefined;

  constructor(ref: AttemptRef, directory: string, write: WriteOnce) {
    this.ref = ref;
    this.#directory = directory;
    this.#write = write;
  }

  /** @returns undefined where the attempt was never prepared, or is destroyed. @throws SevError FILE_MALFORMED. */
  secrets(): Promise<unknown> {
    return readJson(join(this.#directory, SECRETS));
  }

  /** @returns false where there are secrets already, which stay. @throws SevError STORAGE_FULL, STORAGE_FAILED. */
  keepSecrets(secrets: unknown): Promise<boolean> {
    return this.#once(SECRETS, text(secrets));
  }

  opening(hash: string): Promise<unknown> {
    return readJson(join(this.#directory, OPENINGS, `${hash}.json`));
  }

  keepOpening(hash: string, opening: unknown): Promise<boolean> {
    return this.#once(join(OPENINGS, `${hash}.json`), text(opening));
  }

  /** How many openings of the attempt were accepted. */
  async countOpenings(): Promise<number> {
    return (await namesIn(join(this.#directory, OPENINGS))).length;
  }

  /** Forgets the opening that was accepted first. */
  async dropOldestOpening(): Promise<void> {
    const folder = join(this.#directory, OPENINGS);
    const aged = await Promise.all(
      (await namesIn(folder)).map(async (name) => ({ name, keptAtMs: (await stat(join(folder, name))).mtimeMs })),
    );
    const [oldest] = aged.sort((a, b) => a.keptAtMs - b.keptAtMs);
    if (oldest !== undefined) {
      await rm(join(folder, oldest.name), { force: true });
    }
  }

  statement(name: string): Promise<unknown> {
    return readJson(join(this.#directory, STATEMENTS, `${name}.json`));
  }

  /** @returns false where there is a statement of this name already, which stays. @throws as `keepSecrets`. */
  keepStatement(name: string, statement: unknown): Promise<boolean> {
    return this.#once(join(STATEMENTS, `${name}.json`), text(statement));
  }

  /**
   * @param storageKey of the attempt, 32 bytes.
   * @returns undefined where there is none.
   * @throws SevError SHARE_DAMAGED where the file is not what was written.
   */
  async share(name: string, storageKey: Uint8Array): Promise<Buffer | undefined> {
    const bytes = await readIfThere(this.#shareFile(name));
    return bytes === undefined ? undefined : this.#decrypt(name, bytes, storageKey);
  }

  /**
   * Keeps a share encrypted under the attempt's storage key, so that it is gone with the key.
   *
   * @returns false where there is one already, which stays.
   * @throws SevError STORAGE_FULL, STORAGE_FAILED.
   */
  keepShare(name: string, share: Uint8Array, storageKey: Uint8Array): Promise<boolean> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, storageKey, nonce).setAAD(this.#place(name));
    const ciphertext = [cipher.update(share), cipher.final()];
    return this.#once(join(SHARES, name), Buffer.concat([nonce, cipher.getAuthTag(), ...ciphertext]));
  }

  /** Names of the shares that have a file. */
  async shareNames(): Promise<string[]> {
    return namesIn(join(this.#directory, SHARES));
  }

  async destroy(): Promise<void> {
    this.#made = undefined;
    await overwrite(join(this.#directory, SECRETS));
    await rm(this.#directory, { recursive: true, force: true });
    await syncDirectory(dirname(this.#directory)).catch(ignoreMissing);
  }

  #shareFile(name: string): string {
    return join(this.#directory, SHARES, name);
  }

  /** Binds a file to its attempt and name: one put in the place of another is noticed. */
  #place(name: string): Buffer {
    return Buffer.from(`sev/inbox/v1/${attemptKey(this.ref)}/${name}`);
  }

  #decrypt(name: string, bytes: Buffer, storageKey: Uint8Array): Buffer {
    try {
      const decipher = createDecipheriv(CIPHER, storageKey, bytes.subarray(0, NONCE_BYTES)).setAAD(this.#place(name));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch (error) {
      throw new SevError('SHARE_DAMAGED', `the file of share ${name} of ${attemptKey(this.ref)} was changed`, {
        hint: 'Look after the disk; the share counts as lost.',
        exitCode: EXIT.integrity,
        cause: error,
      });
    }
  }

  async #once(name: string, data: Uint8Array | string): Promise<boolean> {
    try {
      this.#made ??= this.#make();
      await this.#made;
      return await this.#write(join(this.#directory, name), data, { mode: PRIVATE_FILE });
    } catch (error) {
      this.#made = undefined;
      throw storageError(error);
    }
  }

  /** Makes the attempt's folders, their names durable before any file in them is relied on. */
  async #make(): Promise<void> {
    const task = dirname(this.#directory);
    await makePrivateDirectory(task);
    await syncDirectory(dirname(task));
    for (const name of [SHARES, OPENINGS, STATEMENTS]) {
      await makePrivateDirectory(join(this.#directory, name));
    }
    await syncDirectory(this.#directory);
    await syncDirectory(task);
  }
}

function text(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Names of finished files: a temporary one begins with a dot. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    ignoreMissing(error);
    return [];
  }
}

/** Overwrites a file where the file system does so in place; on others the removal has to do. */
async function overwrite(path: string): Promise<void> {
  try {
    const file = await open(path, 'r+');
    try {
      const { size } = await file.stat();
      await file.write(Buffer.alloc(size));
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    ignoreMissing(error);
  }
}

function ignoreMissing(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') {
    throw error;
  }
}

function storageError(error: unknown): unknown {
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SevError('STORAGE_FULL', 'the disk of the aggregator is full', {
      hint: 'Make room; nothing was kept and nothing acknowledged.',
      cause: error,
    });
  }
  return code === undefined
    ? error
    : new SevError('STORAGE_FAILED', `the disk of the aggregator fails (${code})`, { cause: error });
}
