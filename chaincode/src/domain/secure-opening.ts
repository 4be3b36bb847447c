// SPDX-License-Identifier: Apache-2.0
import {
  accusedSoFar,
  arbitersOf,
  areTwoCandidates,
  barredAggregators,
  componentsOf,
  ContractError,
  drawnVehicles,
  isAscending,
  MAX_FIXED_COHORTS,
  MAX_SHOWN_ATTEMPTS,
  openedNumbers,
  openingHash,
  parsePublicKey,
  projectionBudget,
  SECURE_RULES,
  sumsMicroRho,
  type AggregatorOpening,
  type CohortRecord,
  type OpeningStatement,
  type OpenRound,
  type Organisation,
  type RoundOpening,
  type RoundRecord,
  type SecureRound,
  type SecureTerms,
  type ShownAttempt,
  type Task,
} from '../api';
import { requireSigned } from './statements';
import { validatedOpening, type ValidatorFacts } from './validation';

export interface OpeningFacts extends ValidatorFacts {
  /** Attempts on this base whose sums may have been shown; undefined where the ledger keeps none. */
  readonly shown: readonly ShownAttempt[] | undefined;
  /** Of the round before, where the task draws vehicles from it. */
  readonly cohort: CohortRecord | undefined;
}

/**
 * What a new attempt carries in a secure mode: its opening, signed by everybody in it, and the budgets of the task as the
 * attempts and rounds before left them.
 *
 * @param current - the aborted attempt before, where there is one; else `previous`, the round before, counts.
 * @returns undefined in plain mode.
 * @throws ContractError OPENING_INVALID, ARBITER_MISSING, ORGANISATION_UNKNOWN, SIGNATURE_INVALID, BASE_BURNED, ATTEMPTS_EXHAUSTED,
 *   PRIVACY_BUDGET_EXCEEDED, PROJECTION_BUDGET_EXCEEDED; those of {@link validatedOpening}.
 */
export function openedSecurely(
  task: Task,
  input: OpenRound,
  current: RoundRecord | undefined,
  previous: RoundRecord | undefined,
  facts: OpeningFacts,
): SecureRound | undefined {
  const { opening } = input;
  const { secure: terms } = task;
  if (terms === undefined) {
    insist(opening === undefined && input.statements === undefined, `task ${task.taskId} runs in plain mode`);
    return undefined;
  }
  if (opening === undefined) {
    throw new ContractError('OPENING_INVALID', `missing; task ${task.taskId} runs in mode ${task.privacy}`);
  }
  checkOpening(terms, opening, facts.organisations);
  const validated = validatedOpening(terms, input, opening, facts);
  // Attempts before a record was kept for each base are only known to the round, and say nothing of another base.
  const before = current?.baseModelHash === input.baseModelHash ? current.secure?.shownAttempts : undefined;
  const shown = facts.shown ?? before ?? [];
  const { cohort } = facts;
  const drawn = drawnVehicles(terms.validation, input, { modelHash: previous?.proposal?.modelHash, cohort });
  const secure = { ...begun(opening, current?.secure, previous?.secure, shown), ...validated, ...drawn };
  checkNobodyBarred(terms, secure);
  checkSignatures(input, opening, facts);
  checkAffordable(task, terms, secure);
  return secure;
}

/**
 * @param current - as the aborted attempt before left it, where there is one.
 * @param previous - as the round before left it.
 */
function begun(
  opening: RoundOpening,
  current: SecureRound | undefined,
  previous: SecureRound | undefined,
  shownAttempts: readonly ShownAttempt[],
): SecureRound {
  const { openedProjections, chargedMicroRho } = current ?? previous ?? { openedProjections: 0, chargedMicroRho: 0 };
  return {
    opening,
    openingHash: openingHash(opening),
    openedProjections,
    chargedMicroRho,
    shownAttempts,
    fixedCohorts: current?.fixedCohorts ?? 0,
    disputes: [],
    faulty: [],
    accused: accusedSoFar(current, SECURE_RULES),
    rules: SECURE_RULES,
  };
}

/** What of an opening a repetition is compared by; undefined in plain mode. */
export function openingHashOf(input: Pick<OpenRound, 'opening'>): string | undefined {
  return input.opening && openingHash(input.opening);
}

/** ρ that is charged once these sums are committed. @throws ContractError PRIVACY_BUDGET_EXCEEDED */
export function chargedWithSums(task: Task, secure: SecureRound): number {
  const dp = task.secure?.dp;
  if (dp === undefined) {
    return secure.chargedMicroRho;
  }
  const charge = sumsMicroRho(task);
  const total = BigInt(secure.chargedMicroRho) + charge;
  if (total > BigInt(dp.budgetMicroRho)) {
    const spent = `${secure.chargedMicroRho} of ${dp.budgetMicroRho} micro-rho are charged`;
    throw new ContractError('PRIVACY_BUDGET_EXCEEDED', `${spent}; the next sums cost ${charge}`);
  }
  return Number(total);
}

/** Numbers that are opened of an update once this cohort is fixed. @throws ContractError PROJECTION_BUDGET_EXCEEDED */
export function openedWithProjections(task: Task, terms: SecureTerms, secure: SecureRound): number {
  const numbers = openedNumbers(terms);
  const total = secure.openedProjections + numbers;
  const budget = projectionBudget(task, terms);
  if (total > budget) {
    const spent = `${secure.openedProjections} of ${budget} projections are opened`;
    throw new ContractError('PROJECTION_BUDGET_EXCEEDED', `${spent}; the next round opens ${numbers}`);
  }
  return total;
}

/** No attempt is opened that could not end. */
function checkAffordable(task: Task, terms: SecureTerms, secure: SecureRound): void {
  const { shownAttempts, fixedCohorts = 0 } = secure;
  if (shownAttempts.length >= MAX_SHOWN_ATTEMPTS) {
    const names = shownAttempts.map(({ round, attempt }) => `${round}/${attempt}`).join(' and ');
    throw new ContractError('BASE_BURNED', `sums of the attempts ${names} on this base were shown`);
  }
  if (fixedCohorts >= MAX_FIXED_COHORTS) {
    throw new ContractError('ATTEMPTS_EXHAUSTED', `the cohorts of ${fixedCohorts} attempts at this round were fixed`);
  }
  openedWithProjections(task, terms, secure);
  chargedWithSums(task, secure);
}

function checkOpening(terms: SecureTerms, opening: RoundOpening, organisations: readonly Organisation[]): void {
  const { aggregators, arbiter } = opening;
  const names = aggregators.map(({ mspId }) => mspId);
  insist(isAscending(names), 'aggregators: not sorted without repetition');
  const stranger = names.find((mspId) => !terms.aggregators.includes(mspId));
  insist(stranger === undefined, `aggregators: ${stranger ?? ''} is not one of the task's`);
  const needed = terms.threshold + 1;
  insist(names.length >= needed, `aggregators: ${names.length}; at least ${needed} are needed`);
  const components = componentsOf(terms.aggregators.length, terms.threshold).length;
  aggregators.forEach((aggregator) => {
    checkAggregator(aggregator, components, terms.dp !== undefined);
  });
  const arbiters = arbitersOf(terms, organisations);
  if (arbiter === undefined) {
    if (arbiters.length > 0) {
      throw new ContractError('ARBITER_MISSING', `${arbiters.join(' or ')} could settle disputes of this round`);
    }
    return;
  }
  const { mspId, sealingKey } = arbiter;
  insist(!terms.aggregators.includes(mspId), `arbiter: ${mspId} is an aggregator of the task`);
  insist(arbiters.includes(mspId), `arbiter: ${mspId} has not the role that settles disputes`);
  insist(parsePublicKey(sealingKey) !== undefined, `arbiter: ${mspId} has no P-256 key`);
}

/** An aggregator that was found to be wrong does not come back at once. */
function checkNobodyBarred(terms: SecureTerms, { opening, accused }: SecureRound): void {
  const barred = barredAggregators(terms, accused);
  const one = opening.aggregators.find(({ mspId }) => barred.includes(mspId));
  insist(one === undefined, `aggregators: ${one?.mspId ?? ''} was wrong in an attempt before`);
}

function checkAggregator(aggregator: AggregatorOpening, components: number, noisy: boolean): void {
  const { mspId, sealingKey, nonceLeaves, noise } = aggregator;
  insist(parsePublicKey(sealingKey) !== undefined, `${mspId}: sealingKey is no P-256 key`);
  insist(nonceLeaves.length === components, `${mspId}: ${nonceLeaves.length} nonceLeaves for ${components} components`);
  insist((noise !== undefined) === noisy, `${mspId}: noise belongs to mode dp, and to no other`);
  insist(
    noise === undefined || areTwoCandidates(noise, components),
    `${mspId}: its noise is not two candidates with ${components} seedLeaves each`,
  );
}

function checkSignatures(input: OpenRound, opening: RoundOpening, facts: OpeningFacts): void {
  const { taskId, round, attempt, baseModelHash, statements = [] } = input;
  const signatures = new Map(statements.map(({ mspId, signature }) => [mspId, signature]));
  const signers = opening.aggregators.map(({ mspId }) => mspId);
  for (const mspId of opening.arbiter === undefined ? signers : [...signers, opening.arbiter.mspId]) {
    const statement: OpeningStatement = {
      type: 'sev/round-opening/v1',
      consortium: facts.consortium,
      ...{ taskId, round, attempt, mspId, baseModelHash },
      openingHash: openingHash(opening),
    };
    requireSigned(statement, signatures.get(mspId) ?? '', facts.organisations);
  }
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('OPENING_INVALID', problem);
  }
}
