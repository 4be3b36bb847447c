// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import type { OrganisationAdmin } from './admin.js';

const schema = z.object({
  /** `consenter` where it decides, `follower` where it only gets blocks. */
  consensusRelation: z.string(),
  /** `active` where it is well. */
  status: z.string(),
  /** Number of blocks. */
  height: z.int(),
});

/** What an orderer says of a channel that it has joined. */
export type OrdererState = Readonly<z.infer<typeof schema>>;

/** Asks an organisation's own orderer about a channel; nothing while it is down, or has not joined. */
export async function ordererState(admin: OrganisationAdmin, channel: string): Promise<OrdererState | undefined> {
  let output: string;
  try {
    output = await admin.osnadmin(['channel', 'list', '--channelID', channel]);
  } catch (error) {
    if (error instanceof NetworkError && error.code === 'PROGRAM_FAILED') {
      return undefined;
    }
    throw error;
  }
  const json = /\{[\s\S]*\}/.exec(output)?.[0];
  const state = schema.safeParse(json === undefined ? undefined : JSON.parse(json));
  return state.success ? state.data : undefined;
}
