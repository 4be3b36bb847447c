// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  drawnLosses,
  drawnVehicles,
  type CohortRecord,
  type RoundRecord,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { attemptOf } from '../services/attempt.js';
import { roundIfAny, updatesOf, type LearningContract } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import type { Refusal } from './decisions.js';
import type { SecureView } from './secure-decisions.js';

/** What an attester's own ledger shows of a round that draws vehicles. */
export interface DrawnFacts {
  /** The round before, where there is one, and its cohort. */
  readonly previous: Pick<RoundRecord, 'proposal'> | undefined;
  readonly cohort: Pick<CohortRecord, 'members'> | undefined;
  /** Recorded in this attempt. */
  readonly updates: readonly Pick<UpdateRecord, 'vehicleId' | 'validation'>[];
}

/** @returns undefined where the task draws no vehicles. */
export async function drawnFacts(
  learning: LearningContract,
  { task, round }: Pick<SecureView, 'task' | 'round'>,
): Promise<DrawnFacts | undefined> {
  if (secureTermsOf(task).validation?.vehicles === undefined) {
    return undefined;
  }
  const [previous, updates] = await Promise.all([
    round.round === 1 ? undefined : roundIfAny(learning, { ...attemptOf(round), round: round.round - 1 }),
    updatesOf(learning, round),
  ]);
  const isFixed = previous?.secure?.cohortHash !== undefined;
  return { previous, cohort: isFixed ? await learning.cohort(attemptOf(previous)) : undefined, updates };
}

/** Scores of a round are agreed to where it asked the vehicles that are drawn, and keeps what those of its cohort said. */
export function refuseDrawn(
  { task, round, secure }: Pick<SecureView, 'task' | 'round' | 'secure'>,
  members: CohortRecord['members'],
  facts: DrawnFacts | undefined,
): Refusal | undefined {
  if (facts === undefined) {
    return undefined;
  }
  const { previous, cohort, updates } = facts;
  const before = { modelHash: previous?.proposal?.modelHash, cohort };
  const counted = new Set(members.map(({ vehicleId }) => vehicleId));
  const own = {
    ...drawnVehicles(secureTermsOf(task).validation, round, before),
    ...drawnLosses(updates.filter(({ vehicleId }) => counted.has(vehicleId))),
  };
  const kept = {
    ...(secure.drawn === undefined ? {} : { drawn: secure.drawn }),
    ...(secure.drawnLosses === undefined ? {} : { drawnLosses: secure.drawnLosses }),
  };
  return canonicalJson(own) === canonicalJson(kept)
    ? undefined
    : { code: 'ATTESTATION_REFUSED', detail: 'the round asked other vehicles than are drawn, or keeps other losses' };
}
