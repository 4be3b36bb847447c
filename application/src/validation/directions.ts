// SPDX-License-Identifier: Apache-2.0
import { referencesProblem, sha256Hex, type SecureRound, type SecureTerms, type Validation } from '@sev/chaincode/api';
import { checkDirection, directionNorm, medianDirection } from '@sev/fl';
import { EXIT, SevError, messageOf } from '../errors.js';
import type { FetchObject } from '../services/round-outcome.js';
import { TooEarlyError } from '../services/too-early.js';

/** Directions of a round that make its reference, and what follows from them. */
export interface ReferenceDirection {
  /** MSP ids, sorted. */
  readonly references: readonly string[];
  /** r: the coordinate-wise median, length d. */
  readonly direction: Int32Array;
  readonly norm: number;
  /** Of the references, whose direction points away from r; sorted. */
  readonly astray: readonly string[];
}

/** As they are in the store: little-endian int32. */
export function directionBytes(direction: Int32Array): Uint8Array {
  const bytes = new Uint8Array(4 * direction.length);
  const view = new DataView(bytes.buffer);
  direction.forEach((value, index) => {
    view.setInt32(4 * index, value, true);
  });
  return bytes;
}

export function directionHashOf(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}

/** Validators whose word about the base counts in an attempt: all of its opening but those whose loss departs. */
export function committedValidations({ opening, validated }: Pick<SecureRound, 'opening' | 'validated'>): Validation[] {
  return (opening.validations ?? []).filter(({ mspId }) => validated?.departed.includes(mspId) !== true);
}

/**
 * Refuses references that the opening does not commit to, or so few that one organisation could choose among them.
 *
 * @param references undefined where the task has no validators.
 * @throws SevError REFERENCES_INVALID
 */
export function insistOnReferences(
  { validation }: Pick<SecureTerms, 'validation'>,
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[] | undefined,
): void {
  const problem = referencesProblem(validation, secure, references);
  if (problem !== undefined) {
    throw new SevError('REFERENCES_INVALID', problem.detail, { exitCode: EXIT.refused });
  }
}

/** How long after a cohort is fixed all validators that its opening commits are waited for. */
export const REFERENCES_MS = 5_000;

/**
 * Validators are left out only when they have had their time: nobody chooses among those that are there.
 *
 * @param inStateMs how long the cohort has been seen to be fixed.
 * @throws TooEarlyError REFERENCES_INCOMPLETE
 */
export function insistOnPatience(
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[] = [],
  inStateMs: number,
): void {
  const leftOut = committedValidations(secure).filter(({ mspId }) => !references.includes(mspId));
  const leftMs = Math.ceil(REFERENCES_MS - inStateMs);
  if (leftOut.length > 0 && leftMs > 0) {
    const names = leftOut.map(({ mspId }) => mspId).join(', ');
    throw new TooEarlyError('REFERENCES_INCOMPLETE', `${names} may show a direction for ${String(leftMs)} ms`, leftMs);
  }
}

/**
 * The reference direction of an attempt, from directions that are what the opening commits to: none that was chosen or changed
 * since the vehicles reported has its hash.
 *
 * @param length d.
 * @throws SevError REFERENCES_INVALID, DIRECTION_MISMATCH, DIRECTION_INVALID; whatever `fetch` throws.
 */
export async function referenceDirection(
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[],
  length: number,
  fetch: FetchObject,
): Promise<ReferenceDirection> {
  const committed = committedValidations(secure);
  const directions = await Promise.all(
    references.map(async (mspId) => {
      const validation = committed.find((one) => one.mspId === mspId);
      if (validation === undefined) {
        throw new SevError('REFERENCES_INVALID', `the opening holds no direction of ${mspId}`, {
          exitCode: EXIT.refused,
        });
      }
      return committedDirection(validation, length, await fetch(validation.directionHash));
    }),
  );
  const direction = medianOf(directions);
  const astray = references.filter((_, index) => productOf(directions[index] ?? new Int32Array(), direction) <= 0);
  return { references, direction, norm: directionNorm(direction), astray };
}

/**
 * One validator's direction.
 *
 * @throws SevError DIRECTION_MISMATCH where the bytes are not those that it committed itself to, DIRECTION_INVALID where they
 *   are no direction: a product with them could leave the ring.
 */
export function committedDirection(
  { mspId, directionHash }: Pick<Validation, 'mspId' | 'directionHash'>,
  length: number,
  bytes: Uint8Array,
): Int32Array {
  if (directionHashOf(bytes) !== directionHash) {
    throw new SevError('DIRECTION_MISMATCH', `the direction of ${mspId} is not the one that it committed itself to`, {
      hint: 'Nothing was opened.',
      exitCode: EXIT.integrity,
    });
  }
  if (bytes.length !== 4 * length) {
    throw invalid(`the direction of ${mspId} has ${String(bytes.length)} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const direction = Int32Array.from({ length }, (_, index) => view.getInt32(4 * index, true));
  try {
    checkDirection(direction, length);
  } catch (error) {
    throw invalid(`the direction of ${mspId}: ${messageOf(error)}`, error);
  }
  return direction;
}

function medianOf(directions: readonly Int32Array[]): Int32Array {
  try {
    return medianDirection(directions);
  } catch (error) {
    throw invalid(`no reference direction: ${messageOf(error)}`, error);
  }
}

/** Exact: the norms are at most 2^16, so no partial sum exceeds 2^32. */
function productOf(a: Int32Array, b: Int32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += (a[i] ?? 0) * (b[i] ?? 0);
  }
  return sum;
}

function invalid(detail: string, cause?: unknown): SevError {
  return new SevError('DIRECTION_INVALID', detail, {
    hint: 'Nothing was opened along it.',
    exitCode: EXIT.integrity,
    cause,
  });
}
