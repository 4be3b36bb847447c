// SPDX-License-Identifier: Apache-2.0
import type { HeTaskTerms } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';

/** The product's defaults. */
const DEFAULTS = {
  clipMilli: 4_000,
  fractionBits: 11,
  maxVehicles: 1_024,
  receiptMs: 3_000,
} as const;

/**
 * Terms of mode `he` for a task: of three organisations, sorted by MSP id, the first holds the key, the second sums, the third
 * holds the masks.
 *
 * @param mspIds of the organisations that may take a part.
 * @throws SevError AGGREGATORS_MISSING where there are fewer than three.
 */
export function newHeTerms(mspIds: readonly string[]): HeTaskTerms {
  const [keyHolder, summer, maskHolder] = [...mspIds].sort();
  if (keyHolder === undefined || summer === undefined || maskHolder === undefined) {
    throw new SevError('AGGREGATORS_MISSING', `${String(mspIds.length)} organisations; mode he needs three`, {
      hint: 'Run in mode plain where there are fewer organisations (--privacy plain).',
      exitCode: EXIT.usage,
    });
  }
  return { ...DEFAULTS, keyHolder, summer, maskHolder, metrics: ['loss'] };
}
