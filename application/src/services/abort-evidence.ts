// SPDX-License-Identifier: Apache-2.0
import { fixCohort, mspId, scoreRound, hash, type AbortReason } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';

/**
 * What an attester needs to find the reason of an abort true at once, instead of after the time that it gives a step.
 * Nothing here is believed: holdings are signed, nonces and seeds were committed to.
 */
export const abortEvidence = z.strictObject({
  /** `COHORT_TOO_SMALL`, `COHORT_TOO_LARGE`, `COHORT_TOO_CLOSE` of a closed round: what aggregators signed that they hold. */
  holdings: fixCohort.shape.holdings.optional(),
  /** `NOISE_FALSE`: whose noise it is, sorted. */
  accused: z.array(mspId).min(1).max(7).optional(),
  /** `NOISE_FALSE`: as learning:ScoreRound takes them. */
  nonces: scoreRound.shape.nonces.optional(),
  /** `NOISE_FALSE`: parts of the seeds of the opened candidates, of those accused at least, by MSP id. */
  noiseSeeds: z.record(mspId, z.array(hash).max(64)).optional(),
});
export type AbortEvidence = z.infer<typeof abortEvidence>;

/** A step failed for a reason that ends the attempt, and that attesters can find true at once. */
export class AbortCause extends SevError {
  readonly reason: AbortReason;
  readonly evidence: AbortEvidence;

  constructor(reason: AbortReason, message: string, evidence: AbortEvidence) {
    super(reason, message);
    this.name = 'AbortCause';
    this.reason = reason;
    this.evidence = evidence;
  }
}
