// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { organisationNamed, readRegistrar } from '../config/profile.js';
import { assertAllAccepted, enrollVehicles } from '../identity/enrollment.js';
import { openMaker } from '../identity/maker.js';
import { openRegistrar } from '../identity/registrar.js';
import { installCertificates } from '../identity/vehicles.js';
import { learning } from '../ledger/contracts.js';
import { priceTask } from '../run/learning-task.js';
import { HttpStore } from '../store/http-store.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { eventually } from '../testing/temporary.js';
import {
  runAttester,
  runBatcher,
  runCoordinator,
  runStore,
  runVehicle,
  timingPath,
  type RunningService,
} from './index.js';
import { collect } from './rounds.js';

const VEHICLES = 8;
const ROUNDS = 3;

describe('Store, attesters, batchers, vehicles and coordinators on the embedded network', function () {
  this.timeout(120_000);
  const services: RunningService[] = [];
  let network: TestNetwork;
  let fleet: string;
  let storeUrl: string;
  let attesters: { organisation: string; url: string }[];
  let batchers: { organisation: string; url: string }[];

  const kept = (service: RunningService): RunningService => {
    services.push(service);
    return service;
  };
  const homeOf = (organisation: string): string => join(network.homes, organisation);

  before(async () => {
    network = await testNetwork();
    fleet = await network.newHome();
    await enrol(network, fleet);
    storeUrl = kept(await runStore({ directory: join(await network.newHome(), 'objects') })).url!;
    attesters = await Promise.all(
      ['maker', 'city', 'regulator'].map(async (organisation) => {
        const { profile } = network;
        const service = kept(await runAttester({ profile, organisation, home: homeOf(organisation), storeUrl }));
        return { organisation, url: service.url! };
      }),
    );
    batchers = await Promise.all(
      ['city', 'maker'].map(async (organisation) => {
        const { profile } = network;
        const service = kept(await runBatcher({ profile, organisation, home: homeOf(organisation) }));
        return { organisation, url: service.url! };
      }),
    );
  });

  after(async () => {
    await Promise.all(services.map((service) => service.close()));
  });

  async function createTask(taskId: string): Promise<void> {
    const options = { taskId, vehicles: VEHICLES, rounds: ROUNDS, seed: 1, trainingRows: 100 * VEHICLES };
    const { task, initialModel } = priceTask(options);
    await new HttpStore(storeUrl).put(initialModel);
    await learning(await network.session('grid', 'operator')).createTask(task);
  }

  function startVehicles(taskId: string): Promise<RunningService> {
    const data = { source: 'generated', rows: 125 * VEHICLES, seed: 1 } as const;
    const { profile } = network;
    return runVehicle({
      plain: true,
      profile,
      home: fleet,
      storeUrl,
      batchers,
      data,
      split: 'iid',
      clients: VEHICLES,
      taskId,
    });
  }

  function startCoordinator(taskId: string, organisation = 'grid'): Promise<RunningService> {
    const others = attesters.filter((attester) => attester.organisation !== organisation);
    const { profile } = network;
    return runCoordinator({ profile, organisation, home: homeOf(organisation), storeUrl, taskId, attesters: others });
  }

  async function expectWholeRun(taskId: string): Promise<void> {
    const contract = learning(await network.session('city', 'coordinator'));
    const rounds = await collect(contract.rounds(taskId));
    expect(rounds.map(({ round, state }) => [round, state])).to.deep.equal([1, 2, 3].map((n) => [n, 'finalised']));
    const hashes = rounds.map(({ proposal }) => proposal!.modelHash);
    expect(new Set(hashes).size).to.equal(ROUNDS);
    expect(rounds.slice(1).map(({ baseModelHash }) => baseModelHash)).to.deep.equal(hashes.slice(0, -1));
    for (const round of rounds) {
      expect(round.proposal!.cohortSize).to.equal(VEHICLES);
      expect(await collect(contract.updates(round))).to.have.length(VEHICLES);
    }
  }

  it('carry a task through its rounds in four commits each, and leave the timing of each', async () => {
    const taskId = 'price-whole';
    await createTask(taskId);
    const coordinator = kept(await startCoordinator(taskId));
    const vehicles = await startVehicles(taskId);
    await coordinator.done;
    await vehicles.close();
    await expectWholeRun(taskId);
    const late = await startVehicles(taskId);
    expect(late.idle).to.equal('task price-whole is finished with round 3: there is nothing left to take part in');
    await late.done;
    const timing = JSON.parse(await readFile(timingPath(homeOf('grid'), taskId, 2), 'utf8')) as object;
    expect(timing).to.include({ round: 2, cohort: VEHICLES, transactions: 4, commits: 4, resumed: false });
  });

  it("end a task that one organisation's coordinator began and another's went on with", async () => {
    const taskId = 'price-handed-over';
    await createTask(taskId);
    const first = kept(await startCoordinator(taskId));
    const second = kept(await startCoordinator(taskId, 'city'));
    const vehicles = await startVehicles(taskId);
    const contract = learning(await network.session('maker', 'coordinator'));
    await eventually(async () => (await collect(contract.rounds(taskId))).length > 0);
    await first.close();
    await second.done;
    await vehicles.close();
    await expectWholeRun(taskId);
  });

  it('go on when the network is killed in the middle of a round and comes back', async () => {
    const taskId = 'price-power-cut';
    await createTask(taskId);
    const coordinator = kept(await startCoordinator(taskId));
    const vehicles = await startVehicles(taskId);
    const contract = learning(await network.session('maker', 'coordinator'));
    await eventually(async () => (await collect(contract.rounds(taskId))).length > 0);
    await network.kill();
    await network.restart();
    await coordinator.done;
    await vehicles.close();
    await expectWholeRun(taskId);
  });
});

async function enrol(network: TestNetwork, fleet: string): Promise<void> {
  const { profile, homes, networkHome } = network;
  const city = organisationNamed(profile, 'city');
  const home = join(homes, 'city');
  const outcomes = await enrollVehicles({
    session: await network.session('city', 'registrar'),
    registrar: await openRegistrar(city, home, () => readRegistrar('city', networkHome)),
    home,
    maker: await openMaker(join(homes, 'maker')),
    requests: await network.newVehicles(fleet, VEHICLES),
  });
  assertAllAccepted(outcomes);
  await installCertificates(
    fleet,
    outcomes.map(({ issued }) => issued!),
  );
}
