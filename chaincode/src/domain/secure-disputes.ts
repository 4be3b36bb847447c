// SPDX-License-Identifier: Apache-2.0
import {
  componentHolders,
  ContractError,
  unverifiedComponents,
  type Dispute,
  type OpenDispute,
  type RoundRecord,
  type SecureRound,
  type SettleDispute,
  type VerdictStatement,
} from '../api';
import { requireState, type TransitionFacts } from './round';
import { isContradicted } from './secure-answers';
import { isHeard, refOf, type SecureAttempt } from './secure-round';
import { openedSeed, projectionAnswers } from './secure-scores';
import { sumsAnswers } from './secure-sums';
import { requireSigned } from './statements';

/**
 * Releases a component to the arbiter: two aggregators contradict each other about it, or only one answers for it. One
 * component at least stays closed to the arbiter, so that it never learns an update.
 *
 * @returns the round, the same object where the dispute is open, or settled, already.
 * @throws ContractError ROUND_STALE, ROUND_STATE, DISPUTE_REFUSED, NONCE_INVALID, COMPONENT_NOT_HELD, SIGNATURE_INVALID,
 *   SUMS_INVALID
 */
export function openDispute(attempt: SecureAttempt, input: OpenDispute, facts: TransitionFacts): RoundRecord {
  const { round, terms, secure } = attempt;
  const { component, phase } = input;
  if (findDispute(secure, input) !== undefined) {
    return round;
  }
  requireState(round, 'cohort', 'scored', 'aggregated');
  insist(secure.opening.arbiter !== undefined, 'the opening names no arbiter');
  const components = componentHolders(terms).length;
  insist(component < components, `component ${component}; there are ${components}`);
  checkGrounds(attempt, input, facts);
  const released = new Set([...secure.disputes.map((dispute) => dispute.component), component]);
  insist(released.size < components, 'no component would stay closed to the arbiter');
  const dispute: Dispute = { component, phase, openedAtMs: facts.nowMs };
  return { ...round, secure: { ...secure, disputes: [...secure.disputes, dispute] } };
}

/**
 * The arbiter's verdict: from now on nobody believes the aggregators that it names in this attempt.
 *
 * @returns the round, the same object where this verdict was given before.
 * @throws ContractError ROUND_STALE, ROUND_STATE, DISPUTE_UNKNOWN, DISPUTE_CONFLICT, DISPUTE_REFUSED, SIGNATURE_INVALID
 */
export function settleDispute(attempt: SecureAttempt, input: SettleDispute, facts: TransitionFacts): RoundRecord {
  const { round, secure, terms } = attempt;
  const { component, phase, faulty, signature } = input;
  const dispute = findDispute(secure, input);
  const { arbiter } = secure.opening;
  if (dispute === undefined || arbiter === undefined) {
    throw new ContractError('DISPUTE_UNKNOWN', `about the ${phase} of component ${component}`);
  }
  if (dispute.faulty !== undefined) {
    if (String(dispute.faulty) !== String(faulty)) {
      throw new ContractError('DISPUTE_CONFLICT', `settled before: ${dispute.faulty.join(', ') || 'nobody'} was wrong`);
    }
    return round;
  }
  requireState(round, 'cohort', 'scored', 'aggregated');
  const holders = componentHolders(terms)[component] ?? [];
  const inOrder = faulty.every((mspId, index) => index === 0 || (faulty[index - 1] ?? '') < mspId);
  insist(inOrder && faulty.every((mspId) => holders.includes(mspId)), 'faulty: not holders of the component, sorted');
  const statement: VerdictStatement = {
    type: 'sev/verdict/v1',
    ...refOf(round, facts.consortium),
    mspId: arbiter.mspId,
    ...{ component, phase, faulty },
  };
  requireSigned(statement, signature, facts.organisations);
  const settled: SecureRound = {
    ...secure,
    disputes: secure.disputes.map((other) => (other === dispute ? { ...dispute, faulty } : other)),
    faulty: [...new Set([...secure.faulty, ...faulty])].sort(),
  };
  const verified = settled.sums === undefined ? {} : { unverified: unverifiedComponents(settled) };
  return { ...round, secure: { ...settled, ...verified } };
}

function findDispute({ disputes }: SecureRound, { component, phase }: Pick<Dispute, 'component' | 'phase'>) {
  return disputes.find((dispute) => dispute.component === component && dispute.phase === phase);
}

function checkGrounds(attempt: SecureAttempt, input: OpenDispute, facts: TransitionFacts): void {
  const { round, terms, secure } = attempt;
  const { component, phase } = input;
  switch (phase) {
    case 'projections': {
      insist(terms.projections > 0, 'this task opens no projections');
      const seed = secure.seed ?? openedSeed(attempt, input.nonces ?? [], facts.consortium);
      const answers = projectionAnswers(attempt, input.projections, seed, facts);
      insist(isContradicted(answers[component]), 'no two statements contradict each other about the component');
      break;
    }
    case 'sums': {
      requireState(round, 'scored', 'aggregated');
      const answers = sumsAnswers(attempt, input.sums, facts);
      insist(isContradicted(answers[component]), 'no two statements contradict each other about the component');
      break;
    }
    case 'audit': {
      // Only then is all that the aggregator said of the component on the ledger.
      requireState(round, 'aggregated');
      const answering = (secure.answeredBy?.[component] ?? []).filter((mspId) => isHeard(secure, mspId));
      insist(answering.length === 1, `${answering.length} aggregators answer for the component, not one`);
      break;
    }
  }
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('DISPUTE_REFUSED', problem);
  }
}
