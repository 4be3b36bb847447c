// SPDX-License-Identifier: Apache-2.0
import { parsePublicKey } from '@sev/chaincode/api';
import { postShare, postShares, type ShareRecipient } from '../aggregator/post-share.js';
import { aggregatorAgent } from '../aggregator/tls-agent.js';
import { organisationNamed, type ConnectionProfile } from '../config/profile.js';
import { SevError } from '../errors.js';
import { governance } from '../ledger/contracts.js';
import type { PostShare } from '../vehicle/courier.js';
import { networkName } from './network-name.js';
import type { ServiceSession } from './rounds.js';
import { ShareQueue } from './share-queue.js';

export interface SharePosterOptions {
  readonly profile: ConnectionProfile;
  /** Where the aggregators of organisations answer. */
  readonly aggregators?: readonly { readonly organisation: string; readonly url: string }[] | undefined;
}

/** Posts shares to the aggregators that were named; whose receipts must be signed as the ledger's members sign. */
export function sharePoster({ profile, aggregators = [] }: SharePosterOptions, session: ServiceSession): PostShare {
  const network = networkName(session);
  const places = new Map(
    aggregators.map(({ organisation, url }) => {
      const { mspId, gateway } = organisationNamed(profile, organisation);
      return [mspId, { mspId, url, agent: aggregatorAgent(gateway.tlsCaCert) }] as const;
    }),
  );
  const recipients = new Map<string, Promise<ShareRecipient>>();
  const recipientOf = (mspId: string): Promise<ShareRecipient> => {
    const known = recipients.get(mspId) ?? lookUp(mspId);
    recipients.set(mspId, known);
    known.catch(() => recipients.delete(mspId));
    return known;
  };
  const lookUp = async (mspId: string): Promise<ShareRecipient> => {
    const place = places.get(mspId);
    if (place === undefined) {
      throw new SevError('AGGREGATOR_UNKNOWN', `no address of the aggregator of ${mspId} was given`, {
        hint: 'Name it with --aggregator <organisation>=<url>.',
      });
    }
    const { organisations } = await governance(session).consortium();
    const member = organisations.find((organisation) => organisation.mspId === mspId);
    const signingKey = member === undefined ? undefined : parsePublicKey(member.signingKey);
    if (signingKey === undefined) {
      throw new SevError('ORGANISATION_UNKNOWN', `${mspId} is not a member of the consortium`);
    }
    return { ...place, signingKey };
  };
  const queues = new Map<string, ShareQueue>();
  const queueOf = (mspId: string): ShareQueue => {
    const known =
      queues.get(mspId) ??
      new ShareQueue(async (shares, signal) =>
        postShares(await recipientOf(mspId), await network(), shares, { signal }),
      );
    queues.set(mspId, known);
    return known;
  };
  return async (mspId, submission, signal, path) =>
    path === '/shares'
      ? queueOf(mspId).post(submission, signal)
      : postShare(await recipientOf(mspId), await network(), submission, { signal, path });
}
