// SPDX-License-Identifier: Apache-2.0
import {
  auditableFromMs,
  componentHolders,
  refutedComponents,
  unverifiedComponents,
  type CommitSums,
  type SecureRound,
} from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { componentToAudit } from '../services/audits.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { secureOf, type SecureAttempt } from './secure-attempt.js';
import { AuditNeeded } from './secure-disputes.js';

/**
 * Without an arbiter nobody could audit what one aggregator alone answers for, and no sum would be shown: rather than score
 * the round for that, who is missing has the time to come back.
 *
 * @throws SevError AGGREGATORS_MISSING
 */
export function insistOnSecondWord(
  { task, round }: SecureAttempt,
  said: readonly { readonly components: Readonly<Record<string, unknown>> }[],
): void {
  if (secureOf(round).opening.arbiter !== undefined || said.length === 0) {
    return;
  }
  const alone = componentHolders(secureTermsOf(task)).flatMap((_, component) =>
    said.filter(({ components }) => Object.hasOwn(components, component)).length < 2 ? [component] : [],
  );
  if (alone.length > 0) {
    const detail = `the projections of component ${alone.join(', ')} rest on the word of one, and there is no arbiter`;
    throw new SevError('AGGREGATORS_MISSING', detail);
  }
}

/**
 * As the contract decides about sums. What one aggregator alone answers for is audited before it is shown, so that no lie
 * costs the base; a holder that is only late has its time before that.
 *
 * @throws AuditNeeded; SevError SECOND_WORD_AWAITED, AGGREGATORS_MISSING where nobody may audit it.
 */
export function insistOnVerified({ task, round }: SecureAttempt, sums: CommitSums['sums'], nowMs: number): void {
  const secure = secureOf(round);
  const terms = secureTermsOf(task);
  const spoke = componentHolders(terms).map((_, component) =>
    sums.filter(({ components }) => Object.hasOwn(components, String(component))),
  );
  const answered: SecureRound = {
    ...secure,
    sums: spoke.map(([one], component) => one?.components[String(component)] ?? []),
    answeredBy: spoke.map((by) => by.map(({ mspId }) => mspId).sort()),
  };
  const unverified = unverifiedComponents(answered);
  if (unverified.length === 0 || refutedComponents(answered).length > 0) {
    return; // Against verdicts the contract has its own word.
  }
  const component = componentToAudit(secure, terms, new Set(), unverified);
  if (component === undefined) {
    const detail = `component ${unverified.join(', ')} rests on the word of one, and nobody may audit it`;
    throw new SevError('AGGREGATORS_MISSING', detail);
  }
  const by = answered.answeredBy?.[component] ?? [];
  if (nowMs < auditableFromMs(round, task, component, by)) {
    const detail = `the sums of component ${String(component)} are the word of ${by.join()} so far`;
    throw new SevError('SECOND_WORD_AWAITED', detail);
  }
  throw new AuditNeeded(component, sums);
}
