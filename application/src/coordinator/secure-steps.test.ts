// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { encodeBitmap, noiseLeaf, openedCandidate, publicKeyText, type Dispute, type Said } from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import { Scene, type SceneOptions } from '../aggregator/testing/scene.js';
import { SevError } from '../errors.js';
import { AbortCause } from '../services/abort-evidence.js';
import { codeOf, rejection, temporaryDirectory } from '../testing/temporary.js';
import { AuditNeeded, DisputeError } from './secure-disputes.js';
import { signHoldings, signSums } from './testing/made-up.js';
import { SHORT, ScriptedSteps, behind, gone, scripted, silent, type Lies } from './testing/scripted.js';

const [CITY, GRID, MAKER] = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const WRONG = 'a'.repeat(64);
const dp = { noiseDeviation: 50, budgetMicroRho: 1_000_000_000, deltaExponent: 5 };

type Fault = (honest: AggregatorClient, scene: Scene) => Lies;
const missing: Readonly<Record<string, Fault>> = {
  'never answers': () => silent,
  'pretends to lag': () => behind,
  'is gone': () => gone,
};
/** Of an answer with a signature, what makes it another's or nobody's. */
const badlySigned = (question: 'holdings' | 'sums'): Readonly<Record<string, Fault>> => ({
  'signs badly': (honest) => ({
    [question]: async (ref: never) => ({ ...(await honest[question](ref)), signature: 'AAAA' }),
  }),
  'answers as another': (honest) => ({
    [question]: async (ref: never) => ({ ...(await honest[question](ref)), mspId: CITY }),
  }),
  'answers nothing of the form': () => ({ [question]: () => Promise.resolve({}) }),
});

/** Somebody stands ready to audit what one aggregator alone answers for. */
const ARBITER_KEY = publicKeyText(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

describe('SecureSteps', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const start = (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> =>
    Scene.start({ ...options, directory: `${directory()}/${String(scenes++)}` });
  const withLiar = (scene: Scene, fault: Fault, liar: string = GRID): ScriptedSteps =>
    new ScriptedSteps(scene, { [liar]: fault(scripted(scene.at(liar)), scene) }, { patience: SHORT });

  describe('cohort', () => {
    const closed = async (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> => {
      const scene = await start(options);
      await scene.open();
      for (const vehicleId of scene.federation.vehicleIds) {
        await scene.takePart(vehicleId);
      }
      scene.close();
      return scene;
    };

    it('is all of it, with a majority’s word, where everybody holds everything', async () => {
      const scene = await closed();
      const script = new ScriptedSteps(scene, {});
      const { holdings, statements } = await script.steps.cohort(await script.attempt());
      expect(holdings.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, MAKER]);
      expect(statements).to.have.length(3);
    });

    const faults: Readonly<Record<string, Fault>> = {
      ...missing,
      ...badlySigned('holdings'),
      'says what it did not sign': (honest) => ({
        holdings: async (ref) => ({ ...(await honest.holdings(ref)), held: encodeBitmap([true, true, true, false]) }),
      }),
      'holds other updates than there are': (honest) => ({
        holdings: async (ref) => ({ ...(await honest.holdings(ref)), held: encodeBitmap(Array(40).fill(true)) }),
      }),
    };
    for (const [fault, lies] of Object.entries(faults)) {
      it(`is that of the others, with a majority’s word, where one ${fault}`, async () => {
        const scene = await closed();
        const script = withLiar(scene, lies);
        const { holdings, statements } = await script.steps.cohort(await script.attempt());
        expect(holdings.map(({ mspId }) => mspId)).to.deep.equal([CITY, MAKER]);
        expect(statements).to.have.length(3);
        expect(Object.keys(script.leftOut)).to.deep.equal([GRID]);
      });
    }

    it('is that of the others where one denies so many that too few remain, and of all where enough do', async () => {
      const scene = await closed({ minimum: 3 });
      const { federation, ref } = scene;
      const denying = (held: boolean[]): Fault => {
        const said = encodeBitmap(held);
        return () => ({
          holdings: () => Promise.resolve(signHoldings(scene, GRID, federation.ledger.updates(ref), said)),
        });
      };
      const none = withLiar(scene, denying([false, false, false, false]));
      const without = await none.steps.cohort(await none.attempt());
      expect(without.holdings.map(({ mspId }) => mspId)).to.deep.equal([CITY, MAKER]);
      const one = withLiar(scene, denying([true, true, true, false]));
      const withIt = await one.steps.cohort(await one.attempt());
      expect(withIt.holdings.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, MAKER]);
    });

    it('is missing aggregators where t or fewer answer', async () => {
      const scene = await closed();
      const script = new ScriptedSteps(scene, { [CITY]: gone, [GRID]: gone }, { patience: SHORT });
      expect(await codeOf(script.steps.cohort(await script.attempt()))).to.equal('AGGREGATORS_MISSING');
    });
  });

  describe('scores', () => {
    const inCohort = async (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> => {
      const scene = await start(options);
      await scene.toCohort(ARBITER_KEY);
      return scene;
    };

    const nonceFaults: Readonly<Record<string, Fault>> = {
      ...missing,
      'shows wrong nonces of everybody': (honest) => ({
        reveal: async (ref, nonces) => {
          const { nonces: right } = await honest.reveal(ref, nonces);
          const wrong = Object.entries(right).map(([mspId, own]) => [
            mspId,
            Object.fromEntries(Object.keys(own).map((component) => [component, WRONG])),
          ]);
          return { nonces: Object.fromEntries(wrong) as typeof right };
        },
      }),
      'shows nothing of the form': () => ({ reveal: () => Promise.resolve({} as never) }),
      'shows no nonces': () => ({ reveal: () => Promise.resolve({ nonces: {} }) }),
    };
    for (const [fault, lies] of Object.entries(nonceFaults)) {
      it(`are the same where one ${fault}`, async () => {
        const scene = await inCohort();
        const script = withLiar(scene, lies);
        const honest = new ScriptedSteps(scene, {});
        const right = await honest.steps.scores(await honest.attempt());
        const { nonces, scores } = await script.steps.scores(await script.attempt());
        expect({ nonces, scores }).to.deep.equal({ nonces: right.nonces, scores: right.scores });
      });
    }

    it('name all who show nonces that were not committed to', async () => {
      const scene = await inCohort();
      const script = withLiar(scene, nonceFaults['shows wrong nonces of everybody']!);
      await script.steps.scores(await script.attempt());
      const named = script.warnings.flatMap(({ fields }) => fields['aggregators'] ?? []);
      expect(named).to.deep.equal([GRID]);
    });

    const changed =
      (change: (opened: Awaited<ReturnType<AggregatorClient['projections']>>) => object): Fault =>
      (honest) => ({
        projections: async (ref, nonces) => {
          const opened = await honest.projections(ref, nonces);
          return { ...opened, ...change(opened) };
        },
      });
    const projectionFaults: Readonly<Record<string, Fault>> = {
      'signs badly': changed(({ signed }) => ({ signed: { ...signed, signature: 'AAAA' } })),
      'answers as another': changed(({ signed }) => ({ signed: { ...signed, mspId: CITY } })),
      'shows other numbers than it signed': changed(({ numbers }) => ({
        numbers: { ...numbers, 0: Buffer.alloc(Buffer.byteLength(numbers['0']!, 'base64')).toString('base64') },
      })),
      'shows too few numbers': changed(({ numbers }) => ({ numbers: { ...numbers, 0: 'AAAA' } })),
      'leaves a component out': changed(({ signed, numbers }) => ({
        signed: { ...signed, components: { 0: signed.components['0']! } },
        numbers: { 0: numbers['0']! },
      })),
      'answers for a component that it does not hold': changed(({ signed, numbers }) => ({
        signed: { ...signed, components: { ...signed.components, 1: WRONG } },
        numbers: { ...numbers, 1: 'AAAA' },
      })),
      'answers nothing of the form': () => ({ projections: () => Promise.resolve({} as never) }),
    };
    for (const [fault, lies] of Object.entries(projectionFaults)) {
      it(`rest on the projections of the others where one ${fault}`, async () => {
        const scene = await inCohort();
        const script = withLiar(scene, lies);
        const { projections } = await script.steps.scores(await script.attempt());
        expect(projections.map(({ mspId }) => mspId)).to.deep.equal([CITY, MAKER]);
        expect(Object.keys(script.leftOut)).to.deep.equal([GRID]);
      });
    }

    describe('in mode dp', () => {
      const noisy = () => inCohort({ secure: { dp, projections: 0 } });

      it('end the attempt where opened noise is not what its seed gives, with what attesters need to find whose', async () => {
        const scene = await noisy();
        const { secure } = scene.round;
        const aggregators = secure!.opening.aggregators.map((part) => {
          const [first, second] = part.noise!;
          const made: typeof part.noise = [
            { ...first, root: WRONG },
            { ...second, root: WRONG },
          ];
          return part.mspId === GRID ? { ...part, noise: made } : part;
        });
        const falsely = { ...scene.round, secure: { ...secure!, opening: { ...secure!.opening, aggregators } } };
        const script = new ScriptedSteps(scene, {});
        const cause = await rejection(script.steps.scores(await script.attempt(falsely)));
        expect(cause).to.be.instanceOf(AbortCause).and.to.include({ reason: 'NOISE_FALSE' });
        const { evidence } = cause as AbortCause;
        expect(evidence.accused).to.deep.equal([GRID]);
        expect(evidence.nonces).to.deep.equal(await scene.nonces());
        expect(Object.keys(evidence.noiseSeeds!)).to.deep.equal([CITY, GRID, MAKER]);
      });
      const noiseFaults: Readonly<Record<string, Fault>> = {
        ...missing,
        'shows no seed': (honest) => ({ reveal: async (ref) => honest.reveal(ref) }),
        'shows another seed': (honest) => ({
          reveal: async (ref, nonces) => ({
            ...(await honest.reveal(ref, nonces)),
            noiseSeedParts: { [GRID]: { 0: WRONG, 1: WRONG, 2: WRONG } },
          }),
        }),
        'shows parts of others’ seeds that are wrong': (honest) => ({
          reveal: async (ref, nonces) => ({
            ...(await honest.reveal(ref, nonces)),
            noiseSeedParts: { [CITY]: { 0: WRONG, 2: WRONG }, [MAKER]: { 0: WRONG, 2: WRONG } },
          }),
        }),
      };
      for (const [fault, lies] of Object.entries(noiseFaults)) {
        it(`come with the committed seeds where one ${fault}`, async () => {
          const scene = await noisy();
          const script = withLiar(scene, lies);
          const { noiseSeeds, nonces } = await script.steps.scores(await script.attempt());
          scene.score(nonces, [1, 1, 1, 1]);
          const { opening, seed } = scene.round.secure!;
          opening.aggregators.forEach(({ mspId, noise }, index) => {
            const { seedLeaves } = noise![openedCandidate(seed!, mspId)];
            const place = { ...scene.ref, consortium: scene.federation.consortium };
            expect(noiseSeeds![index]!.map((part, i) => noiseLeaf(place, mspId, i, part))).to.deep.equal(seedLeaves);
          });
        });
      }
    });
  });

  describe('sums', () => {
    const scored = async (): Promise<Scene> => {
      const scene = await start();
      await scene.toCohort(ARBITER_KEY);
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      return scene;
    };

    it('that one alone answers for are waited for where there is no arbiter to audit them', async () => {
      const scene = await start();
      await scene.toCohort();
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      const script = withLiar(scene, () => gone);
      expect(await codeOf(script.steps.sums(await script.attempt()))).to.equal('AGGREGATORS_MISSING');
    });

    const faults: Readonly<Record<string, Fault>> = {
      ...missing,
      ...badlySigned('sums'),
      'leaves a component out': (honest) => ({
        sums: async (ref) => {
          const { components, ...signed } = await honest.sums(ref);
          return { ...signed, components: { 0: components['0']! } };
        },
      }),
      'has a sum too many': (honest) => ({
        sums: async (ref) => {
          const { components, ...signed } = await honest.sums(ref);
          return { ...signed, components: { ...components, 0: [...components['0']!, WRONG] } };
        },
      }),
    };
    for (const [fault, lies] of Object.entries(faults)) {
      it(`are audited, of those whose word it is alone, where one ${fault}`, async () => {
        const scene = await scored();
        const script = withLiar(scene, lies);
        const error = await rejection(script.steps.sums(await script.attempt()));
        expect(error).to.be.instanceOf(AuditNeeded);
        expect(error).to.include({ component: 0 });
        expect((error as AuditNeeded).sums.map(({ mspId }) => mspId)).to.deep.equal([MAKER]);
        expect(Object.keys(script.leftOut)).to.deep.equal([GRID]);
      });
    }

    it('go to the ledger once the arbiter has found right what one alone says', async () => {
      const scene = await scored();
      const script = withLiar(scene, () => gone);
      for (const component of [0, 2]) {
        const error = await rejection(script.steps.sums(await script.attempt()));
        const said = (error as AuditNeeded).sums.map(({ mspId, components }): Said => {
          return { mspId, about: 'sums', hashes: components[String(component)]! };
        });
        const { disputes } = scene.round.secure!;
        const audit: Dispute = { component, phase: 'audit', openedAtMs: 0, said, faulty: [] };
        scene.federation.ledger.advance(scene.ref, {}, { disputes: [...disputes, audit] });
      }
      const { sums } = await script.steps.sums(await script.attempt());
      expect(sums.map(({ mspId }) => mspId)).to.deep.equal([CITY, MAKER]);
    });

    it('of one that answered for projections are waited for before', async () => {
      const scene = await scored();
      scene.federation.ledger.advance(scene.ref, { stateSinceMs: Date.now() });
      const script = withLiar(scene, () => gone);
      expect(await codeOf(script.steps.sums(await script.attempt()))).to.equal('SECOND_WORD_AWAITED');
    });

    it('of two that contradict each other go before the arbiter, with what the two signed', async () => {
      const scene = await scored();
      const other = { ...(await scene.at(GRID).sums(scene.ref)) };

      const lie = signSums(scene, GRID, { ...other.components, 0: [WRONG] });
      const script = withLiar(scene, () => ({ sums: () => Promise.resolve(lie) }));
      const error = await rejection(script.steps.sums(await script.attempt()));
      expect(error).to.be.instanceOf(DisputeError);
      expect(error).to.deep.include({ phase: 'sums', component: 0 });
      expect((error as DisputeError).evidence.sums.map(({ mspId }) => mspId)).to.deep.equal([GRID, MAKER]);
    });
  });

  describe('publish', () => {
    const committed = async (mspIds?: readonly string[]): Promise<Scene> => {
      const scene = await start();
      await scene.toCohort();
      scene.score(await scene.nonces(), [1, 1, 1, 1]);
      await scene.commit(mspIds);
      return scene;
    };
    const faults: Readonly<Record<string, Fault>> = {
      ...missing,
      'says that it published, and did not': (honest) => ({
        publish: async (ref) => (await honest.sums(ref)).components,
      }),
      'publishes something else': (honest, scene) => ({
        publish: async (ref) => {
          await scene.federation.store.put(Buffer.from('something else'));
          return (await honest.sums(ref)).components;
        },
      }),
      refuses: () => ({ publish: () => Promise.reject(new SevError('SUMS_MISMATCH', 'others')) }),
    };
    for (const [fault, lies] of Object.entries(faults)) {
      it(`takes the other holder’s copies where one ${fault}`, async () => {
        const scene = await committed();
        const script = withLiar(scene, lies);
        await script.steps.publish(await script.attempt());
        const hashes = scene.round.secure!.sums!.flat();
        expect(hashes.every((hash) => scene.federation.store.objects.has(hash))).to.equal(true);
      });
    }

    it('names the components whose only holder does not publish', async () => {
      const scene = await committed();
      const nothing: Lies = { publish: () => Promise.resolve({}) };
      const script = new ScriptedSteps(scene, { [CITY]: nothing, [GRID]: nothing }, { patience: SHORT });
      const error = await rejection(script.steps.publish(await script.attempt()));
      expect(error).to.include({ code: 'AGGREGATORS_MISSING' });
      expect((error as SevError).message).to.match(/nobody publishes the sums of component 2/);
    });

    it('asks nobody for what is there already', async () => {
      const scene = await committed();
      const script = new ScriptedSteps(scene, {});
      await script.steps.publish(await script.attempt());
      const others = new ScriptedSteps(scene, { [CITY]: silent, [GRID]: silent, [MAKER]: silent });
      await others.steps.publish(await others.attempt());
      expect(others.warnings).to.deep.equal([]);
    });
  });
});
