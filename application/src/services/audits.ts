// SPDX-License-Identifier: Apache-2.0
import {
  componentHolders,
  openDisputeOf,
  unverifiedComponents,
  type SecureRound,
  type SecureTerms,
} from '@sev/chaincode/api';

export { openDisputeOf };

type Terms = Pick<SecureTerms, 'aggregators' | 'threshold'>;

/** Components that rest on the word of one aggregator, as far as the ledger shows who answered. */
export function unverifiedIn(secure: SecureRound): readonly number[] {
  return secure.unverified ?? unverifiedComponents(secure);
}

/**
 * A component that rests on the word of one aggregator and may be released to the arbiter; undefined where there is none.
 *
 * @param refused components that the contract does not release.
 * @param unverified those that do.
 */
export function componentToAudit(
  secure: SecureRound,
  terms: Terms,
  refused: ReadonlySet<number> = new Set(),
  unverified: readonly number[] = unverifiedIn(secure),
): number | undefined {
  const { opening, disputes } = secure;
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

/**
 * Whether something rests on the word of one aggregator that no audit will verify any more, so that no model follows. What
 * was audited while the round was scored waits for the sums that the arbiter found right.
 */
export function isBeyondAudit(secure: SecureRound, terms: Terms, refused: ReadonlySet<number> = new Set()): boolean {
  return (
    unverifiedIn(secure).length > 0 &&
    openDisputeOf(secure) === undefined &&
    componentToAudit(secure, terms, refused) === undefined
  );
}
