// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';

const QUIET_DEADLINE_MS = 20_000;
/** SQLite, "The database file format", section 1.3.7: counts the transactions that changed the file. */
const CHANGE_COUNTER = { offset: 24, length: 4 } as const;

async function changeCounter(file: string): Promise<number> {
  const database = await open(file, 'r');
  try {
    const counter = Buffer.alloc(CHANGE_COUNTER.length);
    await database.read(counter, 0, CHANGE_COUNTER.length, CHANGE_COUNTER.offset);
    return counter.readUInt32BE();
  } finally {
    await database.close();
  }
}

/**
 * Copies an SQLite database that another process may be writing. Such a process keeps a journal beside the file while it
 * changes it, and counts the change in it: a copy counts when there was no journal before and after, and no change between.
 * @throws NetworkError NETWORK_RUNNING where the database is never quiet
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  const isQuiet = (): boolean => !existsSync(`${from}-journal`) && !existsSync(`${from}-wal`);
  const copied = await poll(async () => {
    if (!isQuiet()) {
      return undefined;
    }
    const before = await changeCounter(from);
    await copyFile(from, to);
    return isQuiet() && (await changeCounter(from)) === before ? true : undefined;
  }, QUIET_DEADLINE_MS);
  if (copied === undefined) {
    throw new NetworkError(
      'NETWORK_RUNNING',
      `${from} is being written all the time; stop the network, then try again`,
    );
  }
}
