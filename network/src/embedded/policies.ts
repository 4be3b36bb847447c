// SPDX-License-Identifier: Apache-2.0
import type { NodeOu } from './types.js';

/** The policies that requests are checked against. */
export type ChannelPolicy = 'Readers' | 'Writers';

/** Who satisfies a policy; a member of any organisation will do. */
export const POLICY_MEMBERS: Readonly<Record<ChannelPolicy, readonly NodeOu[]>> = {
  Readers: ['admin', 'peer', 'client', 'orderer'],
  Writers: ['admin', 'client', 'orderer'],
};

/** Organisations whose peers must endorse a transaction: more than half. */
export function majority(organisations: number): number {
  return Math.floor(organisations / 2) + 1;
}

/** A peer's text for a channel policy that no organisation's policy satisfied. */
export function implicitPolicyFailure(policy: ChannelPolicy): string {
  return (
    'implicit policy evaluation failed - 0 sub-policies were satisfied, ' +
    `but this policy requires 1 of the '${policy}' sub-policies to be satisfied`
  );
}
