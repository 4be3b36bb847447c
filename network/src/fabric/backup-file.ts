// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { create, extract } from 'tar';
import { z } from 'zod';
import { syncDirectory, writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { formatJson, readJson } from '../supervisor/json.js';
import { stateSchema } from '../supervisor/state.js';

const MANIFEST = 'manifest.json';

const manifestSchema = z.object({
  kind: z.literal('sev-organisation-backup'),
  schemaVersion: z.literal(1),
  organisation: z.string(),
  /** Whether the ledgers of peer and orderer are in it. */
  ledgers: z.boolean(),
  createdAtMs: z.int(),
  /** Description of the home that it was made from. */
  state: stateSchema,
  /** Every file, by its path in the backup, with its SHA-256 (hex). */
  files: z.record(z.string(), z.string()),
});

/** What a backup says of itself. */
export type BackupManifest = Readonly<z.infer<typeof manifestSchema>>;

/** Files below a folder, as sorted paths with `/`. */
export async function filesBelow(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  const lists = await Promise.all(
    entries.map(async (entry) => {
      const path = posix.join(below, entry.name);
      if (entry.isDirectory()) {
        return filesBelow(folder, path);
      }
      if (!entry.isFile()) {
        throw new NetworkError('BACKUP_INVALID', `${join(folder, path)} is neither a file nor a folder`);
      }
      return [path];
    }),
  );
  return lists.flat().sort();
}

/** SHA-256 of a file, hex. */
export async function fileHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Packs a folder of a backup's files into one file, for its owner only. It is whole or not there. */
export async function packBackup(
  folder: string,
  description: Omit<BackupManifest, 'kind' | 'schemaVersion' | 'files'>,
  file: string,
): Promise<BackupManifest> {
  const paths = await filesBelow(folder);
  const hashes = await Promise.all(paths.map(async (path) => [path, await fileHash(join(folder, path))] as const));
  const manifest: BackupManifest = {
    kind: 'sev-organisation-backup',
    schemaVersion: 1,
    ...description,
    files: Object.fromEntries(hashes),
  };
  await writeFileAtomic(join(folder, MANIFEST), formatJson(manifest), 0o600);
  const unfinished = `${file}.part`;
  await rm(unfinished, { force: true });
  // Secrets must never lie in a file that others can read, however short.
  await (await open(unfinished, 'wx', 0o600)).close();
  await create({ file: unfinished, cwd: folder, portable: true, strict: true }, [MANIFEST, ...paths]);
  await chmod(unfinished, 0o600);
  const written = await open(unfinished, 'r');
  try {
    await written.sync();
  } finally {
    await written.close();
  }
  await rename(unfinished, file);
  await syncDirectory(dirname(resolve(file)));
  return manifest;
}

/**
 * Unpacks a backup into an empty folder and checks that it is whole.
 * @throws NetworkError BACKUP_INVALID saying what is wrong with it
 */
export async function unpackBackup(file: string, folder: string): Promise<BackupManifest> {
  const refuse = (detail: string, cause?: unknown): NetworkError =>
    new NetworkError('BACKUP_INVALID', `${file} is no backup that can be restored: ${detail}`, { cause });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let manifest: BackupManifest | undefined;
  try {
    await extract({
      file,
      cwd: folder,
      strict: true,
      filter: (_, entry) => 'type' in entry && ['File', 'OldFile', 'Directory'].includes(entry.type),
    });
    manifest = await readJson(join(folder, MANIFEST), manifestSchema);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error), error);
  }
  if (manifest === undefined) {
    throw refuse(`it has no ${MANIFEST}`);
  }
  const paths = (await filesBelow(folder)).filter((path) => path !== MANIFEST);
  const expected = Object.keys(manifest.files).sort();
  const missing = expected.find((path) => !paths.includes(path));
  if (missing !== undefined) {
    throw refuse(`${missing} is missing`);
  }
  for (const path of paths) {
    if ((await fileHash(join(folder, path))) !== manifest.files[path]) {
      throw refuse(`${path} is not as it was backed up`);
    }
  }
  await rm(join(folder, MANIFEST));
  return manifest;
}
