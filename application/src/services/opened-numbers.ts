// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { openedNumbers, sha256Hex, type SecureTerms } from '@sev/chaincode/api';
import { addTo, ringFromBytes, toSigned } from '@sev/fl';
import { SevError } from '../errors.js';

/** What aggregators opened of a cohort, their components added up. */
export interface ReadNumbers {
  /** For each member its K projections. */
  readonly projections: Int32Array[];
  /** For each member its product with the reference direction, where the task has validators. */
  readonly products?: Int32Array;
}

/**
 * Adds the components' numbers up.
 *
 * @param members of the cohort.
 * @param numbers by component, base64 of little-endian uint32: for each member its K projections and, where the task has
 *   validators, its product with the reference direction. None where K = 0.
 * @throws SevError PROJECTIONS_INVALID where those of a component have another length.
 */
export function readNumbers(
  terms: Pick<SecureTerms, 'projections' | 'validation'>,
  members: number,
  numbers: Readonly<Record<string, string>>,
): ReadNumbers {
  const { projections: count, validation } = terms;
  const stride = openedNumbers(terms);
  const sum = new Uint32Array(members * stride);
  for (const [component, text] of stride === 0 ? [] : Object.entries(numbers)) {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length !== 4 * sum.length) {
      throw new SevError('PROJECTIONS_INVALID', `component ${component} has ${String(bytes.length)} bytes`);
    }
    addTo(sum, ringFromBytes(bytes, sum.length));
  }
  const signed = toSigned(sum);
  const all = Array.from({ length: members }, (_, index) => index);
  const projections = all.map((index) => signed.slice(index * stride, index * stride + count));
  return validation === undefined
    ? { projections }
    : { projections, products: Int32Array.from(all, (index) => signed[(index + 1) * stride - 1] ?? 0) };
}

/** SHA-256 of a component's numbers, as aggregators sign it. */
export function numbersHash(base64: string): string {
  return sha256Hex(Buffer.from(base64, 'base64'));
}
