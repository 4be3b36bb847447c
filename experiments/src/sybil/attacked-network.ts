// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Policy, Role, VehicleRecord } from '@sev/chaincode/api';
import type { Car, LedgerPort, Submit } from '@sev/chaincode/testing';
import {
  certificateRequest,
  governance,
  inHome,
  notAfterMs,
  openMaker,
  openRecoveryMaker,
  openRegistrar,
  openSession,
  openWallet,
  organisationNamed,
  parseCertificate,
  privateKeyPem,
  provisionCars,
  readConnectionProfile,
  readRegistrar,
  registry,
  type ConnectionProfile,
  type ContractName,
  type LedgerSession,
  type Maker,
  type ProvisionedCar,
  type RecoveryMaker,
  type Registrar,
  type StoredIdentity,
} from '@sev/application';
import { requestOf } from './car-request.js';

const MAKER = 'maker';
const READER = 'grid';
const POLL_MS = 50;
const SETTLE_MS = 60_000;

/** A running network as attackers reach it: its gateways, the CAs of hostile organisations, the maker's honest program. */
export class AttackedNetwork {
  readonly profile: ConnectionProfile;
  readonly maker: Maker;
  readonly #recoveryMaker: RecoveryMaker;
  readonly #networkHome: string;
  readonly #homes: string;
  readonly #sessions = new Map<string, Promise<LedgerSession>>();
  readonly #registrars = new Map<string, Promise<Registrar>>();
  readonly #provisioned = new WeakMap<Car, Promise<ProvisionedCar>>();
  #height = 0n;

  private constructor(
    places: { readonly networkHome: string; readonly homes: string },
    found: { readonly profile: ConnectionProfile; readonly maker: Maker; readonly recoveryMaker: RecoveryMaker },
  ) {
    this.#networkHome = places.networkHome;
    this.#homes = places.homes;
    this.profile = found.profile;
    this.maker = found.maker;
    this.#recoveryMaker = found.recoveryMaker;
  }

  static async open(networkHome: string, homes: string): Promise<AttackedNetwork> {
    const makerHome = join(homes, MAKER);
    const [profile, maker, recoveryMaker] = await Promise.all([
      readConnectionProfile(networkHome),
      openMaker(makerHome),
      openRecoveryMaker(makerHome),
    ]);
    return new AttackedNetwork({ networkHome, homes }, { profile, maker, recoveryMaker });
  }

  async port(): Promise<LedgerPort> {
    const { bootstrapHash, organisations } = await governance(await this.session(READER, 'operator')).consortium();
    return {
      consortium: bootstrapHash,
      organisations: organisations.filter(({ roles }) => roles.includes('registrar')).map(({ mspId }) => mspId),
      nowMs: Date.now,
      newCar: () => this.#newCar(bootstrapHash),
      as: async (mspId, role) => this.#submitter(await this.session(mspId, role)),
      certify: async (mspId, vehicleId, { privateKey }) => {
        const csr = certificateRequest(vehicleId, privateKey);
        const certificate = await (await this.registrar(mspId)).enrolWithCsr(vehicleId, 'vehicle', csr);
        const identity = { label: vehicleId, mspId, certificate, privateKey: privateKeyPem(privateKey) };
        const session = this.#kept(`${mspId} ${vehicleId} ${certificate}`, identity);
        return { submit: this.#submitter(await session), notAfterMs: notAfterMs(parseCertificate(certificate)) };
      },
      vehicles: () => this.#vehicles(),
    };
  }

  /** Has every organisation vote for a policy, and executes it. */
  async setPolicy(policy: Policy): Promise<void> {
    const proposalId = `policy-${policy.vehicleQuota.toString()}`;
    const voters = this.profile.organisations.map(({ mspId }) => mspId);
    const contracts = await Promise.all(voters.map(async (mspId) => governance(await this.session(mspId, 'operator'))));
    const [first, ...others] = contracts;
    await first?.propose({ proposalId, change: { kind: 'set-policy', policy } });
    await Promise.all(others.map((contract) => contract.vote({ proposalId, approve: true })));
    await first?.execute(proposalId);
  }

  /** What the factory put into a car of this network. */
  provisioned(car: Car): Promise<ProvisionedCar> {
    const found = this.#provisioned.get(car);
    if (found === undefined) {
      throw new RangeError('the car is not of this network');
    }
    return found;
  }

  identity(mspId: string, label: string): Promise<StoredIdentity> {
    return openWallet(inHome.wallet(this.homeOf(mspId))).then((wallet) => wallet.get(label));
  }

  /** @param org name or MSP id of an organisation. */
  async session(org: string, role: Role): Promise<LedgerSession> {
    const { mspId } = organisationNamed(this.profile, org);
    return this.#kept(`${mspId} ${role}`, this.identity(mspId, role));
  }

  registrar(mspId: string): Promise<Registrar> {
    const organisation = organisationNamed(this.profile, mspId);
    const credentials = () => readRegistrar(organisation.name, this.#networkHome);
    const opened = this.#registrars.get(mspId) ?? openRegistrar(organisation, this.homeOf(mspId), credentials);
    this.#registrars.set(mspId, opened);
    return opened;
  }

  homeOf(mspId: string): string {
    return join(this.#homes, organisationNamed(this.profile, mspId).name);
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) {
      (await session).close();
    }
  }

  #kept(key: string, identity: StoredIdentity | Promise<StoredIdentity>): Promise<LedgerSession> {
    const session =
      this.#sessions.get(key) ??
      Promise.resolve(identity).then((known) => openSession({ profile: this.profile, identity: known }));
    this.#sessions.set(key, session);
    return session;
  }

  #submitter(session: LedgerSession): Submit {
    return async (transaction, argument) => {
      const [contract, name] = transaction.split(':') as [ContractName, string];
      const { result, blockNumber } = await session.submit(contract, name, argument);
      this.#height = blockNumber >= this.#height ? blockNumber + 1n : this.#height;
      return result;
    };
  }

  #newCar(bootstrapHash: string): Car {
    const provisioned = provisionCars(this.homeOf(MAKER), 1).then(([made]) => {
      if (made === undefined) {
        throw new RangeError('the factory made no car');
      }
      return made;
    });
    const car: Car = {
      attest: async ({ publicKey, mspId, domain, consortium = bootstrapHash }) => {
        const request = requestOf(await provisioned, { publicKey, mspId, domain });
        return this.maker({ request, mspId, domain, consortium });
      },
      attestRecovery: async (vehicle, { rotation, publicKey }) => {
        const { vehicleId, mspId, domain } = vehicle;
        const asked = { vehicleId, publicKey, mspId, domain, type: 'sev/key-recovery-request/v1' } as const;
        const request = requestOf(await provisioned, asked);
        return this.#recoveryMaker({ request, vehicle, rotation, consortium: bootstrapHash });
      },
    };
    this.#provisioned.set(car, provisioned);
    return car;
  }

  async #vehicles(): Promise<VehicleRecord[]> {
    const session = await this.session(READER, 'operator');
    const deadline = Date.now() + SETTLE_MS;
    while ((await session.height()) < this.#height) {
      if (Date.now() > deadline) {
        throw new Error(`the peer of ${READER} lags behind`);
      }
      await delay(POLL_MS);
    }
    const found: VehicleRecord[] = [];
    for await (const vehicle of registry(session).vehicles()) {
      found.push(vehicle);
    }
    return found;
  }
}
