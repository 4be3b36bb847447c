// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { HeRuntime } from '@sev/fl';
import { expect } from 'chai';
import { StatementGatherer } from '../coordinator/statements.js';
import { SevError } from '../errors.js';
import { governance, learning } from '../ledger/contracts.js';
import { silentLog } from '../services/log.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { HeSteps, type DrivenHeAttempt } from './he-steps.js';
import type { HePartyClient } from './party-client.js';
import { HeScene, KEY_HOLDER, MASK_HOLDER, SUMMER } from './testing/scene.js';

type Lies = Partial<Omit<HePartyClient, 'mspId'>>;

const OTHER = 'f'.repeat(64);

describe('The steps of a round in mode he', function () {
  this.timeout(120_000);
  const directory = temporaryDirectory();
  const scenes: HeScene[] = [];
  let runtime: HeRuntime;
  let count = 0;

  before(async () => {
    runtime = await HeRuntime.load();
  });
  afterEach(async () => {
    await Promise.all(scenes.splice(0).map((scene) => scene.close()));
  });
  after(() => {
    runtime.close();
  });

  const start = async (): Promise<HeScene> => {
    const scene = await HeScene.start(runtime, join(directory(), String(count++)), { vehicles: 3 });
    scenes.push(scene);
    return scene;
  };

  /** Some of the parties answer otherwise, or are not known. */
  const stepsOf = (
    scene: HeScene,
    lies: Readonly<Record<string, Lies>> = {},
    known = [KEY_HOLDER, SUMMER, MASK_HOLDER],
  ) => {
    const parties = known.map((mspId): HePartyClient => {
      const party = scene.at(mspId);
      return {
        mspId,
        prepare: (...of) => party.prepare(...of),
        accept: (...of) => party.accept(...of),
        holdings: (ref) => party.holdings(ref),
        sum: (ref) => party.sum(ref),
        masks: (ref) => party.masks(ref),
        decrypt: (...of) => party.decrypt(...of),
        publish: (ref) => party.publish(ref),
        ...lies[mspId],
      };
    });
    const { store, ledger } = scene.federation;
    return new HeSteps({ learning: learning(ledger.session(SUMMER)), store, parties, log: silentLog });
  };

  const driven = async (scene: HeScene): Promise<DrivenHeAttempt> => {
    const consortium = await governance(scene.federation.ledger.session(SUMMER)).consortium();
    return { task: scene.federation.task, round: scene.round, gatherer: new StatementGatherer(consortium, []) };
  };

  const LOST: readonly (readonly [string, string])[] = [
    [KEY_HOLDER, 'KEY_HOLDER_LOST'],
    [SUMMER, 'SUMMER_LOST'],
    [MASK_HOLDER, 'MASK_HOLDER_LOST'],
  ];

  it('open with what each of the three gives, and name who gives or signs something false', async () => {
    const scene = await start();
    const { task } = scene.federation;
    const consortium = await governance(scene.federation.ledger.session(SUMMER)).consortium();
    const next = { consortium, task, ref: scene.ref, baseModelHash: scene.base };
    const { he, statements } = await stepsOf(scene).opening(next);
    expect(Object.keys(he!).sort()).to.deep.equal(['publicKeyHash', 'sealingKey']);
    expect(statements!.map(({ mspId }) => mspId)).to.deep.equal([KEY_HOLDER, SUMMER, MASK_HOLDER].sort());
    const { signature } = await scene.at(SUMMER).accept(scene.ref, he!);
    const foreign = { publicKeyHash: OTHER, sealingKey: he!.sealingKey };
    for (const [mspId, code] of LOST) {
      const lies: Lies[] = [
        { prepare: () => Promise.resolve(foreign) },
        { prepare: () => Promise.resolve({ sealingKey: 'AAAA' }) },
        { accept: () => Promise.resolve({ mspId, signature: mspId === SUMMER ? 'AAAA' : signature }) },
        { accept: () => Promise.resolve({ mspId: 'RegulatorMSP', signature }) },
      ];
      for (const lie of lies) {
        expect(await codeOf(stepsOf(scene, { [mspId]: lie }).opening(next)), code).to.equal(code);
      }
    }
  });

  it('fix a cohort with true holdings only, and none that a lost key could not open', async () => {
    const scene = await start();
    await scene.open();
    for (const vehicleId of scene.federation.vehicleIds) {
      await scene.takePart(vehicleId);
    }
    scene.closeRound();
    const attempt = await driven(scene);
    const fixed = await stepsOf(scene).cohort(attempt, false);
    expect(fixed.holdings).to.have.length(2);
    for (const [mspId, code] of LOST.slice(1)) {
      const own = fixed.holdings.find((holdings) => holdings.mspId === mspId)!;
      const other = fixed.holdings.find((holdings) => holdings.mspId !== mspId)!;
      for (const answer of [{ ...own, held: 'AA==' }, { ...own, signature: other.signature }, other]) {
        const holdings = () => Promise.resolve(answer);
        expect(await codeOf(stepsOf(scene, { [mspId]: { holdings } }).cohort(attempt, false)), code).to.equal(code);
      }
    }
    await scene.restart(KEY_HOLDER);
    expect(await codeOf(stepsOf(scene).cohort(attempt, false))).to.equal('KEY_HOLDER_LOST');
  });

  it('commit true hashes only, and lay a sum that is none to the summer', async () => {
    const scene = await start();
    await scene.toCohort();
    const attempt = await driven(scene);
    const { sum, masks, masked } = await stepsOf(scene).sums(attempt);
    const { signature } = sum;
    const lies: readonly (readonly [string, string, Lies])[] = [
      [KEY_HOLDER, 'KEY_HOLDER_LOST', { decrypt: () => Promise.resolve({ ...masked, maskedHash: OTHER }) }],
      [KEY_HOLDER, 'KEY_HOLDER_LOST', { decrypt: () => Promise.resolve({ ...masked, signature }) }],
      [SUMMER, 'SUMMER_LOST', { sum: () => Promise.resolve({ sumHash: OTHER, signature }) }],
      [SUMMER, 'SUMMER_LOST', { sum: () => Promise.resolve({ sumHash: 'none', signature }) }],
      [MASK_HOLDER, 'MASK_HOLDER_LOST', { masks: () => Promise.resolve({ ...masks, signature }) }],
    ];
    for (const [mspId, code, lie] of lies) {
      expect(await codeOf(stepsOf(scene, { [mspId]: lie }).sums(attempt)), code).to.equal(code);
    }
    // The last lie was answered before the summer had put its sum into the store again.
    await stepsOf(scene).sums(attempt);
    scene.federation.store.objects.delete(sum.sumHash);
    const kept = { sum: () => Promise.resolve(sum) };
    expect(await codeOf(stepsOf(scene, { [SUMMER]: kept }).sums(attempt))).to.equal('SUMMER_LOST');
  });

  it('believe the store, not the word, that an opening was published', async () => {
    const scene = await start();
    await scene.toCohort();
    await scene.commit();
    const attempt = await driven(scene);
    const publish = () => Promise.resolve({ hash: OTHER });
    const published = (mspId: string) => codeOf(stepsOf(scene, { [mspId]: { publish } }).publish(attempt));
    expect(await published(MASK_HOLDER)).to.equal('MASK_HOLDER_LOST');
    expect(await published(KEY_HOLDER)).to.equal('KEY_HOLDER_LOST');
    await stepsOf(scene).publish(attempt);
    const { maskedHash, masksHash } = scene.round.he!;
    expect(await Promise.all([maskedHash, masksHash].map((hash) => scene.federation.store.has(hash!)))).to.deep.equal([
      true,
      true,
    ]);
  });

  it('name who does not answer, but not one whose gateway only lags, and tell a sum apart that does not decrypt', async () => {
    const scene = await start();
    await scene.toCohort();
    const attempt = await driven(scene);
    const failing = (code: string): Lies => {
      const fail = () => Promise.reject(new SevError(code, 'as the test wants it'));
      return { sum: fail, masks: fail, decrypt: fail };
    };
    for (const [mspId, code] of LOST) {
      expect(await codeOf(stepsOf(scene, { [mspId]: failing('SERVICE_TIMEOUT') }).sums(attempt))).to.equal(code);
      expect(await codeOf(stepsOf(scene, { [mspId]: failing('ROUND_STATE') }).sums(attempt))).to.equal(
        'AGGREGATOR_BEHIND',
      );
    }
    const spoilt = stepsOf(scene, { [KEY_HOLDER]: failing('NOISE_EXHAUSTED') });
    expect(await codeOf(spoilt.sums(attempt))).to.equal('NOISE_EXHAUSTED');
    expect(await codeOf(stepsOf(scene, {}, [SUMMER, MASK_HOLDER]).sums(attempt))).to.equal('KEY_HOLDER_LOST');
  });
});
