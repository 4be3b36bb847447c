// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { poll } from './poll.js';

/**
 * A lock between processes: an empty LevelDB, which one process at a time can open. The operating system holds it and
 * lets go of it however its holder ends, so there is no stale lock to recognise.
 */
export interface Lock {
  release(): Promise<void>;
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED';
}

/** Takes a lock, or returns `undefined` when somebody holds it. */
export async function tryLock(directory: string): Promise<Lock | undefined> {
  await mkdir(dirname(directory), { recursive: true });
  const level = new ClassicLevel(directory);
  try {
    await level.open();
  } catch (error) {
    if (isLocked(error)) {
      return undefined;
    }
    throw error;
  }
  return { release: () => level.close() };
}

/** Takes a lock, waiting for whoever lets go of it; `undefined` when it stayed taken until the deadline. */
export function takeLock(directory: string, waitMs: number): Promise<Lock | undefined> {
  return poll(() => tryLock(directory), waitMs);
}

/** Runs an action under a lock; `undefined` when it stayed taken until the deadline. */
export async function withLock<T>(
  directory: string,
  waitMs: number,
  action: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const lock = await takeLock(directory, waitMs);
  if (lock === undefined) {
    return undefined;
  }
  try {
    return { result: await action() };
  } finally {
    await lock.release();
  }
}
