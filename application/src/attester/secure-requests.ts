// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, fixCohort, hash, identifier, mspId, roundNumber, scoreRound, scores } from '@sev/chaincode/api';
import { z } from 'zod';

/** Body of `POST /statements/cohort`; see `CohortRequest`. */
export const cohortRequest = z.strictObject({
  ref: z.strictObject({ taskId: identifier, round: roundNumber, attempt: attemptNumber }),
  holdings: fixCohort.shape.holdings,
  recordedHash: hash,
  cohortHash: hash,
  holders: z.array(mspId).max(7),
});

const numbers = z.record(z.string(), z.string().max(50_000_000));

/** Body of `POST /statements/scores`; see `ScoresRequest`. */
export const scoresRequest = z.strictObject({
  nonces: scoreRound.shape.nonces,
  noiseSeeds: scoreRound.shape.noiseSeeds,
  projections: scoreRound.shape.projections,
  scores,
  numbers,
  past: z.array(numbers).max(32).optional(),
});
