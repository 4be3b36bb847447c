// SPDX-License-Identifier: Apache-2.0
import {
  aloneAfterMs,
  canonicalJson,
  cohortDifferenceProblem,
  cohortHash,
  coveredUpdates,
  decodeBitmap,
  differenceProblem,
  drawnLosses,
  fixCohort,
  openedAmong,
  openedNumbers,
  scoredWeights,
  withoutOpened,
  type CohortProblem,
  type CohortStatement,
  type FixCohort,
  type Holdings,
  type HoldingsStatement,
  type SecureRound,
  type WeightedCohort,
} from '@sev/chaincode/api';
import { attemptKey, isSigned, requireMajority } from './domain-context.js';
import { requireProjectionBudget } from './secure-opening-rules.js';
import { stepError, type SecureAudit } from './secure-step.js';

/**
 * The cohort is what signed holdings and receipts cover, on the word of a majority. Under the first rules a complete one needed
 * nobody's, and whoever was alone with it long enough fixed any.
 */
export function cohortFixed(audit: SecureAudit): SecureRound {
  const { state, transaction, before, record, task, terms, secure } = audit;
  const { holdings, statements } = fixCohort.parse(transaction.argument);
  const updates = [...(state.updates.get(attemptKey(record))?.values() ?? [])].sort(byVehicle);
  const recordedHash = cohortHash(updates);
  const { signed, equivocating } = signedHoldings(audit, holdings, recordedHash, updates.length);
  const holders = signed.map(({ mspId }) => mspId);
  if (holders.length <= terms.threshold) {
    throw stepError(audit, 'COHORT_MISMATCH', `only ${String(holders.length)} aggregators signed what they hold`);
  }
  const { covered, contradicted } = coveredUpdates(updates, signed, state.receipts.get(attemptKey(record)) ?? []);
  const members = covered.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass }));
  const cohort = state.cohorts.get(attemptKey(record));
  if (canonicalJson(cohort?.members ?? null) !== canonicalJson(members)) {
    throw stepError(
      audit,
      'COHORT_MISMATCH',
      `${String(members.length)} vehicles are covered by holdings and receipts`,
    );
  }
  checkSize(audit, members.length);
  const hash = cohortHash(members);
  const leftOut = covered.length < updates.length || holders.length < secure.opening.aggregators.length;
  const neededFirst = leftOut && transaction.timestampMs <= aloneAfterMs(before, task);
  if (secure.rules !== undefined || neededFirst) {
    requireMajority(state, transaction, statements, (mspId): CohortStatement => ({
      type: 'sev/fix-cohort/v1',
      ...{ ...audit.ref, mspId, recordedHash, cohortHash: hash, holders },
    }));
  }
  if (secure.rules !== undefined) {
    const opened = openedVehicles(audit);
    const compared = members.filter(({ vehicleId }) => !opened.has(vehicleId));
    // Under the first rules a cohort was fixed that no weights could bring to the rule; its sums were judged as they are now.
    refuse(audit, cohortDifferenceProblem(shownIn(audit), compared, task.cohort.minimum));
  }
  const openedProjections = secure.openedProjections + openedNumbers(terms);
  requireProjectionBudget(audit, terms, openedProjections);
  return {
    ...secure,
    holders,
    contradicted: [...new Set([...contradicted, ...equivocating])].sort(),
    cohortHash: hash,
    cohortSize: members.length,
    ...drawnLosses(updates),
    openedProjections,
    ...(secure.fixedCohorts === undefined ? {} : { fixedCohorts: secure.fixedCohorts + 1 }),
  };
}

/** Checks that an attempt's sums may be shown beside those that were. @throws AuditError SUMS_TOO_CLOSE */
export function requireDistance(audit: SecureAudit): void {
  const { record, task } = audit;
  const next = weightedCohort(audit, attemptKey(record));
  refuse(audit, differenceProblem(shownIn(audit), next, task.cohort.minimum));
}

function refuse(audit: SecureAudit, problem: CohortProblem | undefined): void {
  if (problem !== undefined) {
    throw stepError(audit, 'SUMS_TOO_CLOSE', problem.detail);
  }
}

/** What the sums count that may have been shown on the base of a round. */
function shownIn(audit: SecureAudit): readonly WeightedCohort[] {
  const { record, secure } = audit;
  return secure.shownAttempts.map((attempt) => weightedCohort(audit, attemptKey({ ...record, ...attempt })));
}

/** Without vehicles that were opened by vote. @param attempt - `task/round/attempt` */
function weightedCohort(audit: SecureAudit, attempt: string): WeightedCohort {
  const { state, terms } = audit;
  const [cohort, scores] = [state.cohorts.get(attempt), state.scores.get(attempt)];
  return cohort === undefined || scores === undefined
    ? new Map()
    : withoutOpened(scoredWeights(cohort, scores, terms.shardSize), openedVehicles(audit));
}

function openedVehicles({ state, task }: SecureAudit): ReadonlySet<string> {
  return openedAmong([...state.culprits.values()].filter(({ taskId }) => taskId === task.taskId));
}

function signedHoldings(
  audit: SecureAudit,
  holdings: FixCohort['holdings'],
  recordedHash: string,
  updates: number,
): { readonly signed: readonly Holdings[]; readonly equivocating: readonly string[] } {
  const { state, transaction, secure, ref } = audit;
  const equivocating: string[] = [];
  const signed = secure.opening.aggregators.flatMap(({ mspId }): Holdings[] => {
    const own = holdings.filter(({ mspId: signer, held, signature }) => {
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...ref, mspId, recordedHash, held };
      return signer === mspId && isSigned(state, transaction, statement, signature);
    });
    const texts = [...new Set(own.map(({ held }) => held))];
    if (texts.length > 1) {
      equivocating.push(mspId);
    }
    const held = texts.length === 1 ? decodeBitmap(texts[0] ?? '', updates) : undefined;
    return held === undefined ? [] : [{ mspId, held }];
  });
  return { signed, equivocating };
}

function checkSize(audit: SecureAudit, size: number): void {
  const { task, terms } = audit;
  const shards = Math.ceil(size / terms.shardSize);
  const smallest = size === 0 ? 0 : Math.floor(size / shards);
  if (smallest < task.cohort.minimum) {
    throw stepError(audit, 'COHORT_MISMATCH', `a sum over ${String(smallest)} vehicles is below the minimum cohort`);
  }
  if (terms.dp !== undefined && shards > 1) {
    throw stepError(audit, 'COHORT_MISMATCH', 'the noise of mode dp hides one sum, there are more');
  }
}

function byVehicle(a: { readonly vehicleId: string }, b: { readonly vehicleId: string }): number {
  return a.vehicleId < b.vehicleId ? -1 : 1;
}
