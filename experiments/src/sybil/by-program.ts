// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, randomBytes } from 'node:crypto';
import { signStatement } from '@sev/chaincode/api';
import {
  randomVehicleId,
  signingKey,
  type Car,
  type Attempt,
  type SeededChoice,
  type SybilGround,
  type SybilKind,
} from '@sev/chaincode/testing';
import { certificateRequest, enrollVehicles, type ProvisionedCar, type VehicleRequest } from '@sev/application';
import type { AttackedNetwork } from './attacked-network.js';
import { requestOf } from './car-request.js';

const DOMAIN = 'learning';

type Forge = (own: ProvisionedCar, random: SeededChoice) => Promise<Partial<VehicleRequest>>;

/** What a vehicle can try at the programs of registrar and maker, before the contract comes in. */
export function byProgram(network: AttackedNetwork): SybilKind[] {
  const enrolledCar = (ground: SybilGround, random: SeededChoice) => random.pick(ground.enrolled);
  const kind = (name: string, code: string, make: SybilKind['make']): SybilKind => ({
    name: `at the registrar: ${name}`,
    attacker: 'vehicle',
    refusals: [code],
    make,
  });
  const secondHome = (isElsewhere: boolean): SybilKind['make'] => {
    return async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const others = ground.port.organisations.filter((candidate) => candidate !== mspId);
      const asked = isElsewhere ? random.pick(others) : mspId;
      return handIn(network, asked, await newRequest(network, car, asked));
    };
  };
  const bent = (forge: Forge): SybilKind['make'] => {
    return async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const change = await forge(await network.provisioned(car), random);
      return handIn(network, mspId, { ...(await newRequest(network, car, mspId)), ...change });
    };
  };
  return [
    kind('new home', 'TAG_ALREADY_ENROLLED', secondHome(false)),
    kind('new home, another organisation', 'TAG_ALREADY_ENROLLED', secondHome(true)),
    kind('provisioning certificate with another id', 'PROVISIONING_INVALID', bent(otherId)),
    kind('provisioning certificate of its own making', 'PROVISIONING_INVALID', bent(ownCertificate)),
    kind("another car's provisioning certificate", 'PROVISIONING_INVALID', (ground, random) =>
      strangersCertificate(network, ground, random),
    ),
    kind('request for another organisation', 'PROVISIONING_INVALID', async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const other = random.pick(ground.port.organisations.filter((candidate) => candidate !== mspId));
      return handIn(network, mspId, await newRequest(network, ground.port.newCar(), other));
    }),
    kind('request for another domain', 'PROVISIONING_INVALID', async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const car = await network.provisioned(ground.port.newCar());
      const key = signingKey();
      const domain = random.pick(['energy', 'sharing'] as const);
      return handIn(network, mspId, requestOf(car, { publicKey: key.publicKey, mspId, domain, key }));
    }),
    kind('request for a recovery', 'PROVISIONING_INVALID', async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const key = signingKey();
      const type = 'sev/key-recovery-request/v1';
      const asked = { publicKey: key.publicKey, mspId, domain: DOMAIN, key, type } as const;
      return handIn(network, mspId, requestOf(await network.provisioned(car), asked));
    }),
    kind('certificate request for another key', 'REQUEST_INVALID', async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const request = await newRequest(network, ground.port.newCar(), mspId);
      const csr = certificateRequest(request.vehicleId, signingKey().privateKey);
      return handIn(network, mspId, { ...request, csr });
    }),
  ];
}

async function newRequest(network: AttackedNetwork, car: Car, mspId: string): Promise<VehicleRequest> {
  const key = signingKey();
  const asked = { vehicleId: randomVehicleId(), publicKey: key.publicKey, mspId, domain: DOMAIN, key } as const;
  return requestOf(await network.provisioned(car), asked);
}

/** The registrar's program, as `sev vehicle enroll` runs it, with the maker's. */
async function handIn(network: AttackedNetwork, mspId: string, request: VehicleRequest): Promise<Attempt> {
  const session = await network.session(mspId, 'registrar');
  const registrar = await network.registrar(mspId);
  const { maker } = network;
  const home = network.homeOf(mspId);
  const run = async (): Promise<string[]> => {
    const outcomes = await enrollVehicles({ session, registrar, home, maker, requests: [request] });
    return outcomes.flatMap(({ accepted, code }) => (accepted ? [] : [code ?? 'LEDGER_FAILED']));
  };
  return { run, newIds: [request.vehicleId] };
}

function otherId({ privateKey: _kept, ...certificate }: ProvisionedCar): Promise<Partial<VehicleRequest>> {
  const provisioningId = randomBytes(16).toString('hex');
  return Promise.resolve({ provisioning: { ...certificate, provisioningId } });
}

/** Signed with the car's own key where the factory's belongs. */
function ownCertificate({ privateKey, publicKey }: ProvisionedCar): Promise<Partial<VehicleRequest>> {
  const content = { provisioningId: randomBytes(16).toString('hex'), publicKey };
  const signature = signStatement({ type: 'sev/provisioning/v1', ...content }, createPrivateKey(privateKey));
  return Promise.resolve({ provisioning: { ...content, signature } });
}

/** The certificate of a car that was never enrolled, which the attacker has seen, and the key of the attacker's own car. */
async function strangersCertificate(
  network: AttackedNetwork,
  ground: SybilGround,
  random: SeededChoice,
): Promise<Attempt> {
  const { car, mspId } = random.pick(ground.enrolled);
  const own = await network.provisioned(car);
  const stranger = await network.provisioned(ground.port.newCar());
  const key = signingKey();
  const provisioningKey = createPrivateKey(own.privateKey);
  const asked = { publicKey: key.publicKey, mspId, domain: DOMAIN, key, provisioningKey } as const;
  return handIn(network, mspId, requestOf(stranger, asked));
}
