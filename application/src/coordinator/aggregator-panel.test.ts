// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import { SevError } from '../errors.js';
import { silentLog } from '../services/log.js';
import { rejection } from '../testing/temporary.js';
import { AggregatorPanel, type Patience } from './aggregator-panel.js';

/** Nobody that is needed is given up, nobody else is waited for. */
const IMPATIENT: Patience = { answerMs: 60_000, stragglerMs: 0, slowMs: 0, lagMs: 0 };
const NAMES = ['A', 'B', 'C'];

type Behaviour = () => Promise<string>;
const answers: Behaviour = () => Promise.resolve('right');
const hangs: Behaviour = () => new Promise(() => undefined);
const refuses =
  (code: string): Behaviour =>
  () =>
    Promise.reject(new SevError(code, 'refused'));

describe('AggregatorPanel', () => {
  const clients = NAMES.map((mspId) => ({ mspId }) as AggregatorClient);

  function panelOf(patience: Patience = IMPATIENT, slow = new Set<string>()) {
    const codes: unknown[] = [];
    const log = { ...silentLog, warn: (fields: object) => codes.push('code' in fields ? fields.code : undefined) };
    const panel = new AggregatorPanel(clients, log, patience, slow);
    const ask = (behaviours: Readonly<Record<string, Behaviour>>, needed = 2) =>
      panel.gather('asking', needed, ({ mspId }) => (behaviours[mspId] ?? answers)());
    return { panel, ask, codes };
  }
  const namesOf = (gathered: { readonly answers: readonly { readonly mspId: string }[] }): string[] =>
    gathered.answers.map(({ mspId }) => mspId);

  it('takes the answers of all that answer, in its own order', async () => {
    const { ask, codes } = panelOf({ ...IMPATIENT, stragglerMs: 60_000 });
    const late: Behaviour = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve, 'right')));
    expect(namesOf(await ask({ A: late }))).to.deep.equal(NAMES);
    expect(codes).to.deep.equal([]);
  });

  it('leaves out one that never answers, once there are enough', async () => {
    const { ask, codes } = panelOf();
    expect(namesOf(await ask({ B: hangs }))).to.deep.equal(['A', 'C']);
    expect(codes).to.deep.equal(['SERVICE_TIMEOUT']);
  });

  it('waits no longer than for an answer where there are not enough', async () => {
    const { panel } = panelOf({ ...IMPATIENT, answerMs: 20 });
    const error = await rejection(panel.ask('asking', 2, ({ mspId }) => (mspId === 'A' ? answers() : hangs())));
    expect(error).to.include({
      code: 'AGGREGATORS_MISSING',
      message: 'asking: 2 are needed; left out: B SERVICE_TIMEOUT, C SERVICE_TIMEOUT',
    });
  });

  it('asks one that lags again, and leaves it out when that goes on', async () => {
    let asked = 0;
    const once: Behaviour = () => (asked++ === 0 ? refuses('ROUND_STATE')() : answers());
    const patient = panelOf({ ...IMPATIENT, stragglerMs: 60_000, lagMs: 60_000 });
    expect(namesOf(await patient.ask({ C: once }))).to.deep.equal(NAMES);
    const { ask, codes } = panelOf({ ...IMPATIENT, stragglerMs: 60_000, lagMs: 30 });
    expect(namesOf(await ask({ C: refuses('ROUND_STALE') }))).to.deep.equal(['A', 'B']);
    expect(codes).to.deep.equal(['ROUND_STALE']);
  });

  it('does not wait again for one that was late, in whatever step, until it has been in time', async () => {
    const slow = new Set<string>();
    await panelOf(IMPATIENT, slow).ask({ B: hangs });
    expect([...slow]).to.deep.equal(['B']);
    // Waiting as for one that was in time would take longer than the test may.
    const { panel, ask } = panelOf({ ...IMPATIENT, stragglerMs: 60_000_000 }, slow);
    expect(namesOf(await ask({ B: hangs }))).to.deep.equal(['A', 'C']);
    const two = panel.only(['A', 'B']).ask('asking', 1, ({ mspId }) => (mspId === 'B' ? hangs() : answers()));
    expect(await two).to.deep.equal(['right']);
    await panelOf({ ...IMPATIENT, slowMs: 60_000 }, slow).ask({});
    expect([...slow]).to.deep.equal([]);
  });

  it('counts one that always lags as late', async () => {
    const slow = new Set<string>();
    await panelOf({ ...IMPATIENT, stragglerMs: 60_000 }, slow).ask({ C: refuses('ROUND_STATE') });
    expect([...slow]).to.deep.equal(['C']);
  });

  it('leaves out an answer that does not hold, and one whose check or question fails in whatever way', async () => {
    const { panel, codes } = panelOf();
    const values = await panel.ask(
      'asking',
      1,
      ({ mspId }) => (mspId === 'B' ? Promise.reject(new TypeError('undefined is not a function')) : answers()),
      (_, mspId) => {
        if (mspId === 'A') {
          throw new SevError('SIGNATURE_INVALID', 'not signed');
        }
      },
    );
    expect(values).to.deep.equal(['right']);
    expect(codes).to.have.members(['SIGNATURE_INVALID', undefined]);
  });
});
