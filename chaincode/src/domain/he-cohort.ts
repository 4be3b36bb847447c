// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  ContractError,
  coveredUpdates,
  decodeBitmap,
  heCohort,
  heReceivers,
  weightedBy,
  type CohortRecord,
  type CohortStatement,
  type FixCohort,
  type Holdings,
  type HoldingsStatement,
  type ReceiptRecord,
  type ReceiptStatement,
  type RoundRecord,
  type ShowReceipts,
  type Task,
  type UpdateRecord,
  type WeightedCohort,
} from '../api';
import { checkDifference } from './differencing';
import { heAdvanced, type HeAttempt } from './he-round';
import { requireAuthority, requireState, type TransitionFacts } from './round';
import { isPast, refOf } from './secure-round';
import { validStatements } from './statements';

export interface HeCohortFacts extends TransitionFacts {
  /** All recorded updates of the attempt, sorted by vehicle. */
  readonly updates: readonly UpdateRecord[];
  readonly receipts: readonly ReceiptRecord[];
  /** Cohorts of the attempts on this base whose sum may have been shown. */
  readonly shown: readonly CohortRecord[];
}

/**
 * Checks a receipt that is shown while a round is open or closed. It names whoever denies it later; it puts no vehicle
 * into the cohort, because nobody else has what was lost.
 *
 * @throws ContractError ROUND_STATE, RECEIPT_INVALID
 */
export function heReceiptOf(
  { round, terms }: HeAttempt,
  { vehicleId, mspId, signature }: ShowReceipts['receipts'][number],
  update: UpdateRecord | undefined,
  { consortium, organisations }: Pick<TransitionFacts, 'consortium' | 'organisations'>,
): ReceiptRecord {
  requireState(round, 'open', 'closed');
  const commitmentRoot = update?.updateHash ?? '';
  const valid = validStatements([{ mspId, signature }], organisations, (): ReceiptStatement => ({
    type: 'sev/share-receipt/v1',
    ...{ ...refOf(round, consortium), mspId, vehicleId, commitmentRoot },
  }));
  if (update === undefined || !heReceivers(terms).includes(mspId) || valid.length === 0) {
    throw new ContractError('RECEIPT_INVALID', `${mspId} did not sign for a recorded update of ${vehicleId}`);
  }
  const { taskId, round: number, attempt } = round;
  return { docType: 'receipt', schemaVersion: 1, taskId, round: number, attempt, vehicleId, mspId, signature };
}

/**
 * closed → cohort: the recorded vehicles whose reports summer and mask holder both sign to hold, as many as a sum takes. Where any is left out
 * before the deadline, a majority says so too. From here on key holder and mask holder can open the sum between themselves, so
 * the attempt counts as shown.
 *
 * @returns the round, the same object where it was fixed like this before, and the cohort's record.
 * @throws ContractError ROUND_STATE, PARTY_MISSING, COHORT_TOO_SMALL, COHORT_TOO_CLOSE, BASE_BURNED,
 *   COHORT_CONFLICT, STATEMENTS_INSUFFICIENT, ROUND_DEADLINE_NOT_REACHED
 */
export function fixHeCohort(
  attempt: HeAttempt,
  input: FixCohort,
  facts: HeCohortFacts,
): { readonly round: RoundRecord; readonly cohort: CohortRecord } {
  const { round, task, he } = attempt;
  const done = isPast(round, 'closed');
  const { updates } = facts;
  const holdings = requiredHoldings(attempt, input, facts);
  const covered = heCohort(attempt.terms, updates, holdings);
  const { contradicted } = coveredUpdates(updates, holdings, facts.receipts);
  const fixed = { contradicted, cohortHash: cohortHash(covered), cohortSize: covered.length };
  const { taskId, round: number, attempt: tried } = round;
  const members = covered.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass }));
  const cohort: CohortRecord = { docType: 'cohort', schemaVersion: 1, taskId, round: number, attempt: tried, members };
  if (done) {
    if (he.cohortHash !== fixed.cohortHash) {
      throw new ContractError('COHORT_CONFLICT', `fixed before with hash ${he.cohortHash ?? ''}`);
    }
    return { round, cohort };
  }
  if (covered.length < task.cohort.minimum) {
    throw new ContractError('COHORT_TOO_SMALL', `${covered.length} vehicles; the task needs ${task.cohort.minimum}`);
  }
  const weightsOf = (one: CohortRecord): WeightedCohort => heWeights(task, one);
  checkDifference(facts.shown.map(weightsOf), weightsOf(cohort), task.cohort.minimum);
  if (covered.length < updates.length) {
    const holders = holdings.map(({ mspId }) => mspId);
    const content = { recordedHash: cohortHash(updates), cohortHash: fixed.cohortHash, holders };
    requireAuthority(round, task, input.statements, facts, (mspId): CohortStatement => ({
      type: 'sev/fix-cohort/v1',
      ...{ ...refOf(round, facts.consortium), mspId, ...content },
    }));
  }
  const shownAttempts = [...he.shownAttempts, { round: number, attempt: tried }];
  return { round: heAdvanced(attempt, 'cohort', facts.nowMs, { ...fixed, shownAttempts }), cohort };
}

/** Every vehicle counts with the weight of its class. */
export function heWeights({ aggregation }: Task, { members }: CohortRecord): WeightedCohort {
  return weightedBy(
    members,
    members.map(({ weightClass }) => aggregation.weightClasses[weightClass]?.weight ?? 0),
  );
}

/** Summer's and mask holder's holdings, one each. @throws ContractError PARTY_MISSING */
function requiredHoldings(
  { round, terms }: HeAttempt,
  input: FixCohort,
  { consortium, organisations, updates }: HeCohortFacts,
): readonly Holdings[] {
  const recordedHash = cohortHash(updates);
  return heReceivers(terms).map((mspId): Holdings => {
    const signed = input.holdings.find((statement) => {
      const content = { ...refOf(round, consortium), mspId, recordedHash, held: statement.held };
      const holds = validStatements(
        [{ mspId, signature: statement.signature }],
        organisations,
        (): HoldingsStatement => ({
          type: 'sev/holdings/v1',
          ...content,
        }),
      );
      return statement.mspId === mspId && holds.length > 0;
    });
    const held = signed && decodeBitmap(signed.held, updates.length);
    if (held === undefined) {
      throw new ContractError('PARTY_MISSING', `${mspId} has not signed what it holds of these updates`);
    }
    return { mspId, held };
  });
}
