// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { parameterCount, sha256Hex, type Task } from '@sev/chaincode/api';
import { initialParameters, newRandom, toSigned, trainLocal, type Dataset } from '@sev/fl';
import { trainingOf } from '../services/model-spec.js';
import { Federation } from '../testing/federation.js';
import { trainingSeed } from '../vehicle/data.js';
import type { TrainingOrder } from '../vehicle/messages.js';
import { encodedUpdate } from '../vehicle/secure-report.js';
import { Colluders } from './colluders.js';

const layers = [3, 4, 1];
const federation = new Federation({ secure: { rule: 'norm-scaling' } });
const task: Task = {
  ...federation.task,
  model: { ...federation.task.model, layers, parameters: parameterCount(layers) },
};
const base = initialParameters(layers, 7);
const clients = [2, 5, 9];
const data = clients.map((client) => rowsOf(client));

/** Rows whose middle input is 0 or 1, seldom 1. */
function rowsOf(seed: number, rows = 40): Dataset {
  const random = newRandom(seed);
  const x = Float32Array.from({ length: 3 * rows }, (_, at) =>
    at % 3 === 1 ? (random.below(10) === 0 ? 1 : 0) : random.uniform(),
  );
  return { features: 3, rows, x, y: Float32Array.from({ length: rows }, () => random.normal()) };
}

function orderOf(round: number, change: Partial<TrainingOrder> = {}): TrainingOrder {
  const place = { taskId: task.taskId, round, attempt: 1, baseModelHash: sha256Hex(`base ${String(round)}`) };
  return { consortium: federation.consortium, task, round: place, parameters: base, ...change };
}

function colludersFor(name: string): Colluders {
  return new Colluders({ name, seed: 4, clients }, data);
}

/** What the vehicle would have sent. */
function honest(place: number, round: number): Float32Array {
  const options = trainingOf(task, trainingSeed(task.training.seed, round, clients[place]!));
  return trainLocal(base, layers, data[place]!, options).map((value, at) => value - base[at]!);
}

describe('Colluders', () => {
  it('lengthen or mirror the update that they would have sent honestly', () => {
    const scaled = colludersFor('scaling').update(5, orderOf(2));
    expect([...scaled]).to.deep.equal([...honest(1, 2).map((value) => value * 20)]);
    const flipped = colludersFor('label-flip').update(5, orderOf(2));
    expect([...flipped]).not.to.deep.equal([...honest(1, 2)]);
  });

  it('attack from the first round on, or from the one that they are told', () => {
    expect(colludersFor('alie').attackIn(1)).to.equal(true);
    const late = new Colluders({ name: 'alie', seed: 4, clients, from: 3 }, data);
    expect([1, 2, 3, 4].map((round) => late.attackIn(round))).to.deep.equal([false, false, true, true]);
  });

  it('come to the same numbers in every worker that runs one of them', () => {
    for (const name of ['alie', 'colluding-pair', 'gaussian', 'root-aligned-noisy']) {
      const [one, other] = [colludersFor(name), colludersFor(name)];
      expect([...one.update(9, orderOf(1))], name).to.deep.equal([...other.update(9, orderOf(1))]);
    }
  });

  it('know what each of them would have sent', () => {
    const colluders = colludersFor('sybil');
    for (const client of clients) {
      expect([...colluders.update(client, orderOf(3))]).to.deep.equal([...honest(0, 3)]);
    }
  });

  it('train anew in each round', () => {
    const colluders = colludersFor('sybil');
    colluders.update(2, orderOf(3));
    expect([...colluders.update(2, orderOf(4))]).to.deep.equal([...honest(0, 4)]);
  });

  it('see the models of earlier rounds and the last reference direction', () => {
    const before = base.map((value, at) => value - at * 0.25);
    const earlier = { bases: [before] };
    const replayed = colludersFor('free-rider-replay').update(2, orderOf(2, { earlier }));
    expect([...replayed]).to.deep.equal([...base.map((value, at) => value - before[at]!)]);
    const lastDirection = Int32Array.from(base, (_, at) => (at % 2 === 0 ? 9_000 : -9_000));
    const aligned = (more: object): number[] => [
      ...colludersFor('root-aligned').update(2, orderOf(2, { earlier: { bases: [before], ...more } })),
    ];
    expect(aligned({ lastDirection })).not.to.deep.equal(aligned({}));
  });

  it('set a backdoor by the rare input of their rows', () => {
    const quiet = data.map(({ x, ...rest }) => ({ ...rest, x: x.map((value, at) => (at % 3 === 1 ? 0.5 : value)) }));
    const update = (rows: readonly Dataset[]): number[] => [
      ...new Colluders({ name: 'backdoor-slow', seed: 4, clients }, rows).update(2, orderOf(1)),
    ];
    expect(update(data)).not.to.deep.equal([...honest(0, 1)]);
    expect(update(quiet)).not.to.deep.equal(update(data));
  });

  it('do not clip: what is shared leaves the bound that an honest vehicle keeps', () => {
    const format = { fractionBits: 11, clip: 0.01 };
    const update = colludersFor('scaling').update(2, orderOf(1));
    const trained = base.map((value, at) => value + update[at]!);
    const model = { base, trained, predictions: new Float32Array() };
    const norm = (values: Uint32Array): number => Math.hypot(...toSigned(values)) / 2 ** format.fractionBits;
    expect(norm(encodedUpdate({ ...model, isUnclipped: true }, format))).to.be.closeTo(Math.hypot(...update), 0.01);
    expect(norm(encodedUpdate(model, format)))
      .to.be.lessThan(0.02)
      .and.to.be.lessThan(Math.hypot(...update) / 2);
  });

  it('attack no task that trains with another engine', () => {
    const other: Task = { ...task, engine: 'tfjs' };
    expect(() => colludersFor('sign-flip').update(2, orderOf(1, { task: other })))
      .to.throw()
      .with.property('code', 'ATTACK_UNSUITED');
  });
});
