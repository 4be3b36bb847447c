// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { NetworkError } from '../errors.js';
import { networkPaths, type NetworkPaths } from './paths.js';
import type { NetworkOptions } from './options.js';

const DEFAULT_LINES = 20;

/** The end of one log. */
export interface LogTail {
  /** Process that writes it: `network`, `peer.grid`, … */
  readonly name: string;
  readonly file: string;
  readonly lines: readonly string[];
}

/** Log files of a home by the name of the process that writes them. */
async function logFiles(paths: NetworkPaths): Promise<Map<string, string>> {
  const files = new Map([['network', paths.log]]);
  const add = async (folder: string, prefix: string): Promise<void> => {
    for (const file of existsSync(folder) ? await readdir(folder) : []) {
      if (file.endsWith('.log')) {
        files.set(`${prefix}${basename(file, '.log')}`, join(folder, file));
      }
    }
  };
  const organisations = join(paths.state, 'organisations');
  for (const name of existsSync(organisations) ? (await readdir(organisations)).sort() : []) {
    await add(join(organisations, name, 'logs'), '');
  }
  const hosts = join(paths.ledger, 'chaincode');
  for (const mspId of existsSync(hosts) ? (await readdir(hosts)).sort() : []) {
    await add(join(hosts, mspId), `${mspId}.`);
  }
  return files;
}

/**
 * The ends of a network's logs, running or not.
 * @param names of processes, or the beginnings of such names; all where there are none
 * @throws NetworkError NODE_UNKNOWN naming those there are
 */
export async function networkLogs(
  names: readonly string[] = [],
  lines = DEFAULT_LINES,
  options: NetworkOptions = {},
): Promise<LogTail[]> {
  const files = [...(await logFiles(networkPaths(options.home)))].filter(([, file]) => existsSync(file));
  const isAsked = (name: string): boolean =>
    names.length === 0 || names.some((asked) => name === asked || name.startsWith(`${asked}.`));
  const asked = files.filter(([name]) => isAsked(name));
  if (asked.length === 0) {
    const known = files.map(([name]) => name).join(', ');
    const what = names.length === 0 ? 'there are no logs yet' : `no log of ${names.join(', ')}; there are ${known}`;
    throw new NetworkError('NODE_UNKNOWN', what);
  }
  return Promise.all(
    asked.map(async ([name, file]) => {
      const text = (await readFile(file, 'utf8')).trimEnd();
      return { name, file, lines: text === '' ? [] : text.split('\n').slice(-lines) };
    }),
  );
}
