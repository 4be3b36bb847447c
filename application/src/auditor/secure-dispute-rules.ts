// SPDX-License-Identifier: Apache-2.0
import {
  answersIn,
  auditableFromMs,
  basisOf,
  canonicalJson,
  componentHolders,
  heardOf,
  openDispute,
  referencesProblem,
  settleDispute,
  unverifiedComponents,
  type Answered,
  type Dispute,
  type OpenDispute,
  type Said,
  type SecureRound,
  type VerdictStatement,
} from '@sev/chaincode/api';
import { requireSigned } from './domain-context.js';
import { stepError, type SecureAudit } from './secure-step.js';
import { projectionAnswers, seedOf, sumAnswers } from './secure-sum-rules.js';

/**
 * A component is released where aggregators contradict each other about it, or only one answers, with what they said; never
 * the last one.
 */
export function disputeOpened(audit: SecureAudit): SecureRound {
  const { transaction, before, terms, secure } = audit;
  const asked = openDispute.parse(transaction.argument);
  const { component, phase } = asked;
  const components = componentHolders(terms).length;
  const released = new Set([...secure.disputes.map((dispute) => dispute.component), component]);
  const isNew = disputeOf(secure, asked) === undefined;
  const maySettle = secure.opening.arbiter !== undefined;
  // Once sums are shown, a dispute could only spend the base; under the first rules they were audited then.
  const isInTime = before.state !== 'aggregated' || secure.rules === undefined;
  const grounds = groundsOf(audit, asked);
  const mayOpen = isNew && isInTime && maySettle && component < components && released.size < components;
  if (!mayOpen || grounds === undefined) {
    throw stepError(
      audit,
      'DISPUTE_INVALID',
      `component ${String(component)} was released without need, in time, or arbiter`,
    );
  }
  const dispute: Dispute = { component, phase, openedAtMs: transaction.timestampMs, ...grounds };
  return { ...secure, disputes: [...secure.disputes, dispute] };
}

/** The arbiter's verdict, once a dispute, on those who said something of the component. */
export function disputeSettled(audit: SecureAudit): SecureRound {
  const { state, transaction, secure, ref } = audit;
  const asked = settleDispute.parse(transaction.argument);
  const { component, phase, faulty, signature } = asked;
  const dispute = disputeOf(secure, asked);
  if (dispute === undefined || dispute.faulty !== undefined || !isPossible(dispute, faulty)) {
    const detail = `there was no such dispute about component ${String(component)} to settle, or not in this way`;
    throw stepError(audit, 'DISPUTE_INVALID', detail);
  }
  const statement: VerdictStatement = {
    type: 'sev/verdict/v1',
    ...{ ...ref, mspId: secure.opening.arbiter?.mspId ?? '', component, phase, faulty },
  };
  requireSigned(state, transaction, statement, signature);
  const settled: SecureRound = {
    ...secure,
    disputes: secure.disputes.map((other) => (other === dispute ? { ...dispute, faulty } : other)),
    faulty: [...new Set([...secure.faulty, ...faulty])].sort(),
  };
  return settled.sums === undefined ? settled : { ...settled, unverified: unverifiedComponents(settled) };
}

function disputeOf({ disputes }: SecureRound, { component, phase }: Pick<Dispute, 'component' | 'phase'>) {
  return disputes.find((dispute) => dispute.component === component && dispute.phase === phase);
}

/** What was said of the component; undefined where that is no reason to release it. */
function groundsOf(audit: SecureAudit, asked: OpenDispute): Pick<Dispute, 'said' | 'seed' | 'references'> | undefined {
  const { secure, terms } = audit;
  const { component } = asked;
  switch (asked.phase) {
    case 'projections': {
      if (terms.projections === 0) {
        return undefined;
      }
      const isScored = secure.seed !== undefined;
      const references = isScored ? secure.references : asked.references;
      if (referencesProblem(terms.validation, secure, references) !== undefined) {
        return undefined;
      }
      const basis = basisOf(secure.seed ?? seedOf(audit, asked.nonces ?? []), references);
      const answers = [...(projectionAnswers(audit, asked.projections, basis)[component] ?? [])];
      const said = answers.map(([mspId, hash]): Said => ({ mspId, about: 'projections', hashes: [hash] }));
      return differ(said) ? { said: byMsp(said), ...basis } : undefined;
    }
    case 'sums': {
      const answers = secure.scoresHash === undefined ? [] : [...(sumAnswers(audit, asked.sums)[component] ?? [])];
      const said = answers.map(([mspId, hashes]): Said => ({ mspId, about: 'sums', hashes }));
      return differ(said) ? { said: byMsp(said) } : undefined;
    }
    case 'audit':
      return auditGrounds(audit, asked);
  }
}

/** All that is known of a component, where some of it is one aggregator's word; undefined where it may not be audited. */
function auditGrounds(audit: SecureAudit, asked: OpenDispute): Pick<Dispute, 'said'> | undefined {
  const { secure, before } = audit;
  const summed = before.state === 'scored' ? agreedSums(audit, asked) : [];
  if (summed === undefined || before.state === 'cohort') {
    return undefined;
  }
  const answers = [...answersIn(secure).filter(({ component }) => component === asked.component), ...summed];
  const heard = answers.map(({ by, ...answer }) => ({ ...answer, by: heardOf(secure, by) }));
  const fewest = Math.min(...heard.map(({ by }) => by.length));
  const said = heard.flatMap(({ by, about, hashes }) => byMsp(by.map((mspId): Said => ({ mspId, about, hashes }))));
  return fewest === 1 ? { said } : undefined;
}

/** The sums of a component that are audited before they are committed; undefined where they are not, or not yet. */
function agreedSums(audit: SecureAudit, { component, sums }: OpenDispute): readonly Answered[] | undefined {
  const { before, transaction, task } = audit;
  const answers = sumAnswers(audit, sums)[component] ?? new Map<string, readonly string[]>();
  const by = [...answers.keys()].sort();
  const [hashes] = answers.values();
  const agree = new Set([...answers.values()].map(canonicalJson)).size === 1;
  const isDue = transaction.timestampMs >= auditableFromMs(before, task, component, by);
  return hashes !== undefined && agree && isDue ? [{ component, about: 'sums', hashes, by }] : undefined;
}

/** A verdict names, in order, some of those who said something; what the others said must agree. */
function isPossible({ said }: Dispute, faulty: readonly string[]): boolean {
  const inOrder = canonicalJson(faulty) === canonicalJson([...new Set(faulty)].sort());
  const right = said.filter(({ mspId }) => !faulty.includes(mspId));
  return (
    inOrder &&
    faulty.every((mspId) => said.some((one) => one.mspId === mspId)) &&
    !differ(right.filter(({ about }) => about === 'projections')) &&
    !differ(right.filter(({ about }) => about === 'sums'))
  );
}

function differ(said: readonly Said[]): boolean {
  return new Set(said.map(({ hashes }) => canonicalJson(hashes))).size > 1;
}

function byMsp(said: readonly Said[]): readonly Said[] {
  return [...said].sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}
