// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NetworkError } from '../errors.js';

/**
 * A group of a channel's configuration, in the JSON form of `configtxlator`. Bytes are base64, certificates base64 of
 * PEM. `groups`, `values` and `policies` may be absent where they are empty.
 */
export interface ChannelConfig {
  groups?: Record<string, ChannelConfig>;
  values?: Record<string, ConfigValue>;
  policies?: Record<string, ConfigPolicy>;
  mod_policy?: string;
  version?: string | number;
  [field: string]: unknown;
}

/** A value of a group: `MSP`, `AnchorPeers`, `Orderers`, `ConsensusType`, `Endpoints`, … */
export interface ConfigValue {
  mod_policy?: string;
  value?: unknown;
  version?: string | number;
  [field: string]: unknown;
}

export interface ConfigPolicy {
  mod_policy?: string;
  policy?: unknown;
  version?: string | number;
  [field: string]: unknown;
}

const version = z.union([z.string(), z.number()]);
const element = { mod_policy: z.string().optional(), version: version.optional() };

// The types above leave "undefined" out of optional fields; JSON has none.
export const channelConfigSchema: z.ZodType<ChannelConfig> = z.lazy(() =>
  z.looseObject({
    ...element,
    groups: z.record(z.string(), channelConfigSchema).optional(),
    values: z.record(z.string(), z.looseObject({ ...element, value: z.unknown() })).optional(),
    policies: z.record(z.string(), z.looseObject({ ...element, policy: z.unknown() })).optional(),
  }),
) as z.ZodType<ChannelConfig>;

/** The group below the channel that organisations are in: as owners of peers, or of orderers. */
export type OrganisationsGroup = 'Application' | 'Orderer';
export const ORGANISATION_GROUPS = ['Application', 'Orderer'] as const;

/** A group of a configuration, by its path. @throws NetworkError CONFIG_UNKNOWN */
export function groupAt(config: ChannelConfig, ...path: string[]): ChannelConfig {
  return path.reduce((group, name) => {
    const next = group.groups?.[name];
    if (next === undefined) {
      throw new NetworkError('CONFIG_UNKNOWN', `the channel's configuration has no group ${path.join('.')}`);
    }
    return next;
  }, config);
}

/** The groups of an organisation: one for its peers, one for its orderer where it may run one. */
export function organisationGroups(config: ChannelConfig, mspId: string): ChannelConfig[] {
  return ORGANISATION_GROUPS.map((name) => config.groups?.[name]?.groups?.[mspId]).filter(
    (group) => group !== undefined,
  );
}

/** A value of a group, read as what it should be. @throws NetworkError CONFIG_UNKNOWN */
export function valueAt<T>(group: ChannelConfig, name: string, schema: z.ZodType<T>): T {
  const result = schema.safeParse(group.values?.[name]?.value);
  if (!result.success) {
    const reason = result.error.issues[0]?.message ?? 'another form';
    throw new NetworkError('CONFIG_UNKNOWN', `the channel's configuration has no value ${name} as expected: ${reason}`);
  }
  return result.data;
}

/** Puts a new content into a value that is there. */
export function setValue(group: ChannelConfig, name: string, value: unknown): void {
  const existing = group.values?.[name];
  if (existing === undefined) {
    throw new NetworkError('CONFIG_UNKNOWN', `the channel's configuration has no value ${name}`);
  }
  existing.value = value;
}
