// SPDX-License-Identifier: Apache-2.0
import { lookup } from 'node:dns/promises';
import { existsSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isIP } from 'node:net';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { reasonOf } from '../probes.js';

const MEBI = 1024 * 1024;
/** An orderer alone sets twice 64 MB aside for its log; nodes stop when a write fails. */
const DISK_FULL_BYTES = 512 * MEBI;
const DISK_LOW_BYTES = 5 * 1024 * MEBI;
const INODES_LOW = 20_000;
/** What an organisation's processes take after a start (docs/operations.md), and what a running network needs free. */
const MEMORY_NATIVE_BYTES = 300 * MEBI;
const MEMORY_EMBEDDED_BYTES = 100 * MEBI;
const MEMORY_RUNNING_BYTES = 128 * MEBI;
const FILE_LIMIT = 4_096;
const FILES_SHARE = 0.8;

const megabytes = (bytes: number): string => `${Math.round(bytes / MEBI).toString()} MB`;

/** Compares versions of the form 20.19.1; what is missing counts as 0. */
export function isOlder(version: string, minimum: string): boolean {
  const parts = version.split('.').map(Number);
  const wanted = minimum.split('.').map(Number);
  const index = wanted.findIndex((part, position) => (parts[position] ?? 0) !== part);
  return index >= 0 && (parts[index] ?? 0) < (wanted[index] ?? 0);
}

export function nodeVersion(version: string, minimum: string): CheckResult {
  const found = `Node.js ${version}; ${minimum} or later is needed`;
  return isOlder(version, minimum) ? { seen: found, problems: [{ code: 'NODE_VERSION', found }] } : { seen: found };
}

function requiredNode(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { engines } = JSON.parse(manifest) as { engines: { node: string } };
  return engines.node.replace(/^\D+/, '');
}

const node: Check = { name: 'node', run: () => nodeVersion(process.versions.node, requiredNode()) };

function fileLimits({ proc, live }: Facts): CheckResult | undefined {
  const own = proc.files('self');
  if (own === undefined) {
    return undefined;
  }
  const problems: DoctorProblem[] = [];
  const running = (live?.nodes ?? []).flatMap(({ name, pid }) => {
    const files = pid === undefined ? undefined : proc.files(pid);
    return files === undefined ? [] : [{ name, ...files }];
  });
  const lowest = [{ name: 'this shell', ...own }, ...running].reduce((a, b) => (b.limit < a.limit ? b : a));
  if (lowest.limit < FILE_LIMIT) {
    const found = `${lowest.name} may open ${lowest.limit.toString()} files; ${FILE_LIMIT.toString()} are wise`;
    problems.push({ code: 'FILE_LIMIT_LOW', found });
  }
  for (const { name, limit, open } of running.filter((files) => files.open > files.limit * FILES_SHARE)) {
    problems.push({
      code: 'FILES_NEAR_LIMIT',
      found: `${name} has ${open.toString()} of ${limit.toString()} files open`,
    });
  }
  return { seen: `${lowest.limit.toString()} open files allowed`, problems };
}

const files: Check = { name: 'open files', run: fileLimits };

/** @param space bytes left for this user; @param inodes files that can still be made, 0 where the file system has no such limit */
export function diskResult(folder: string, space: number, inodes: { left: number; total: number }): CheckResult {
  const found = `${megabytes(space)} free at ${folder}`;
  const problems: DoctorProblem[] = [];
  if (space < DISK_LOW_BYTES) {
    problems.push({ code: space < DISK_FULL_BYTES ? 'DISK_FULL' : 'DISK_LOW', found });
  }
  if (inodes.total > 0 && inodes.left < INODES_LOW) {
    problems.push({ code: 'INODES_LOW', found: `${inodes.left.toString()} more files can be made at ${folder}` });
  }
  return { seen: found, problems };
}

const disk: Check = {
  name: 'disk',
  run: async ({ paths }) => {
    let folder = paths.home;
    while (!existsSync(folder)) {
      folder = dirname(folder);
    }
    const { bavail, bsize, ffree, files: total } = await statfs(folder);
    return diskResult(folder, bavail * bsize, { left: ffree, total });
  },
};

export function memoryResult(availableBytes: number, neededBytes: number): CheckResult {
  const found = `${megabytes(availableBytes)} available, ${megabytes(neededBytes)} needed`;
  return availableBytes < neededBytes ? { seen: found, problems: [{ code: 'MEMORY_LOW', found }] } : { seen: found };
}

const memory: Check = {
  name: 'memory',
  run: ({ running, kind, members, topology }) => {
    const organisations = members.length > 0 ? members.length : (topology.value?.organisations.length ?? 1);
    const each = kind === 'fabric' ? MEMORY_NATIVE_BYTES : MEMORY_EMBEDDED_BYTES;
    const needed = running === 'never' || running === 'down' ? organisations * each : MEMORY_RUNNING_BYTES;
    return memoryResult(process.availableMemory(), needed);
  },
};

type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** Whether names lead where the nodes listen. */
export async function hostsResult(hosts: readonly string[], resolve: Resolve): Promise<CheckResult> {
  const problems: DoctorProblem[] = [];
  const names = [...new Set(['localhost', ...hosts])].filter((host) => isIP(host) === 0);
  for (const host of names) {
    try {
      const addresses = await resolve(host);
      const list = addresses.map(({ address }) => address).join(', ');
      if (host !== 'localhost') {
        continue;
      }
      if (!addresses.some(({ address }) => address === '127.0.0.1')) {
        problems.push({ code: 'LOCALHOST_IPV6_ONLY', found: `localhost stands for ${list}` });
      }
      if (addresses.some(({ address }) => !address.startsWith('127.') && address !== '::1')) {
        problems.push({ code: 'LOCALHOST_FOREIGN', found: `localhost stands for ${list}` });
      }
    } catch (error) {
      problems.push({ code: 'HOST_UNRESOLVED', found: `"${host}" has no address: ${reasonOf(error)}` });
    }
  }
  return { seen: names.join(', '), problems };
}

const hosts: Check = {
  name: 'host names',
  run: ({ topology }) =>
    hostsResult(topology.value?.organisations.map(({ host }) => host) ?? [], (host) => lookup(host, { all: true })),
};

/** What the machine has to offer. */
export const machineChecks: readonly Check[] = [node, files, disk, memory, hosts];
