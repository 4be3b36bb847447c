// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { hashOf, signStatement, type Envelope, type Task, type UpdateStatement } from '@sev/chaincode/api';
import { createPrivateKey } from 'node:crypto';
import { inHome } from '../config/homes.js';
import { organisationNamed, readRegistrar } from '../config/profile.js';
import { governance, learning, registry } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { codeOf, rejection } from '../testing/temporary.js';
import { openCertificateAuthority } from './ca.js';
import { DEFAULT_POLICY, bootstrapConsortium } from './consortium.js';
import { certificateRequest } from './csr.js';
import { enrollVehicles, type EnrollVehiclesOptions } from './enrollment.js';
import { newPrivateKey } from './keys.js';
import { createMaker, openMaker } from './maker.js';
import { provisionCars, type ProvisionedCar } from './provisioning.js';
import { openRegistrar } from './registrar.js';
import { initVehicles, installCertificates, pendingRequests, vehiclesIn, type VehicleRequest } from './vehicles.js';
import { openWallet } from './wallet.js';

const NEVER = () => Promise.reject(new Error('The registrar was enrolled before'));

describe('enrollment', function () {
  this.timeout(120_000);
  let network: TestNetwork;
  let session: LedgerSession;
  let makerHome: string;
  let options: Omit<EnrollVehiclesOptions, 'requests'>;

  before(async () => {
    network = await testNetwork();
    const home = (makerHome = join(network.homes, 'maker'));
    session = await network.session('maker', 'registrar');
    const registrar = await openRegistrar(organisationNamed(network.profile, 'maker'), home, NEVER);
    options = { session, registrar, home, maker: await openMaker(home) };
  });

  const enroll = (requests: readonly VehicleRequest[]) => enrollVehicles({ ...options, requests });
  const installed = async (home: string, requests: readonly VehicleRequest[]) => {
    const outcomes = await enroll(requests);
    expect(outcomes.map((o) => o.code)).to.deep.equal(requests.map(() => undefined));
    await installCertificates(
      home,
      outcomes.map((o) => o.issued!),
    );
    return openWallet(inHome.wallet(home));
  };

  it('sets every organisation up, with files nobody else can read, and does nothing the second time', async () => {
    const { homes, profile, networkHome } = network;
    const folders = profile.organisations.map(({ name }) => name);
    const files = (await readdir(homes, { recursive: true })).filter(
      // An aggregator that has run here has a TLS pair of its own.
      (name) =>
        folders.includes(name.split('/')[0] ?? '') && /^[^/]+\/(?!aggregator\/).*(\.(id|pem)|secret)$/.test(name),
    );
    // Registrar, five members of staff and statement key of each, but no aggregator of the regulator's; the maker's two
    // keys and secret.
    expect(files, files.join('\n')).to.have.length(4 * 7 - 1 + 3);
    for (const file of files) {
      expect((await stat(join(homes, file))).mode & 0o777, file).to.equal(0o600);
    }
    const contents = () => Promise.all(files.map((file) => readFile(join(homes, file), 'utf8')));
    const before = await contents();
    const height = await session.height();
    const record = await bootstrapConsortium({ profile, homes, networkHome });
    expect(record.organisations.map((o) => o.name)).to.have.members(['grid', 'maker', 'city', 'regulator']);
    expect(await contents()).to.deep.equal(before);
    expect(await session.height()).to.equal(height);
  });

  it('enrols 20 vehicles whose private keys never leave their home', async () => {
    const home = await network.newHome();
    const requests = await network.newVehicles(home, 20);
    expect(JSON.stringify(requests)).not.to.include('PRIVATE');
    const wallet = await installed(home, requests);
    expect(await wallet.list()).to.have.members(requests.map((r) => r.vehicleId));
    expect((await vehiclesIn(home)).every((vehicle) => vehicle.installed)).to.equal(true);
    expect(await pendingRequests(home)).to.deep.equal([]);
    const vehicle = await openSession({ profile: network.profile, identity: await wallet.get(requests[0]!.vehicleId) });
    expect(await options.registrar.identities()).to.include.members(requests.map((r) => r.vehicleId));
    const record = await registry(vehicle).vehicle(requests[0]!.vehicleId);
    expect(record).to.include({ status: 'active', publicKey: requests[0]!.publicKey, mspId: 'ManufacturerMSP' });
    vehicle.close();
  });

  it('goes on after it was broken off, and enrols nobody twice', async () => {
    const home = await network.newHome();
    const requests = await network.newVehicles(home, 6);
    const first = await enroll(requests.slice(0, 3));
    // The certificates were issued, and the registrar broke off before the ledger heard of them.
    let calls = 0;
    const broken: LedgerSession = {
      ...session,
      mspId: session.mspId,
      evaluate: session.evaluate.bind(session),
      submit: () => {
        calls += 1;
        return Promise.reject(new Error('killed'));
      },
    };
    expect(await codeOf(enrollVehicles({ ...options, session: broken, requests }))).to.have.property(
      'message',
      'killed',
    );
    expect(calls).to.equal(1);
    const height = await session.height();
    const outcomes = await enroll(await pendingRequests(home));
    expect(outcomes.filter((o) => o.accepted)).to.have.length(6);
    expect(outcomes.filter((o) => o.known).map((o) => o.vehicleId)).to.have.members(first.map((o) => o.vehicleId));
    expect(outcomes.filter((o) => o.known).map((o) => o.issued)).to.have.deep.members(first.map((o) => o.issued));
    expect(await session.height()).to.equal(height + 1n);
    await enroll(requests);
    expect(await session.height()).to.equal(height + 1n);
  });

  it('takes away the keys that killed writers left half-written, before new ones are made and installed', async () => {
    const home = await network.newHome();
    const leaveIn = async (folder: string): Promise<void> => {
      const left = join(folder, '.v-1.0123456789ab.tmp');
      await mkdir(folder, { recursive: true });
      await writeFile(left, '');
      await utimes(left, 0, 0);
    };
    const folders = [inHome.vehicles(home), inHome.wallet(home)];
    await leaveIn(folders[0]!);
    const requests = await network.newVehicles(home, 1);
    expect(await readdir(folders[0]!)).to.have.length(1);
    await Promise.all(folders.map(leaveIn));
    await installed(home, requests);
    expect((await Promise.all(folders.map((folder) => readdir(folder)))).map(({ length }) => length)).to.eql([1, 1]);
  });

  it('refuses a second identity for the same car, and enrols the others of the batch', async () => {
    const home = await network.newHome();
    const [car] = await provisionCars(makerHome, 1);
    const [first] = await initVehicles({ home, cars: [car!] });
    await enroll([first!]);
    // The car, or whoever got at its provisioning key, asks from elsewhere, between two other cars.
    const others = await provisionCars(makerHome, 2);
    const cars = [others[0]!, car!, others[1]!];
    const outcomes = await enroll(await initVehicles({ home: await network.newHome(), cars }));
    expect(outcomes.map((o) => o.code)).to.deep.equal([undefined, 'TAG_ALREADY_ENROLLED', undefined]);
  });

  it('refuses a vehicle id with another key, a request for another key, and malformed requests', async () => {
    const home = await network.newHome();
    const [first, second] = await network.newVehicles(home, 2);
    await enroll([first!]);
    const [stolen] = await enroll([{ ...second!, vehicleId: first!.vehicleId }]);
    expect(stolen!.code).to.equal('VEHICLE_CONFLICT');
    const [mixed] = await enroll([{ ...second!, publicKey: first!.publicKey }]);
    expect(mixed!.code).to.equal('REQUEST_INVALID');
    expect(await codeOf(enroll([{ ...second!, vehicleId: '../../x' }]))).to.equal('REQUEST_INVALID');
    expect(await codeOf(enroll([first!, second!, { ...first! }]))).to.equal('REQUEST_INVALID');
  });

  it('refuses cars that no maker provisioned, and neither CA nor ledger hears of them', async () => {
    const [car, other] = await provisionCars(makerHome, 2);
    const request = async (cars: readonly ProvisionedCar[], mspId?: string) =>
      (await initVehicles({ home: await network.newHome(), cars, mspId }))[0]!;
    const good = await request([car!]);
    const ownMaker = await network.newHome();
    await createMaker(ownMaker, 'ManufacturerMSP');
    const forged: Record<string, VehicleRequest> = {
      'an invented car': await request(await provisionCars(ownMaker, 1)),
      'an invented id': { ...good, provisioning: { ...good.provisioning, provisioningId: '0'.repeat(32) } },
      "another car's certificate": { ...good, provisioning: (await request([other!])).provisioning },
      'another request of the car': { ...good, provisioningProof: (await request([car!])).provisioningProof },
      'a request to another organisation': await request([other!], 'CityMSP'),
    };
    const height = await session.height();
    const issued = await readdir(inHome.issued(makerHome));
    for (const [what, one] of Object.entries(forged)) {
      const [outcome] = await enroll([one]);
      expect(outcome, what).to.include({ accepted: false, code: 'PROVISIONING_INVALID' });
      expect(outcome!.hint, what).to.be.a('string');
    }
    const withdrawn = await enroll([{ ...(await request([other!], 'CityMSP')), mspId: undefined }]);
    expect(withdrawn[0]!.code).to.equal('REQUEST_INVALID');
    expect(await session.height()).to.equal(height);
    expect(await readdir(inHome.issued(makerHome))).to.deep.equal(issued);
    expect((await enroll([good]))[0]!.accepted).to.equal(true);
  });

  it('keeps what the maker put into a car in its home only, and asks again for a car that waits', async () => {
    const home = await network.newHome();
    const cars = await provisionCars(makerHome, 2);
    const requests = await initVehicles({ home, cars });
    const files = (await readdir(inHome.vehicles(home))).map((name) => join(inHome.vehicles(home), name));
    expect(files).to.have.length(2);
    for (const file of files) {
      expect((await stat(file)).mode & 0o777).to.equal(0o600);
    }
    expect(JSON.stringify(requests)).not.to.include('PRIVATE');
    const again = await initVehicles({ home, cars });
    expect(again.map((r) => r.vehicleId)).to.deep.equal(requests.map((r) => r.vehicleId));
    await installed(home, again);
    expect(await codeOf(initVehicles({ home, cars }))).to.equal('VEHICLE_IN_HOME');
    const mixed = { ...cars[0]!, privateKey: cars[1]!.privateKey };
    expect(await codeOf(initVehicles({ home: await network.newHome(), cars: [mixed] }))).to.equal(
      'PROVISIONING_INVALID',
    );
    for (const name of await readdir(makerHome, { recursive: true })) {
      const path = join(makerHome, name);
      const text = (await stat(path)).isFile() ? await readFile(path, 'utf8') : '';
      expect(text, name).not.to.include(cars[0]!.provisioningId);
    }
  });

  it('notices a channel that was bootstrapped with other content', async () => {
    const { profile, homes, networkHome } = network;
    const policy = { ...DEFAULT_POLICY, vehicleQuota: 1 };
    const error = await rejection(bootstrapConsortium({ profile, homes, networkHome, policy }));
    expect(error).to.include({ code: 'CONSORTIUM_FOREIGN' });
    expect(error).to.have.property('message').that.contains('another policy');
    expect(error).to.have.property('hint').that.is.a('string');
    const fewer = { ...profile, organisations: profile.organisations.filter(({ name }) => name !== 'city') };
    const added = await rejection(bootstrapConsortium({ profile: fewer, homes, networkHome }));
    expect(added).to.include({ code: 'CONSORTIUM_FOREIGN' });
    expect(added).to.have.property('message').that.contains('organisation CityMSP added');
    expect(await bootstrapConsortium({ profile, homes, networkHome })).to.have.property('organisations');
  });

  it('does not install a certificate for another key', async () => {
    const home = await network.newHome();
    const [first, second] = await network.newVehicles(home, 2);
    const outcomes = await enroll([first!, second!]);
    const swapped = { ...outcomes[0]!.issued!, certificate: outcomes[1]!.issued!.certificate };
    expect(await codeOf(installCertificates(home, [swapped]))).to.equal('CERTIFICATE_INVALID');
    const elsewhere = await network.newHome();
    expect(await codeOf(installCertificates(elsewhere, [outcomes[0]!.issued!]))).to.equal('VEHICLE_NOT_IN_HOME');
  });

  it('refuses a wrong registrar secret', async () => {
    const organisation = organisationNamed(network.profile, 'city');
    const ca = await openCertificateAuthority(organisation);
    const csr = certificateRequest('admin', newPrivateKey());
    expect(await codeOf(ca.enrol('admin', 'wrong', csr))).to.equal('CA_REFUSED');
    const { enrollmentId } = await readRegistrar('city', network.networkHome);
    const home = await network.newHome();
    const wrong = () => Promise.resolve({ enrollmentId, enrollmentSecret: 'wrong' });
    const registrar = await openRegistrar(organisation, home, wrong);
    expect(await codeOf(registrar.registerAndEnrol('operator', 'operator'))).to.equal('CA_REFUSED');
  });

  it('does not let somebody without the right register others', async () => {
    const home = await network.newHome();
    await mkdir(inHome.wallet(home), { recursive: true });
    const operator = await readFile(join(inHome.wallet(join(network.homes, 'city')), 'operator.id'));
    await writeFile(join(inHome.wallet(home), 'admin.id'), operator);
    const registrar = await openRegistrar(organisationNamed(network.profile, 'city'), home, NEVER);
    expect(await codeOf(registrar.registerAndEnrol('attester-2', 'attester'))).to.equal('CA_REFUSED');
  });

  it('refuses a foreign certificate and a claimed organisation at the gateway', async () => {
    const wallet = await openWallet(inHome.wallet(join(network.homes, 'city')));
    const identity = await wallet.get('operator');
    const claimed = await network.session('city', 'operator', { mspId: 'GridOperatorMSP' });
    expect(await codeOf(governance(claimed).consortium())).to.equal('LEDGER_REFUSED');
    expect(await codeOf(governance(claimed).execute('p'))).to.equal('LEDGER_REFUSED');
    const otherKey = { ...identity, privateKey: newPrivateKey().export({ type: 'pkcs8', format: 'pem' }).toString() };
    const forged = await network.session('city', 'operator', { identity: otherKey });
    expect(await codeOf(governance(forged).consortium())).to.equal('LEDGER_REFUSED');
  });

  it('refuses an identity with the wrong role', async () => {
    const operator = await network.session('maker', 'operator');
    const [request] = await network.newVehicles(await network.newHome());
    const refused = enrollVehicles({ ...options, session: operator, requests: [request!] });
    expect(await codeOf(refused)).to.equal('ACCESS_DENIED');
  });

  it('leaves a suspended vehicle out, and the rest of the batch stands', async () => {
    const home = await network.newHome();
    const requests = await network.newVehicles(home, 3);
    const wallet = await installed(home, requests);
    const suspended = requests[1]!.vehicleId;
    await registry(session).setVehicleStatus({ vehicleId: suspended, status: 'suspended', reason: 'test' });

    const coordinator = learning(await network.session('grid', 'coordinator'));
    const task = testTask(`enrollment-${Date.now()}`);
    const open = { taskId: task.taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
    await coordinator.createTask(task);
    await coordinator.openRound(open);
    const { bootstrapHash: consortium } = await governance(session).consortium();
    const envelopes = await Promise.all(
      requests.map(async ({ vehicleId }): Promise<Envelope> => {
        const { privateKey } = await wallet.get(vehicleId);
        const update = { vehicleId, updateHash: hashOf(vehicleId), weightClass: 0 };
        const statement: UpdateStatement = { type: 'sev/update/v1', consortium, ...open, ...update };
        return { ...update, signature: signStatement(statement, createPrivateKey(privateKey)) };
      }),
    );
    const { result } = await coordinator.recordUpdates({ ...open, envelopes });
    expect(result.results.map((item) => item.code)).to.deep.equal([undefined, 'VEHICLE_NOT_ACTIVE', undefined]);
  });
});

function testTask(taskId: string): Task {
  return {
    taskId,
    kind: 'price',
    features: 'price/cardekho-v1',
    model: { layers: [2, 1], parameters: 3, initialModelHash: hashOf(taskId) },
    engine: 'dense',
    training: { epochs: 1, batchSize: 1, learningRateMicro: 1_000, seed: 1 },
    aggregation: { rule: 'fedavg', weightClasses: [{ minSamples: 1, weight: 1 }], maxAbsolute: 1_000 },
    privacy: 'plain',
    cohort: { minimum: 1, target: 3 },
    deadlines: { graceMs: 1_000, roundMs: 600_000 },
    plannedRounds: 1,
  };
}
