// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { takeLock, type Lock } from '@sev/network/lock';
import { SevError } from '../errors.js';
import { makePrivateDirectory } from '../store/files.js';

/** How long a process before has to end: it is told to, and writes what it has begun. */
const WAIT_MS = 5_000;

/**
 * Keeps a program's folder to one process: what it knows of its files, no other may change. The operating system lets go of
 * the lock however its holder ends, so one that was killed keeps nobody out.
 *
 * @throws SevError HOME_IN_USE.
 */
export async function lockHome(directory: string, waitMs = WAIT_MS): Promise<Lock> {
  await makePrivateDirectory(directory);
  const lock = await takeLock(join(directory, 'lock'), waitMs);
  if (lock === undefined) {
    throw new SevError('HOME_IN_USE', `another process works in ${directory}`, {
      hint: 'End it first, or give this one a home of its own: two aggregators of one home would contradict each other.',
    });
  }
  return lock;
}
