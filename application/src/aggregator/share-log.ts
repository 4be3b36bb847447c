// SPDX-License-Identifier: Apache-2.0
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../errors.js';
import { PRIVATE_FILE, syncDirectory } from '../store/files.js';

/** Appends to a file and returns once that is on the disk; `appendDurably` but in tests. */
export type Append = (path: string, data: Uint8Array) => Promise<void>;

/** Where a record's bytes lie. */
interface Place {
  readonly file: string;
  readonly position: number;
  readonly length: number;
}

interface Waiting {
  readonly name: string;
  readonly data: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const SUFFIX = '.log';
/** A record: length of the name, length of the data, name, data. */
const HEADER_BYTES = 1 + 4;
const MAX_NAME_BYTES = 255;
/** A file that is larger is not appended to. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/**
 * Named records on the disk, each written once. What is to be written at the same time goes to the disk with one write and
 * one fsync. Each process appends to files of its own, and to none any more in which an append failed: a record that was
 * cut off is the last of its file, and was acknowledged to nobody.
 */
export class ShareLog {
  readonly #directory: string;
  readonly #append: Append;
  #places: Promise<Map<string, Place>> | undefined;
  readonly #underWay = new Map<string, Promise<void>>();
  #waiting: Waiting[] = [];
  #isWriting = false;
  #current: { readonly file: string; size: number } | undefined;

  /** @param directory has to be there when something is appended. */
  constructor(directory: string, append: Append) {
    this.#directory = directory;
    this.#append = append;
  }

  /** Names of the records, sorted. */
  async names(): Promise<string[]> {
    return [...(await this.#index()).keys()].sort();
  }

  /** @returns undefined where there is no such record. */
  async read(name: string): Promise<Buffer | undefined> {
    const place = (await this.#index()).get(name);
    if (place === undefined) {
      return undefined;
    }
    const file = await open(place.file, 'r');
    try {
      const bytes = Buffer.alloc(place.length);
      const { bytesRead } = await file.read(bytes, 0, place.length, place.position);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** @returns once it is on the disk; false where there is one of this name already, which stays. */
  async write(name: string, data: Uint8Array): Promise<boolean> {
    const places = await this.#index();
    for (let other = this.#underWay.get(name); other !== undefined; other = this.#underWay.get(name)) {
      await other.catch(() => undefined);
    }
    if (places.has(name)) {
      return false;
    }
    const writing = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ name, data, resolve, reject });
    });
    this.#underWay.set(name, writing);
    void this.#flush(places);
    try {
      await writing;
      return true;
    } finally {
      this.#underWay.delete(name);
    }
  }

  async #flush(places: Map<string, Place>): Promise<void> {
    if (this.#isWriting) {
      return;
    }
    this.#isWriting = true;
    // What comes in this turn of the event loop goes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#commit(places, group);
        group.forEach(({ resolve }) => {
          resolve();
        });
      } catch (error) {
        this.#current = undefined;
        group.forEach(({ reject }) => {
          reject(error);
        });
      }
    }
    this.#isWriting = false;
  }

  async #commit(places: Map<string, Place>, group: readonly Waiting[]): Promise<void> {
    const records = group.map(({ name, data }) => recordOf(name, data));
    if (this.#current === undefined || this.#current.size > MAX_FILE_BYTES) {
      this.#current = { file: await this.#newFile(), size: 0 };
    }
    const current = this.#current;
    await this.#append(current.file, Buffer.concat(records));
    group.forEach(({ name, data }, index) => {
      const record = records[index]?.length ?? 0;
      const position = current.size + record - data.length;
      places.set(name, { file: current.file, position, length: data.length });
      current.size += record;
    });
  }

  async #newFile(): Promise<string> {
    const last = (await filesIn(this.#directory)).at(-1) ?? '0';
    for (let number = Number.parseInt(basename(last), 10) + 1; ; number++) {
      const file = join(this.#directory, `${String(number).padStart(6, '0')}${SUFFIX}`);
      try {
        await (await open(file, 'wx', PRIVATE_FILE)).close();
        await syncDirectory(dirname(file));
        return file;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') {
          throw error;
        }
      }
    }
  }

  #index(): Promise<Map<string, Place>> {
    const places = (this.#places ??= this.#scan());
    places.catch(() => (this.#places = undefined));
    return places;
  }

  /** Reads the headers of all records. Of two of one name the later counts: the write of the other was not acknowledged. */
  async #scan(): Promise<Map<string, Place>> {
    const places = new Map<string, Place>();
    for (const file of await filesIn(this.#directory)) {
      const handle = await open(file, 'r');
      try {
        for await (const { name, position, length } of headersIn(handle)) {
          places.set(name, { file, position, length });
        }
      } finally {
        await handle.close();
      }
    }
    return places;
  }
}

function recordOf(name: string, data: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  const nameBytes = Buffer.from(name);
  if (nameBytes.length > MAX_NAME_BYTES) {
    throw new RangeError(`a record's name has at most ${String(MAX_NAME_BYTES)} bytes`);
  }
  header.writeUInt8(nameBytes.length);
  header.writeUInt32BE(data.length, 1);
  return Buffer.concat([header, nameBytes, data]);
}

/** Ends before a record that was cut off. */
async function* headersIn(file: FileHandle): AsyncGenerator<{ name: string; position: number; length: number }> {
  const { size } = await file.stat();
  const bytes = Buffer.alloc(HEADER_BYTES + MAX_NAME_BYTES);
  for (let at = 0; at + HEADER_BYTES <= size;) {
    await file.read(bytes, 0, bytes.length, at);
    const nameLength = bytes.readUInt8();
    const length = bytes.readUInt32BE(1);
    const position = at + HEADER_BYTES + nameLength;
    if (nameLength === 0 || position + length > size) {
      return;
    }
    yield { name: bytes.toString('utf8', HEADER_BYTES, HEADER_BYTES + nameLength), position, length };
    at = position + length;
  }
}

/** Paths, in the order in which they were begun. */
async function filesIn(directory: string): Promise<string[]> {
  try {
    const names = (await readdir(directory)).filter((name) => name.endsWith(SUFFIX));
    return names.sort().map((name) => join(directory, name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return [];
    }
    throw error;
  }
}

/** Appends to a file that is there, on the disk when it returns. */
export async function appendDurably(path: string, data: Uint8Array): Promise<void> {
  const file = await open(path, 'a');
  try {
    await file.appendFile(data);
    await file.datasync();
  } finally {
    await file.close();
  }
}
