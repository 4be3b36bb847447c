// SPDX-License-Identifier: Apache-2.0
import { mkdir, open, readdir, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeVarint, encodeVarint } from '../protocol/varint.js';
import { LedgerError } from './errors.js';

/** Where in the block files something begins. */
export interface BlockPosition {
  readonly file: number;
  readonly offset: number;
}

/** Where a serialised block lies, without its length prefix. */
export interface BlockLocation extends BlockPosition {
  readonly length: number;
}

/** One frame found by a scan; `last` where no byte follows it. */
export interface ScannedFrame {
  readonly location: BlockLocation;
  readonly end: BlockPosition;
  readonly bytes: Buffer;
  readonly last: boolean;
}

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const FILE_NAME = /^blockfile_(\d{6})$/;

/**
 * Append-only files `blockfile_000000`, `blockfile_000001`, …: serialised `common.Block` messages, each after its
 * length as a varint. An append returns once the bytes are on disk.
 */
export class BlockFiles {
  readonly #directory: string;
  readonly #handles = new Map<number, FileHandle>();
  #end: BlockPosition;

  private constructor(directory: string, end: BlockPosition) {
    this.#directory = directory;
    this.#end = end;
  }

  /** Opens the folder and takes everything after `end` for not yet known: `scan` reads it, `truncate` removes it. */
  static async open(directory: string, end: BlockPosition): Promise<BlockFiles> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return new BlockFiles(directory, end);
  }

  get end(): BlockPosition {
    return this.#end;
  }

  /** Appends one block and waits until it is on disk. */
  async append(block: Uint8Array): Promise<BlockLocation> {
    if (this.#end.offset >= MAX_FILE_BYTES) {
      this.#end = { file: this.#end.file + 1, offset: 0 };
    }
    const isNewFile = this.#end.offset === 0;
    const handle = await this.#handle(this.#end.file);
    const prefix = encodeVarint(block.length);
    const frame = Buffer.concat([prefix, block]);
    let written = 0;
    while (written < frame.length) {
      const { bytesWritten } = await handle.write(frame, written, frame.length - written, this.#end.offset + written);
      written += bytesWritten;
    }
    await handle.datasync();
    if (isNewFile) {
      await syncDirectory(this.#directory);
    }
    const location = {
      file: this.#end.file,
      offset: this.#end.offset + prefix.length,
      length: block.length,
    };
    this.#end = { file: location.file, offset: location.offset + location.length };
    return location;
  }

  /** Whether the files reach to the end of a block; its bytes are not read. */
  async contains(location: BlockLocation): Promise<boolean> {
    if (!(await this.#exists(location.file))) {
      return false;
    }
    const { size } = await (await this.#handle(location.file)).stat();
    return size >= location.offset + location.length;
  }

  /** Bytes of a block. @throws LedgerError DATA_LOSS where the file is shorter, or its length prefix is another. */
  async read(location: BlockLocation): Promise<Buffer> {
    const handle = await this.#handle(location.file);
    const prefix = encodeVarint(location.length);
    const frame = await readAt(handle, location.offset - prefix.length, prefix.length + location.length);
    if (frame.length !== prefix.length + location.length) {
      throw new LedgerError('DATA_LOSS', `${this.#name(location.file)} ends inside a block`);
    }
    if (!frame.subarray(0, prefix.length).equals(prefix)) {
      throw new LedgerError(
        'DATA_LOSS',
        `${this.#name(location.file)}: the length before the block at ${String(location.offset)} has changed`,
      );
    }
    return frame.subarray(prefix.length);
  }

  /** Whole frames from the current end on, moving the end past each frame that the caller takes. */
  async *scan(): AsyncGenerator<ScannedFrame> {
    for (;;) {
      const content = await this.#contentFrom(this.#end);
      const prefix = decodeVarint(content, 0);
      if (prefix !== undefined && prefix.length + prefix.value <= content.length) {
        const location = {
          file: this.#end.file,
          offset: this.#end.offset + prefix.length,
          length: prefix.value,
        };
        const end = { file: location.file, offset: location.offset + location.length };
        const bytes = content.subarray(prefix.length, prefix.length + prefix.value);
        const last = content.length === prefix.length + prefix.value && !(await this.#exists(end.file + 1));
        yield { location, end, bytes, last };
        this.#end = end;
      } else if (content.length === 0 && (await this.#exists(this.#end.file + 1))) {
        this.#end = { file: this.#end.file + 1, offset: 0 };
      } else {
        return;
      }
    }
  }

  /** Whether there are bytes after the current end. */
  async hasMore(): Promise<boolean> {
    const { size } = await (await this.#handle(this.#end.file)).stat();
    return size > this.#end.offset || (await this.#exists(this.#end.file + 1));
  }

  /** Removes everything after the current end. @returns number of bytes removed. */
  async truncate(): Promise<number> {
    const handle = await this.#handle(this.#end.file);
    let removed = (await handle.stat()).size - this.#end.offset;
    if (removed > 0) {
      await handle.truncate(this.#end.offset);
      await handle.datasync();
    }
    for (const name of await readdir(this.#directory)) {
      const file = fileNumber(name);
      if (file !== undefined && file > this.#end.file) {
        const later = await this.#handle(file);
        removed += (await later.stat()).size;
        await later.close();
        this.#handles.delete(file);
        await unlink(join(this.#directory, name));
      }
    }
    return removed;
  }

  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    await Promise.all(handles.map((handle) => handle.close()));
  }

  async #contentFrom(position: BlockPosition): Promise<Buffer> {
    const handle = await this.#handle(position.file);
    const { size } = await handle.stat();
    const head = await readAt(handle, position.offset, Math.min(8, size - position.offset));
    const prefix = decodeVarint(head, 0);
    const wanted = prefix === undefined ? head.length : prefix.length + prefix.value + 1;
    return readAt(handle, position.offset, Math.min(wanted, size - position.offset));
  }

  async #exists(file: number): Promise<boolean> {
    return (await readdir(this.#directory)).includes(this.#name(file));
  }

  async #handle(file: number): Promise<FileHandle> {
    const known = this.#handles.get(file);
    if (known !== undefined) {
      return known;
    }
    const path = join(this.#directory, this.#name(file));
    const handle = await open(path, 'r+').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return open(path, 'w+', 0o600);
      }
      throw error;
    });
    const raced = this.#handles.get(file);
    if (raced !== undefined) {
      await handle.close();
      return raced;
    }
    this.#handles.set(file, handle);
    return handle;
  }

  #name(file: number): string {
    return `blockfile_${String(file).padStart(6, '0')}`;
  }
}

function fileNumber(name: string): number | undefined {
  const digits = FILE_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (length <= 0) {
    return Buffer.alloc(0);
  }
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
