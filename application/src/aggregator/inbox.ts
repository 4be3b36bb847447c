// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { EXIT, SevError, systemCode } from '../errors.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, syncDirectory, writeFileOnce } from '../store/files.js';
import { appendDurably, ShareLog, type Append } from './share-log.js';

/** AES-256-GCM (NIST SP 800-38D) with a random nonce; a share's record is nonce ‖ tag ‖ ciphertext. */
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const SECRETS = 'secrets.json';
const SHARES = 'shares';
const OPENINGS = 'openings';
const STATEMENTS = 'statements';
const FOLDER = /^(?<round>\d+)-(?<attempt>\d+)$/;

/** Shares in memory beside those on the disk, in bytes: they are needed again in every step of their round. */
const RECENT_BYTES = 16 * 1024 * 1024;

/** How files are written durably; other ways in tests. */
export interface Disk {
  /** Writes a file unless there is one. */
  readonly once: typeof writeFileOnce;
  readonly append: Append;
}
const DISK: Disk = { once: writeFileOnce, append: appendDurably };

export interface ReadOptions {
  /** Reads from the disk what may be in memory. */
  readonly fromDisk?: boolean;
}

/** Shares that were kept or read last, in the clear, by attempt and name. */
type Recent = LRUCache<string, Buffer>;

/**
 * What an aggregator keeps of its attempts, under its home: one folder an attempt, its shares in a {@link ShareLog}. What
 * is written is whole and on disk before a call that writes it returns, is written once and never changed. Files are for
 * their owner only.
 */
export class Inbox {
  readonly #directory: string;
  readonly #disk: Disk;
  readonly #folders = new Map<string, AttemptFolder>();
  readonly #recent: Recent = new LRUCache({ maxSize: RECENT_BYTES, sizeCalculation: ({ length }) => length + 1 });

  private constructor(directory: string, disk: Disk) {
    this.#directory = directory;
    this.#disk = disk;
  }

  static async open(directory: string, disk: Partial<Disk> = {}): Promise<Inbox> {
    await makePrivateDirectory(directory);
    return new Inbox(directory, { ...DISK, ...disk });
  }

  attempt(ref: AttemptRef): AttemptFolder {
    const key = attemptKey(ref);
    const known = this.#folders.get(key);
    if (known !== undefined) {
      return known;
    }
    const { taskId, round, attempt } = ref;
    const directory = join(this.#directory, taskId, `${String(round)}-${String(attempt)}`);
    const folder = new AttemptFolder({ taskId, round, attempt }, directory, this.#disk, this.#recent);
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
  readonly #disk: Disk;
  readonly #recent: Recent;
  readonly #shares: ShareLog;
  #made: Promise<void> | undefined;

  constructor(ref: AttemptRef, directory: string, disk: Disk, recent: Recent) {
    this.ref = ref;
    this.#directory = directory;
    this.#disk = disk;
    this.#recent = recent;
    this.#shares = new ShareLog(join(directory, SHARES), disk.append);
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
   * @throws SevError SHARE_DAMAGED where the record is not what was written.
   */
  async share(
    name: string,
    storageKey: Uint8Array,
    { fromDisk = false }: ReadOptions = {},
  ): Promise<Buffer | undefined> {
    const place = this.#place(name);
    const recent = fromDisk ? undefined : this.#recent.get(place);
    if (recent !== undefined) {
      return recent;
    }
    const bytes = await this.#shares.read(name);
    if (bytes === undefined) {
      return undefined;
    }
    const share = this.#decrypt(name, bytes, storageKey);
    this.#recent.set(place, share);
    return share;
  }

  /**
   * Keeps a share encrypted under the attempt's storage key, so that it is gone with the key.
   *
   * @returns false where there is one already, which stays unless it is damaged.
   * @throws SevError STORAGE_FULL, STORAGE_FAILED.
   */
  async keepShare(name: string, share: Buffer, storageKey: Uint8Array): Promise<boolean> {
    const place = this.#place(name);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, storageKey, nonce).setAAD(Buffer.from(place));
    const ciphertext = [cipher.update(share), cipher.final()];
    const record = Buffer.concat([nonce, cipher.getAuthTag(), ...ciphertext]);
    const isIntact = (before: Buffer): boolean => this.#decryptIfIntact(name, before, storageKey) !== undefined;
    const isKept = await this.#durably(() => this.#shares.write(name, record, isIntact));
    if (isKept) {
      this.#recent.set(place, share);
    }
    return isKept;
  }

  /** Names of the shares that are kept. */
  shareNames(): Promise<string[]> {
    return this.#shares.names();
  }

  async destroy(): Promise<void> {
    this.#made = undefined;
    const own = this.#place('');
    [...this.#recent.keys()].filter((place) => place.startsWith(own)).forEach((place) => this.#recent.delete(place));
    await overwrite(join(this.#directory, SECRETS));
    await rm(this.#directory, { recursive: true, force: true });
    await syncDirectory(dirname(this.#directory)).catch(ignoreMissing);
  }

  /** Binds a record to its attempt and name: one put in the place of another is noticed. */
  #place(name: string): string {
    return `sev/inbox/v1/${attemptKey(this.ref)}/${name}`;
  }

  #decrypt(name: string, bytes: Buffer, storageKey: Uint8Array): Buffer {
    const share = this.#decryptIfIntact(name, bytes, storageKey);
    if (share === undefined) {
      throw new SevError('SHARE_DAMAGED', `the share ${name} of ${attemptKey(this.ref)} was changed on the disk`, {
        hint: 'Look after the disk; the share counts as lost.',
        exitCode: EXIT.integrity,
      });
    }
    return share;
  }

  #decryptIfIntact(name: string, bytes: Buffer, storageKey: Uint8Array): Buffer | undefined {
    try {
      const decipher = createDecipheriv(CIPHER, storageKey, bytes.subarray(0, NONCE_BYTES)).setAAD(
        Buffer.from(this.#place(name)),
      );
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch {
      return undefined;
    }
  }

  #once(name: string, data: string): Promise<boolean> {
    return this.#durably(() => this.#disk.once(join(this.#directory, name), data, { mode: PRIVATE_FILE }));
  }

  /** @throws SevError STORAGE_FULL, STORAGE_FAILED. */
  async #durably<T>(write: () => Promise<T>): Promise<T> {
    try {
      this.#made ??= this.#make();
      await this.#made;
      return await write();
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
