// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CertificateAuthority } from '../embedded/ca/authority.js';
import { newMembershipVerifier } from '../embedded/msp/verifier.js';
import { startEmbeddedNetwork } from '../embedded/network.js';
import { issueIdentity, networkConfig, newConsortium } from '../embedded/testing/consortium.js';
import { connectGateway } from './client.js';
import { RevocationLists } from './revocation-lists.js';
import { at, PARITY_CHAINCODE, PARITY_CHANNEL, PARITY_MSP_IDS, type ParityNetwork } from './scenario.js';

/** Shorter than Fabric's, which the answers do not tell. */
const EXECUTE_TIMEOUT_MS = 3_000;
const CHAINCODE_FOLDER = fileURLToPath(new URL('../../fixtures/paritycc', import.meta.url));

/** Starts the embedded network in this process, with a ledger that is deleted when it closes. */
export async function startEmbeddedParityNetwork(): Promise<ParityNetwork> {
  const folder = await mkdtemp(join(tmpdir(), 'parity-'));
  const consortium = await newConsortium(PARITY_MSP_IDS);
  const msp = newMembershipVerifier(
    consortium.map(({ mspId, identityCa }) => ({ mspId, identityCaCert: identityCa.certificatePem })),
  );
  const network = await startEmbeddedNetwork(
    networkConfig(folder, consortium, {
      channel: PARITY_CHANNEL,
      msp,
      chaincode: {
        name: PARITY_CHAINCODE,
        version: '1.0',
        path: CHAINCODE_FOLDER,
        collections: join(CHAINCODE_FOLDER, 'collections.json'),
      },
      executeTimeoutMs: EXECUTE_TIMEOUT_MS,
    }),
  );
  const revocations = new RevocationLists();
  return {
    kind: 'embedded',
    description: {},
    executeTimeoutMs: EXECUTE_TIMEOUT_MS,
    connect: (position, options) => {
      const { mspId, tlsCa, client } = at(consortium, position);
      const address = `localhost:${String(network.gatewayPorts.get(mspId))}`;
      return connectGateway({ mspId, address, tlsCaCert: tlsCa.certificatePem }, client, options);
    },
    member: (position) => at(consortium, position).client,
    peerIdentity: (position) => Promise.resolve(at(consortium, position).peer),
    issue: (position, validityMs) => issueIdentity(at(consortium, position).identityCa, 'client', validityMs),
    revoke: async (position, identity) => {
      const { mspId, identityCa } = at(consortium, position);
      const authority = await CertificateAuthority.open(identityCa);
      await msp.setRevocationLists(mspId, [await authority.issueRevocationList(revocations.add(position, identity))]);
    },
    stopPeer: async (position) => {
      const { mspId } = at(consortium, position);
      await network.stopPeer(mspId);
      return () => network.startPeer(mspId);
    },
    stopOrderers: (count) => {
      const mspIds = PARITY_MSP_IDS.slice(0, count);
      const setAll = (isUp: boolean): void => {
        mspIds.forEach((mspId) => {
          network.setOrderer(mspId, isUp);
        });
      };
      setAll(false);
      return Promise.resolve(() => {
        setAll(true);
        return Promise.resolve();
      });
    },
    close: async () => {
      await network.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
