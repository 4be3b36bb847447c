// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  componentHolders,
  openDispute,
  settleDispute,
  unverifiedComponents,
  type Dispute,
  type OpenDispute,
  type SecureRound,
  type VerdictStatement,
} from '@sev/chaincode/api';
import { requireSigned } from './domain-context.js';
import { stepError, type SecureAudit } from './secure-step.js';
import { projectionAnswers, seedOf, sumAnswers } from './secure-sum-rules.js';

/** A component is released where aggregators contradict each other about it, or only one answers; never the last one. */
export function disputeOpened(audit: SecureAudit): SecureRound {
  const { transaction, terms, secure } = audit;
  const asked = openDispute.parse(transaction.argument);
  const { component, phase } = asked;
  const components = componentHolders(terms).length;
  const released = new Set([...secure.disputes.map((dispute) => dispute.component), component]);
  const isNew = disputeOf(secure, asked) === undefined;
  const maySettle = secure.opening.arbiter !== undefined;
  if (!isNew || !maySettle || component >= components || released.size >= components || !hasGrounds(audit, asked)) {
    throw stepError(audit, 'DISPUTE_INVALID', `component ${String(component)} was released without need, or arbiter`);
  }
  const dispute: Dispute = { component, phase, openedAtMs: transaction.timestampMs };
  return { ...secure, disputes: [...secure.disputes, dispute] };
}

/** The arbiter's verdict, once a dispute, on holders of the component. */
export function disputeSettled(audit: SecureAudit): SecureRound {
  const { state, transaction, terms, secure, ref } = audit;
  const asked = settleDispute.parse(transaction.argument);
  const { component, phase, faulty, signature } = asked;
  const dispute = disputeOf(secure, asked);
  const holders = componentHolders(terms)[component] ?? [];
  const areHolders = faulty.every((mspId) => holders.includes(mspId));
  const inOrder = canonicalJson(faulty) === canonicalJson([...new Set(faulty)].sort());
  if (dispute === undefined || dispute.faulty !== undefined || !areHolders || !inOrder) {
    throw stepError(
      audit,
      'DISPUTE_INVALID',
      `there was no such dispute about component ${String(component)} to settle`,
    );
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

function hasGrounds(audit: SecureAudit, asked: OpenDispute): boolean {
  const { secure, terms, before } = audit;
  const { component } = asked;
  switch (asked.phase) {
    case 'projections': {
      const seed = secure.seed ?? seedOf(audit, asked.nonces ?? []);
      return terms.projections > 0 && isContradicted(projectionAnswers(audit, asked.projections, seed)[component]);
    }
    case 'sums':
      return secure.scoresHash !== undefined && isContradicted(sumAnswers(audit, asked.sums)[component]);
    case 'audit': {
      const answering = secure.answeredBy?.[component] ?? [];
      return before.state === 'aggregated' && answering.filter((m) => !secure.faulty.includes(m)).length === 1;
    }
  }
}

function isContradicted(answers: ReadonlyMap<string, unknown> | undefined): boolean {
  return new Set([...(answers?.values() ?? [])].map(canonicalJson)).size > 1;
}
