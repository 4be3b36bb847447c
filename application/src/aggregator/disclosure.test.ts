// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  cohortHash,
  decodeBitmap,
  ringBitsOfTerms,
  sha256Hex,
  verifyStatement,
  type HoldingsStatement,
  type ProjectionsStatement,
  type RoundState,
  type SumsStatement,
} from '@sev/chaincode/api';
import { checkComponent, newSealingKey, project, projectionVectors, ringFromBytes, totalOf } from '@sev/fl';
import { attemptKey } from '../services/attempt.js';
import { MemoryStore } from '../testing/federation.js';
import { writeFileOnce } from '../store/files.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { openRelease } from './release.js';
import { Scene, type PreparedShare, type SceneOptions } from './testing/scene.js';
import { changeShare, shareOnDisk } from './testing/share-files.js';

const ALL = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const CITY = 'CityMSP';
const STATES: readonly RoundState[] = ['open', 'closed', 'cohort', 'scored', 'aggregated', 'finalised', 'aborted'];

describe('Opening what the ledger fixed', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const start = (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> =>
    Scene.start({ ...options, directory: `${directory()}/${String(scenes++)}` });
  const inCohort = async (options: Omit<SceneOptions, 'directory'> = {}) => {
    const scene = await start(options);
    const shares = await scene.toCohort();
    return { scene, shares };
  };
  const keyOf = (scene: Scene, mspId: string) => createPublicKey(scene.federation.organisationKey(mspId));
  const boundTo = (scene: Scene, mspId: string) => ({
    ...{ consortium: scene.federation.consortium, ...scene.ref, mspId },
  });
  const sharesOf = (scene: Scene, mspId: string): string =>
    join(scene.homeOf(mspId), scene.ref.taskId, '1-1', 'shares');

  /** What the store gives for the committed sums, added: the weighted sum of the vectors of each shard, in order. */
  async function totals(scene: Scene): Promise<number[][]> {
    const length = scene.federation.task.model.parameters + scene.terms.metrics.length;
    const sums = scene.round.secure!.sums!;
    return Promise.all(
      sums[0]!.map(async (_, shard) => {
        const bytes = await Promise.all(sums.map((byShard) => scene.federation.store.get(byShard[shard]!)));
        return [...totalOf(bytes.map((one) => ringFromBytes(one, length, ringBitsOfTerms(scene.terms))))];
      }),
    );
  }

  function expected(scene: Scene, shares: ReadonlyMap<string, PreparedShare>, weights: readonly number[]): number[] {
    const length = scene.federation.task.model.parameters + scene.terms.metrics.length;
    const all = scene.federation.vehicleIds.map((id) => shares.get(id)!.vector);
    return Array.from({ length }, (_, i) => all.reduce((sum, vector, v) => sum + weights[v]! * vector[i]!, 0));
  }

  describe('holdings', () => {
    it('names what it holds of the recorded updates, signed, and the same ever after', async () => {
      const scene = await start();
      await scene.open();
      const [a, b, c] = scene.federation.vehicleIds as [string, string, string];
      await scene.takePart(a);
      const only = await scene.share(b);
      await scene.record(only.submissionFor(CITY).envelope);
      await scene.takePart(c);
      scene.close();
      const said = await scene.at(CITY).holdings(scene.ref);
      const updates = scene.federation.ledger.updates(scene.ref);
      expect(updates.map(({ vehicleId }) => vehicleId)).to.deep.equal([a, b, c]);
      expect(decodeBitmap(said.held, 3)).to.deep.equal([true, false, true]);
      const statement: HoldingsStatement = {
        type: 'sev/holdings/v1',
        ...boundTo(scene, CITY),
        recordedHash: cohortHash(updates),
        held: said.held,
      };
      expect(verifyStatement(statement, said.signature, keyOf(scene, CITY))).to.equal(true);
      expect(await codeOf(scene.at(CITY).submitShare(only.submissionFor(CITY)))).to.equal('ROUND_STATE');
      const city = await scene.restart(CITY);
      expect(await codeOf(city.submitShare(only.submissionFor(CITY)))).to.equal('ROUND_STATE');
      await rm(sharesOf(scene, CITY), { recursive: true });
      expect(await (await scene.restart(CITY)).holdings(scene.ref)).to.deep.equal(said);
    });

    it('does not count a share of another update, nor one whose file was changed', async () => {
      const scene = await start();
      await scene.open();
      const [a, b, c] = scene.federation.vehicleIds as [string, string, string];
      await scene.takePart(a);
      await scene.at(CITY).submitShare((await scene.share(b)).submissionFor(CITY));
      await scene.record((await scene.share(b)).submissionFor(CITY).envelope);
      await scene.takePart(c);
      scene.close();
      const other = await shareOnDisk(sharesOf(scene, CITY), a);
      await changeShare(sharesOf(scene, CITY), c, () => other);
      const city = await scene.restart(CITY);
      expect(decodeBitmap((await city.holdings(scene.ref)).held, 3)).to.deep.equal([true, false, false]);
    });

    it('takes a share that comes after the close, as long as it has signed nothing', async () => {
      const scene = await start();
      await scene.open();
      const share = await scene.share(scene.federation.vehicleIds[0]!);
      await scene.record(share.submissionFor(CITY).envelope);
      expect(await codeOf(scene.at(CITY).holdings(scene.ref))).to.equal('ROUND_STATE');
      scene.close();
      await scene.at(CITY).submitShare(share.submissionFor(CITY));
      expect(decodeBitmap((await scene.at(CITY).holdings(scene.ref)).held, 1)).to.deep.equal([true]);
    });

    it('signs nothing that it could not keep, and takes shares again then', async () => {
      const scene = await start();
      await scene.open();
      scene.close();
      const noSpace = (): Promise<never> =>
        Promise.reject(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
      const full = await scene.restart(CITY, {
        disk: { once: noSpace, append: noSpace },
      });
      expect(await codeOf(full.holdings(scene.ref))).to.equal('STORAGE_FULL');
      const share = await scene.share(scene.federation.vehicleIds[0]!);
      expect(await codeOf(full.submitShare(share.submissionFor(CITY)))).to.equal('STORAGE_FULL');
      expect((await (await scene.restart(CITY)).holdings(scene.ref)).held).to.equal('');
    });
  });

  describe('holdings on a failing disk', () => {
    it('do not count what is in memory only', async () => {
      const scene = await start();
      await scene.open();
      const [a, b] = scene.federation.vehicleIds as [string, string];
      await scene.takePart(a);
      await scene.takePart(b);
      scene.close();
      await rm(sharesOf(scene, CITY), { recursive: true });
      expect(decodeBitmap((await scene.at(CITY).holdings(scene.ref)).held, 2)).to.deep.equal([false, false]);
    });

    it('count as signed once they may be on it, and no receipt is given after', async () => {
      const scene = await start();
      await scene.open();
      const city = await scene.restart(CITY, {
        disk: {
          once: async (path, ...file) => {
            const isWritten = await writeFileOnce(path, ...file);
            if (path.includes('holdings')) {
              throw Object.assign(new Error('i/o error'), { code: 'EIO' });
            }
            return isWritten;
          },
        },
      });
      const [a, b] = scene.federation.vehicleIds as [string, string];
      await city.submitShare((await scene.share(a)).submissionFor(CITY));
      scene.close();
      expect(await codeOf(city.holdings(scene.ref))).to.equal('STORAGE_FAILED');
      expect(await codeOf(city.submitShare((await scene.share(b)).submissionFor(CITY)))).to.equal('ROUND_STATE');
    });
  });

  describe('before its own ledger shows that it is time', () => {
    it('opens nothing, whatever it is told', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      scene.score(nonces, [1, 1, 1, 1]);
      await scene.commit();
      const { ref } = scene;
      const city = scene.at(CITY);
      const calls = {
        reveal: { allowed: ['cohort', 'scored', 'aggregated'], call: () => city.reveal(ref) },
        projections: { allowed: ['cohort', 'scored', 'aggregated'], call: () => city.projections(ref, nonces) },
        sums: { allowed: ['scored', 'aggregated'], call: () => city.sums(ref) },
        publish: { allowed: ['aggregated', 'finalised'], call: () => city.publish(ref) },
        release: { allowed: [], call: () => city.release(ref, 1) },
      };
      for (const state of STATES) {
        scene.federation.ledger.advance(ref, { state });
        for (const [name, { allowed, call }] of Object.entries(calls)) {
          const outcome = await call().then(
            () => 'opened',
            (error: unknown) => (error as { code: string }).code,
          );
          const refused = name === 'release' && ['cohort', 'scored', 'aggregated'].includes(state);
          const expectedOutcome = refused ? 'DISPUTE_UNKNOWN' : 'ROUND_STATE';
          expect(outcome, `${name} in ${state}`).to.equal(
            (allowed as string[]).includes(state) ? 'opened' : expectedOutcome,
          );
        }
      }
    });

    it('says nothing about attempts that the ledger does not show, or that it did not prepare', async () => {
      const { scene } = await inCohort();
      const city = scene.at(CITY);
      const other = { ...scene.ref, attempt: 2 };
      expect(await codeOf(city.reveal(other))).to.equal('ATTEMPT_UNKNOWN');
      scene.federation.ledger.advance(scene.ref, { attempt: 2 });
      expect(await codeOf(city.reveal(scene.ref))).to.equal('ROUND_STALE');
      expect(await codeOf(city.sums(scene.ref))).to.equal('ROUND_STALE');
      expect(await codeOf(city.reveal(other))).to.equal('ATTEMPT_UNKNOWN');
    });

    it('opens nothing on a view that contradicts itself', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      const { ledger } = scene.federation;
      const record = ledger.cohorts.get(attemptKey(scene.ref))!;
      ledger.cohorts.set(attemptKey(scene.ref), { ...record, members: record.members.slice(1) });
      expect(await codeOf(scene.at(CITY).projections(scene.ref, nonces))).to.equal('LEDGER_VIEW_INCONSISTENT');
      ledger.cohorts.set(attemptKey(scene.ref), record);
      const scores = scene.score(nonces, [1, 1, 1, 1]);
      const attested = ledger.scores.get(attemptKey(scene.ref))!;
      ledger.scores.set(attemptKey(scene.ref), { ...attested, scores: { ...scores, weights: [1, 1, 1, 0] } });
      expect(await codeOf(scene.at(CITY).sums(scene.ref))).to.equal('LEDGER_VIEW_INCONSISTENT');
      scene.score(nonces, [64, 1, 1, 1]);
      expect(await codeOf(scene.at(CITY).sums(scene.ref)), 'a weight above its class').to.equal(
        'LEDGER_VIEW_INCONSISTENT',
      );
    });
  });

  describe('nonces', () => {
    it('are whole though one aggregator is dead, and wrong components are told apart', async () => {
      const { scene } = await inCohort();
      const all = await scene.nonces();
      for (const absent of ALL) {
        expect(await scene.nonces(ALL.filter((mspId) => mspId !== absent))).to.deep.equal(all);
      }
      const shown = await scene.at(CITY).reveal(scene.ref);
      expect(Object.keys(shown.nonces).sort()).to.deep.equal([...ALL]);
      expect(Object.keys(shown.nonces['GridMSP']!)).to.deep.equal(['1', '2']);
      const { gatherNonces } = await import('./nonces.js');
      const place = { ...scene.ref, consortium: scene.federation.consortium };
      const lie = { nonces: { ...shown.nonces, GridMSP: { 1: 'a'.repeat(64) } } };
      const gathered = gatherNonces(place, scene.round.secure!.opening, [
        { mspId: 'MakerMSP', revealed: lie },
        { mspId: CITY, revealed: shown },
      ]);
      expect(gathered).to.deep.equal({ missing: ['GridMSP', 'MakerMSP'], wrong: ['MakerMSP'] });
    });

    it('decide nothing unless they are the committed ones', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      const [one, ...others] = nonces as [string[], ...string[][]];
      const wrong = [
        [['a'.repeat(64), ...one.slice(1)], ...others],
        others,
        [...nonces, one],
        [one.slice(1), ...others],
      ];
      for (const given of wrong) {
        expect(await codeOf(scene.at(CITY).projections(scene.ref, given))).to.equal('NONCES_INVALID');
      }
    });
  });

  describe('projections', () => {
    it('add up over the components to those of each update, whichever holder is asked', async () => {
      const { scene, shares } = await inCohort();
      const nonces = await scene.nonces();
      const opened = await Promise.all(ALL.map((mspId) => scene.at(mspId).projections(scene.ref, nonces)));
      const { projections: count } = scene.terms;
      const { vehicleIds, task } = scene.federation;
      const byComponent = scene.holders.map((holders, component) => {
        const numbers = holders.map((holder) => opened[holder]!.numbers[String(component)]!);
        expect(new Set(numbers).size).to.equal(1);
        const bytes = Buffer.from(numbers[0]!, 'base64');
        expect(opened[holders[0]!]!.signed.components[String(component)]).to.equal(sha256Hex(bytes));
        return ringFromBytes(bytes, count * vehicleIds.length);
      });
      const vectors = projectionVectors(opened[0]!.seed, count, task.model.parameters);
      const total = totalOf(byComponent);
      const truth = vehicleIds.flatMap((id) => [...project(shares.get(id)!.vector, vectors)].map((value) => value | 0));
      expect([...total]).to.deep.equal(truth);
      const { signed, seed } = opened[0]!;
      const statement: ProjectionsStatement = {
        type: 'sev/projections/v1',
        ...boundTo(scene, CITY),
        ...{ cohortHash: scene.round.secure!.cohortHash!, seed, components: signed.components },
      };
      expect(verifyStatement(statement, signed.signature, keyOf(scene, CITY))).to.equal(true);
    });

    it('are the same, with the same signature, after a restart', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      const before = await scene.at(CITY).projections(scene.ref, nonces);
      expect(await (await scene.restart(CITY)).projections(scene.ref, nonces)).to.deep.equal(before);
    });

    it('are not signed for a second cohort, before or after a restart', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      await scene.at(CITY).projections(scene.ref, nonces);
      scene.fixCohort(scene.federation.vehicleIds.slice(1));
      expect(await codeOf(scene.at(CITY).projections(scene.ref, nonces))).to.equal('STATEMENT_CONFLICT');
      expect(await codeOf((await scene.restart(CITY)).projections(scene.ref, nonces))).to.equal('STATEMENT_CONFLICT');
    });

    it('are not opened in a task that declares none', async () => {
      const { scene } = await inCohort({ secure: { projections: 0 } });
      expect(await codeOf(scene.at(CITY).projections(scene.ref, await scene.nonces()))).to.equal('PROJECTIONS_NONE');
    });

    it('name the vehicle whose share was lost or changed', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      await changeShare(sharesOf(scene, CITY), scene.federation.vehicleIds[0]!, (bytes) => {
        bytes[50]! ^= 1;
        return bytes;
      });
      const city = await scene.restart(CITY);
      expect(await codeOf(city.projections(scene.ref, nonces))).to.equal('SHARE_LOST');
      await rm(sharesOf(scene, CITY), { recursive: true });
      expect(await codeOf((await scene.restart(CITY)).projections(scene.ref, nonces))).to.equal('SHARE_LOST');
    });
  });

  describe('sums', () => {
    it('give exactly the weighted total once published, with any one aggregator dead', async () => {
      const { scene, shares } = await inCohort();
      const weights = [1, 0, 1, 1];
      scene.score(await scene.nonces(), weights);
      for (const absent of [undefined, ...ALL]) {
        const alive = ALL.filter((mspId) => mspId !== absent);
        scene.federation.ledger.advance(scene.ref, { state: 'scored' });
        await scene.commit(alive);
        await Promise.all(alive.map((mspId) => scene.at(mspId).publish(scene.ref)));
        expect(await totals(scene)).to.deep.equal([expected(scene, shares, weights)]);
      }
    });

    it('are cut into shards that add up to the same', async () => {
      const { scene, shares } = await inCohort({ secure: { shardSize: 2 } });
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      await scene.commit();
      await Promise.all(ALL.map((mspId) => scene.at(mspId).publish(scene.ref)));
      const [one, two] = (await totals(scene)) as [number[], number[]];
      expect(one.map((value, i) => value + two[i]!)).to.deep.equal(expected(scene, shares, [1, 1, 1, 1]));
    });

    it('in the ring of 16 bits are as exact, of half the bytes', async () => {
      const { scene, shares } = await inCohort({ secure: { ringBits: 16, projections: 0, fractionBits: 5 } });
      const weights = [1, 1, 0, 1];
      scene.score(await scene.nonces(), weights);
      await scene.commit();
      await Promise.all(ALL.map((mspId) => scene.at(mspId).publish(scene.ref)));
      const [total] = await totals(scene);
      expect(total).to.deep.equal(expected(scene, shares, weights));
      const [[hash]] = scene.round.secure!.sums as [[string]];
      expect((await scene.federation.store.get(hash)).length).to.equal(2 * total!.length);
    });

    it('are signed once, for the weights that the ledger has', async () => {
      const { scene } = await inCohort();
      const nonces = await scene.nonces();
      const { scoresHash: hash } = (scene.score(nonces, [1, 1, 1, 1]), scene.round.secure!);
      const said = await scene.at(CITY).sums(scene.ref);
      const statement: SumsStatement = {
        type: 'sev/component-sums/v1',
        ...boundTo(scene, CITY),
        ...{ scoresHash: hash!, components: said.components },
      };
      expect(verifyStatement(statement, said.signature, keyOf(scene, CITY))).to.equal(true);
      expect(await (await scene.restart(CITY)).sums(scene.ref)).to.deep.equal(said);
      scene.score(nonces, [1, 1, 1, 0]);
      expect(await codeOf(scene.at(CITY).sums(scene.ref))).to.equal('STATEMENT_CONFLICT');
      expect(await codeOf((await scene.restart(CITY)).sums(scene.ref))).to.equal('STATEMENT_CONFLICT');
    });

    it('are shown only where the ledger has exactly these hashes', async () => {
      const { scene } = await inCohort();
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      await scene.commit();
      const { sums } = scene.round.secure!;
      const { store } = scene.federation;
      const before = store.objects.size;
      const lied = [sums![0]!, ['a'.repeat(64)], sums![2]!];
      scene.federation.ledger.advance(scene.ref, {}, { sums: lied });
      expect(await codeOf(scene.at(CITY).publish(scene.ref))).to.equal('SUMS_MISMATCH');
      expect(store.objects.size).to.equal(before);
      scene.federation.ledger.advance(scene.ref, {}, { sums: sums! });
      await (await scene.restart(CITY)).publish(scene.ref);
      expect(store.objects.size).to.equal(before + 2);
    });

    it('touch no damaged statement: nothing more is signed then', async () => {
      const { scene } = await inCohort();
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      await scene.at(CITY).sums(scene.ref);
      const file = join(scene.homeOf(CITY), scene.ref.taskId, '1-1', 'statements', 'component-sums.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace(/"attempt":1/, '"attempt":2'));
      expect(await codeOf((await scene.restart(CITY)).sums(scene.ref))).to.equal('STATEMENT_DAMAGED');
    });
  });

  describe('a dispute', () => {
    it('releases the component of every report, which only the arbiter can open and check', async () => {
      const scene = await start();
      const arbiter = await newSealingKey();
      await scene.open(ALL, arbiter.publicKey);
      const shares = new Map<string, PreparedShare>();
      for (const id of scene.federation.vehicleIds) {
        shares.set(id, await scene.takePart(id));
      }
      scene.close();
      scene.fixCohort();
      const dispute = { component: 2, phase: 'sums' as const, openedAtMs: 0, said: [] };
      scene.federation.ledger.advance(scene.ref, {}, { disputes: [dispute] });
      expect(await codeOf(scene.at(CITY).release(scene.ref, 1))).to.equal('DISPUTE_UNKNOWN');
      expect(await codeOf(scene.at('MakerMSP').release(scene.ref, 2))).to.equal('COMPONENT_NOT_HELD');
      const { objects } = await scene.at(CITY).release(scene.ref, 2);
      const sealed = await scene.federation.store.get(objects[0]!);
      const { consortium } = scene.federation;
      const place = { ...scene.ref, consortium, baseModelHash: scene.base };
      const given = { from: CITY, component: 2, index: 0, sealed };
      const entries = await openRelease(place, given, arbiter.privateKey);
      expect(entries.map(({ reporter }) => reporter)).to.deep.equal(scene.federation.vehicleIds);
      for (const { reporter, leaves, released } of entries) {
        checkComponent(shares.get(reporter)!.report.root, leaves, scene.contextOf(reporter), released);
      }
      const { privateKey } = await newSealingKey();
      expect(await codeOf(openRelease(place, given, privateKey))).to.equal('SHARE_UNREADABLE');
      expect(await codeOf(openRelease(place, { ...given, from: 'GridMSP' }, arbiter.privateKey))).to.equal(
        'SHARE_UNREADABLE',
      );
    });

    it('releases nothing where the opening names no arbiter', async () => {
      const { scene } = await inCohort();
      const dispute = { component: 2, phase: 'sums' as const, openedAtMs: 0, said: [] };
      scene.federation.ledger.advance(scene.ref, {}, { disputes: [dispute] });
      expect(await codeOf(scene.at(CITY).release(scene.ref, 2))).to.equal('ARBITER_MISSING');
    });
  });

  it('goes on from its disk alone when the store has lost what the vehicles put there', async () => {
    const { scene, shares } = await inCohort();
    scene.score(await scene.nonces(), [1, 1, 1, 1]);
    const store = new MemoryStore();
    for (const mspId of ALL) {
      await scene.restart(mspId, { store });
    }
    await scene.commit();
    await Promise.all(ALL.map((mspId) => scene.at(mspId).publish(scene.ref)));
    for (const [hash, bytes] of store.objects) {
      scene.federation.store.objects.set(hash, bytes);
    }
    expect(await totals(scene)).to.deep.equal([expected(scene, shares, [1, 1, 1, 1])]);
  });
});
