// SPDX-License-Identifier: Apache-2.0
import { componentHolders, type Dispute, type SecureRound, type SecureTerms } from '@sev/chaincode/api';

type Terms = Pick<SecureTerms, 'aggregators' | 'threshold'>;

/** The dispute that waits for a verdict, undefined where none does. */
export function openDisputeOf({ disputes }: SecureRound): Dispute | undefined {
  return disputes.find(({ faulty }) => faulty === undefined);
}

/**
 * A component that rests on the word of one aggregator and may be released to the arbiter; undefined where there is none.
 *
 * @param refused components that the contract does not release.
 */
export function componentToAudit(
  { opening, unverified = [], disputes }: SecureRound,
  terms: Terms,
  refused: ReadonlySet<number> = new Set(),
): number | undefined {
  if (opening.arbiter === undefined) {
    return undefined;
  }
  const released = new Set(disputes.map(({ component }) => component));
  const components = componentHolders(terms).length;
  return unverified.find((component) => {
    const isAudited = disputes.some((dispute) => dispute.component === component && dispute.phase === 'audit');
    const isOneClosed = new Set([...released, component]).size < components;
    return !isAudited && isOneClosed && !refused.has(component);
  });
}

/** Whether something rests on the word of one aggregator that no audit will verify any more, so that no model follows. */
export function isBeyondAudit(secure: SecureRound, terms: Terms, refused: ReadonlySet<number> = new Set()): boolean {
  const isLacking = (secure.unverified ?? []).length > 0;
  return isLacking && openDisputeOf(secure) === undefined && componentToAudit(secure, terms, refused) === undefined;
}
