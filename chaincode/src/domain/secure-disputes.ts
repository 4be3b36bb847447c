// SPDX-License-Identifier: Apache-2.0
import {
  answersIn,
  auditableFromMs,
  awaitedHolders,
  basisOf,
  canonicalJson,
  componentHolders,
  ContractError,
  heardOf,
  isAscending,
  unverifiedComponents,
  type Answered,
  type Basis,
  type Dispute,
  type OpenDispute,
  type RoundRecord,
  type RoundState,
  type Said,
  type SecureRound,
  type SettleDispute,
  type VerdictStatement,
} from '../api';
import { requireState, type TransitionFacts } from './round';
import type { Answers } from './secure-answers';
import { refOf, type SecureAttempt } from './secure-round';
import { openedSeed, projectionAnswers } from './secure-scores';
import { sumsAnswers } from './secure-sums';
import { requireSigned } from './statements';
import { checkReferences } from './validation';

/**
 * Releases a component to the arbiter: two aggregators contradict each other about it, or only one answers for it. What
 * they said goes on the record, so that the arbiter judges nothing that a coordinator tells it. One component at least
 * stays closed to the arbiter, so that it never learns an update.
 *
 * @returns the round, the same object where the dispute is open, or settled, already.
 * @throws ContractError ROUND_STALE, ROUND_STATE, DISPUTE_REFUSED, NONCE_INVALID, COMPONENT_NOT_HELD, SIGNATURE_INVALID,
 *   SUMS_INVALID, REFERENCES_INVALID
 */
export function openDispute(attempt: SecureAttempt, input: OpenDispute, facts: TransitionFacts): RoundRecord {
  const { round, terms, secure } = attempt;
  const { component, phase } = input;
  if (findDispute(secure, input) !== undefined) {
    return round;
  }
  requireState(round, ...disputableStates(secure));
  insist(secure.opening.arbiter !== undefined, 'the opening names no arbiter');
  const components = componentHolders(terms).length;
  insist(component < components, `component ${component}; there are ${components}`);
  const grounds = groundsOf(attempt, input, facts);
  const released = new Set([...secure.disputes.map((dispute) => dispute.component), component]);
  insist(released.size < components, 'no component would stay closed to the arbiter');
  const dispute: Dispute = { component, phase, openedAtMs: facts.nowMs, ...grounds };
  return { ...round, secure: { ...secure, disputes: [...secure.disputes, dispute] } };
}

/**
 * Once sums are committed a dispute could only end the attempt, and so spend the base for it: an aggregator that contradicts
 * then what it had signed is shown by its two signatures, without an arbiter. Under the first rules sums were audited afterwards.
 */
function disputableStates({ rules }: SecureRound): readonly RoundState[] {
  return rules === undefined ? ['cohort', 'scored', 'aggregated'] : ['cohort', 'scored'];
}

/**
 * The arbiter's verdict: from now on nobody believes the aggregators that it names in this attempt.
 *
 * @returns the round, the same object where this verdict was given before.
 * @throws ContractError ROUND_STALE, ROUND_STATE, DISPUTE_UNKNOWN, DISPUTE_CONFLICT, DISPUTE_REFUSED, SIGNATURE_INVALID
 */
export function settleDispute(attempt: SecureAttempt, input: SettleDispute, facts: TransitionFacts): RoundRecord {
  const { round, secure } = attempt;
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
  checkVerdict(dispute, faulty);
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

/** What aggregators said of the component, where that is reason enough to release it. */
function groundsOf(
  attempt: SecureAttempt,
  input: OpenDispute,
  facts: TransitionFacts,
): Pick<Dispute, 'said' | 'seed' | 'references'> {
  const { round, terms, secure } = attempt;
  const { component, phase } = input;
  switch (phase) {
    case 'projections': {
      insist(terms.projections > 0, 'this task opens no projections');
      const basis = basisFor(attempt, input, facts);
      const answers = projectionAnswers(attempt, input.projections, basis, facts)[component];
      return { said: contradicting('projections', answers, (hash) => [hash]), ...basis };
    }
    case 'sums': {
      requireState(round, 'scored', 'aggregated');
      const answers = sumsAnswers(attempt, input.sums, facts)[component];
      return { said: contradicting('sums', answers, (hashes) => hashes) };
    }
    case 'audit': {
      requireState(round, 'scored', 'aggregated');
      const summed = round.state === 'scored' ? [agreedSums(attempt, input, facts)] : [];
      return { said: answeredAlone(secure, component, summed) };
    }
  }
}

/** What the round was scored with, or as long as it is not, what is shown. */
function basisFor(attempt: SecureAttempt, input: OpenDispute, { consortium }: TransitionFacts): Basis {
  const { seed, references } = attempt.secure;
  if (seed !== undefined) {
    return basisOf(seed, references);
  }
  checkReferences(attempt, input.references);
  return basisOf(openedSeed(attempt, input.nonces ?? [], consortium), input.references);
}

/**
 * The sums of a component that are to be committed, as far as holders signed them: what one of them alone says is audited
 * before it is shown, once the others had their time.
 */
function agreedSums(attempt: SecureAttempt, { component, sums }: OpenDispute, facts: TransitionFacts): Answered {
  const { round, task, terms, secure } = attempt;
  const answers = sumsAnswers(attempt, sums, facts)[component] ?? new Map<string, readonly string[]>();
  const by = [...answers.keys()].sort();
  const [hashes] = answers.values();
  if (hashes === undefined) {
    throw new ContractError('DISPUTE_REFUSED', 'no sums of the component are shown');
  }
  insist(new Set([...answers.values()].map(canonicalJson)).size === 1, 'its sums contradict each other: dispute those');
  const fromMs = auditableFromMs(round, task, component, by);
  const awaited = awaitedHolders(secure, terms, component, by).join(', ');
  insist(facts.nowMs >= fromMs, `${awaited} may still say what the sums of the component are, until ${fromMs}`);
  return { component, about: 'sums', hashes, by };
}

function contradicting<T>(
  about: Said['about'],
  answers: Answers<T> | undefined,
  hashesOf: (content: T) => readonly string[],
): readonly Said[] {
  const said = [...(answers ?? [])].map(([mspId, content]): Said => ({ mspId, about, hashes: hashesOf(content) }));
  insist(differ(said), 'no two statements contradict each other about the component');
  return sorted(said);
}

/**
 * All that the ledger took about a component, where some of it is one aggregator's word.
 *
 * @param summed - what the ledger is to take besides.
 */
function answeredAlone(secure: SecureRound, component: number, summed: readonly Answered[]): readonly Said[] {
  const answers = [...answersIn(secure).filter((answer) => answer.component === component), ...summed];
  const heard = answers.map(({ by, ...answer }) => ({ ...answer, by: heardOf(secure, by) }));
  insist(
    heard.every(({ by }) => by.length > 0),
    'a verdict went against everybody who answered for the component',
  );
  insist(
    heard.some(({ by }) => by.length === 1),
    'more than one aggregator answers for the component',
  );
  return heard.flatMap(({ about, hashes, by }) => sorted(by.map((mspId): Said => ({ mspId, about, hashes }))));
}

/** A verdict is on those who said something, and whoever it does not name cannot have said different things. */
function checkVerdict({ said }: Dispute, faulty: readonly string[]): void {
  insist(
    isAscending(faulty) && faulty.every((mspId) => said.some((one) => one.mspId === mspId)),
    'faulty: not aggregators that said something of the component, sorted',
  );
  const right = said.filter(({ mspId }) => !faulty.includes(mspId));
  for (const about of ['projections', 'sums'] as const) {
    insist(!differ(right.filter((one) => one.about === about)), `faulty: those who are left contradict each other`);
  }
}

function differ(said: readonly Said[]): boolean {
  return new Set(said.map(({ hashes }) => canonicalJson(hashes))).size > 1;
}

function sorted(said: readonly Said[]): readonly Said[] {
  return [...said].sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('DISPUTE_REFUSED', problem);
  }
}
