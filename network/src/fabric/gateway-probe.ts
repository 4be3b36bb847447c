// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers, type Contract } from '@hyperledger/fabric-gateway';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import { mspFiles, ownHost, type Member } from './layout.js';

const READY_DEADLINE_MS = 60_000;
const CALL_DEADLINE_MS = 5_000;

interface AdminGateway {
  contract(channel: string, chaincode: string): Contract;
  close(): void;
}

/** An organisation's gateway as its administrator speaks to it. */
async function connectAdmin({ layout, organisation, ports }: Member): Promise<AdminGateway> {
  const files = mspFiles(layout.adminMsp);
  const tlsRoot = await readFile(mspFiles(layout.channelMsp).tlsCa);
  const address = `${ownHost(organisation)}:${ports.gateway.toString()}`;
  const client = new grpc.Client(address, grpc.credentials.createSsl(tlsRoot));
  const options = () => ({ deadline: Date.now() + CALL_DEADLINE_MS });
  const gateway = connect({
    client,
    identity: { mspId: organisation.mspId, credentials: await readFile(files.certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(await readFile(files.key))),
    hash: hash.sha256,
    endorseOptions: options,
    submitOptions: options,
    commitStatusOptions: options,
  });
  return {
    contract: (channel, chaincode) => gateway.getNetwork(channel).getContract(chaincode),
    close: () => {
      gateway.close();
      client.close();
    },
  };
}

/** Asks until there is an answer. @returns the last failure where there was none by the deadline */
async function untilDone(
  attempt: () => Promise<unknown>,
  deadlineMs: number,
): Promise<{ failure: unknown } | undefined> {
  let failure: unknown;
  const isDone = await poll(async () => {
    try {
      await attempt();
      return true;
    } catch (error) {
      failure = error;
      return undefined;
    }
  }, deadlineMs);
  return isDone === undefined ? { failure } : undefined;
}

/**
 * Waits until an organisation's gateway gets a chaincode endorsed by a majority: its peer then knows the others and their
 * chaincode, and their chaincode processes answer.
 * @throws NetworkError NETWORK_START_FAILED with what the gateway said last
 */
export async function awaitGateway(member: Member, channel: string, chaincode: string): Promise<void> {
  const gateway = await connectAdmin(member);
  try {
    const contract = gateway.contract(channel, chaincode);
    const endorse = () => contract.newProposal('org.hyperledger.fabric:GetMetadata').endorse();
    const failed = await untilDone(endorse, READY_DEADLINE_MS);
    if (failed !== undefined) {
      throw new NetworkError(
        'NETWORK_START_FAILED',
        `the gateway of ${member.organisation.name} gets ${chaincode} endorsed by no majority: ${String(failed.failure)}`,
        { cause: failed.failure },
      );
    }
  } finally {
    gateway.close();
  }
}

/**
 * Has blocks ordered that change nothing, one after the other: queries that are submitted as transactions.
 * @throws NetworkError NETWORK_START_FAILED where none comes
 */
export async function orderBlocks(member: Member, channel: string, count: number): Promise<void> {
  const gateway = await connectAdmin(member);
  try {
    const contract = gateway.contract(channel, '_lifecycle');
    for (let done = 0; done < count; done += 1) {
      const query = () => contract.submitTransaction('QueryChaincodeDefinitions', '');
      const failed = await untilDone(query, READY_DEADLINE_MS);
      if (failed !== undefined) {
        throw new NetworkError('NETWORK_START_FAILED', `${channel} orders nothing: ${String(failed.failure)}`, {
          cause: failed.failure,
        });
      }
    }
  } finally {
    gateway.close();
  }
}
