// SPDX-License-Identifier: Apache-2.0
import { open, readdir, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { systemCode } from '../errors.js';
import { mapConcurrently } from '../services/concurrency.js';
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
/** A record: a zero, length of the name, length of the data, CRC-32 of all else; name, data. */
const HEADER_BYTES = 1 + 1 + 4 + 4;
/** The same of records without a checksum: length of the name, which is never zero, length of the data. */
const UNCHECKED_HEADER_BYTES = 1 + 4;
const MAX_NAME_BYTES = 255;
/** A file that is larger is not appended to. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Records that are files of their own, looked at at a time. */
const SIZED_AT_A_TIME = 16;

/**
 * Named records on the disk, each written once. What is to be written at the same time goes to the disk with one write and
 * one fsync. Each process appends to files of its own, and to none any more in which an append failed: a record that was
 * cut off is the last of its file, and was acknowledged to nobody. A record whose checksum does not hold counts as none. A
 * file of another name is one record, named as it is: so earlier versions kept them.
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

  /** @returns undefined where there is no such record; what is left of it where its file was cut since. */
  async read(name: string): Promise<Buffer | undefined> {
    const place = (await this.#index()).get(name);
    return place === undefined ? undefined : bytesAt(place);
  }

  /**
   * @param isIntact what tells whether a record that is there stays; default: it does.
   * @returns once it is on the disk; false where there is one of this name already, which stays.
   */
  async write(name: string, data: Uint8Array, isIntact: (before: Buffer) => boolean = () => true): Promise<boolean> {
    const places = await this.#index();
    for (;;) {
      const other = this.#underWay.get(name);
      const place = places.get(name);
      if (other !== undefined) {
        await other.catch(() => undefined);
      } else if (place === undefined) {
        break;
      } else if (isIntact(await bytesAt(place))) {
        return false;
      } else if (places.get(name) === place && !this.#underWay.has(name)) {
        break;
      }
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

  /** Of two of one name the later counts: the write of the other was not acknowledged, or it was found damaged. */
  async #scan(): Promise<Map<string, Place>> {
    const places = await wholeFilesIn(this.#directory);
    for (const file of await filesIn(this.#directory)) {
      const handle = await open(file, 'r');
      try {
        for await (const { name, position, length } of recordsIn(handle)) {
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
  header.writeUInt8(nameBytes.length, 1);
  header.writeUInt32BE(data.length, 2);
  const content = Buffer.concat([nameBytes, data]);
  header.writeUInt32BE(checksum(header, content), 6);
  return Buffer.concat([header, content]);
}

/** Of the lengths in a header, and what follows it. */
function checksum(header: Buffer, content: Buffer): number {
  return crc32(content, crc32(header.subarray(0, 6)));
}

/** Passes over records whose checksum does not hold, and ends before one that was cut off. */
async function* recordsIn(file: FileHandle): AsyncGenerator<{ name: string; position: number; length: number }> {
  const { size } = await file.stat();
  const header = Buffer.alloc(HEADER_BYTES);
  for (let at = 0; at + UNCHECKED_HEADER_BYTES <= size;) {
    await file.read(header, 0, HEADER_BYTES, at);
    const isChecked = header.readUInt8() === 0;
    const nameLength = header.readUInt8(isChecked ? 1 : 0);
    const length = header.readUInt32BE(isChecked ? 2 : 1);
    const begin = at + (isChecked ? HEADER_BYTES : UNCHECKED_HEADER_BYTES);
    const position = begin + nameLength;
    if (nameLength === 0 || position + length > size) {
      return;
    }
    const content = Buffer.alloc(isChecked ? nameLength + length : nameLength);
    await file.read(content, 0, content.length, begin);
    if (!isChecked || checksum(header, content) === header.readUInt32BE(6)) {
      yield { name: content.toString('utf8', 0, nameLength), position, length };
    }
    at = position + length;
  }
}

async function bytesAt({ file, position, length }: Place): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  try {
    const handle = await open(file, 'r');
    try {
      const { bytesRead } = await handle.read(bytes, 0, length, position);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return bytes.subarray(0, 0);
    }
    throw error;
  }
}

/** Records that are files of their own, by name; a temporary file begins with a dot. */
async function wholeFilesIn(directory: string): Promise<Map<string, Place>> {
  const names = (await namesIn(directory)).filter((name) => !name.endsWith(SUFFIX) && !name.startsWith('.'));
  const places = await mapConcurrently(names, SIZED_AT_A_TIME, async (name): Promise<[string, Place]> => {
    const file = join(directory, name);
    return [name, { file, position: 0, length: (await stat(file)).size }];
  });
  return new Map(places);
}

/** Paths, in the order in which they were begun. */
async function filesIn(directory: string): Promise<string[]> {
  const names = (await namesIn(directory)).filter((name) => name.endsWith(SUFFIX));
  return names.sort().map((name) => join(directory, name));
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
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
