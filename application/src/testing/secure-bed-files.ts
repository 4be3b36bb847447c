// SPDX-License-Identifier: Apache-2.0
import { appendFile, writeFile } from 'node:fs/promises';
import type { Disk } from '../aggregator/inbox.js';
import { systemCode } from '../errors.js';

/** Keeps files without waiting for the disk: no test of a bed loses power. */
export const withoutWaiting: Disk = {
  once: async (path, data, options) => {
    try {
      await writeFile(path, data, { flag: 'wx', ...options });
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') {
        return false;
      }
      throw error;
    }
  },
  append: (path, data) => appendFile(path, data),
};
