// SPDX-License-Identifier: Apache-2.0
import {
  cohortDifferenceProblem,
  cohortHash,
  ContractError,
  coveredUpdates,
  decodeBitmap,
  drawnLosses,
  sizeProblem,
  withoutOpened,
  type CohortRecord,
  type CohortStatement,
  type FixCohort,
  type Holdings,
  type HoldingsStatement,
  type ReceiptRecord,
  type ReceiptStatement,
  type RoundRecord,
  type ShowReceipts,
  type UpdateRecord,
  type WeightedCohort,
} from '../api';
import { refuse } from './differencing';
import { requireState, type TransitionFacts } from './round';
import { openedWithProjections } from './secure-opening';
import { advanced, isPast, refOf, type SecureAttempt } from './secure-round';
import { requireMajority, validStatements } from './statements';

/**
 * Checks a receipt that is shown while a round is open or closed.
 *
 * @param update - the vehicle's recorded update, where there is one.
 * @throws ContractError ROUND_STATE, RECEIPT_INVALID
 */
export function receiptOf(
  attempt: SecureAttempt,
  receipt: ShowReceipts['receipts'][number],
  update: UpdateRecord | undefined,
  { consortium, organisations }: Pick<TransitionFacts, 'consortium' | 'organisations'>,
): ReceiptRecord {
  const { round, secure } = attempt;
  requireState(round, 'open', 'closed');
  const { vehicleId, mspId, signature } = receipt;
  if (!secure.opening.aggregators.some((aggregator) => aggregator.mspId === mspId)) {
    throw new ContractError('RECEIPT_INVALID', `${mspId} is not an aggregator of this round`);
  }
  if (update === undefined) {
    throw new ContractError('RECEIPT_INVALID', `${vehicleId} has no recorded update`);
  }
  const content = { vehicleId, commitmentRoot: update.updateHash };
  const valid = validStatements([{ mspId, signature }], organisations, (): ReceiptStatement => ({
    type: 'sev/share-receipt/v1',
    ...{ ...refOf(round, consortium), mspId, ...content },
  }));
  if (valid.length === 0) {
    throw new ContractError('RECEIPT_INVALID', `${mspId} did not sign for the recorded update of ${vehicleId}`);
  }
  const { taskId, round: number, attempt: tried } = round;
  return { docType: 'receipt', schemaVersion: 1, taskId, round: number, attempt: tried, vehicleId, mspId, signature };
}

export interface CohortFacts extends TransitionFacts {
  /** All recorded updates of the attempt, sorted by vehicle. */
  readonly updates: readonly UpdateRecord[];
  readonly receipts: readonly ReceiptRecord[];
  /** What the sums of the attempts on this base count that may have been shown. */
  readonly shown: readonly WeightedCohort[];
  /** Vehicles that were opened by vote: the sums are compared without them. */
  readonly opened: ReadonlySet<string>;
}

/**
 * closed → cohort: the recorded vehicles whose shares every signing aggregator holds or gave a receipt for. From here on the
 * attempt counts, so a majority agrees to it, always: one that is down would not attest the weights either, and the attempt ends
 * without having counted.
 *
 * @returns the round, the same object where it was fixed like this before, and the cohort's record.
 * @throws ContractError ROUND_STALE, ROUND_STATE, AGGREGATORS_MISSING, COHORT_TOO_SMALL, COHORT_TOO_LARGE,
 *   COHORT_TOO_CLOSE, BASE_BURNED, COHORT_CONFLICT, PROJECTION_BUDGET_EXCEEDED, STATEMENTS_INSUFFICIENT
 */
export function fixCohort(
  attempt: SecureAttempt,
  input: FixCohort,
  facts: CohortFacts,
): { readonly round: RoundRecord; readonly cohort: CohortRecord } {
  const { round, task, terms, secure } = attempt;
  const done = isPast(round, 'closed');
  const { holdings, equivocating } = validHoldings(attempt, input, facts);
  if (holdings.length <= terms.threshold) {
    const names = holdings.map(({ mspId }) => mspId).join(', ') || 'none';
    throw new ContractError('AGGREGATORS_MISSING', `holdings of ${terms.threshold + 1} are needed; valid: ${names}`);
  }
  const { covered, contradicted } = coveredUpdates(facts.updates, holdings, facts.receipts);
  const holders = holdings.map(({ mspId }) => mspId);
  const fixed = {
    holders,
    contradicted: [...new Set([...contradicted, ...equivocating])].sort(),
    cohortHash: cohortHash(covered),
    cohortSize: covered.length,
    ...drawnLosses(facts.updates),
  };
  const cohort = cohortRecord(round, covered);
  if (done) {
    if (secure.cohortHash !== fixed.cohortHash || String(secure.holders) !== String(holders)) {
      throw new ContractError('COHORT_CONFLICT', `fixed before with hash ${secure.cohortHash ?? ''}`);
    }
    return { round, cohort };
  }
  refuse(sizeProblem(task, terms, covered.length));
  const shown = facts.shown.map((sum) => withoutOpened(sum, facts.opened));
  const compared = covered.filter(({ vehicleId }) => !facts.opened.has(vehicleId));
  refuse(cohortDifferenceProblem(shown, compared, task.cohort.minimum));
  const openedProjections = openedWithProjections(task, terms, secure);
  const content = { recordedHash: cohortHash(facts.updates), cohortHash: fixed.cohortHash, holders };
  const statements = validStatements(input.statements, facts.organisations, (mspId): CohortStatement => ({
    type: 'sev/fix-cohort/v1',
    ...{ ...refOf(round, facts.consortium), mspId, ...content },
  }));
  requireMajority(statements, facts.organisations);
  const counted = secure.fixedCohorts === undefined ? {} : { fixedCohorts: secure.fixedCohorts + 1 };
  return { round: advanced(round, 'cohort', facts.nowMs, { ...fixed, openedProjections, ...counted }), cohort };
}

/** Holdings that their aggregators signed, by MSP id; who signed two different ones counts as missing. */
function validHoldings(
  { round, secure }: SecureAttempt,
  input: FixCohort,
  { consortium, organisations, updates }: CohortFacts,
): { readonly holdings: readonly Holdings[]; readonly equivocating: readonly string[] } {
  const recordedHash = cohortHash(updates);
  const equivocating: string[] = [];
  const holdings = secure.opening.aggregators.flatMap(({ mspId }): Holdings[] => {
    const signed = input.holdings.filter((statement) => {
      const content = { recordedHash, held: statement.held };
      const valid = validStatements(
        [{ mspId, signature: statement.signature }],
        organisations,
        (): HoldingsStatement => ({
          type: 'sev/holdings/v1',
          ...{ ...refOf(round, consortium), mspId, ...content },
        }),
      );
      return statement.mspId === mspId && valid.length > 0;
    });
    const [first, ...others] = signed;
    if (others.some(({ held }) => held !== first?.held)) {
      equivocating.push(mspId);
      return [];
    }
    const held = first && decodeBitmap(first.held, updates.length);
    return held === undefined ? [] : [{ mspId, held }];
  });
  return { holdings, equivocating };
}

function cohortRecord({ taskId, round, attempt }: RoundRecord, updates: readonly UpdateRecord[]): CohortRecord {
  const members = updates.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass }));
  return { docType: 'cohort', schemaVersion: 1, taskId, round, attempt, members };
}
