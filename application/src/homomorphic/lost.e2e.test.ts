// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { enrollFleet } from '../run/fleet.js';
import { priceTask } from '../run/learning-task.js';
import {
  runAggregator,
  runAttester,
  runCoordinator,
  runStore,
  runVehicle,
  type RunningService,
} from '../services/index.js';
import { HttpStore } from '../store/http-store.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { eventually } from '../testing/temporary.js';

const TASK = 'price-he-lost';
const VEHICLES = 3;
const ROUND_MS = 30_000;
/** By MSP id: CityMSP, GridOperatorMSP, ManufacturerMSP. */
const [KEY_HOLDER, ...OTHERS] = ['city', 'grid', 'maker'] as const;

describe('A key holder that is restarted on the embedded network', function () {
  this.timeout(300_000);
  const services: RunningService[] = [];
  let network: TestNetwork;
  let storeUrl: string;

  const kept = (service: RunningService): RunningService => {
    services.push(service);
    return service;
  };
  const serve = (organisation: string, port = 0): Promise<RunningService> => {
    const { profile, homes } = network;
    return runAggregator({ profile, organisation, home: join(homes, organisation), storeUrl, port });
  };

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    storeUrl = kept(await runStore({ directory: join(await network.newHome(), 'objects') })).url!;
  });

  after(async () => {
    await Promise.all(services.map((service) => service.close()));
  });

  it('ends the attempt by name, and the next one, with a fresh key, gives a model', async () => {
    const { profile, homes } = network;
    const contract = learning(await network.session('grid', 'operator'));
    const aggregators = profile.organisations.filter(({ name }) => name !== 'regulator').map(({ mspId }) => mspId);
    const size = { vehicles: VEHICLES, rounds: 1, seed: 1, trainingRows: 300, minimumCohort: VEHICLES };
    const terms = { privacy: 'he', aggregators, graceMs: ROUND_MS, roundMs: ROUND_MS } as const;
    const { task, initialModel } = priceTask({ taskId: TASK, ...size, ...terms });
    await new HttpStore(storeUrl).put(initialModel);
    await contract.createTask(task);
    const fleet = await network.newHome();
    const { vehicles } = await enrollFleet({
      ...{ org: 'maker', homes, home: fleet, count: VEHICLES, onProgress: () => undefined },
    });

    const keyHolder = await serve(KEY_HOLDER);
    const others = await Promise.all(OTHERS.map(async (name) => kept(await serve(name))));
    const addresses = [
      { organisation: KEY_HOLDER, url: keyHolder.url! },
      ...OTHERS.map((organisation, index) => ({ organisation, url: others[index]!.url! })),
    ];
    const attesters = await Promise.all(
      ['maker', 'city', 'regulator'].map(async (organisation) => {
        const service = kept(await runAttester({ profile, organisation, home: join(homes, organisation), storeUrl }));
        return { organisation, url: service.url! };
      }),
    );
    const coordinator = kept(
      await runCoordinator({
        ...{ profile, organisation: 'grid', home: join(homes, 'grid'), storeUrl, taskId: TASK, rounds: 1 },
        ...{ attesters, aggregators: addresses, maxAttempts: 5 },
      }),
    );
    const round = () => contract.round({ taskId: TASK, round: 1 }).catch(() => undefined);
    await eventually(async () => (await round())?.state === 'open', 60_000);
    const first = (await round())!.he!.opening;

    await keyHolder.close();
    kept(await serve(KEY_HOLDER, Number(new URL(keyHolder.url!).port)));
    kept(
      await runVehicle({
        ...{ profile, home: fleet, storeUrl, batchers: [], aggregators: addresses },
        ...{ data: { source: 'generated', rows: 400, seed: 1 }, split: 'iid', clients: VEHICLES },
        ...{ vehicleIds: vehicles, taskId: TASK, he: true, workers: 1 },
      }),
    );
    await coordinator.done;

    const final = (await round())!;
    expect(final).to.include({ state: 'finalised' });
    expect(final.attempt).to.be.greaterThan(1);
    expect(final.he!.opening.publicKeyHash).to.not.equal(first.publicKeyHash);
    const reasons: unknown[] = [];
    for await (const { value } of contract.roundHistory({ taskId: TASK, round: 1 })) {
      reasons.push(value?.abortReason);
    }
    expect(reasons).to.include('KEY_HOLDER_LOST');
  });
});
