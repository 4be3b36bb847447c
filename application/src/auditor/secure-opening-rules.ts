// SPDX-License-Identifier: Apache-2.0
import {
  accusedSoFar,
  arbitersOf,
  areTwoCandidates,
  barredAggregators,
  canonicalJson,
  componentsOf,
  drawnVehicles,
  MAX_FIXED_COHORTS,
  MAX_SHOWN_ATTEMPTS,
  openedNumbers,
  openingHash,
  openRound,
  parsePublicKey,
  projectionBudget,
  sumsMicroRho,
  heardValidators,
  validatedBase,
  validationsProblem,
  validationStatement,
  type OpeningStatement,
  type Organisation,
  type RoundOpening,
  type SecureRound,
  type SecureTerms,
  type SignedBy,
  type Task,
} from '@sev/chaincode/api';
import {
  attemptKey,
  baseKey,
  consortiumOf,
  recordError,
  requireSigned,
  type DomainState,
  type DomainTransaction,
} from './domain-context.js';
import type { Audited } from './records.js';
import { validatorsOf } from './validation-rules.js';

type Round = Audited<'round'>;

export interface OpeningStep {
  readonly state: DomainState;
  readonly transaction: DomainTransaction;
  readonly record: Round;
  /** The attempt before, where there is one. */
  readonly before: Round | undefined;
  /** The round before, where there is one. */
  readonly previous: Round | undefined;
  readonly task: Task;
}

/** An attempt in a secure mode begins with an opening that everybody in it signed, and with the budgets that are left. */
export function checkSecureOpening(step: OpeningStep): void {
  const { transaction, record, task } = step;
  const where = `round ${attemptKey(record)}`;
  const { secure: terms } = task;
  if (record.privacy !== task.privacy || (terms === undefined) !== (record.secure === undefined)) {
    throw recordError(transaction, 'RECORD_MALFORMED', `${where} does not run in the mode of its task`);
  }
  if (terms === undefined) {
    return;
  }
  const { opening, statements = [] } = openRound.parse(transaction.argument);
  if (opening === undefined) {
    throw recordError(transaction, 'OPENING_INVALID', `${where}: no opening was asked for`);
  }
  const { organisations } = consortiumOf(step.state, transaction);
  const rules = rulesOf(step);
  const accused = accusedSoFar(step.before?.secure, rules);
  const problem = openingProblem(terms, opening, accused) ?? arbiterProblem(terms, opening, organisations, rules);
  if (problem !== undefined) {
    throw recordError(transaction, 'OPENING_INVALID', `${where}: ${problem}`);
  }
  checkValidations(step, terms, opening, organisations);
  const judged = { ...validatedBy(step, terms, opening, organisations), ...drawnBy(step, terms) };
  const expected = openedWith(step, opening, judged, rules);
  if (canonicalJson(record.secure) !== canonicalJson(expected) || record.stateSinceMs !== undefined) {
    throw recordError(transaction, 'RECORD_MALFORMED', `${where} is not what was opened, or forgets what was spent`);
  }
  checkSignatures(step, opening, statements);
  if (expected.shownAttempts.length >= MAX_SHOWN_ATTEMPTS) {
    throw recordError(transaction, 'SUMS_TOO_CLOSE', `${where}: sums of two attempts were shown`);
  }
  if ((expected.fixedCohorts ?? 0) >= MAX_FIXED_COHORTS) {
    throw recordError(transaction, 'BUDGET_EXCEEDED', `${where}: the cohorts of three attempts were fixed`);
  }
  requireProjectionBudget(step, terms, expected.openedProjections + openedNumbers(terms));
  requirePrivacyBudget(step, BigInt(expected.chargedMicroRho) + sumsMicroRho(task));
}

/**
 * The rules that the contract opened the attempt under. Earlier contracts name none; an attempt at a round, or the round
 * after one, does not go back to theirs.
 */
function rulesOf({ record, before, previous }: OpeningStep): SecureRound['rules'] {
  const earlier = (before ?? previous)?.secure?.rules;
  return record.secure?.rules ?? earlier;
}

/** Budgets go on from the attempt before, or else from the round before; what was shown belongs to the base. */
function openedWith(
  { state, record, before, previous }: OpeningStep,
  opening: RoundOpening,
  judged: Pick<SecureRound, 'validated' | 'drawn'>,
  rules: SecureRound['rules'],
): SecureRound {
  const carried = (before ?? previous)?.secure;
  return {
    opening,
    openingHash: openingHash(opening),
    ...judged,
    openedProjections: carried?.openedProjections ?? 0,
    chargedMicroRho: carried?.chargedMicroRho ?? 0,
    shownAttempts: state.shownSums.get(baseKey(record))?.attempts ?? [],
    ...fixedCohortsOf(record, before),
    disputes: [],
    faulty: [],
    accused: accusedSoFar(before?.secure, rules),
    ...(rules === undefined ? {} : { rules }),
  };
}

/** Earlier contracts did not count the attempts whose cohort was fixed; once they are counted, they stay so. */
function fixedCohortsOf({ secure }: Round, before: Round | undefined): Pick<SecureRound, 'fixedCohorts'> {
  const counted = before?.secure?.fixedCohorts;
  return counted === undefined && secure?.fixedCohorts === undefined ? {} : { fixedCohorts: counted ?? 0 };
}

function checkSignatures(
  { state, transaction, record }: OpeningStep,
  opening: RoundOpening,
  statements: readonly SignedBy[],
): void {
  const { taskId, round, attempt, baseModelHash } = record;
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  const arbiter = opening.arbiter === undefined ? [] : [opening.arbiter];
  for (const { mspId } of [...opening.aggregators, ...arbiter]) {
    const content = { consortium, taskId, round, attempt, mspId, baseModelHash, openingHash: openingHash(opening) };
    const statement: OpeningStatement = { type: 'sev/round-opening/v1', ...content };
    requireSigned(state, transaction, statement, statements.find((s) => s.mspId === mspId)?.signature ?? '');
  }
}

/** @throws AuditError VALIDATION_INVALID, STATEMENT_SIGNATURE */
function checkValidations(
  { state, transaction, record }: OpeningStep,
  { validation }: SecureTerms,
  opening: RoundOpening,
  organisations: readonly Organisation[],
): void {
  const facts = { validators: validatorsOf(state, record.taskId), organisations };
  const problem = validationsProblem(validation, opening, facts);
  if (problem !== undefined) {
    throw recordError(transaction, 'VALIDATION_INVALID', `round ${attemptKey(record)}: ${problem.detail}`);
  }
  const place = { ...record, consortium: consortiumOf(state, transaction).bootstrapHash };
  for (const one of opening.validations ?? []) {
    requireSigned(state, transaction, validationStatement(place, one), one.signature);
  }
}

/** What the words of validators come to; nothing where the task has none. */
function validatedBy(
  { state, record }: OpeningStep,
  { validation }: SecureTerms,
  { validations }: RoundOpening,
  organisations: readonly Organisation[],
): Pick<SecureRound, 'validated'> {
  if (validation === undefined || validations === undefined) {
    return {};
  }
  const facts = { validators: validatorsOf(state, record.taskId), organisations };
  return { validated: validatedBase(validations, heardValidators(validation, facts).length) };
}

/** Vehicles of the round before that this one asks; nothing where the task asks none. */
function drawnBy({ state, record, previous }: OpeningStep, { validation }: SecureTerms): Pick<SecureRound, 'drawn'> {
  const cohort = previous === undefined ? undefined : state.cohorts.get(attemptKey(previous));
  return drawnVehicles(validation, record, { modelHash: previous?.proposal?.modelHash, cohort });
}

/** @throws AuditError BUDGET_EXCEEDED */
export function requireProjectionBudget(
  { transaction, record, task }: Pick<OpeningStep, 'transaction' | 'record' | 'task'>,
  terms: SecureTerms,
  opened: number,
): void {
  const budget = projectionBudget(task, terms);
  if (opened > budget) {
    const detail = `round ${attemptKey(record)}: ${String(opened)} projections of a budget of ${String(budget)}`;
    throw recordError(transaction, 'BUDGET_EXCEEDED', detail);
  }
}

/** @throws AuditError BUDGET_EXCEEDED */
export function requirePrivacyBudget(
  { transaction, record, task }: Pick<OpeningStep, 'transaction' | 'record' | 'task'>,
  charged: bigint,
): void {
  const dp = task.secure?.dp;
  if (dp !== undefined && charged > BigInt(dp.budgetMicroRho)) {
    const detail = `round ${attemptKey(record)}: ${charged.toString()} micro-rho of ${String(dp.budgetMicroRho)}`;
    throw recordError(transaction, 'BUDGET_EXCEEDED', detail);
  }
}

function openingProblem(
  terms: SecureTerms,
  { aggregators }: RoundOpening,
  accused: readonly string[],
): string | undefined {
  const names = aggregators.map(({ mspId }) => mspId);
  const barred = barredAggregators(terms, accused);
  if (names.some((mspId) => barred.includes(mspId))) {
    return 'one of its aggregators was wrong in an attempt before';
  }
  if (canonicalJson(names) !== canonicalJson([...new Set(names)].sort())) {
    return 'its aggregators are not sorted, or one occurs twice';
  }
  if (names.length <= terms.threshold || names.some((mspId) => !terms.aggregators.includes(mspId))) {
    return 'it has too few aggregators, or one that is not of the task';
  }
  const components = componentsOf(terms.aggregators.length, terms.threshold).length;
  const incomplete = aggregators.find(
    ({ sealingKey, nonceLeaves, noise }) =>
      parsePublicKey(sealingKey) === undefined ||
      nonceLeaves.length !== components ||
      (noise !== undefined) !== (terms.dp !== undefined) ||
      (noise !== undefined && !areTwoCandidates(noise, components)),
  );
  return incomplete && `what ${incomplete.mspId} commits itself to is not complete`;
}

function arbiterProblem(
  terms: SecureTerms,
  { arbiter }: RoundOpening,
  organisations: readonly Organisation[],
  rules: SecureRound['rules'],
): string | undefined {
  const arbiters = arbitersOf(terms, organisations);
  if (arbiter === undefined) {
    return rules === undefined || arbiters.length === 0 ? undefined : 'it names no arbiter, although there is one';
  }
  const mayJudge = arbiters.includes(arbiter.mspId) && parsePublicKey(arbiter.sealingKey) !== undefined;
  return mayJudge ? undefined : 'its arbiter may not be one';
}
