// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers } from '@hyperledger/fabric-gateway';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import { mspFiles, ownHost, type Member } from './layout.js';

const READY_DEADLINE_MS = 60_000;
const CALL_DEADLINE_MS = 5_000;

/**
 * Waits until an organisation's gateway gets a chaincode endorsed by a majority: its peer then knows the others and their
 * chaincode, and their chaincode processes answer.
 * @throws NetworkError NETWORK_START_FAILED with what the gateway said last
 */
export async function awaitGateway(member: Member, channel: string, chaincode: string): Promise<void> {
  const { layout, organisation, ports } = member;
  const files = mspFiles(layout.adminMsp);
  const tlsRoot = await readFile(mspFiles(layout.channelMsp).tlsCa);
  const client = new grpc.Client(`${ownHost(organisation)}:${ports.gateway.toString()}`, grpc.credentials.createSsl(tlsRoot));
  const gateway = connect({
    client,
    identity: { mspId: organisation.mspId, credentials: await readFile(files.certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(await readFile(files.key))),
    hash: hash.sha256,
    endorseOptions: () => ({ deadline: Date.now() + CALL_DEADLINE_MS }),
  });
  let last: unknown;
  try {
    const contract = gateway.getNetwork(channel).getContract(chaincode);
    const isReady = await poll(async () => {
      try {
        await contract.newProposal('org.hyperledger.fabric:GetMetadata').endorse();
        return true;
      } catch (error) {
        last = error;
        return undefined;
      }
    }, READY_DEADLINE_MS);
    if (isReady === undefined) {
      throw new NetworkError(
        'NETWORK_START_FAILED',
        `the gateway of ${organisation.name} gets ${chaincode} endorsed by no majority: ${String(last)}`,
        { cause: last },
      );
    }
  } finally {
    gateway.close();
    client.close();
  }
}
