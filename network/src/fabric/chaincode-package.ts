// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { minimatch } from 'minimatch';
import { create } from 'tar';
import { z } from 'zod';
import { NetworkError } from '../errors.js';

/** Never part of a chaincode's code, as with npm. */
const IGNORED = ['node_modules', '.git'];
/** Stored, not compressed: the bytes must be the same whatever zlib made them. */
const DETERMINISTIC = {
  portable: true,
  mtime: new Date(0),
  gzip: { level: 0, portable: true },
  noDirRecurse: true,
} as const;

const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  main: z.string().optional(),
  files: z.array(z.string()).optional(),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Which no schema accepts.
  }
}

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) {
    throw new NetworkError('CHAINCODE_INVALID', `${folder} is no chaincode package: it has no package.json`);
  }
  const manifest = manifestSchema.safeParse(parseJson(await readFile(file, 'utf8')));
  if (!manifest.success) {
    throw new NetworkError('CHAINCODE_INVALID', `${file} is no manifest with name and version`);
  }
  if (!existsSync(join(folder, manifest.data.main ?? 'index.js'))) {
    const main = manifest.data.main ?? 'index.js';
    throw new NetworkError(
      'CHAINCODE_INVALID',
      `${folder} has no ${main}, which its package.json names; compile it first`,
    );
  }
  return manifest.data;
}

async function listFiles(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  const lists = await Promise.all(
    entries
      .filter(({ name }) => !IGNORED.includes(name))
      .map(async (entry) => {
        const path = posix.join(below, entry.name);
        return entry.isDirectory() ? listFiles(folder, path) : entry.isFile() ? [path] : [];
      }),
  );
  return lists.flat();
}

/** The files of a chaincode package, sorted: package.json and what its `files` name, or everything where it has none. */
export async function packageFiles(folder: string): Promise<string[]> {
  const { files: patterns } = await readManifest(folder);
  const all = await listFiles(folder);
  const matches = (path: string, pattern: string): boolean =>
    minimatch(path, pattern, { dot: true }) || minimatch(path, posix.join(pattern, '**'), { dot: true });
  const isPart = (path: string): boolean =>
    patterns === undefined ||
    path === 'package.json' ||
    (patterns.some((pattern) => !pattern.startsWith('!') && matches(path, pattern)) &&
      !patterns.some((pattern) => pattern.startsWith('!') && matches(path, pattern.slice(1))));
  return all.filter(isPart).sort();
}

/**
 * SHA-256 of a chaincode's code: of the deterministic tar of its files, so the same on every machine. Dependencies are
 * in it by the exact versions that package.json names.
 * @returns hex
 * @throws NetworkError CHAINCODE_INVALID
 */
export async function codeHash(folder: string): Promise<string> {
  const files = await packageFiles(folder);
  const hash = createHash('sha256');
  for await (const chunk of create({ ...DETERMINISTIC, cwd: folder }, files)) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}

/** A package as it is installed on peers and approved by organisations. */
export interface ChaincodePackage {
  readonly label: string;
  /** `label:hash`, as peers compute it. */
  readonly packageId: string;
  readonly codeSha256: string;
  /** The package file. */
  readonly bytes: Buffer;
}

async function tarOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'sev-package-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(join(folder, posix.dirname(name)), { recursive: true });
      await writeFile(join(folder, name), content, { mode: 0o644 });
    }
    const chunks: Buffer[] = [];
    for await (const chunk of create({ ...DETERMINISTIC, cwd: folder }, Object.keys(files).sort())) {
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Packages a chaincode folder as a service: what peers install holds no code but its hash, and no address or key but
 * places for them, which each peer's external builder fills in. Every organisation that packages the same code gets the
 * same package id, so an approval is an approval of that code.
 *
 * @param version of the chaincode definition, which may differ from the package's
 * @throws NetworkError CHAINCODE_INVALID
 */
export async function packageChaincode(folder: string, name: string, version: string): Promise<ChaincodePackage> {
  const codeSha256 = await codeHash(folder);
  const label = `${name}_${version}-${codeSha256.slice(0, 12)}`;
  const connection = {
    address: '{{.address}}',
    dial_timeout: '10s',
    tls_required: true,
    client_auth_required: true,
    root_cert: '{{.root}}',
    client_cert: '{{.cert}}',
    client_key: '{{.key}}',
    code_sha256: codeSha256,
  };
  const bytes = await tarOf({
    'metadata.json': JSON.stringify({ type: 'ccaas', label }),
    'code.tar.gz': await tarOf({ 'connection.json': JSON.stringify(connection) }),
  });
  const packageId = `${label}:${createHash('sha256').update(bytes).digest('hex')}`;
  return { label, packageId, codeSha256, bytes };
}
