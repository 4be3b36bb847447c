// SPDX-License-Identifier: Apache-2.0
import { CommitError, StatusCode } from '@hyperledger/fabric-gateway';
import { canonicalJson } from '@sev/chaincode/api';
import { itemOf, type SybilKind } from '@sev/chaincode/testing';
import { openGateway } from '../gateway.js';
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
  const { channel, close } = openGateway(profile, await network.identity(mspId, 'registrar'));
  try {
    const contract = channel.getContract(profile.chaincode, 'registry');
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
    close();
  }
}

function nameOf(code: number): string {
  const found = Object.entries(StatusCode).find(([, value]) => value === code);
  return found?.[0] ?? code.toString();
}
