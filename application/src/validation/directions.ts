// SPDX-License-Identifier: Apache-2.0
import { referencesProblem, sha256Hex, type SecureRound, type SecureTerms, type Validation } from '@sev/chaincode/api';
import { checkDirection, directionNorm, dot, medianDirection } from '@sev/fl';
import { EXIT, SevError, hasCode, messageOf } from '../errors.js';
import { isAbsent, type FetchObject } from '../services/round-outcome.js';
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
 * The reference direction that somebody names, once it is clear that nobody has chosen among the directions.
 *
 * @param references undefined where the task has no validators; so is the result then.
 * @throws SevError REFERENCES_INVALID, REFERENCES_INCOMPLETE, DIRECTION_MISMATCH, DIRECTION_INVALID; whatever `fetch` throws.
 */
export async function namedReference(
  terms: Pick<SecureTerms, 'validation'>,
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[] | undefined,
  seen: DirectionsSeen,
): Promise<ReferenceDirection | undefined> {
  insistOnReferences(terms, secure, references);
  if (references === undefined) {
    return undefined;
  }
  await insistOnAllShown(secure, references, seen);
  return referenceDirection(secure, references, seen.length, seen.fetch);
}

/**
 * Refuses references that the opening does not commit to, or so few that one organisation could choose among them.
 *
 * @param references undefined where the task has no validators.
 * @throws SevError REFERENCES_INVALID
 */
function insistOnReferences(
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

/** What an aggregator or attester knows itself about the directions of an attempt. */
export interface DirectionsSeen {
  /** How long the cohort has been seen to be fixed. */
  readonly inStateMs: number;
  /** d. */
  readonly length: number;
  readonly fetch: FetchObject;
}

/**
 * Nobody chooses among the directions: a validator is left out when it has had its time and the store holds no direction of
 * it that is what it committed itself to. Bytes that are none never become one, so all that look at the store come to the
 * same set, but for what is shown meanwhile.
 *
 * @throws TooEarlyError REFERENCES_INCOMPLETE while who is left out has time; SevError REFERENCES_INCOMPLETE, at any time, for
 *   one that has shown its direction; whatever `fetch` throws but that there are no such bytes.
 */
export async function insistOnAllShown(
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[],
  { inStateMs, length, fetch }: DirectionsSeen,
): Promise<void> {
  const leftOut = committedValidations(secure).filter(({ mspId }) => !references.includes(mspId));
  const leftMs = Math.ceil(REFERENCES_MS - inStateMs);
  if (leftOut.length > 0 && leftMs > 0) {
    const names = leftOut.map(({ mspId }) => mspId).join(', ');
    throw new TooEarlyError('REFERENCES_INCOMPLETE', `${names} may show a direction for ${String(leftMs)} ms`, leftMs);
  }
  const isShown = await Promise.all(leftOut.map((one) => showsDirection(one, length, fetch)));
  const shown = leftOut.filter((_, index) => isShown[index] === true).map(({ mspId }) => mspId);
  if (shown.length > 0) {
    throw new SevError('REFERENCES_INCOMPLETE', `${shown.join(', ')} has shown its direction and is left out`, {
      exitCode: EXIT.refused,
    });
  }
}

/**
 * Whether the store holds the direction that a validator committed itself to, in a form that can be used.
 *
 * @throws whatever `fetch` throws but that there are no such bytes: a store that cannot be asked says nothing.
 */
export async function showsDirection(
  validation: Pick<Validation, 'mspId' | 'directionHash'>,
  length: number,
  fetch: FetchObject,
): Promise<boolean> {
  try {
    committedDirection(validation, length, await fetch(validation.directionHash));
    return true;
  } catch (error) {
    if (isAbsent(error) || hasCode(error, 'DIRECTION_MISMATCH') || hasCode(error, 'DIRECTION_INVALID')) {
      return false;
    }
    throw error;
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
  // Exact: the norms are at most 2^16, so no partial sum exceeds 2^32.
  const astray = references.filter((_, index) => dot(directions[index] ?? new Int32Array(), direction) <= 0);
  return { references, direction, norm: directionNorm(direction), astray };
}

/**
 * The direction alone, of references that the ledger shows.
 *
 * @param references undefined where the task has no validators; so is the result then.
 * @throws as {@link referenceDirection}.
 */
export async function directionIfAny(
  secure: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[] | undefined,
  length: number,
  fetch: FetchObject,
): Promise<Int32Array | undefined> {
  return references === undefined ? undefined : (await referenceDirection(secure, references, length, fetch)).direction;
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

function invalid(detail: string, cause?: unknown): SevError {
  return new SevError('DIRECTION_INVALID', detail, {
    hint: 'Nothing was opened along it.',
    exitCode: EXIT.integrity,
    cause,
  });
}
