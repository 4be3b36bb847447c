// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  ContractError,
  proposalHash,
  type AttestationStatement,
  type FinaliseRound,
  type ModelRecord,
  type Proposal,
  type RoundRecord,
  type Task,
  type UpdateRecord,
} from '../api';
import { requireAttempt, requireState, type TransitionFacts } from './round';
import { requireSettled, type SecureAttempt } from './secure-round';
import { requireUnrefuted, requireVerified } from './secure-sums';
import { requireMajority, validStatements } from './statements';

/**
 * Whether this proposal has already made the round final; otherwise the round must be closed, in a secure mode
 * aggregated, and on the same base.
 *
 * @throws ContractError ROUND_STALE, ROUND_STATE, ROUND_CONFLICT, BASE_MODEL_MISMATCH
 */
export function isFinalisedWith(round: RoundRecord, proposal: Proposal): boolean {
  requireAttempt(round, proposal.attempt);
  if (round.state === 'finalised' && round.proposal !== undefined) {
    if (proposalHash(round.proposal) !== proposalHash(proposal)) {
      throw new ContractError('ROUND_CONFLICT', `finalised before with model ${round.proposal.modelHash}`);
    }
    return true;
  }
  requireState(round, round.privacy === 'plain' ? 'closed' : 'aggregated');
  if (proposal.baseModelHash !== round.baseModelHash) {
    throw new ContractError('BASE_MODEL_MISMATCH', `the base model of this round is ${round.baseModelHash}`);
  }
  return false;
}

/**
 * closed → finalised: the proposal covers exactly the recorded updates, enough of them entered the model, and a
 * majority of the organisations attests that it recomputed the same.
 *
 * @param updates - all recorded updates of the attempt.
 * @throws ContractError COHORT_MISMATCH, COHORT_TOO_SMALL, STATEMENTS_INSUFFICIENT
 */
export function finaliseRound(
  round: RoundRecord,
  task: Task,
  input: FinaliseRound,
  updates: readonly UpdateRecord[],
  facts: TransitionFacts,
): RoundRecord {
  checkCohort(input.proposal, task, updates);
  return attested(round, input, facts);
}

/**
 * aggregated → finalised: the proposal covers the cohort that was fixed, no dispute is open, no verdict went against what
 * the model is made of, nothing of it rests on the word of one aggregator alone, and a majority attests that it recomputed
 * the same.
 *
 * @throws ContractError COHORT_MISMATCH, DISPUTE_OPEN, VERDICT_AGAINST, COMPONENTS_UNVERIFIED, STATEMENTS_INSUFFICIENT
 */
export function finaliseSecureRound(attempt: SecureAttempt, input: FinaliseRound, facts: TransitionFacts): RoundRecord {
  const { secure } = attempt;
  const { cohortHash: hash, cohortSize, excluded } = input.proposal;
  if (hash !== secure.cohortHash || cohortSize !== secure.cohortSize || excluded.length > 0) {
    const fixed = `${secure.cohortSize ?? 0} vehicles with hash ${secure.cohortHash ?? ''}`;
    throw new ContractError('COHORT_MISMATCH', `the cohort is of ${fixed}, none excluded`);
  }
  requireSettled(secure);
  requireUnrefuted(secure);
  requireVerified(secure);
  return attested(attempt.round, input, facts);
}

/** The record of a round that ends with a proposal which a majority attests. @throws ContractError STATEMENTS_INSUFFICIENT */
export function attested(round: RoundRecord, input: FinaliseRound, facts: TransitionFacts): RoundRecord {
  const { proposal } = input;
  const proposed = proposalHash(proposal);
  const attestations = validStatements(input.attestations, facts.organisations, (mspId): AttestationStatement => ({
    type: 'sev/attest-model/v1',
    consortium: facts.consortium,
    taskId: round.taskId,
    round: round.round,
    attempt: round.attempt,
    proposalHash: proposed,
    mspId,
  }));
  requireMajority(attestations, facts.organisations);
  return { ...round, state: 'finalised', finalisedAtMs: facts.nowMs, proposal, attestations };
}

/** @throws ContractError ARGUMENT_INVALID where it names moments and the task has no optimiser that keeps any, or the reverse. */
export function requireServerState({ aggregation }: Task, { serverStateHash }: Proposal): void {
  if ((aggregation.server === undefined) !== (serverStateHash === undefined)) {
    const detail = aggregation.server === undefined ? 'this task keeps none' : 'this task needs one';
    throw new ContractError('ARGUMENT_INVALID', `proposal.serverStateHash: ${detail}`);
  }
}

/** The record of the model that a finalised round made. */
export function modelOf(taskId: string, proposal: Proposal): ModelRecord {
  const { modelHash, round, attempt, baseModelHash } = proposal;
  return { docType: 'model', schemaVersion: 1, modelHash, taskId, round, attempt, baseModelHash };
}

function checkCohort(proposal: Proposal, task: Task, updates: readonly UpdateRecord[]): void {
  if (proposal.cohortSize !== updates.length) {
    throw new ContractError('COHORT_MISMATCH', `cohortSize ${proposal.cohortSize}; recorded: ${updates.length}`);
  }
  const expected = cohortHash(updates);
  if (proposal.cohortHash !== expected) {
    throw new ContractError('COHORT_MISMATCH', `the hash of the recorded updates is ${expected}`);
  }
  const recorded = new Set(updates.map(({ vehicleId }) => vehicleId));
  let before = '';
  for (const { vehicleId } of proposal.excluded) {
    if (!recorded.has(vehicleId)) {
      throw new ContractError('COHORT_MISMATCH', `excluded ${vehicleId} has no recorded update`);
    }
    if (vehicleId <= before) {
      throw new ContractError('COHORT_MISMATCH', 'excluded: not sorted by vehicleId without repetition');
    }
    before = vehicleId;
  }
  const entered = updates.length - proposal.excluded.length;
  if (entered < task.cohort.minimum) {
    throw new ContractError('COHORT_TOO_SMALL', `${entered} updates; the task needs ${task.cohort.minimum}`);
  }
}
