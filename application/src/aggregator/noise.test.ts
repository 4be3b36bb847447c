// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { noiseLeaf, openedCandidate } from '@sev/chaincode/api';
import { noiseRoot, noiseVector, ringFromBytes, totalOf } from '@sev/fl';
import { codeOf, eventually, rejection, temporaryDirectory } from '../testing/temporary.js';
import { seedOfParts } from '../services/opened-noise.js';
import type { AttemptSecrets } from './attempt-secrets.js';
import { noiseReporter } from './cohort-work.js';
import { gatherNoiseSeeds } from './noise.js';
import { Scene, type PreparedShare } from './testing/scene.js';

const ALL = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const CITY = 'CityMSP';
const dp = { noiseDeviation: 50, budgetMicroRho: 1_000_000_000, deltaExponent: 5 };

describe('Noise of the aggregators', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const start = (): Promise<Scene> =>
    Scene.start({ directory: `${directory()}/${String(scenes++)}`, secure: { dp, projections: 0, shardSize: 2 } });

  const reveal = async (scene: Scene, mspIds: readonly string[]) => {
    const nonces = await scene.nonces(mspIds);
    return Promise.all(
      mspIds.map(async (mspId) => ({ mspId, revealed: await scene.at(mspId).reveal(scene.ref, nonces) })),
    );
  };

  it('opens of each pair the candidate that the nonces choose, though its aggregator is gone', async () => {
    const scene = await start();
    await scene.toCohort();
    const nonces = await scene.nonces();
    scene.score(nonces, [1, 1, 1, 1]);
    const { opening, seed } = scene.round.secure!;
    const all = gatherNoiseSeeds(placeOf(scene), opening, seed!, await reveal(scene, ALL));
    expect(all.missing).to.deep.equal([]);
    expect(all.wrong).to.deep.equal([]);
    all.noiseSeeds!.forEach((shown, index) => {
      const { mspId, noise } = opening.aggregators[index]!;
      const which = openedCandidate(seed!, mspId);
      const leaves = shown.map((part, component) => noiseLeaf(placeOf(scene), mspId, component, part));
      expect(leaves).to.deep.equal(noise![which].seedLeaves);
      expect(noiseRoot(seedOfParts(shown), termsOf(scene, mspId, which))).to.equal(noise![which].root);
    });
    for (const absent of ALL) {
      const others = ALL.filter((mspId) => mspId !== absent);
      expect(gatherNoiseSeeds(placeOf(scene), opening, seed!, await reveal(scene, others))).to.deep.equal(all);
    }
  });

  it('names who shows a false part of a seed, and whose seed cannot be shown without it', async () => {
    const scene = await start();
    await scene.toCohort();
    scene.score(await scene.nonces(), [1, 1, 1, 1]);
    const { opening, seed } = scene.round.secure!;
    const [city, ...others] = await reveal(scene, [CITY, 'GridMSP']);
    const parts = { ...city!.revealed.noiseSeedParts, MakerMSP: { 1: 'a'.repeat(64) } };
    const lie = { mspId: CITY, revealed: { ...city!.revealed, noiseSeedParts: parts } };
    expect(gatherNoiseSeeds(placeOf(scene), opening, seed!, [...others, lie])).to.deep.equal({
      missing: ['MakerMSP'],
      wrong: [CITY],
    });
  });

  it('shows no seed before all nonces are known', async () => {
    const scene = await start();
    await scene.toCohort();
    expect(await scene.at(CITY).reveal(scene.ref)).to.have.all.keys('nonces');
    const nonces = await scene.nonces();
    const wrong = [nonces[0]!, nonces[0]!, nonces[2]!];
    expect(await codeOf(scene.at(CITY).reveal(scene.ref, wrong))).to.equal('NONCES_INVALID');
  });

  it('is in the sum of the first shard, all of it, once, with any aggregator gone and after restarts', async () => {
    const scene = await start();
    const shares = await scene.toCohort();
    const nonces = await scene.nonces();
    scene.score(nonces, [1, 1, 1, 1]);
    for (const mspId of ALL) {
      await scene.restart(mspId);
    }
    for (const absent of ALL) {
      const alive = ALL.filter((mspId) => mspId !== absent);
      scene.federation.ledger.advance(scene.ref, { state: 'scored' });
      await scene.commit(alive);
      await Promise.all(alive.map((mspId) => scene.at(mspId).publish(scene.ref)));
      expect(await totalOfAll(scene)).to.deep.equal(await expectedTotal(scene, shares));
    }
  });

  it('is refused where it is not what its dealer committed to', async () => {
    const scene = await start();
    const parts = await Promise.all(ALL.map((mspId) => scene.at(mspId).prepare(scene.ref, scene.base)));
    const deals = (await Promise.all(ALL.map((mspId) => scene.at(mspId).deal(scene.ref, parts)))).flat();
    const mine = deals.filter(({ to }) => to === CITY);
    const [city, grid, maker] = parts.map(({ part }) => part);
    const [first, second] = grid!.noise!;
    const swappedNoise: [typeof first, typeof second] = [second, first];
    const swapped = { aggregators: [city!, { ...grid!, noise: swappedNoise }, maker!] };
    expect(await codeOf(scene.at(CITY).accept(scene.ref, swapped, mine))).to.equal('DEAL_INVALID');
    const { noise, ...without } = grid!;
    expect(noise).to.have.length(2);
    expect(await codeOf(scene.at(CITY).accept(scene.ref, { aggregators: [city!, without, maker!] }, mine))).to.equal(
      'OPENING_INVALID',
    );
    scene.federation.store.objects.clear();
    expect(await codeOf(scene.at(CITY).accept(scene.ref, { aggregators: [city!, grid!, maker!] }, mine))).to.equal(
      'DEAL_INVALID',
    );
  });

  it('is refused where what is dealt of its seed is not what was committed to', async () => {
    const scene = await start();
    for (const change of ['another value', 'a part fewer'] as const) {
      const parts = await Promise.all(ALL.map((mspId) => scene.at(mspId).prepare(scene.ref, scene.base)));
      await dealJunk(scene, 'GridMSP', change);
      const deals = (await Promise.all(ALL.map((mspId) => scene.at(mspId).deal(scene.ref, parts)))).flat();
      const opening = { aggregators: parts.map(({ part }) => part) };
      const mine = deals.filter(({ to }) => to === CITY);
      const refusal = await rejection(scene.at(CITY).accept(scene.ref, opening, mine));
      expect(refusal, change).to.include({ code: 'DEAL_INVALID', accused: 'GridMSP' });
    }
  });

  /** The second candidate's seed is cut into other parts on the liar's disk than it committed itself to. */
  async function dealJunk(scene: Scene, mspId: string, change: 'another value' | 'a part fewer'): Promise<void> {
    const { taskId, round, attempt } = scene.ref;
    const path = join(scene.homeOf(mspId), taskId, `${String(round)}-${String(attempt)}`, 'secrets.json');
    const secrets = JSON.parse(await readFile(path, 'utf8')) as AttemptSecrets;
    const { seedParts } = secrets.noise![1];
    secrets.noise![1].seedParts =
      change === 'another value' ? [seedParts[0]!, seedParts[1]!, 'a'.repeat(64)] : seedParts.slice(0, 2);
    await writeFile(path, JSON.stringify(secrets));
    await scene.restart(mspId);
  }

  it('is drawn ahead for the next attempt', async () => {
    const scene = await start();
    const city = scene.at(CITY);
    const running = city.run();
    await scene.open();
    scene.federation.ledger.advance(scene.ref, { state: 'aborted' });
    const next = { ...scene.ref, attempt: 2 };
    scene.federation.ledger.announce({ type: 'RoundAborted', ...scene.ref, modelHash: scene.base });
    await eventually(async () => (await codeOrDone(city.deal(next, []))) === 'done');
    city.end();
    await running;
  });

  const placeOf = (scene: Scene) => ({ ...scene.ref, consortium: scene.federation.consortium });

  const codeOrDone = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'done',
      (error: unknown) => (error as { code: string }).code,
    );

  function termsOf(scene: Scene, mspId: string, which: 0 | 1) {
    const { holders } = scene;
    return {
      context: scene.contextOf(noiseReporter(mspId, which)),
      holders,
      length: lengthOf(scene),
      deviation: dp.noiseDeviation,
    };
  }

  const lengthOf = (scene: Scene): number => scene.federation.task.model.parameters + scene.terms.metrics.length;

  async function totalOfAll(scene: Scene): Promise<number[]> {
    const sums = scene.round.secure!.sums!;
    const shards = await Promise.all(
      sums[0]!.map(async (_, shard) => {
        const bytes = await Promise.all(sums.map((byShard) => scene.federation.store.get(byShard[shard]!)));
        return totalOf(bytes.map((one) => ringFromBytes(one, lengthOf(scene))));
      }),
    );
    return Array.from({ length: lengthOf(scene) }, (_, i) => shards.reduce((sum, shard) => sum + shard[i]!, 0));
  }

  /** The vehicles' vectors and the noise whose seeds stay secret, which the test reads from the aggregators' disks. */
  async function expectedTotal(scene: Scene, shares: ReadonlyMap<string, PreparedShare>): Promise<number[]> {
    const { seed } = scene.round.secure!;
    const { Inbox } = await import('./inbox.js');
    const { readSecrets } = await import('./attempt-secrets.js');
    const noises = await Promise.all(
      ALL.map(async (mspId) => {
        const inbox = await Inbox.open(scene.homeOf(mspId));
        const { noise } = await readSecrets(inbox.attempt(scene.ref));
        const used = openedCandidate(seed!, mspId) === 0 ? 1 : 0;
        return new Int32Array(noiseVector(seedOfParts(noise![used].seedParts), termsOf(scene, mspId, used)).buffer);
      }),
    );
    const vectors = [...shares.values()].map(({ vector }) => vector);
    return Array.from({ length: lengthOf(scene) }, (_, i) =>
      [...vectors, ...noises].reduce((sum, vector) => sum + vector[i]!, 0),
    );
  }
});
