// SPDX-License-Identifier: Apache-2.0
import {
  aloneAfterMs,
  canonicalJson,
  cohortHash,
  commitHeSum,
  coveredUpdates,
  decodeBitmap,
  differenceProblem,
  fixCohort,
  heCohort,
  heOpeningHash,
  heParties,
  heReceivers,
  MAX_SHOWN_ATTEMPTS,
  openRound,
  parsePublicKey,
  weightedBy,
  type CohortStatement,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeRound,
  type HeSumStatement,
  type HeTaskTerms,
  type Holdings,
  type HoldingsStatement,
  type OpeningStatement,
  type Task,
  type WeightedCohort,
} from '@sev/chaincode/api';
import {
  attemptKey,
  baseKey,
  consortiumOf,
  isSigned,
  recordError,
  requireMajority,
  requireSigned,
} from './domain-context.js';
import type { Audited } from './records.js';
import type { OpeningStep } from './secure-opening-rules.js';
import { stepError, type SecureStep } from './secure-step.js';

/** A step of a round in mode `he`, with what its rules need. */
interface HeAudit extends SecureStep {
  readonly task: Task;
  readonly terms: HeTaskTerms;
  /** As the round carried it before the step. */
  readonly he: HeRound;
  readonly ref: {
    readonly consortium: string;
    readonly taskId: string;
    readonly round: number;
    readonly attempt: number;
  };
}

/** What a step must come to, computed from what was asked for and what was on the ledger. */
const RULES: Readonly<Record<string, (audit: HeAudit) => HeRound>> = {
  'closed → cohort by learning:FixCohort': cohortFixed,
  'cohort → aggregated by learning:CommitHeSum': sumCommitted,
};

/** An attempt in mode `he` begins with keys that all three organisations signed for. */
export function checkHeOpening(step: OpeningStep): void {
  const { state, transaction, record, task } = step;
  const { he: terms } = task;
  const where = `round ${attemptKey(record)}`;
  if ((terms === undefined) !== (record.he === undefined)) {
    throw recordError(transaction, 'RECORD_MALFORMED', `${where} does not run in the mode of its task`);
  }
  if (terms === undefined) {
    return;
  }
  const { he: opening, statements = [] } = openRound.parse(transaction.argument);
  if (opening === undefined || parsePublicKey(opening.sealingKey) === undefined) {
    throw recordError(transaction, 'OPENING_INVALID', `${where}: no keys were asked for, or no good ones`);
  }
  const openingHash = heOpeningHash(opening);
  const expected: HeRound = {
    opening,
    openingHash,
    shownAttempts: state.shownSums.get(baseKey(record))?.attempts ?? [],
  };
  if (canonicalJson(record.he) !== canonicalJson(expected) || record.stateSinceMs !== undefined) {
    throw recordError(transaction, 'RECORD_MALFORMED', `${where} is not what was opened, or forgets what was shown`);
  }
  if (expected.shownAttempts.length >= MAX_SHOWN_ATTEMPTS) {
    throw recordError(transaction, 'SUMS_TOO_CLOSE', `${where}: sums of two attempts were shown`);
  }
  const { taskId, round, attempt, baseModelHash } = record;
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  for (const mspId of heParties(terms)) {
    const content = { consortium, taskId, round, attempt, mspId, baseModelHash, openingHash };
    const statement: OpeningStatement = { type: 'sev/round-opening/v1', ...content };
    requireSigned(state, transaction, statement, statements.find((s) => s.mspId === mspId)?.signature ?? '');
  }
}

/**
 * Checks a step of a round in mode `he` by doing it again.
 *
 * @param step - `closed → cohort by learning:FixCohort`
 * @returns false where there is no such step in this mode.
 * @throws AuditError naming what does not hold.
 */
export function checkHeStep(step: string, input: SecureStep): boolean {
  const rule = RULES[step];
  if (rule === undefined) {
    return false;
  }
  const audit = heAuditOf(input);
  const expected = rule(audit);
  const { record, transaction } = input;
  if (canonicalJson(record.he) !== canonicalJson(expected) || record.stateSinceMs !== transaction.timestampMs) {
    throw stepError(audit, 'RECORD_MALFORMED', 'the record is not what follows from what was asked for');
  }
  return true;
}

/** A round in mode `he` ends over its cohort. @returns the cohort. @throws AuditError COHORT_MISMATCH */
export function checkHeEnd(input: SecureStep): Audited<'cohort'> {
  const audit = heAuditOf(input);
  const { he, record, state } = audit;
  const { proposal } = record;
  const cohort = state.cohorts.get(attemptKey(record));
  const isCovered = proposal?.cohortHash === he.cohortHash && proposal?.cohortSize === he.cohortSize;
  if (cohort === undefined || !isCovered || proposal?.excluded.length !== 0) {
    throw stepError(audit, 'COHORT_MISMATCH', 'the proposal is not over the cohort that was fixed');
  }
  return cohort;
}

/** The cohort is what both receivers signed to hold; who is left out, is left out on the word of a majority. */
function cohortFixed(audit: HeAudit): HeRound {
  const { state, transaction, before, record, task, terms, he, ref } = audit;
  const { holdings, statements } = fixCohort.parse(transaction.argument);
  const updates = [...(state.updates.get(attemptKey(record))?.values() ?? [])].sort((a, b) =>
    a.vehicleId < b.vehicleId ? -1 : 1,
  );
  const recordedHash = cohortHash(updates);
  const signed = heReceivers(terms).map((mspId): Holdings => {
    const own = holdings.find(({ mspId: signer, held, signature }) => {
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...ref, mspId, recordedHash, held };
      return signer === mspId && isSigned(state, transaction, statement, signature);
    });
    const held = own && decodeBitmap(own.held, updates.length);
    if (held === undefined) {
      throw stepError(audit, 'COHORT_MISMATCH', `${mspId} did not sign what it holds`);
    }
    return { mspId, held };
  });
  const covered = heCohort(terms, updates, signed);
  const { contradicted } = coveredUpdates(updates, signed, state.receipts.get(attemptKey(record)) ?? []);
  const members = covered.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass }));
  const cohort = state.cohorts.get(attemptKey(record));
  const isFit = members.length >= task.cohort.minimum;
  if (!isFit || canonicalJson(cohort?.members ?? null) !== canonicalJson(members)) {
    throw stepError(audit, 'COHORT_MISMATCH', `${String(members.length)} vehicles are held by both`);
  }
  const hash = cohortHash(members);
  if (covered.length < updates.length && transaction.timestampMs <= aloneAfterMs(before, task)) {
    const content = { recordedHash, cohortHash: hash, holders: heReceivers(terms) };
    requireMajority(state, transaction, statements, (mspId): CohortStatement => ({
      type: 'sev/fix-cohort/v1',
      ...{ ...ref, mspId, ...content },
    }));
  }
  requireDistance(audit, cohort);
  const { round, attempt } = record;
  const shownAttempts = [...he.shownAttempts, { round, attempt }];
  return { ...he, contradicted, cohortHash: hash, cohortSize: members.length, shownAttempts };
}

/** All three hashes are signed by their parties before anything may be shown. */
function sumCommitted(audit: HeAudit): HeRound {
  const { state, transaction, terms, he } = audit;
  const { sum, masks, masked } = commitHeSum.parse(transaction.argument);
  const ref = { ...audit.ref, cohortHash: he.cohortHash ?? '' };
  const [{ sumHash }, { masksHash }, { maskedHash }] = [sum, masks, masked];
  const bySummer: HeSumStatement = { type: 'sev/he-sum/v1', ...ref, mspId: terms.summer, sumHash };
  const byMaskHolder: HeMasksStatement = { type: 'sev/he-masks/v1', ...ref, mspId: terms.maskHolder, masksHash };
  const opened = { ...ref, mspId: terms.keyHolder, sumHash, maskedHash };
  const byKeyHolder: HeMaskedStatement = { type: 'sev/he-masked/v1', ...opened };
  requireSigned(state, transaction, bySummer, sum.signature);
  requireSigned(state, transaction, byMaskHolder, masks.signature);
  requireSigned(state, transaction, byKeyHolder, masked.signature);
  return { ...he, sumHash, masksHash, maskedHash };
}

/** @throws AuditError SUMS_TOO_CLOSE */
function requireDistance(audit: HeAudit, cohort: Audited<'cohort'> | undefined): void {
  const { state, record, task, he } = audit;
  const shown = he.shownAttempts.map(({ round, attempt }) =>
    weightsOf(task, state.cohorts.get(attemptKey({ ...record, round, attempt }))),
  );
  const problem = differenceProblem(shown, weightsOf(task, cohort), task.cohort.minimum);
  if (problem !== undefined) {
    throw stepError(audit, 'SUMS_TOO_CLOSE', problem.detail);
  }
}

function weightsOf({ aggregation }: Task, cohort: Audited<'cohort'> | undefined): WeightedCohort {
  const members = cohort?.members ?? [];
  return weightedBy(
    members,
    members.map(({ weightClass }) => aggregation.weightClasses[weightClass]?.weight ?? 0),
  );
}

/** @throws AuditError ROUND_TRANSITION where the round runs in another mode. */
function heAuditOf(step: SecureStep): HeAudit {
  const { state, transaction, record, before } = step;
  const { taskId, round, attempt } = record;
  const task = state.tasks.get(taskId);
  const { he: terms } = task ?? {};
  const { he } = before;
  if (task === undefined || terms === undefined || he === undefined) {
    throw stepError(step, 'ROUND_TRANSITION', 'it does not run in mode he');
  }
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  return { ...step, task, terms, he, ref: { consortium, taskId, round, attempt } };
}
