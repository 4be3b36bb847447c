// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import { parsePublicKey } from '../api';

/** Keys kept; a key takes about a kilobyte. */
const CAPACITY = 10_000;

const parsed = new Map<string, KeyObject>();

/**
 * As {@link parsePublicKey}, but remembers the keys it parsed last: parsing costs more than verifying a signature, and
 * a fleet signs with the same keys round after round. The result depends on the text alone, so peers agree.
 */
export function publicKeyOf(text: string): KeyObject | undefined {
  const known = parsed.get(text);
  const key = known ?? parsePublicKey(text);
  if (key !== undefined) {
    // A Map keeps the order of insertion: the first one is the one not used for longest.
    parsed.delete(text);
    parsed.set(text, key);
    const [oldest] = parsed.keys();
    if (parsed.size > CAPACITY && oldest !== undefined) {
      parsed.delete(oldest);
    }
  }
  return key;
}
