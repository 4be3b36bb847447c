// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerSession } from '../ledger/session.js';

/** A directory that goes away after the tests of the enclosing `describe`. */
export function temporaryDirectory(): () => string {
  let directory = '';
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sev-test-'));
  });
  after(async () => {
    await rm(directory, { recursive: true, force: true });
  });
  return () => directory;
}

/** Polls until the condition holds. @throws Error after the deadline. */
export async function eventually(condition: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const giveUpAt = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > giveUpAt) {
      throw new Error(`The condition did not hold within ${deadlineMs} ms`);
    }
    await delay(10);
  }
}

/** Waits until a session's own peer, which may lag behind the one that a transaction went through, holds its block. */
export function caughtUp(session: Pick<LedgerSession, 'height'>, blockNumber: bigint): Promise<void> {
  return eventually(async () => (await session.height()) > blockNumber);
}

/** What a promise rejects with. @throws Error where it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('The promise was expected to reject');
}

/** The `code` of what a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await rejection(promise);
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
}
