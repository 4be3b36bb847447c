// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import {
  openingHash,
  verifyStatement,
  type CorrectionRecord,
  type OpeningStatement,
  type RoundOpening,
  type RoundRecord,
} from '@sev/chaincode/api';
import { newSealingKey } from '@sev/fl';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import type { Deal, PreparedPart } from './aggregator-client.js';
import { Scene, type SceneOptions } from './testing/scene.js';

const ALL = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;

describe('Preparing a round', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const start = (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> =>
    Scene.start({ ...options, directory: `${directory()}/${String(scenes++)}` });

  const prepareAll = (scene: Scene): Promise<PreparedPart[]> =>
    Promise.all(ALL.map((mspId) => scene.at(mspId).prepare(scene.ref, scene.base)));
  const dealAll = async (scene: Scene, parts: readonly PreparedPart[]): Promise<Deal[]> =>
    (await Promise.all(parts.map(({ part }) => scene.at(part.mspId).deal(scene.ref, parts)))).flat();
  const openingOf = (parts: readonly PreparedPart[]): RoundOpening => ({ aggregators: parts.map(({ part }) => part) });

  it('makes the same part for an attempt, asked twice, at once and after a restart', async () => {
    const scene = await start();
    const city = scene.at('CityMSP');
    const asked = await Promise.all([city.prepare(scene.ref, scene.base), city.prepare(scene.ref, scene.base)]);
    const again = await (await scene.restart('CityMSP')).prepare(scene.ref, scene.base);
    expect(asked).to.deep.equal([again, again]);
  });

  it('prepares nothing but what the ledger opens next, from the base that the ledger has', async () => {
    const scene = await start();
    const city = scene.at('CityMSP');
    const { ref, base } = scene;
    expect(await codeOf(city.prepare({ ...ref, round: 2 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(city.prepare({ ...ref, attempt: 2 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(city.prepare({ ...ref, round: 4 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(city.prepare(ref, 'a'.repeat(64)))).to.equal('BASE_MODEL_MISMATCH');
    expect(await codeOf(city.prepare({ ...ref, taskId: 'other' }, base))).to.equal('TASK_UNKNOWN');
    await scene.open();
    scene.federation.ledger.advance(ref, { state: 'aborted' });
    expect(await codeOf(city.prepare({ ...ref, attempt: 3 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect((await city.prepare({ ...ref, attempt: 2 }, base)).part.mspId).to.equal('CityMSP');
  });

  it('takes no part in tasks that do not name it, or need no aggregator', async () => {
    const scene = await start();
    const regulator = await scene.restart('RegulatorMSP');
    expect(await codeOf(regulator.prepare(scene.ref, scene.base))).to.equal('AGGREGATOR_NOT_NAMED');
    const plain = new Scene({ directory: directory() });
    plain.federation.task.secure = undefined;
    const city = await plain.restart('CityMSP');
    expect(await codeOf(city.prepare(plain.ref, plain.base))).to.equal('MODE_NOT_SECURE');
  });

  it('deals to each other aggregator what that one holds, and signs an opening that bears it out', async () => {
    const scene = await start();
    const parts = await prepareAll(scene);
    const deals = await dealAll(scene, parts);
    expect(deals.map(({ from, to }) => `${from} ${to}`)).to.have.lengthOf(6);
    const opening = openingOf(parts);
    const signed = await scene.at('CityMSP').accept(
      scene.ref,
      opening,
      deals.filter(({ to }) => to === 'CityMSP'),
    );
    const statement: OpeningStatement = {
      type: 'sev/round-opening/v1',
      ...{ consortium: scene.federation.consortium, ...scene.ref, mspId: 'CityMSP' },
      ...{ baseModelHash: scene.base, openingHash: openingHash(opening) },
    };
    const key = createPublicKey(scene.federation.organisationKey('CityMSP'));
    expect(verifyStatement(statement, signed.signature, key)).to.equal(true);
  });

  it('deals to no key that the other aggregator has not signed for this attempt', async () => {
    const scene = await start();
    const [city, grid, maker] = (await prepareAll(scene)) as [PreparedPart, PreparedPart, PreparedPart];
    const { publicKey } = await newSealingKey();
    const forged = { ...grid, part: { ...grid.part, sealingKey: publicKey } };
    expect(await codeOf(scene.at('CityMSP').deal(scene.ref, [city, forged, maker]))).to.equal('PART_INVALID');
    const stranger = { ...grid, part: { ...grid.part, mspId: 'RegulatorMSP' } };
    expect(await codeOf(scene.at('CityMSP').deal(scene.ref, [city, stranger]))).to.equal('PART_INVALID');
  });

  it('knows nothing of attempts that it did not prepare', async () => {
    const scene = await start();
    const city = scene.at('CityMSP');
    expect(await codeOf(city.deal(scene.ref, []))).to.equal('ATTEMPT_UNKNOWN');
    expect(await codeOf(city.accept(scene.ref, { aggregators: [] }, []))).to.equal('ATTEMPT_UNKNOWN');
  });

  it('accepts no opening with a deal that is missing, altered, swapped or not as committed', async () => {
    const scene = await start();
    const parts = await prepareAll(scene);
    const deals = await dealAll(scene, parts);
    const mine = deals.filter(({ to }) => to === 'CityMSP');
    const accept = (given: readonly Deal[], opening = openingOf(parts)): Promise<unknown> =>
      codeOf(scene.at('CityMSP').accept(scene.ref, opening, given));
    expect(await accept(mine.slice(1))).to.equal('DEAL_MISSING');
    const altered = Buffer.from(mine[0]!.sealed, 'base64');
    altered[altered.length - 1]! ^= 1;
    expect(await accept([{ ...mine[0]!, sealed: altered.toString('base64') }, mine[1]!])).to.equal('DEAL_INVALID');
    const [first, second] = mine as [Deal, Deal];
    expect(
      await accept([
        { ...first, sealed: second.sealed },
        { ...second, sealed: first.sealed },
      ]),
    ).to.equal('DEAL_INVALID');
    const toMaker = deals.find(({ from, to }) => from === 'GridMSP' && to === 'MakerMSP')!;
    expect(await accept([{ ...toMaker, to: 'CityMSP' }, ...mine.slice(1)])).to.equal('DEAL_INVALID');
    const [city, grid, maker] = parts as [PreparedPart, PreparedPart, PreparedPart];
    const leaves = grid.part.nonceLeaves.map(() => 'b'.repeat(64));
    const lied = { aggregators: [city.part, { ...grid.part, nonceLeaves: leaves }, maker.part] };
    expect(await accept(mine, lied)).to.equal('DEAL_INVALID');
  });

  it('accepts no opening that is not one of the task, or that changes its own part', async () => {
    const scene = await start();
    const parts = await prepareAll(scene);
    const mine = (await dealAll(scene, parts)).filter(({ to }) => to === 'CityMSP');
    const [city, grid, maker] = openingOf(parts).aggregators as [
      PreparedPart['part'],
      PreparedPart['part'],
      PreparedPart['part'],
    ];
    const openings = {
      'without it': [grid, maker],
      'out of order': [grid, city, maker],
      'named twice': [city, city, grid],
      'too few': [city],
      'another key of its own': [{ ...city, sealingKey: grid.sealingKey }, grid, maker],
      'a nonce of another length': [city, { ...grid, nonceLeaves: grid.nonceLeaves.slice(1) }, maker],
      'noise in a mode without': [
        city,
        {
          ...grid,
          noise: [
            { root: scene.base, seedLeaves: grid.nonceLeaves },
            { root: scene.base, seedLeaves: grid.nonceLeaves },
          ] as NonNullable<PreparedPart['part']['noise']>,
        },
        maker,
      ],
    };
    for (const [name, aggregators] of Object.entries(openings)) {
      expect(await codeOf(scene.at('CityMSP').accept(scene.ref, { aggregators }, mine)), name).to.equal(
        'OPENING_INVALID',
      );
    }
  });

  it('signs one more opening however many were tried before', async () => {
    const scene = await start();
    const parts = await prepareAll(scene);
    const mine = (await dealAll(scene, parts)).filter(({ to }) => to === 'CityMSP');
    for (let tried = 0; tried <= 33; tried++) {
      const arbiter = { mspId: 'RegulatorMSP', sealingKey: `made up ${String(tried)}` };
      const signed = await scene.at('CityMSP').accept(scene.ref, { ...openingOf(parts), arbiter }, mine);
      expect(signed.mspId).to.equal('CityMSP');
    }
  });

  it('signs an opening without an aggregator that died meanwhile, until the ledger has taken one', async () => {
    const scene = await start();
    await scene.opening();
    await scene.open(['CityMSP', 'MakerMSP']);
    expect(scene.round.secure!.opening.aggregators).to.have.lengthOf(2);
    const parts = await prepareAll(scene);
    const mine = (await dealAll(scene, parts)).filter(({ to }) => to === 'CityMSP');
    expect(await codeOf(scene.at('CityMSP').accept(scene.ref, openingOf(parts), mine))).to.equal('ROUND_CONFLICT');
  });

  it('prepares anew where the model that it prepared from was corrected meanwhile', async () => {
    const scene = await start();
    const { ref, federation } = scene;
    const next = { ...ref, round: 2 };
    const models = ['b'.repeat(64), 'c'.repeat(64)] as const;
    await scene.open();
    const proposal = { modelHash: models[0] } as RoundRecord['proposal'];
    federation.ledger.advance(ref, { state: 'finalised', ...(proposal === undefined ? {} : { proposal }) });
    const ahead = await scene.at('CityMSP').prepare(next, models[0]);
    expect(await codeOf(scene.at('CityMSP').prepare(next, models[1]))).to.equal('BASE_MODEL_MISMATCH');
    federation.ledger.corrections.set(1, { modelHash: models[1] } as CorrectionRecord);
    const anew = await scene.at('CityMSP').prepare(next, models[1]);
    expect(anew.part).not.to.deep.equal(ahead.part);
    expect(await (await scene.restart('CityMSP')).prepare(next, models[1])).to.deep.equal(anew);
    expect(await codeOf(scene.at('CityMSP').prepare(next, models[0]))).to.equal('BASE_MODEL_MISMATCH');
  });
});
