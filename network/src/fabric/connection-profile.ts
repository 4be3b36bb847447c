// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import { blockHeaderHash, required } from '../embedded/protocol/block.js';
import type { ConnectionProfile } from '../supervisor/profile.js';
import type { Topology } from '../topology/schema.js';
import { caNameOf, tlsCaNameOf } from './layout.js';
import type { PublicPart } from './public-part.js';

/** Hex hash of a block's header, by which people compare genesis blocks. */
export function blockHash(block: Uint8Array): string {
  return blockHeaderHash(required(common.Block.deserializeBinary(block).getHeader(), 'block header')).toString('hex');
}

/** What applications are told of an organisation. */
export function organisationProfile(part: PublicPart): ConnectionProfile['organisations'][number] {
  return {
    name: part.name,
    mspId: part.mspId,
    gateway: { address: `${part.peer.host}:${part.peer.port.toString()}`, tlsCaCert: part.tlsCaCert },
    ca: {
      url: `https://${part.ca.host}:${part.ca.port.toString()}`,
      caName: caNameOf(part),
      tlsCaName: tlsCaNameOf(part),
      tlsCaCert: part.caServerRoot,
    },
    identityCaCert: part.identityCaCert,
  };
}

/**
 * What applications are told of a channel with these organisations.
 * @param trust whether each organisation holds its own keys, or one operator, as in a home that runs all of them
 */
export function connectionProfile(
  topology: Topology,
  parts: readonly PublicPart[],
  genesis: Uint8Array,
  trust: ConnectionProfile['network']['trust'] = 'consortium',
): ConnectionProfile {
  return {
    schemaVersion: 1,
    network: { kind: 'fabric', trust, name: topology.name },
    channel: topology.channel,
    chaincode: topology.chaincode.name,
    genesisHash: blockHash(genesis),
    organisations: parts.map(organisationProfile),
  };
}
