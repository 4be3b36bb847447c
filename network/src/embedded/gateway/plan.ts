// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { Endorser } from '../endorser.js';
import { satisfies, type PolicyRule } from '../signature-policy.js';
import type { EndorsementInterest } from '../simulation/simulator.js';
import type { Channel } from './endorsement.js';
import { GatewayFault } from './status.js';

/** Policies that all must be satisfied, and by whose endorsements they may be. */
export interface Plan {
  readonly policies: readonly PolicyRule[];
  readonly eligible: readonly Endorser[];
}

/**
 * Whose endorsements a transaction needs, by what the first peer has simulated. Who reads private data must be a member
 * of the collection; with transient data so must everybody who is asked at all.
 * @throws GatewayFault FAILED_PRECONDITION with a gateway's text, where there is no such set of organisations.
 */
export function planFor(channel: Channel, interest: EndorsementInterest, hasTransientData: boolean): Plan {
  const { chaincode, collections, endorsers } = channel;
  const named = [...interest.collections].map(([name, { isRead }]) => {
    return { name, isRead, collection: collections.find(chaincode.name, name) };
  });
  const policies = [
    ...interest.keyPolicies,
    ...named.map(({ collection }) => collection?.endorsementPolicy ?? chaincode.policy),
  ];
  if (interest.needsChaincodePolicy || policies.length === 0) {
    policies.push(chaincode.policy);
  }
  const among = (closed: typeof named): Plan => ({
    policies,
    eligible: endorsers.filter(({ mspId }) =>
      closed.every(({ collection }) => collection?.keepers.includes(mspId) === true),
    ),
  });
  const readers = among(named.filter(({ isRead }) => isRead));
  const plan = hasTransientData ? among(named) : readers;
  if (isPossible(plan)) {
    return plan;
  }
  const protectedNames = named.filter(({ isRead }) => !isRead).map(({ name }) => name);
  throw new GatewayFault(
    status.FAILED_PRECONDITION,
    hasTransientData && protectedNames.length > 0 && isPossible(readers)
      ? 'requires endorsement from organisation(s) that are not in the distribution policy of the private data ' +
          `collection(s): [${protectedNames.join(' ')}]; ` +
          'retry specifying trusted endorsing organizations to protect transient data'
      : 'no combination of peers can be derived which satisfy the endorsement policy: ' +
          'no peer combination can satisfy the endorsement policy',
  );
}

/**
 * Endorsers none of whom could be left out, chosen at random, of the preferred ones as many as possible.
 * @returns undefined where all that are eligible do not suffice.
 */
export function layoutOf(plan: Plan, preferred: readonly Endorser[]): readonly Endorser[] | undefined {
  if (!isPossible(plan)) {
    return undefined;
  }
  const isPreferred = (endorser: Endorser): number => (preferred.includes(endorser) ? 1 : 0);
  let layout = plan.eligible;
  for (const endorser of shuffled(plan.eligible).sort((a, b) => isPreferred(a) - isPreferred(b))) {
    const without = layout.filter((one) => one !== endorser);
    layout = isPossible({ ...plan, eligible: without }) ? without : layout;
  }
  return layout;
}

function isPossible({ policies, eligible }: Plan): boolean {
  const peers = eligible.map(({ mspId }) => ({ mspId, ou: 'peer' as const }));
  return policies.every((policy) => satisfies(policy, peers));
}

function shuffled<T>(items: readonly T[]): T[] {
  const result: T[] = [];
  for (const item of items) {
    result.splice(randomInt(result.length + 1), 0, item);
  }
  return result;
}
