// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { hasCode } from '../errors.js';
import { readIfThere } from '../store/files.js';
import { assertHash, objectMissing, type ObjectStore } from '../store/object-store.js';

/** All that an audit does with a store: it reads. */
export type ObjectReader = Pick<ObjectStore, 'get'>;

/**
 * Reads the objects of a store from its folder, `<directory>/ab/abcdef…`, and changes nothing there: what is audited
 * may lie on a medium that cannot be written. The bytes are not checked here, the audit hashes all that it reads.
 */
export function folderReader(directory: string): ObjectReader {
  return {
    get: async (hash) => {
      assertHash(hash);
      const bytes = await readIfThere(join(directory, hash.slice(0, 2), hash));
      if (bytes === undefined) {
        throw objectMissing(hash);
      }
      return bytes;
    },
  };
}

/** Looks for each object in one store after the other; the first that has it answers, even where it is damaged there. */
export function firstOf(readers: readonly ObjectReader[]): ObjectReader {
  return {
    get: async (hash) => {
      for (const reader of readers) {
        try {
          return await reader.get(hash);
        } catch (error) {
          if (!hasCode(error, 'OBJECT_MISSING')) {
            throw error;
          }
        }
      }
      throw objectMissing(hash);
    },
  };
}
