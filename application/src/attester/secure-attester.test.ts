// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import {
  cohortHash,
  encodeBitmap,
  openedCandidate,
  projectionsHash,
  roundSeed,
  scoresHash,
  sha256Hex,
  signStatement,
  TIME_MARGIN_MS,
  verifyStatement,
  type AbortReason,
  type AbortStatement,
  type RoundState,
  type CohortStatement,
  type HoldingsStatement,
  type ScoresStatement,
  type SignedBy,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { gatherNoiseSeeds } from '../aggregator/noise.js';
import { Scene, type SceneOptions } from '../aggregator/testing/scene.js';
import type { ScoresRequest } from '../coordinator/statements.js';
import { attemptKey } from '../services/attempt.js';
import { silentLog } from '../services/log.js';
import { numbersHash } from '../services/opened-numbers.js';
import { computeScores } from '../services/secure-scores.js';
import { codeOf, rejection, temporaryDirectory } from '../testing/temporary.js';
import { Attester } from './attester.js';

const CITY = 'CityMSP';
const GRID = 'GridMSP';
const MAKER = 'MakerMSP';
const ALL = [CITY, GRID, MAKER];
const HOUR = 3_600_000;
/** By so much may whoever submits a transaction choose the ledger's time of it. */
const SKEW = 2 * TIME_MARGIN_MS;
const DP = { noiseDeviation: 50, budgetMicroRho: 1_000_000_000, deltaExponent: 5 };

describe('Attester of secure rounds', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  /** The attester's own clock. */
  let nowMs = 0;
  const start = async (options: Omit<SceneOptions, 'directory'> = {}): Promise<[Scene, Attester]> => {
    const scene = await Scene.start({ minimum: 3, ...options, directory: `${directory()}/${String(scenes++)}` });
    const { federation } = scene;
    const session = federation.ledger.session('RegulatorMSP');
    return [
      scene,
      new Attester({
        ...{ session, store: federation.store, signer: federation.signer('RegulatorMSP'), log: silentLog },
        nowMs: () => nowMs,
      }),
    ];
  };
  const isSignedBy = (scene: Scene, { mspId, signature }: SignedBy, statement: Parameters<typeof verifyStatement>[0]) =>
    verifyStatement(statement, signature, createPublicKey(scene.federation.organisationKey(mspId)));
  const bound = (scene: Scene) => ({ consortium: scene.federation.consortium, ...scene.ref, mspId: 'RegulatorMSP' });

  /** Just closed, with all vehicles recorded; by the ledger's clock long ago. */
  async function closed(options: Omit<SceneOptions, 'directory'> = {}): Promise<[Scene, Attester]> {
    const [scene, attester] = await start(options);
    await scene.open();
    for (const id of scene.federation.vehicleIds) {
      await scene.record(scene.federation.sign(scene.round, id, sha256Hex(id)));
    }
    scene.close();
    scene.federation.ledger.advance(scene.ref, { closedAtMs: Date.now() - HOUR });
    return [scene, attester];
  }
  const updatesIn = ({ federation, ref }: Scene): UpdateRecord[] => federation.ledger.updates(ref);

  /** What aggregators sign that they hold: all but the vehicles of these indices. */
  function holdingsOf(scene: Scene, lacking: Readonly<Record<string, readonly number[]>>) {
    const updates = updatesIn(scene);
    return Object.entries(lacking).map(([mspId, without]) => {
      const held = encodeBitmap(updates.map((_, index) => !without.includes(index)));
      const content = { ...bound(scene), mspId, recordedHash: cohortHash(updates), held };
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...content };
      return { mspId, held, signature: signStatement(statement, scene.federation.organisationKey(mspId)) };
    });
  }

  describe('asked for a cohort that leaves some out', () => {
    const request = (scene: Scene, lacking: Readonly<Record<string, readonly number[]>>, out: readonly number[]) => {
      const updates = updatesIn(scene);
      return {
        ref: scene.ref,
        holdings: holdingsOf(scene, lacking),
        recordedHash: cohortHash(updates),
        cohortHash: cohortHash(updates.filter((_, index) => !out.includes(index))),
        holders: Object.keys(lacking),
      };
    };

    it('signs exactly the statement that the contract checks', async () => {
      const [scene, attester] = await closed();
      const asked = request(scene, { [CITY]: [], [GRID]: [], [MAKER]: [1] }, [1]);
      const signed = await attester.cohort(asked);
      const { recordedHash, cohortHash: hash, holders } = asked;
      const content = { ...bound(scene), recordedHash, cohortHash: hash, holders };
      const statement: CohortStatement = { type: 'sev/fix-cohort/v1', ...content };
      expect(isSignedBy(scene, signed, statement)).to.equal(true);
    });

    it('signs none that does not follow from signed holdings', async () => {
      const [scene, attester] = await closed();
      const asked = request(scene, { [CITY]: [], [GRID]: [], [MAKER]: [] }, [1]);
      expect(await codeOf(attester.cohort(asked))).to.equal('ATTESTATION_REFUSED');
      const good = request(scene, { [CITY]: [], [GRID]: [] }, []);
      const [city, grid] = good.holdings;
      const unsigned = { ...good, holdings: [city!, { ...grid!, signature: city!.signature }] };
      expect(await codeOf(attester.cohort(unsigned))).to.equal('ATTESTATION_REFUSED');
    });

    it('waits for receipts first', async () => {
      const [scene, attester] = await closed({ secure: { receiptMs: 60_000 } });
      const asked = request(scene, { [CITY]: [], [GRID]: [], [MAKER]: [1] }, [1]);
      const early = await rejection(attester.cohort(asked));
      expect(early).to.include({ code: 'GRACE_NOT_OVER' });
      expect(early).to.have.property('leftMs', 60_000);
      nowMs += 60_000;
      expect(await attester.cohort(asked)).to.have.property('mspId', 'RegulatorMSP');
    });

    it('waits for nothing where nobody is left out', async () => {
      const [scene, attester] = await closed({ secure: { receiptMs: 60_000 } });
      const asked = request(scene, { [CITY]: [], [GRID]: [], [MAKER]: [] }, []);
      expect(await attester.cohort(asked)).to.have.property('mspId', 'RegulatorMSP');
    });
  });

  describe('asked for weights', () => {
    /** What a coordinator sends that has asked all aggregators. */
    async function scored(scene: Scene): Promise<ScoresRequest> {
      await scene.toCohort();
      const { federation, ref } = scene;
      const nonces = await scene.nonces();
      const opened = await Promise.all(ALL.map((mspId) => scene.at(mspId).projections(ref, nonces)));
      const numbers = Object.assign({}, ...opened.map((one) => one.numbers)) as Record<string, string>;
      const { members } = federation.ledger.cohorts.get(attemptKey(ref))!;
      const hash = scene.round.secure!.cohortHash!;
      const seed = roundSeed({ ...ref, consortium: federation.consortium }, hash, nonces);
      const scores = computeScores({ task: federation.task, ref, cohortHash: hash, members, seed, numbers, shown: [] });
      return { nonces, projections: opened.map(({ signed }) => signed), scores, numbers };
    }

    it('signs them with what they follow from', async () => {
      const [scene, attester] = await start();
      const request = await scored(scene);
      const signed = await attester.scores(request);
      const statement = (projections: ScoresRequest['projections']): ScoresStatement => ({
        ...{ type: 'sev/attest-scores/v2', ...bound(scene), scoresHash: scoresHash(request.scores) },
        projectionsHash: projectionsHash({ ...request, projections }),
      });
      expect(isSignedBy(scene, signed, statement(request.projections))).to.equal(true);
      const [first, ...others] = request.projections;
      const changed = { ...first!.components, '1': 'e'.repeat(64) };
      expect(isSignedBy(scene, signed, statement([{ ...first!, components: changed }, ...others]))).to.equal(false);
    });

    it('signs none without the word of one that made the cohort, before that one had its time', async () => {
      const [scene, attester] = await start({ roundMs: 400_000 });
      const { numbers, ...request } = await scored(scene);
      const fewer = { ...request, numbers, projections: request.projections.slice(1) };
      scene.federation.ledger.advance(scene.ref, { stateSinceMs: Date.now() - HOUR });
      const early = await rejection(attester.scores(fewer));
      expect(early).to.include({ code: 'GRACE_NOT_OVER' });
      expect(early, 'counted from when it first saw the cohort').to.have.property('leftMs', 100_000);
      expect(await attester.scores({ ...request, numbers })).to.have.property('mspId', 'RegulatorMSP');
      const [first, ...others] = request.projections;
      const partial = { ...first!, components: { 2: first!.components['2']! } };
      const halfSaid = { ...request, numbers, projections: [partial, ...others] };
      expect(await codeOf(attester.scores(halfSaid)), 'it was not signed like this').to.equal('ATTESTATION_REFUSED');
      nowMs += 100_000;
      expect(await attester.scores(fewer)).to.have.property('mspId', 'RegulatorMSP');
    });

    it('waits for nobody whose holdings did not make the cohort, or whom a verdict named', async () => {
      const [scene, attester] = await start();
      const request = await scored(scene);
      const fewer = { ...request, projections: request.projections.slice(1) };
      for (const secure of [{ holders: [GRID, MAKER] }, { holders: ALL, faulty: [CITY] }]) {
        scene.federation.ledger.advance(scene.ref, {}, secure);
        expect(await attester.scores(fewer)).to.have.property('mspId', 'RegulatorMSP');
      }
    });

    it('signs none for numbers that no aggregator signed', async () => {
      const [scene, attester] = await start();
      const request = await scored(scene);
      const zeros = Buffer.alloc(Buffer.from(request.numbers['0']!, 'base64').length).toString('base64');
      expect(numbersHash(zeros)).not.to.equal(numbersHash(request.numbers['0']!));
      const lie = { ...request, numbers: { ...request.numbers, '0': zeros } };
      expect(await codeOf(attester.scores(lie))).to.equal('ATTESTATION_REFUSED');
    });
  });

  describe('asked for a model that rests on one aggregator’s word', () => {
    for (const [story, arbiter] of [
      ['with an arbiter', 'the arbiter’s key'],
      ['without one', undefined],
    ] as const) {
      it(`signs none before it was audited, ${story}`, async () => {
        const [scene, attester] = await start();
        await scene.open(ALL, arbiter);
        scene.federation.ledger.advance(scene.ref, { state: 'aggregated' }, { unverified: [1] });
        const proposal = { ...scene.ref, baseModelHash: scene.base, modelHash: scene.base, excluded: [] };
        const asked = { ...proposal, cohortHash: scene.base, cohortSize: 4 };
        expect(await codeOf(attester.attest(asked))).to.equal('COMPONENTS_UNVERIFIED');
      });
    }

    it('agrees at once to give the round up where nobody can audit it, and else not', async () => {
      for (const arbiter of ['the arbiter’s key', undefined]) {
        const [scene, attester] = await start();
        await scene.open(ALL, arbiter);
        scene.federation.ledger.advance(scene.ref, { state: 'aggregated' }, { unverified: [1] });
        const answer = attester.abort(scene.ref, 'AGGREGATORS_MISSING');
        if (arbiter === undefined) {
          expect(await answer).to.have.property('mspId', 'RegulatorMSP');
        } else {
          expect(await codeOf(answer)).to.equal('ROUND_DEADLINE_NOT_REACHED');
        }
      }
    });
  });

  describe('asked to give a closed round up for its cohort', () => {
    const TOO_SMALL = 'COHORT_TOO_SMALL';

    it('agrees at once where all aggregators signed that they hold too little', async () => {
      const [scene, attester] = await closed();
      const holdings = holdingsOf(scene, { [CITY]: [0, 1], [GRID]: [0, 1], [MAKER]: [1, 2] });
      expect(await attester.abort(scene.ref, TOO_SMALL, { holdings })).to.have.property('mspId', 'RegulatorMSP');
      expect(await codeOf(attester.abort(scene.ref, 'COHORT_TOO_LARGE', { holdings }))).to.equal(
        'REASON_NOT_CONFIRMED',
      );
    });

    it('does not where t + 1 of them make a cohort: one aggregator alone ends no round', async () => {
      const [scene, attester] = await closed();
      const holdings = holdingsOf(scene, { [CITY]: [], [GRID]: [], [MAKER]: [0, 1, 2, 3] });
      expect(await codeOf(attester.abort(scene.ref, TOO_SMALL, { holdings }))).to.equal('REASON_NOT_CONFIRMED');
    });

    it('gives one that has not signed its time', async () => {
      const [scene, attester] = await closed({ roundMs: 600_000 });
      const holdings = holdingsOf(scene, { [CITY]: [0, 1], [MAKER]: [] });
      const early = await rejection(attester.abort(scene.ref, TOO_SMALL, { holdings }));
      expect(early).to.include({ code: 'ROUND_DEADLINE_NOT_REACHED' });
      expect(early).to.have.property('leftMs', 150_000);
      nowMs += 150_000;
      expect(await attester.abort(scene.ref, TOO_SMALL, { holdings })).to.have.property('mspId', 'RegulatorMSP');
    });

    it('waits for receipts, and believes only what is signed', async () => {
      const [scene, attester] = await closed({ secure: { receiptMs: 60_000 } });
      const holdings = holdingsOf(scene, { [CITY]: [0, 1], [GRID]: [0, 1], [MAKER]: [0, 1] });
      expect(await codeOf(attester.abort(scene.ref, TOO_SMALL, { holdings }))).to.equal('GRACE_NOT_OVER');
      const forged = holdings.map((one) => ({ ...one, signature: holdings[0]!.signature }));
      nowMs += 60_000;
      expect(await attester.abort(scene.ref, TOO_SMALL, { holdings })).to.have.property('mspId', 'RegulatorMSP');
      expect(await codeOf(attester.abort(scene.ref, TOO_SMALL, { holdings: forged }))).to.equal(
        'ROUND_DEADLINE_NOT_REACHED',
      );
    });

    it('sees on its own ledger what was shown of the same base', async () => {
      const [scene, attester] = await closed();
      const { federation, ref } = scene;
      const [first, ...others] = updatesIn(scene);
      const members = [first!, ...others, { ...first!, vehicleId: 'one that is not there any more' }];
      const before = { docType: 'cohort' as const, schemaVersion: 1 as const, ...ref, attempt: 9, members };
      federation.ledger.cohorts.set(attemptKey({ ...ref, attempt: 9 }), before);
      const scores = { ...ref, attempt: 9, cohortHash: '', weights: members.map(() => 1), reasons: [] };
      federation.ledger.scores.set(attemptKey(scores), {
        ...{ docType: 'scores', schemaVersion: 1, scores, attestations: [], projections: [], seed: 'a'.repeat(64) },
      });
      const shownAttempts = [{ round: 1, attempt: 9 }];
      const holdings = holdingsOf(scene, { [CITY]: [], [GRID]: [], [MAKER]: [] });
      expect(await codeOf(attester.abort(ref, 'COHORT_TOO_CLOSE', { holdings }))).to.equal('REASON_NOT_CONFIRMED');
      federation.ledger.advance(ref, {}, { shownAttempts });
      expect(await attester.abort(ref, 'COHORT_TOO_CLOSE', { holdings })).to.have.property('mspId', 'RegulatorMSP');
    });
  });

  describe('asked to give a round up because something does not come', () => {
    it('has a quarter of a round’s patience, on its own clock', async () => {
      for (const state of ['closed', 'cohort'] as const) {
        const [scene, attester] = await closed({ roundMs: 400_000 });
        scene.federation.ledger.advance(scene.ref, { state, stateSinceMs: Date.now() - HOUR });
        const abort = () => attester.abort(scene.ref, 'AGGREGATORS_MISSING');
        expect(await rejection(abort())).to.include({ code: 'ROUND_DEADLINE_NOT_REACHED', leftMs: 100_000 });
        nowMs += 99_999;
        expect(await rejection(abort())).to.have.property('leftMs', 1);
        nowMs += 1;
        expect(await abort()).to.have.property('mspId', 'RegulatorMSP');
      }
    });

    it('lets an audit come first that the contract holds back, and the arbiter have its time', async () => {
      const [scene, attester] = await closed({ roundMs: 400_000 });
      const { ledger } = scene.federation;
      const abort = (reason: 'AGGREGATORS_MISSING' | 'DISPUTE_UNSETTLED') => attester.abort(scene.ref, reason);
      const arbiter = { mspId: 'RegulatorMSP', sealingKey: 'its key' };
      ledger.advance(scene.ref, { state: 'scored' }, { opening: { ...scene.round.secure!.opening, arbiter } });
      expect(await rejection(abort('AGGREGATORS_MISSING'))).to.have.property('leftMs', 200_000 + SKEW);
      nowMs += 150_000 + SKEW;
      const opened = { component: 0, phase: 'sums' as const, openedAtMs: Date.now() - HOUR, said: [] };
      ledger.advance(scene.ref, {}, { disputes: [opened] });
      expect(await rejection(abort('DISPUTE_UNSETTLED'))).to.have.property('leftMs', 100_000);
      nowMs += 50_000;
      expect(await rejection(abort('DISPUTE_UNSETTLED'))).to.have.property('leftMs', 50_000);
      nowMs += 50_000;
      expect(await codeOf(abort('AGGREGATORS_MISSING')), 'the arbiter is').to.equal('REASON_NOT_CONFIRMED');
      expect(await abort('DISPUTE_UNSETTLED')).to.have.property('mspId', 'RegulatorMSP');
      ledger.advance(scene.ref, {}, { disputes: [{ ...opened, faulty: [] }] });
      expect(await abort('AGGREGATORS_MISSING')).to.have.property('mspId', 'RegulatorMSP');
    });

    it('signs no reason that its ledger does not bear out, however late', async () => {
      const [scene, attester] = await closed();
      const asked = async (reason: AbortReason, state: RoundState): Promise<unknown> => {
        scene.federation.ledger.advance(scene.ref, { state, stateSinceMs: Date.now() - HOUR });
        return codeOf(attester.abort(scene.ref, reason));
      };
      for (const state of ['cohort', 'scored', 'aggregated'] as const) {
        for (const reason of ['DISPUTE_UNSETTLED', 'COHORT_TOO_LARGE', 'KEY_HOLDER_LOST', 'SUM_INVALID'] as const) {
          expect(await asked(reason, state), `${reason} ${state}`).to.equal('REASON_NOT_CONFIRMED');
        }
      }
      expect(await asked('COHORT_TOO_SMALL', 'aggregated')).to.equal('REASON_NOT_CONFIRMED');
    });

    it('has the patience of a whole round once sums were committed', async () => {
      const [scene, attester] = await closed({ roundMs: 400_000 });
      scene.federation.ledger.advance(scene.ref, { stateSinceMs: Date.now() - HOUR, state: 'aggregated' });
      expect(await rejection(attester.abort(scene.ref, 'AGGREGATORS_MISSING'))).to.have.property('leftMs', 400_000);
      nowMs += 400_000;
      expect(await attester.abort(scene.ref, 'AGGREGATORS_MISSING')).to.have.property('mspId', 'RegulatorMSP');
    });

    it('agrees at once where verdicts left nothing for a model to rest on', async () => {
      const [scene, attester] = await closed();
      const answeredBy = [[GRID], [CITY], [CITY, GRID]];
      const sums = answeredBy.map(() => ['a'.repeat(64)]);
      scene.federation.ledger.advance(scene.ref, { state: 'aggregated' }, { sums, answeredBy, faulty: [GRID] });
      const signed = await attester.abort(scene.ref, 'AGGREGATORS_MISSING');
      const content = { ...bound(scene), reason: 'AGGREGATORS_MISSING' as const };
      const statement: AbortStatement = { type: 'sev/abort-round/v1', ...content };
      expect(isSignedBy(scene, signed, statement)).to.equal(true);
    });
  });

  describe('asked to accuse aggregators of false noise', () => {
    async function opened(): Promise<[Scene, Attester, { nonces: string[][]; noiseSeeds: Record<string, string[]> }]> {
      const [scene, attester] = await start({ secure: { dp: DP, projections: 0 } });
      await scene.toCohort();
      const nonces = await scene.nonces();
      const shown = await Promise.all(
        ALL.map(async (mspId) => ({ mspId, revealed: await scene.at(mspId).reveal(scene.ref, nonces) })),
      );
      const { opening } = scene.round.secure!;
      const place = { ...scene.ref, consortium: scene.federation.consortium };
      const seeds = gatherNoiseSeeds(place, opening, seedOf(scene, nonces), shown).noiseSeeds!;
      return [scene, attester, { nonces, noiseSeeds: Object.fromEntries(ALL.map((name, i) => [name, seeds[i]!])) }];
    }
    const seedOf = (scene: Scene, nonces: string[][]): string =>
      roundSeed({ ...scene.ref, consortium: scene.federation.consortium }, scene.round.secure!.cohortHash!, nonces);

    /** As if this aggregator had committed itself to noise that its seed does not give. */
    function commitFalsely(scene: Scene, mspId: string, nonces: string[][]): void {
      const { opening } = scene.round.secure!;
      const which = openedCandidate(seedOf(scene, nonces), mspId);
      const aggregators = opening.aggregators.map((part) => {
        const [first, second] = part.noise!;
        const made = { ...part.noise![which], root: 'b'.repeat(64) };
        const noise: [typeof first, typeof second] = which === 0 ? [made, second] : [first, made];
        return part.mspId === mspId ? { ...part, noise } : part;
      });
      scene.federation.ledger.advance(scene.ref, {}, { opening: { ...opening, aggregators } });
    }

    it('signs who it is once it has computed the noise again', async () => {
      const [scene, attester, evidence] = await opened();
      commitFalsely(scene, GRID, evidence.nonces);
      const signed = await attester.abort(scene.ref, 'NOISE_FALSE', { accused: [GRID], ...evidence });
      const content = { ...bound(scene), reason: 'NOISE_FALSE' as const, accused: [GRID] };
      const statement: AbortStatement = { type: 'sev/abort-round/v1', ...content };
      expect(isSignedBy(scene, signed, statement)).to.equal(true);
    });

    it('accuses nobody whose noise is true, nor by seeds that were not committed to', async () => {
      const [scene, attester, evidence] = await opened();
      const accuse = (accused: string[], change: object = {}) =>
        codeOf(attester.abort(scene.ref, 'NOISE_FALSE', { accused, ...evidence, ...change }));
      expect(await accuse([GRID])).to.equal('REASON_NOT_CONFIRMED');
      const made = { noiseSeeds: { ...evidence.noiseSeeds, [GRID]: ['c', 'd', 'e'].map((digit) => digit.repeat(64)) } };
      expect(await accuse([GRID], made)).to.equal('REASON_NOT_CONFIRMED');
      commitFalsely(scene, GRID, evidence.nonces);
      expect(await accuse([CITY, GRID])).to.equal('REASON_NOT_CONFIRMED');
      expect(await accuse([GRID], { nonces: evidence.nonces.slice(1) })).to.equal('REASON_NOT_CONFIRMED');
      scene.federation.ledger.advance(scene.ref, { state: 'scored' });
      expect(await accuse([GRID])).to.equal('ROUND_STATE');
    });
  });
});
