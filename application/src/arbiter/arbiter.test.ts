// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { roundSeed, verifyStatement, type Dispute, type Said, type VerdictStatement } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { Nonces } from '../aggregator/aggregator-client.js';
import { Scene } from '../aggregator/testing/scene.js';
import { silentLog } from '../services/log.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import type { VerdictRequest } from './arbiter-client.js';
import { ArbiterKeys } from './arbiter-keys.js';
import { Arbiter } from './arbiter.js';

const CITY = 'CityMSP';
const GRID = 'GridMSP';
const MAKER = 'MakerMSP';
const ALL = [CITY, GRID, MAKER];
const LIE = 'd'.repeat(64);
/** Held by CITY and GRID. */
const COMPONENT = 2;

describe('Arbiter', () => {
  const directory = temporaryDirectory();
  let scenes = 0;

  /** A round with its cohort, whose opening names the arbiter. */
  async function inCohort(): Promise<{ scene: Scene; arbiter: Arbiter; nonces: Nonces; seed: string }> {
    const home = `${directory()}/${String(scenes++)}`;
    const scene = await Scene.start({ directory: home });
    const { federation, ref } = scene;
    const arbiter = new Arbiter({
      session: federation.ledger.session('RegulatorMSP'),
      store: federation.store,
      keys: new ArbiterKeys(`${home}/arbiter-keys`),
      signingKey: federation.organisationKey('RegulatorMSP'),
      log: silentLog,
    });
    await scene.open(ALL, (await arbiter.prepare(ref)).sealingKey);
    for (const id of federation.vehicleIds) {
      await scene.takePart(id);
    }
    scene.close();
    scene.fixCohort();
    const nonces = await scene.nonces();
    const seed = roundSeed({ ...ref, consortium: federation.consortium }, scene.round.secure!.cohortHash!, nonces);
    return { scene, arbiter, nonces, seed };
  }

  function dispute(scene: Scene, phase: Dispute['phase'], said: readonly Said[], seed?: string): void {
    const opened = { component: COMPONENT, phase, openedAtMs: 0, said, ...(seed === undefined ? {} : { seed }) };
    scene.federation.ledger.advance(scene.ref, {}, { disputes: [opened] });
  }

  async function request(scene: Scene, phase: Dispute['phase'], holders: readonly string[]): Promise<VerdictRequest> {
    const releases = await Promise.all(
      holders.map(async (mspId) => ({ mspId, release: await scene.at(mspId).release(scene.ref, COMPONENT) })),
    );
    return { ref: scene.ref, phase, component: COMPONENT, releases };
  }
  const bySums = async (scene: Scene): Promise<string[]> =>
    (await scene.at(CITY).sums(scene.ref)).components[String(COMPONENT)]!;
  const byProjections = async (scene: Scene, nonces: Nonces): Promise<string[]> => [
    (await scene.at(CITY).projections(scene.ref, nonces)).signed.components[String(COMPONENT)]!,
  ];

  it('gives a key for the attempt that the ledger opens next, and for no other', async () => {
    const { scene, arbiter } = await inCohort();
    for (const change of [{}, { attempt: 2 }, { round: 2 }, { round: 9 }]) {
      const answer = arbiter.prepare({ ...scene.ref, ...change });
      expect(await codeOf(answer), JSON.stringify(change)).to.equal('ROUND_OUT_OF_ORDER');
    }
    scene.federation.ledger.advance(scene.ref, { state: 'aborted' });
    expect(await arbiter.prepare({ ...scene.ref, attempt: 2 })).to.have.property('mspId', arbiter.mspId);
  });

  it('names who said something else of the projections than the released shares give, and signs it', async () => {
    const { scene, arbiter, nonces, seed } = await inCohort();
    const right = await byProjections(scene, nonces);
    const said: Said[] = [
      { mspId: CITY, about: 'projections', hashes: right },
      { mspId: GRID, about: 'projections', hashes: [LIE] },
    ];
    dispute(scene, 'projections', said, seed);
    const { faulty, signature } = await arbiter.verdict(await request(scene, 'projections', [CITY, GRID]));
    expect(faulty).to.deep.equal([GRID]);
    const statement: VerdictStatement = {
      ...{ type: 'sev/verdict/v1', consortium: scene.federation.consortium, ...scene.ref, mspId: 'RegulatorMSP' },
      ...{ component: COMPONENT, phase: 'projections', faulty },
    };
    const key = createPublicKey(scene.federation.organisationKey('RegulatorMSP'));
    expect(verifyStatement(statement, signature, key)).to.equal(true);
  });

  it('names who said something else of the sums', async () => {
    const { scene, arbiter, nonces } = await inCohort();
    scene.score(nonces, [1, 0, 1, 1]);
    const said: Said[] = [
      { mspId: CITY, about: 'sums', hashes: [LIE] },
      { mspId: GRID, about: 'sums', hashes: await bySums(scene) },
    ];
    dispute(scene, 'sums', said);
    const { faulty } = await arbiter.verdict(await request(scene, 'sums', [GRID]));
    expect(faulty).to.deep.equal([CITY]);
  });

  it('looks in an audit at projections and at sums', async () => {
    const { scene, arbiter, nonces } = await inCohort();
    scene.score(nonces, [1, 1, 1, 1]);
    await scene.commit();
    const projections = await byProjections(scene, nonces);
    const sums = await bySums(scene);
    const audited = async (projected: string[], summed: string[]): Promise<readonly string[]> => {
      dispute(scene, 'audit', [
        { mspId: CITY, about: 'projections', hashes: projected },
        { mspId: GRID, about: 'projections', hashes: projected },
        { mspId: CITY, about: 'sums', hashes: summed },
      ]);
      return (await arbiter.verdict(await request(scene, 'audit', [CITY]))).faulty;
    };
    expect(await audited(projections, sums)).to.deep.equal([]);
    expect(await audited(projections, [LIE])).to.deep.equal([CITY]);
    expect(await audited([LIE], sums), 'who agreed to it is named too').to.deep.equal([CITY, GRID]);
  });

  it('judges what its own ledger shows, whoever asks', async () => {
    const { scene, arbiter, nonces, seed } = await inCohort();
    const said: Said[] = [{ mspId: CITY, about: 'projections', hashes: await byProjections(scene, nonces) }];
    dispute(scene, 'projections', said, seed);
    const asked = await request(scene, 'projections', [CITY]);
    expect((await arbiter.verdict(asked)).faulty).to.deep.equal([]);
    expect(await codeOf(arbiter.verdict({ ...asked, phase: 'audit' }))).to.equal('DISPUTE_UNKNOWN');
    expect(await codeOf(arbiter.verdict({ ...asked, component: 1 }))).to.equal('DISPUTE_UNKNOWN');
  });

  it('takes a release that fits the commitments, and none that does not', async () => {
    const { scene, arbiter, nonces, seed } = await inCohort();
    const said: Said[] = [{ mspId: CITY, about: 'projections', hashes: await byProjections(scene, nonces) }];
    dispute(scene, 'projections', said, seed);
    const good = await request(scene, 'projections', [CITY]);
    const [{ release }] = good.releases as [VerdictRequest['releases'][number]];
    const borrowed = { mspId: GRID, release };
    expect((await arbiter.verdict({ ...good, releases: [borrowed, ...good.releases] })).faulty).to.deep.equal([]);
    expect(await codeOf(arbiter.verdict({ ...good, releases: [borrowed] }))).to.equal('RELEASE_INVALID');
  });
});
