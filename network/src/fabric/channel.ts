// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import type { OrganisationAdmin } from './admin.js';

const JOIN_DEADLINE_MS = 30_000;

function says(error: unknown, ...words: string[]): boolean {
  return error instanceof NetworkError && words.some((word) => error.message.includes(word));
}

/** Tries until the node takes connections: it may say that it is well before it listens everywhere. */
async function onceItAnswers<T extends object>(node: string, attempt: () => Promise<T>): Promise<T> {
  const answer = await poll(async () => {
    try {
      return await attempt();
    } catch (error) {
      if (says(error, 'connection refused', 'context deadline exceeded')) {
        return undefined;
      }
      throw error;
    }
  }, JOIN_DEADLINE_MS);
  if (answer === undefined) {
    throw new NetworkError('NETWORK_START_FAILED', `${node} does not answer`);
  }
  return answer;
}

/** Joins the organisation's orderer to the channel; harmless when it has. */
export async function joinOrderer(admin: OrganisationAdmin, channel: string, configBlock: string): Promise<void> {
  requireBlock(configBlock);
  const args = ['channel', 'join', '--channelID', channel, '--config-block', configBlock];
  const { output } = await onceItAnswers(`the orderer of ${admin.member.organisation.name}`, async () => ({
    output: await admin.osnadmin(args),
  }));
  // osnadmin ends with 0 whatever the orderer says.
  const status = /Status: (\d+)/.exec(output)?.[1];
  if (status !== '201' && !output.includes('channel already exists')) {
    throw new NetworkError('PROGRAM_FAILED', `the orderer does not join ${channel}: ${output.trim()}`);
  }
}

/** Joins the organisation's peer to the channel; harmless when it has. */
export async function joinPeer(admin: OrganisationAdmin, genesisBlock: string): Promise<void> {
  requireBlock(genesisBlock);
  await onceItAnswers(`the peer of ${admin.member.organisation.name}`, async () => {
    try {
      await admin.peer(['channel', 'join', '-b', genesisBlock]);
    } catch (error) {
      if (!says(error, 'already exists', 'already joined')) {
        throw error;
      }
    }
    return {};
  });
}

function requireBlock(file: string): void {
  if (!existsSync(file)) {
    throw new NetworkError('CHANNEL_MISSING', `${file} is missing: compose the channel's genesis block first`);
  }
}

/** Height of a peer's channel, from its metrics; `undefined` while it does not say. */
export async function channelHeight(operationsPort: number, channel: string): Promise<number | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${operationsPort.toString()}/metrics`, {
      signal: AbortSignal.timeout(2_000),
    });
    const metric = `ledger_blockchain_height{channel="${channel}"} `;
    const line = (await response.text()).split('\n').find((text) => text.startsWith(metric));
    return line === undefined ? undefined : Number(line.slice(metric.length));
  } catch {
    // A peer that is down has no height to tell.
    return undefined;
  }
}
