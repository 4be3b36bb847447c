// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, drawnLosses, drawnVehicles, type DrawnBefore, type UpdateRecord } from '@sev/chaincode/api';
import { drawnBefore } from '../services/drawn-before.js';
import { updatesOf, type LearningContract } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import type { Refusal } from './decisions.js';
import type { SecureView } from './secure-decisions.js';

/** What an attester's own ledger shows of a round that draws vehicles. */
export interface DrawnFacts {
  readonly before: DrawnBefore;
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
  const [before, updates] = await Promise.all([drawnBefore(learning, round), updatesOf(learning, round)]);
  return { before, updates };
}

/** Scores of a round are agreed to where it asked the vehicles that are drawn, and keeps what they said. */
export function refuseDrawn(
  { task, round, secure }: Pick<SecureView, 'task' | 'round' | 'secure'>,
  facts: DrawnFacts | undefined,
): Refusal | undefined {
  if (facts === undefined) {
    return undefined;
  }
  const { before, updates } = facts;
  const own = {
    ...drawnVehicles(secureTermsOf(task).validation, round, before),
    ...drawnLosses(updates),
  };
  const kept = {
    ...(secure.drawn === undefined ? {} : { drawn: secure.drawn }),
    ...(secure.drawnLosses === undefined ? {} : { drawnLosses: secure.drawnLosses }),
  };
  return canonicalJson(own) === canonicalJson(kept)
    ? undefined
    : { code: 'ATTESTATION_REFUSED', detail: 'the round asked other vehicles than are drawn, or keeps other losses' };
}
