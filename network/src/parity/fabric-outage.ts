// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { systemErrorCode } from '../errors.js';

const POLL_MS = 20;
const pidSchema = z.object({ pid: z.int().positive() });

/**
 * Kills a supervised process, and again each time that it is started.
 * @param pidFile where its supervisor writes its number.
 * @param isDown whether it no longer answers.
 * @returns what lets it start again.
 */
export async function keepDown(pidFile: string, isDown: () => Promise<boolean>): Promise<() => Promise<void>> {
  const released = new AbortController();
  const killing = (async () => {
    while (!released.signal.aborted) {
      await killOnce(pidFile);
      await delay(POLL_MS);
    }
  })();
  while (!(await isDown())) {
    await delay(POLL_MS);
  }
  return async () => {
    released.abort();
    await killing;
  };
}

async function killOnce(pidFile: string): Promise<void> {
  try {
    process.kill(pidSchema.parse(JSON.parse(await readFile(pidFile, 'utf8'))).pid, 'SIGKILL');
  } catch (error) {
    // Between two starts there is no file, or the process in it has ended.
    if (!['ENOENT', 'ESRCH'].includes(systemErrorCode(error) ?? '')) {
      throw error;
    }
  }
}
