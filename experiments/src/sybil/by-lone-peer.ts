// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { CommitError, StatusCode, connect, hash, signers } from '@hyperledger/fabric-gateway';
import { canonicalJson } from '@sev/chaincode/api';
import { itemOf, type SybilKind } from '@sev/chaincode/testing';
import type { AttackedNetwork } from './attacked-network.js';

/** An organisation whose peer would endorse anything sends what that peer alone has endorsed to the orderer. */
export function byLonePeer(network: AttackedNetwork): SybilKind {
  return {
    name: 'endorsed by the own peer alone',
    attacker: 'organisation',
    refusals: ['ENDORSEMENT_POLICY_FAILURE'],
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const item = await itemOf(ground, ground.port.newCar(), { mspId });
      const argument = { domain: 'learning', window: ground.window(), vehicles: [item] };
      return { run: () => submitAlone(network, mspId, argument), newIds: [item.vehicleId] };
    },
  };
}

async function submitAlone(network: AttackedNetwork, mspId: string, argument: object): Promise<string[]> {
  const { profile } = network;
  const own = profile.organisations.find((organisation) => organisation.mspId === mspId);
  if (own === undefined) {
    throw new RangeError(`the network has no organisation ${mspId}`);
  }
  const { certificate, privateKey } = await network.identity(mspId, 'registrar');
  const { address, tlsCaCert } = own.gateway;
  const client = new grpc.Client(address, grpc.credentials.createSsl(Buffer.from(tlsCaCert)));
  const gateway = connect({
    client,
    identity: { mspId, credentials: Buffer.from(certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(privateKey)),
    hash: hash.sha256,
  });
  try {
    const contract = gateway.getNetwork(profile.channel).getContract(profile.chaincode, 'registry');
    await contract.submit('EnrollVehicles', {
      arguments: [canonicalJson(argument)],
      endorsingOrganizations: [mspId],
    });
    return [];
  } catch (error) {
    if (!(error instanceof CommitError)) {
      throw error;
    }
    return [nameOf(error.code)];
  } finally {
    gateway.close();
    client.close();
  }
}

function nameOf(code: number): string {
  const found = Object.entries(StatusCode).find(([, value]) => value === code);
  return found?.[0] ?? code.toString();
}
