// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EXIT, SevError, messageOf, systemCode } from '../errors.js';

/** Mode of files that hold secrets, and of the directories that hold them. */
export const PRIVATE_FILE = 0o600;
export const PRIVATE_DIRECTORY = 0o700;

export interface WriteOptions {
  /** Permission bits of the file; default 0644. */
  readonly mode?: number;
  /** Where the temporary file lies, on the same file system; default: beside the file. */
  readonly temporaryDirectory?: string;
}

/**
 * Writes a file so that it is there whole or not at all, also after a crash: temporary file, fsync, rename, fsync of
 * the directory. The directory must exist.
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string,
  options: WriteOptions = {},
): Promise<void> {
  await withTemporary(path, data, options, (temporary) => rename(temporary, path));
}

/**
 * Writes a file as {@link writeFileAtomic} does, unless there is one: of several writers at once, one succeeds.
 *
 * @returns whether this call wrote it.
 */
export async function writeFileOnce(
  path: string,
  data: Uint8Array | string,
  options: WriteOptions = {},
): Promise<boolean> {
  try {
    await withTemporary(path, data, options, async (temporary) => {
      await link(temporary, path);
      await rm(temporary);
    });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      return false;
    }
    throw error;
  }
}

async function withTemporary(
  path: string,
  data: Uint8Array | string,
  options: WriteOptions,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  const directory = dirname(path);
  const name = `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`;
  const temporary = join(options.temporaryDirectory ?? directory, name);
  try {
    const file = await open(temporary, 'wx', options.mode ?? 0o644);
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await publish(temporary);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Names that {@link withTemporary} gives. */
const TEMPORARY = /^\..+\.[0-9a-f]{12}\.tmp$/;

/**
 * Removes what killed writers have left in a directory: temporary files from before this process began. What others write now
 * stays. Where there is no directory there is nothing to do.
 */
export async function removeLeftovers(directory: string): Promise<void> {
  const names = await orNothing(() => readdir(directory));
  for (const name of names?.filter((one) => TEMPORARY.test(one)) ?? []) {
    const path = join(directory, name);
    const found = await orNothing(() => stat(path));
    if (found !== undefined && found.mtimeMs < performance.timeOrigin) {
      await rm(path, { force: true });
    }
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Sees to it that there is a directory that only its owner can enter; one that others can enter is closed to them. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: PRIVATE_DIRECTORY });
  const { mode } = await stat(directory);
  if ((mode & 0o777) !== PRIVATE_DIRECTORY) {
    await chmod(directory, PRIVATE_DIRECTORY);
  }
}

/** Writes a value as JSON, atomically. */
export async function writeJson(path: string, value: unknown, options: WriteOptions = {}): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`, options);
}

/**
 * Reads a JSON file.
 *
 * @returns the value, or undefined where there is no such file.
 * @throws SevError FILE_MALFORMED where the file does not hold JSON.
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readIfThere(path);
  if (text === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(text.toString('utf8')) as unknown;
  } catch (error) {
    throw new SevError('FILE_MALFORMED', `${path} does not hold JSON: ${messageOf(error)}`, {
      exitCode: EXIT.integrity,
      cause: error,
    });
  }
}

/** The bytes of a file, or undefined where there is no such file. */
export function readIfThere(path: string): Promise<Buffer | undefined> {
  return orNothing(() => readFile(path));
}

async function orNothing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
