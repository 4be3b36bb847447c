// SPDX-License-Identifier: Apache-2.0
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import {
  hashOf,
  publicKeyText,
  signStatement,
  type Envelope,
  type ItemResult,
  type Task,
  type UpdateStatement,
  type VehicleRecord,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { inHome } from '../config/homes.js';
import { organisationNamed } from '../config/profile.js';
import { governance, learning, registry } from '../ledger/contracts.js';
import type { LedgerSession } from '../ledger/session.js';
import { priceTask } from '../run/learning-task.js';
import {
  runAttester,
  runBatcher,
  runCoordinator,
  runStore,
  runVehicle,
  type RunningService,
} from '../services/index.js';
import { collect } from '../services/rounds.js';
import { HttpStore } from '../store/http-store.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { codeOf } from '../testing/temporary.js';
import { openCertificateAuthority } from './ca.js';
import { certificateRequest } from './csr.js';
import { assertAllAccepted, enrollVehicles, type EnrollVehiclesOptions } from './enrollment.js';
import { recoverKeys } from './key-recovery.js';
import { rotateVehicles } from './key-rotation.js';
import { newPrivateKey } from './keys.js';
import { openMaker, openRecoveryMaker } from './maker.js';
import { nextKey, putNextCertificate } from './next-keys.js';
import { openRegistrar } from './registrar.js';
import { installCertificates, requestRecovery } from './vehicles.js';
import { openWallet } from './wallet.js';

const NEVER = () => Promise.reject(new Error('The registrar was enrolled before'));

describe('keys of vehicles', function () {
  this.timeout(180_000);
  let network: TestNetwork;
  let session: LedgerSession;
  let makerHome: string;
  let options: Omit<EnrollVehiclesOptions, 'requests' | 'onProgress'>;

  before(async () => {
    network = await testNetwork();
    makerHome = join(network.homes, 'maker');
    session = await network.session('maker', 'registrar');
    const registrar = await openRegistrar(organisationNamed(network.profile, 'maker'), makerHome, NEVER);
    options = { session, registrar, home: makerHome, maker: await openMaker(makerHome) };
  });

  /** A home with enrolled vehicles. */
  async function fleetOf(count: number): Promise<{ home: string; vehicleIds: string[] }> {
    const home = await network.newHome();
    const outcomes = await enrollVehicles({ ...options, requests: await network.newVehicles(home, count) });
    assertAllAccepted(outcomes);
    await installCertificates(
      home,
      outcomes.map(({ issued }) => issued!),
    );
    return { home, vehicleIds: outcomes.map(({ vehicleId }) => vehicleId) };
  }
  const rotate = (home: string, vehicleIds: readonly string[]) =>
    rotateVehicles({ profile: network.profile, home, vehicleIds });
  const recordOf = (vehicleId: string): Promise<VehicleRecord> => registry(session).vehicle(vehicleId);
  const setStatus = (vehicleId: string, status: 'active' | 'suspended' | 'revoked') =>
    registry(session).setVehicleStatus({ vehicleId, status, reason: 'test' });
  const keyIn = async (home: string, vehicleId: string): Promise<KeyObject> =>
    createPrivateKey((await (await openWallet(inHome.wallet(home))).get(vehicleId)).privateKey);
  const publicKeyIn = async (home: string, vehicleId: string): Promise<string> =>
    publicKeyText(createPublicKey(await keyIn(home, vehicleId)));

  async function expectFinished(home: string, vehicleId: string, rotations: number): Promise<void> {
    const record = await recordOf(vehicleId);
    expect(record.keyRotations).to.equal(rotations);
    expect(record.publicKey).to.equal(await publicKeyIn(home, vehicleId));
    expect(await readdir(inHome.nextKeys(home)), 'nothing is left over').to.deep.equal([]);
  }

  it('are rotated on the ledger and in the wallet, and can be rotated again', async () => {
    const { home, vehicleIds } = await fleetOf(5);
    const before = await Promise.all(vehicleIds.map((id) => recordOf(id)));
    const steps: number[] = [];
    const outcomes = await rotateVehicles({
      profile: network.profile,
      home,
      vehicleIds,
      onProgress: (done, total) => {
        expect(total).to.equal(5);
        steps.push(done);
      },
    });
    expect(outcomes.map(({ accepted }) => accepted)).to.deep.equal(Array(5).fill(true));
    expect(steps).to.deep.equal([1, 2, 3, 4, 5]);
    for (const [index, vehicleId] of vehicleIds.entries()) {
      await expectFinished(home, vehicleId, 1);
      expect(await publicKeyIn(home, vehicleId)).not.to.equal(before[index]!.publicKey);
      expect((await stat(join(inHome.wallet(home), `${vehicleId}.id`))).mode & 0o777).to.equal(0o600);
    }
    expect((await rotate(home, vehicleIds.slice(0, 1)))[0]).to.include({ accepted: true });
    await expectFinished(home, vehicleIds[0]!, 2);
    const history = await collect(registry(session).vehicleHistory(vehicleIds[0]!));
    expect(history.map(({ value }) => value!.keyRotations)).to.deep.equal([2, 1, 0]);
  });

  it('that were replaced sign no more, and the new ones do', async () => {
    const { home, vehicleIds } = await fleetOf(1);
    const [vehicleId] = vehicleIds as [string];
    const old = await keyIn(home, vehicleId);
    await rotate(home, vehicleIds);
    const coordinator = learning(await network.session('grid', 'coordinator'));
    const task = testTask(`rotation-${Date.now()}`);
    const open = { taskId: task.taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
    await coordinator.createTask(task);
    await coordinator.openRound(open);
    const { bootstrapHash: consortium } = await governance(session).consortium();
    const record = async (key: KeyObject): Promise<ItemResult | undefined> => {
      const update = { vehicleId, updateHash: hashOf(vehicleId), weightClass: 0 };
      const statement: UpdateStatement = { type: 'sev/update/v1', consortium, ...open, ...update };
      const envelope: Envelope = { ...update, signature: signStatement(statement, key) };
      return (await coordinator.recordUpdates({ ...open, envelopes: [envelope] })).result.results[0];
    };
    expect(await record(old)).to.include({ code: 'SIGNATURE_INVALID' });
    expect(await record(await keyIn(home, vehicleId))).to.include({ accepted: true });
  });

  describe('whose rotation broke off', () => {
    let home: string;
    let vehicleIds: string[];
    let vehicleId: string;
    beforeEach(async () => {
      ({ home, vehicleIds } = await fleetOf(1));
      [vehicleId] = vehicleIds as [string];
    });

    it('before the CA was asked, go on with the same new key', async () => {
      const { publicKey } = await nextKey(home, vehicleId);
      await rotate(home, vehicleIds);
      await expectFinished(home, vehicleId, 1);
      expect((await recordOf(vehicleId)).publicKey).to.equal(publicKey);
    });

    it('before the ledger was asked, go on with the certificate that was issued', async () => {
      const next = await nextKey(home, vehicleId);
      const authority = await openCertificateAuthority(organisationNamed(network.profile, 'maker'));
      const present = await (await openWallet(inHome.wallet(home))).get(vehicleId);
      const csr = certificateRequest(vehicleId, createPrivateKey(next.privateKey));
      const certificate = await authority.reenrol(present, csr);
      await putNextCertificate(home, vehicleId, certificate);
      await rotate(home, vehicleIds);
      await expectFinished(home, vehicleId, 1);
      expect((await (await openWallet(inHome.wallet(home))).get(vehicleId)).certificate).to.equal(certificate);
    });

    it('before the wallet was written, go on and ask the ledger for nothing more', async () => {
      await nextKey(home, vehicleId);
      const copy = await network.newHome();
      await cp(home, copy, { recursive: true });
      await rotate(copy, vehicleIds);
      const height = await session.height();
      await rotate(home, vehicleIds);
      await expectFinished(home, vehicleId, 1);
      expect(await session.height()).to.equal(height);
    });

    it('before it was tidied up, tidy up', async () => {
      await nextKey(home, vehicleId);
      const copy = await network.newHome();
      await cp(inHome.nextKeys(home), copy, { recursive: true });
      await rotate(home, vehicleIds);
      await cp(copy, inHome.nextKeys(home), { recursive: true });
      const height = await session.height();
      await rotate(home, vehicleIds);
      await expectFinished(home, vehicleId, 1);
      expect(await session.height()).to.equal(height);
    });
  });

  it('are changed once by two calls at the same time, or twice, and never lost', async () => {
    const { home, vehicleIds } = await fleetOf(1);
    const both = await Promise.allSettled([rotate(home, vehicleIds), rotate(home, vehicleIds)]);
    expect(both.some(({ status }) => status === 'fulfilled')).to.equal(true);
    await rotate(home, vehicleIds);
    const record = await recordOf(vehicleIds[0]!);
    expect(record.publicKey).to.equal(await publicKeyIn(home, vehicleIds[0]!));
  });

  it('are not rotated for a vehicle that is suspended, and the others go on', async () => {
    const { home, vehicleIds } = await fleetOf(3);
    await setStatus(vehicleIds[1]!, 'suspended');
    const outcomes = await rotate(home, vehicleIds);
    expect(outcomes.map(({ accepted }) => accepted)).to.deep.equal([true, false, true]);
    expect(outcomes[1]).to.include({ code: 'VEHICLE_NOT_ACTIVE' });
    expect(outcomes[1]).to.have.property('hint').that.is.a('string');
    await setStatus(vehicleIds[1]!, 'active');
    await rotate(home, [vehicleIds[1]!]);
    await expectFinished(home, vehicleIds[1]!, 1);
  });

  it('are not rotated from an old copy of a home', async () => {
    const { home, vehicleIds } = await fleetOf(1);
    const copy = await network.newHome();
    await cp(home, copy, { recursive: true });
    await rotate(home, vehicleIds);
    const [outcome] = await rotate(copy, vehicleIds);
    expect(outcome).to.include({ accepted: false, code: 'KEY_NOT_ENROLLED' });
    await expectFinished(home, vehicleIds[0]!, 1);
  });

  describe('that are lost', () => {
    const recover = async (requests: Awaited<ReturnType<typeof requestRecovery>>) =>
      recoverKeys({ ...options, maker: await openRecoveryMaker(makerHome), requests });

    it('are replaced for the car that its maker knows again', async () => {
      const { home, vehicleIds } = await fleetOf(2);
      await rm(inHome.wallet(home), { recursive: true });
      await mkdir(inHome.wallet(home));
      const requests = await requestRecovery(home, vehicleIds);
      expect(JSON.stringify(requests)).not.to.include('PRIVATE');
      expect((await requestRecovery(home, vehicleIds)).map(({ publicKey }) => publicKey)).to.deep.equal(
        requests.map(({ publicKey }) => publicKey),
      );
      const outcomes = await recover(requests);
      expect(outcomes.map(({ accepted, known }) => [accepted, known])).to.deep.equal([
        [true, false],
        [true, false],
      ]);
      const again = await recover(requests);
      expect(again.map(({ issued, known }) => [issued, known])).to.deep.equal(
        outcomes.map(({ issued }) => [issued, true]),
      );
      await installCertificates(
        home,
        outcomes.map(({ issued }) => issued!),
      );
      for (const vehicleId of vehicleIds) {
        await expectFinished(home, vehicleId, 1);
        expect(await recordOf(vehicleId)).to.include({ keySetBy: 'maker', status: 'active' });
      }
      await rotate(home, vehicleIds);
      await expectFinished(home, vehicleIds[0]!, 2);
    });

    it('are not replaced for another car, by an enrollment request, or at another organisation', async () => {
      const { home, vehicleIds } = await fleetOf(2);
      const [first, second] = (await requestRecovery(home, vehicleIds)) as [
        Awaited<ReturnType<typeof requestRecovery>>[number],
        Awaited<ReturnType<typeof requestRecovery>>[number],
      ];
      const [enrollment] = await network.newVehicles(await network.newHome(), 1);
      const outcomes = await recover([
        { ...second, vehicleId: first.vehicleId },
        { ...second, provisioning: first.provisioning },
        { ...enrollment!, vehicleId: `v-${'A'.repeat(22)}` },
      ]);
      expect(outcomes.map(({ code }) => code)).to.deep.equal([
        'REQUEST_INVALID',
        'PROVISIONING_INVALID',
        'REQUEST_INVALID',
      ]);
      const city = join(network.homes, 'city');
      const registrar = await openRegistrar(organisationNamed(network.profile, 'city'), city, NEVER);
      const [elsewhere] = await recoverKeys({
        session: await network.session('city', 'registrar'),
        registrar,
        home: city,
        maker: await openRecoveryMaker(makerHome),
        requests: [first],
      });
      expect(elsewhere).to.include({ accepted: false, code: 'ACCESS_DENIED' });
      expect(await recordOf(first.vehicleId)).to.include({ keyRotations: 0 });
    });

    it('cannot be asked for before there was a first one', async () => {
      const home = await network.newHome();
      const [request] = await network.newVehicles(home, 1);
      expect(await codeOf(requestRecovery(home, [request!.vehicleId]))).to.equal('VEHICLE_NOT_ENROLLED');
      expect(await codeOf(requestRecovery(await network.newHome(), [request!.vehicleId]))).to.equal(
        'VEHICLE_NOT_IN_HOME',
      );
    });
  });

  it("at the CA, are another matter: somebody else's certificate does not re-enrol a vehicle", async () => {
    const { home, vehicleIds } = await fleetOf(2);
    const wallet = await openWallet(inHome.wallet(home));
    const authority = await openCertificateAuthority(organisationNamed(network.profile, 'maker'));
    const other = await wallet.get(vehicleIds[1]!);
    const csr = certificateRequest(vehicleIds[0]!, newPrivateKey());
    expect(await codeOf(authority.reenrol(other, csr))).to.match(/^CA_/);
  });

  it('that were rotated while the vehicles run are used from the next round on', async () => {
    const services: RunningService[] = [];
    const kept = (service: RunningService): RunningService => {
      services.push(service);
      return service;
    };
    try {
      const { profile } = network;
      const { home, vehicleIds } = await fleetOf(4);
      const storeUrl = kept(await runStore({ directory: join(await network.newHome(), 'objects') })).url!;
      const attesters = await Promise.all(
        ['maker', 'city'].map(async (organisation) => {
          const own = join(network.homes, organisation);
          const service = kept(await runAttester({ profile, organisation, home: own, storeUrl }));
          return { organisation, url: service.url! };
        }),
      );
      const taskId = 'price-rotated';
      const { task, initialModel } = priceTask({ taskId, vehicles: 4, rounds: 2, seed: 1, trainingRows: 400 });
      await new HttpStore(storeUrl).put(initialModel);
      await learning(await network.session('grid', 'operator')).createTask(task);
      const maker = { organisation: 'maker', home: join(network.homes, 'maker') };
      const batchers = [{ ...maker, url: kept(await runBatcher({ profile, ...maker })).url! }];
      const data = { source: 'generated', rows: 500, seed: 1 } as const;
      kept(
        await runVehicle({ profile, home, storeUrl, batchers, data, split: 'iid', clients: 4, taskId, plain: true }),
      );
      await rotate(home, vehicleIds);
      const own = join(network.homes, 'grid');
      const grid = { profile, organisation: 'grid', home: own, storeUrl, taskId, attesters };
      await kept(await runCoordinator(grid)).done;
      const rounds = await collect(learning(session).rounds(taskId));
      expect(rounds.map(({ state, proposal }) => [state, proposal?.cohortSize])).to.deep.equal([
        ['finalised', 4],
        ['finalised', 4],
      ]);
    } finally {
      await Promise.all(services.map((service) => service.close()));
    }
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
