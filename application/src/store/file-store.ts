// SPDX-License-Identifier: Apache-2.0
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '@sev/chaincode/api';
import { systemCode } from '../errors.js';
import { readIfThere, syncDirectory, writeFileAtomic } from './files.js';
import {
  DEFAULT_MAX_OBJECT_BYTES,
  assertHash,
  contentHashMismatch,
  objectMissing,
  objectTooLarge,
  type ObjectStore,
} from './object-store.js';

/** A temporary file older than this belongs to a writer that died. */
const ABANDONED_MS = 60 * 60 * 1000;

export interface FileStoreOptions {
  readonly maxObjectBytes?: number;
}

/** Objects as files: `<directory>/ab/abcdef…`, written atomically, verified on reading. */
export class FileStore implements ObjectStore {
  readonly maxObjectBytes: number;
  readonly #directory: string;
  readonly #temporary: string;
  /** Folders of objects that are known to be there, by the two digits that name them. */
  readonly #folders = new Map<string, Promise<void>>();

  private constructor(directory: string, maxObjectBytes: number) {
    this.#directory = directory;
    this.#temporary = join(directory, 'tmp');
    this.maxObjectBytes = maxObjectBytes;
  }

  /** Opens a store, creating its directory, and clears away what a writer left that died. */
  static async open(directory: string, options: FileStoreOptions = {}): Promise<FileStore> {
    const store = new FileStore(directory, options.maxObjectBytes ?? DEFAULT_MAX_OBJECT_BYTES);
    await mkdir(store.#temporary, { recursive: true });
    await store.#removeAbandoned();
    return store;
  }

  async put(bytes: Uint8Array): Promise<string> {
    if (bytes.length > this.maxObjectBytes) {
      throw objectTooLarge(bytes.length, this.maxObjectBytes);
    }
    const hash = sha256Hex(bytes);
    const path = this.#pathOf(hash);
    // An object that was damaged on disk is put right by whoever still has the bytes, so presence alone is not enough.
    const present = await readIfThere(path);
    if (present !== undefined && present.equals(bytes)) {
      return hash;
    }
    await this.#folderOf(hash);
    await writeFileAtomic(path, bytes, { temporaryDirectory: this.#temporary });
    return hash;
  }

  async get(hash: string): Promise<Uint8Array> {
    assertHash(hash);
    const bytes = await readIfThere(this.#pathOf(hash));
    if (bytes === undefined) {
      throw objectMissing(hash);
    }
    const actual = sha256Hex(bytes);
    if (actual !== hash) {
      throw contentHashMismatch(hash, actual);
    }
    return bytes;
  }

  async has(hash: string): Promise<boolean> {
    return (await this.size(hash)) !== undefined;
  }

  /** Length of the object in bytes, or undefined where the store does not hold it. */
  async size(hash: string): Promise<number | undefined> {
    assertHash(hash);
    try {
      return (await stat(this.#pathOf(hash))).size;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') {
        return undefined;
      }
      throw error;
    }
  }

  /** Makes the folder of an object once; writers of its first objects wait until its name is durable. */
  #folderOf(hash: string): Promise<void> {
    const name = hash.slice(0, 2);
    const known = this.#folders.get(name);
    if (known !== undefined) {
      return known;
    }
    const making = this.#makeFolder(name);
    this.#folders.set(name, making);
    making.catch(() => this.#folders.delete(name));
    return making;
  }

  async #makeFolder(name: string): Promise<void> {
    const created = await mkdir(join(this.#directory, name), { recursive: true });
    if (created !== undefined) {
      await syncDirectory(this.#directory);
    }
  }

  #pathOf(hash: string): string {
    return join(this.#directory, hash.slice(0, 2), hash);
  }

  async #removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.#temporary)) {
      const path = join(this.#temporary, name);
      try {
        if (Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS) {
          await rm(path, { force: true });
        }
      } catch (error) {
        // Another process finished with it between the listing and the look.
        if (systemCode(error) !== 'ENOENT') {
          throw error;
        }
      }
    }
  }
}
