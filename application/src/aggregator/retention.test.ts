// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { IncidentRecord, RoundRecord } from '@sev/chaincode/api';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { Scene } from './testing/scene.js';

const CITY = 'CityMSP';
const HOUR = 3_600_000;

describe('Retention of keys and shares', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const inState = async (change: Partial<RoundRecord>): Promise<Scene> => {
    const scene = await Scene.start({ directory: `${directory()}/${String(scenes++)}` });
    await scene.toCohort();
    scene.federation.ledger.advance(scene.ref, change);
    await scene.restart(CITY, { retentionMs: HOUR });
    return scene;
  };
  const isKept = (scene: Scene): boolean => existsSync(join(scene.homeOf(CITY), scene.ref.taskId, '1-1'));

  it('lasts as long as a round is under way, however long that is', async () => {
    const scene = await inState({ state: 'cohort' });
    expect(await scene.at(CITY).clean(Date.now() + 1_000 * HOUR)).to.deep.equal([]);
    expect(isKept(scene)).to.equal(true);
  });

  for (const state of ['finalised', 'aborted'] as const) {
    it(`lasts for its time once a round is ${state}, and not longer`, async () => {
      const scene = await inState({ state, [`${state}AtMs`]: Date.now() });
      expect(await scene.at(CITY).clean(Date.now() + HOUR / 2)).to.deep.equal([]);
      expect(isKept(scene)).to.equal(true);
      expect(await scene.at(CITY).clean(Date.now() + HOUR)).to.deep.equal([scene.ref]);
      expect(isKept(scene)).to.equal(false);
      expect(await codeOf(scene.at(CITY).reveal(scene.ref))).to.equal('ATTEMPT_UNKNOWN');
      expect(await codeOf(scene.at(CITY).prepare(scene.ref, scene.base))).to.equal('ROUND_OUT_OF_ORDER');
    });
  }

  it('ends for an attempt that a later one took the place of', async () => {
    const scene = await inState({ attempt: 2, state: 'open', openedAtMs: Date.now() });
    expect(await scene.at(CITY).clean(Date.now() + 2 * HOUR)).to.deep.equal([scene.ref]);
  });

  it('lasts where the ledger cannot be asked', async () => {
    const scene = await inState({ state: 'finalised', finalisedAtMs: 0 });
    const session = scene.federation.ledger.session(CITY);
    const down = { ...session, evaluate: () => Promise.reject(new Error('down')) };
    const city = await scene.restart(CITY, { session: down, retentionMs: HOUR });
    expect(await city.clean(Date.now() + 2 * HOUR)).to.deep.equal([]);
    expect(isKept(scene)).to.equal(true);
  });

  it('lasts as long as an incident disputes the attempt', async () => {
    const scene = await inState({ state: 'finalised', finalisedAtMs: Date.now() });
    const incident = (state: IncidentRecord['state']): void => {
      const { taskId, round, attempt } = scene.ref;
      const record = { incidentId: 'one', taskId, disputed: [{ round, attempt }], state, openedAtMs: Date.now() };
      scene.federation.ledger.incidents.set('one', record as unknown as IncidentRecord);
    };
    incident('vectors');
    expect(await scene.at(CITY).clean(Date.now() + 2 * HOUR)).to.deep.equal([]);
    expect(isKept(scene)).to.equal(true);
    incident('cleared');
    expect(await scene.at(CITY).clean(Date.now() + 2 * HOUR)).to.deep.equal([scene.ref]);
  });
});
