// SPDX-License-Identifier: Apache-2.0
import type { ChannelConfig } from './channel-config.js';
import { newMembership, type Membership } from './membership.js';
import { newPolicies, type Policies } from './policies.js';

/** The configuration in force, and what follows from it: whom to believe, and who may do what. */
export interface Channel {
  readonly config: ChannelConfig;
  readonly membership: Membership;
  readonly policies: Policies;
}

export function newChannel(config: ChannelConfig): Channel {
  const membership = newMembership(config.msps);
  return { config, membership, policies: newPolicies(config.root, membership) };
}
