// SPDX-License-Identifier: Apache-2.0
import type { DrawnBefore, RoundRecord } from '@sev/chaincode/api';
import { attemptOf, type AttemptRef } from './attempt.js';
import { roundIfAny, type LearningContract } from './rounds.js';

/** What the ledger shows of the round before an attempt. @throws LedgerError */
export async function drawnBefore(learning: LearningContract, ref: AttemptRef): Promise<DrawnBefore> {
  const previous: RoundRecord | undefined =
    ref.round === 1 ? undefined : await roundIfAny(learning, { ...attemptOf(ref), round: ref.round - 1 });
  const isFixed = previous?.secure?.cohortHash !== undefined;
  return {
    modelHash: previous?.proposal?.modelHash,
    cohort: isFixed ? await learning.cohort(attemptOf(previous)) : undefined,
  };
}
