// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { formatJson, readJson } from '../supervisor/json.js';
import type { NetworkPaths } from '../supervisor/paths.js';
import type { OrdererTarget } from './admin.js';
import { channelFolder } from './channel-folder.js';
import type { ChannelConfig } from './config-document.js';
import { ordererEndpoints, orderingQuorum } from './organisation-groups.js';
import type { PublicPart } from './public-part.js';

const PROBE_TIMEOUT_MS = 2_000;

const schema = z.object({
  /** How many have to answer so that the channel goes on. */
  quorum: z.int().min(1),
  orderers: z.array(z.object({ mspId: z.string(), address: z.string(), tlsRootFile: z.string() })).min(1),
});
/** The channel's orderers, as the home of one organisation knows them. */
export type KnownOrderers = Readonly<z.infer<typeof schema>>;

const fileOf = (paths: NetworkPaths): string => join(channelFolder(paths), 'orderers.json');

/** Writes down which orderers a channel has. @param parts of their organisations, for the TLS roots */
export async function writeOrderers(
  paths: NetworkPaths,
  config: ChannelConfig,
  parts: readonly PublicPart[],
): Promise<void> {
  const orderers = [];
  for (const { mspId, address } of ordererEndpoints(config)) {
    const part = parts.find((candidate) => candidate.mspId === mspId);
    if (part !== undefined) {
      const tlsRootFile = join(channelFolder(paths), 'orderers', `${part.name}-tls-root.pem`);
      await writeFileAtomic(tlsRootFile, part.tlsCaCert);
      orderers.push({ mspId, address, tlsRootFile });
    }
  }
  await writeFileAtomic(fileOf(paths), formatJson({ quorum: orderingQuorum(config), orderers }));
}

/** Nothing for a home that runs the whole network. */
export async function readOrderers(paths: NetworkPaths): Promise<KnownOrderers | undefined> {
  return readJson(fileOf(paths), schema);
}

/** Whether something takes connections at an address. */
export async function answers(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(':');
  const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon));
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return true;
  } catch {
    // Whatever the reason: nobody can be reached there now.
    return false;
  } finally {
    socket.destroy();
  }
}

/** Where an organisation sends transactions to: its own orderer where it is one of the channel's, else one that answers. */
export async function ordererFor(known: KnownOrderers, mspId: string): Promise<OrdererTarget | undefined> {
  const own = known.orderers.find((orderer) => orderer.mspId === mspId);
  if (own !== undefined) {
    return own;
  }
  for (const orderer of known.orderers) {
    if (await answers(orderer.address)) {
      return orderer;
    }
  }
  return known.orderers[0];
}
