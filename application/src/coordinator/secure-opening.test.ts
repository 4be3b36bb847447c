// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { publicKeyText, type RoundOpening } from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import { Scene } from '../aggregator/testing/scene.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { SHORT, ScriptedSteps, behind, gone, scripted, silent, type Lies } from './testing/scripted.js';

const [CITY, GRID, MAKER] = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const ALL = [CITY, GRID, MAKER];

describe('agreeOnOpening', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const start = (): Promise<Scene> => Scene.start({ directory: `${directory()}/${String(scenes++)}` });
  const withAuditor = (): Promise<Scene> =>
    Scene.start({ directory: `${directory()}/${String(scenes++)}`, auditor: 'RegulatorMSP' });
  const namesOf = ({ opening }: { readonly opening: RoundOpening }): string[] =>
    opening.aggregators.map(({ mspId }) => mspId);

  it('names all aggregators, each with its signature', async () => {
    const opened = await new ScriptedSteps(await start(), {}).opening();
    expect(namesOf(opened)).to.deep.equal(ALL);
    expect(opened.statements.map(({ mspId }) => mspId)).to.deep.equal(ALL);
  });

  const faults: Readonly<Record<string, (honest: AggregatorClient) => Lies>> = {
    'never answers': () => silent,
    'pretends to lag': () => behind,
    'is gone': () => gone,
    'prepares another one’s part': (honest) => ({
      prepare: async (ref, base) => {
        const { part, signature } = await honest.prepare(ref, base);
        return { part: { ...part, mspId: CITY }, signature };
      },
    }),
    'signs its part badly': (honest) => ({
      prepare: async (ref, base) => {
        const { part, signature } = await honest.prepare(ref, base);
        return { part: { ...part, nonceLeaves: [...part.nonceLeaves].reverse() }, signature };
      },
    }),
    'deals to nobody': () => ({ deal: () => Promise.resolve([]) }),
    'never deals': () => ({ deal: () => new Promise(() => undefined) }),
    'deals what does not open': (honest) => ({
      deal: async (ref, parts) => (await honest.deal(ref, parts)).map((deal) => ({ ...deal, sealed: 'AAAA' })),
    }),
    'deals rightly to one and falsely to the other': (honest) => ({
      deal: async (ref, parts) => {
        const [first, ...others] = await honest.deal(ref, parts);
        return [{ ...first!, sealed: 'AAAA' }, ...others];
      },
    }),
    'refuses to sign': () => ({ accept: () => Promise.reject(new SevError('OPENING_INVALID', 'no')) }),
    'never signs': () => ({ accept: () => new Promise(() => undefined) }),
    'signs another opening': (honest) => ({
      accept: async (ref, opening, deals) => {
        const { signature } = await honest.accept(ref, opening, deals);
        return { mspId: honest.mspId, signature: signature.replace(/^.{12}/, 'AAAAAAAAAAAA') };
      },
    }),
    'signs as another': (honest) => ({
      accept: async (ref, opening, deals) => ({ ...(await honest.accept(ref, opening, deals)), mspId: CITY }),
    }),
    'accuses whoever deals to it': () => ({
      accept: (_, { aggregators }) => {
        const accused = aggregators.find(({ mspId }) => mspId !== GRID)!.mspId;
        return Promise.reject(new AccusationError('DEAL_INVALID', 'false', accused));
      },
    }),
    'accuses itself, or somebody who is not there': () => ({
      accept: () => Promise.reject(new AccusationError('DEAL_MISSING', 'none', 'NobodyMSP')),
    }),
  };
  for (const [fault, lies] of Object.entries(faults)) {
    it(`comes about between the others where one ${fault}`, async () => {
      const scene = await start();
      const script = new ScriptedSteps(scene, { [GRID]: lies(scripted(scene.at(GRID))) }, { patience: SHORT });
      const opened = await script.opening();
      expect(namesOf(opened)).to.deep.equal([CITY, MAKER]);
      expect(opened.statements.map(({ mspId }) => mspId)).to.deep.equal([CITY, MAKER]);
      const told = script.warnings.map(({ fields }) => `${String(fields['organisation'])} ${String(fields['error'])}`);
      expect(told.join('; ')).to.include(GRID);
    });
  }

  it('leaves out whom an audit found wrong, as long as enough others are', async () => {
    for (const [doubted, expected] of [
      [[GRID], [CITY, MAKER]],
      [[CITY, GRID], ALL],
    ] as const) {
      expect(namesOf(await new ScriptedSteps(await start(), {}).opening([], doubted))).to.deep.equal(expected);
    }
    expect(namesOf(await new ScriptedSteps(await start(), {}).opening([CITY], [GRID]))).to.deep.equal([GRID, MAKER]);
  });

  it('leaves out one of accuser and accused, and in the next attempt the other', async () => {
    const left = [];
    for (const attempt of [1, 2, 3]) {
      const scene = await start();
      if (attempt > 1) {
        await scene.open();
        scene.federation.ledger.advance(scene.ref, { state: 'aborted', attempt: attempt - 1 });
      }
      Object.assign(scene.ref, { attempt });
      const accusing: Lies = {
        accept: (ref, opening, deals) =>
          opening.aggregators.some(({ mspId }) => mspId === CITY)
            ? Promise.reject(new AccusationError('DEAL_INVALID', 'false', CITY))
            : scene.at(GRID).accept(ref, opening, deals),
      };
      const names = namesOf(await new ScriptedSteps(scene, { [GRID]: accusing }, { patience: SHORT }).opening());
      left.push(ALL.filter((mspId) => !names.includes(mspId)).join());
    }
    expect(new Set(left)).to.deep.equal(new Set([CITY, GRID]));
    expect(left[0]).not.to.equal(left[1]);
    expect(left[0]).to.equal(left[2]);
  });

  it('ends in AGGREGATORS_MISSING where no t + 1 agree', async () => {
    const scene = await start();
    for (const lies of [gone, faults['refuses to sign']!(scene.at(CITY)), faults['deals to nobody']!(scene.at(CITY))]) {
      const script = new ScriptedSteps(scene, { [CITY]: lies, [MAKER]: lies }, { patience: SHORT });
      expect(await codeOf(script.opening())).to.equal('AGGREGATORS_MISSING');
    }
  });

  it('comes about between the honest ones of four where two accuse whom they like', async () => {
    const four = ['CityMSP', 'GridMSP', 'MakerMSP', 'RegulatorMSP'];
    const scene = await Scene.start({
      directory: `${directory()}/${String(scenes++)}`,
      secure: { aggregators: four, threshold: 1 },
    });
    const accuse = (self: string): Lies => ({
      accept: (_, { aggregators }) => {
        const accused = aggregators.find(({ mspId }) => mspId !== self)!.mspId;
        return Promise.reject(new AccusationError('DEAL_INVALID', 'false', accused));
      },
    });
    const script = new ScriptedSteps(scene, { CityMSP: accuse('CityMSP'), MakerMSP: accuse('MakerMSP') });
    expect(namesOf(await script.opening())).to.deep.equal(['GridMSP', 'RegulatorMSP']);
  });

  describe('with an arbiter', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = { mspId: 'RegulatorMSP', sealingKey: publicKeyText(publicKey) };
    const arbiterOf = (change: Partial<ArbiterClient>): ArbiterClient => ({
      mspId: 'RegulatorMSP',
      prepare: () => Promise.resolve(key),
      accept: () => Promise.reject(new SevError('OPENING_INVALID', 'no')),
      verdict: () => Promise.reject(new SevError('DISPUTE_UNKNOWN', 'no')),
      ...change,
    });

    it('waits for one that gives no key, another one’s, or does not sign', async () => {
      const scene = await withAuditor();
      for (const change of [
        { prepare: () => Promise.reject(new SevError('SERVICE_UNREACHABLE', 'gone')) },
        { prepare: () => Promise.resolve({ ...key, mspId: CITY }) },
        { prepare: () => Promise.resolve({ ...key, sealingKey: 'AAAA' }) },
        {},
        { accept: () => Promise.resolve({ mspId: 'RegulatorMSP', signature: 'AAAA' }) },
      ]) {
        const script = new ScriptedSteps(scene, {}, { arbiter: arbiterOf(change) });
        expect(await codeOf(script.opening())).to.equal('ARBITER_MISSING');
      }
      expect(await codeOf(new ScriptedSteps(scene, {}).opening()), 'nobody named one').to.equal('ARBITER_MISSING');
    });

    it('goes without one where no member may be it', async () => {
      const { opening, statements } = await new ScriptedSteps(await start(), {}, { arbiter: arbiterOf({}) }).opening();
      expect(opening.arbiter).to.equal(undefined);
      expect(statements).to.have.length(3);
    });

    it('is signed by no aggregator without one where a member may be it', async () => {
      const scene = await withAuditor();
      expect(await codeOf(scene.opening())).to.equal('OPENING_INVALID');
      expect((await scene.opening(ALL, key.sealingKey)).arbiter).to.deep.equal(key);
    });
  });
});
