// SPDX-License-Identifier: Apache-2.0
import { peersOf, type PolicyRule } from './signature-policy.js';
import type { NodeOu } from './types.js';

/** The policies that requests are checked against. */
export type ChannelPolicy = 'Readers' | 'Writers';

/** Who satisfies a policy; a member of any organisation will do. */
export const POLICY_MEMBERS: Readonly<Record<ChannelPolicy, readonly NodeOu[]>> = {
  Readers: ['admin', 'peer', 'client', 'orderer'],
  Writers: ['admin', 'client', 'orderer'],
};

/** Peers of more than half of the organisations: the channel's policy for endorsements. */
export function majority(mspIds: readonly string[]): PolicyRule {
  return peersOf(mspIds, Math.floor(mspIds.length / 2) + 1);
}

/** An endorsement policy of the channel's configuration by its path. @throws Error where there is none. */
export function endorsementPolicy(path: string, mspIds: readonly string[]): PolicyRule {
  const [, mspId, name] = /^\/Channel\/Application\/(?:([^/]+)\/)?((?:Lifecycle)?Endorsement)$/.exec(path) ?? [];
  if (mspId === undefined && name !== undefined) {
    return majority(mspIds);
  }
  if (mspId === undefined || name !== 'Endorsement' || !mspIds.includes(mspId)) {
    throw new Error(`the channel has no endorsement policy ${path}`);
  }
  return peersOf([mspId], 1);
}

/** A peer's text for a channel policy that no organisation's policy satisfied. */
export function implicitPolicyFailure(policy: ChannelPolicy): string {
  return (
    'implicit policy evaluation failed - 0 sub-policies were satisfied, ' +
    `but this policy requires 1 of the '${policy}' sub-policies to be satisfied`
  );
}
