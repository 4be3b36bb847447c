// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { hashOf } from './canonical';
import { coveredUpdates, type Holdings } from './cohort';
import { attemptNumber, hash, identifier, mspId, publicKey, roundNumber, signature } from './primitives';
import type { UpdateRecord } from './learning';
import type { ShownAttempt } from './secure';
import type { NetworkBound } from './signed';

/**
 * Sums under homomorphic encryption on the ledger. Three organisations with different parts: the key holder makes a key
 * pair for the attempt, the summer adds the vehicles' ciphertexts, the mask holder adds the masks inside of them. Only the
 * two openings together give the sum over the cohort, and nothing else is ever opened.
 *
 * A round in mode `he` goes `open → closed → cohort → aggregated → finalised`, or `aborted`.
 */

/** Plaintext modulus t of the one instance of BFV that rounds use; fl `HE_PARAMETERS`. */
export const HE_PLAIN_MODULUS = 8_589_852_673;
/** Ciphertexts that its noise lets one add. */
export const HE_MAX_VEHICLES = 1_024;

/** Terms of mode `he`, part of a task. All integers: the ledger holds no float. */
export const heTerms = z.strictObject({
  keyHolder: mspId,
  summer: mspId,
  maskHolder: mspId,
  /** Bound C on an update's Euclidean norm, in thousandths: 4,000. Vehicles keep to it themselves. */
  clipMilli: z.int().min(1).max(1_000_000),
  /** f: an update is multiplied by 2^f and rounded. */
  fractionBits: z.int().min(1).max(24),
  /** Vehicles of one sum, at the most. */
  maxVehicles: z.int().min(1).max(HE_MAX_VEHICLES),
  /** Values that each vehicle adds to its update, summed with the same weights; see fl `metrics`. */
  metrics: z.array(z.enum(['loss', 'absolute-error', 'samples'])).max(8),
  /** How long an attester waits, on its clock, before it agrees to a cohort with vehicles left out. */
  receiptMs: z.int().min(0).max(600_000),
});
export type HeTaskTerms = z.infer<typeof heTerms>;

/** Part of learning:OpenRound in mode `he`, signed by all three (`sev/round-opening/v1`). */
export const heOpening = z.strictObject({
  /** SHA-256 of the key holder's public key for this attempt; the bytes are in the store. */
  publicKeyHash: hash,
  /** Key of the mask holder that mask seeds are sealed to: HPKE, DHKEM(P-256), SubjectPublicKeyInfo in base64. */
  sealingKey: publicKey,
});
export type HeOpening = z.infer<typeof heOpening>;

interface RoundStatement extends NetworkBound {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly mspId: string;
}

/** The summer's word on the sum over the cohort; the ciphertexts are in the store. */
export interface HeSumStatement extends RoundStatement {
  readonly type: 'sev/he-sum/v1';
  readonly cohortHash: string;
  /** SHA-256 of the sum's ciphertexts, one after the other. */
  readonly sumHash: string;
}

/** The mask holder's word on the sum of the cohort's masks, which it has not shown yet. */
export interface HeMasksStatement extends RoundStatement {
  readonly type: 'sev/he-masks/v1';
  readonly cohortHash: string;
  readonly masksHash: string;
}

/** The key holder's word on what the sum decrypts to, which it has not shown yet. */
export interface HeMaskedStatement extends RoundStatement {
  readonly type: 'sev/he-masked/v1';
  readonly cohortHash: string;
  readonly sumHash: string;
  readonly maskedHash: string;
}

/**
 * learning:CommitHeSum — cohort → aggregated. All three hashes are on the ledger before either opening is shown, so that
 * nobody can choose its own by the other's.
 */
export const commitHeSum = z.strictObject({
  taskId: identifier,
  round: roundNumber,
  attempt: attemptNumber,
  /** By the summer. */
  sum: z.strictObject({ sumHash: hash, signature }),
  /** By the mask holder. */
  masks: z.strictObject({ masksHash: hash, signature }),
  /** By the key holder. */
  masked: z.strictObject({ maskedHash: hash, signature }),
});
export type CommitHeSum = z.infer<typeof commitHeSum>;

/** What a round in mode `he` carries beside the common fields. */
export interface HeRound {
  readonly opening: HeOpening;
  readonly openingHash: string;
  /**
   * Attempts on this base whose sum may have been shown, this one from the cohort on: key holder and mask holder together
   * can open it as soon as the summer has added, whether or not its hashes come to the ledger.
   */
  readonly shownAttempts: readonly ShownAttempt[];
  /** From the cohort on. Whoever denied a report that it had given a receipt for. */
  readonly contradicted?: readonly string[];
  readonly cohortHash?: string;
  readonly cohortSize?: number;
  /** From `aggregated` on. */
  readonly sumHash?: string;
  readonly masksHash?: string;
  readonly maskedHash?: string;
}

/** What an opening's statements are signed over. */
export function heOpeningHash(opening: HeOpening): string {
  return hashOf(opening);
}

/**
 * The cohort: what summer and mask holder both hold, of more than one sum takes the first. Ids are random, so that is nobody's
 * choice.
 *
 * @param updates - recorded in the attempt, sorted by vehicleId.
 */
export function heCohort<T extends Pick<UpdateRecord, 'vehicleId'>>(
  { maxVehicles }: Pick<HeTaskTerms, 'maxVehicles'>,
  updates: readonly T[],
  holdings: readonly Holdings[],
): readonly T[] {
  return coveredUpdates(updates, holdings, []).covered.slice(0, maxVehicles);
}

/** The two that take vehicles' reports, sorted. */
export function heReceivers({ summer, maskHolder }: Pick<HeTaskTerms, 'summer' | 'maskHolder'>): readonly string[] {
  return [summer, maskHolder].sort();
}

/** All three organisations with a part in mode `he`. */
export function heParties(terms: Pick<HeTaskTerms, 'keyHolder' | 'summer' | 'maskHolder'>): readonly string[] {
  return [terms.keyHolder, terms.summer, terms.maskHolder].sort();
}
