// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { createHash } from 'node:crypto';
import type { Dataset } from '../data/dataset.js';
import { parametersToBytes } from '../models/bytes.js';
import { initialParameters, parameterCount } from '../models/dense.js';
import { newRandom } from '../random.js';
import { modelError } from '../testing/errors.js';
import { predict, trainLocal, type TrainingOptions } from '../training/train.js';
import { ENGINE_NAMES } from './engine.js';
import { EngineError } from './errors.js';
import { lstmPlaces, modelInitialParameters, modelParameterCount, type LstmSpec, type ModelSpec } from './model.js';
import { chooseEngine, engineNamed } from './named.js';

const DENSE: ModelSpec = { kind: 'dense', layers: [6, 9, 5, 1] };
const LSTM: LstmSpec = { kind: 'lstm', steps: 4, features: 2, units: 3, dense: [4] };
const OPTIONS: TrainingOptions = { epochs: 2, batchSize: 8, learningRate: 1e-3, seed: 1, huber: 0.5, proximal: 0.1 };

function randomData(rows: number, features: number): Dataset {
  const random = newRandom(1);
  const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return { features, rows, x: numbers(rows * features), y: numbers(rows) };
}

describe('A model of an engine', () => {
  it('has 4 · units · (features + units + 1) parameters in its LSTM', () => {
    expect(modelParameterCount({ kind: 'lstm', steps: 16, features: 8, units: 16 })).to.equal(4 * 16 * 25 + 17);
    expect(modelParameterCount(LSTM)).to.equal(4 * 3 * 6 + parameterCount([3, 4, 1]));
    expect(modelParameterCount({ kind: 'dense', layers: [140, 64, 32, 1] })).to.equal(11_137);
  });

  it('starts an LSTM within its bounds, forget gates open', () => {
    const parameters = modelInitialParameters(LSTM, 1);
    const { kernel, recurrent, biases, end } = lstmPlaces(LSTM);
    const reach = (from: number, to: number): number => Math.max(...parameters.subarray(from, to).map(Math.abs));
    expect(reach(kernel, recurrent)).to.be.within(0.1, Math.sqrt(6 / 5));
    expect(reach(recurrent, biases)).to.be.within(0.1, 1);
    expect([...parameters.subarray(biases, end)]).to.deep.equal([0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    expect(modelInitialParameters(LSTM, 2)).not.to.deep.equal(parameters);
  });

  it('starts from these very bits on every machine', () => {
    const hash = createHash('sha256')
      .update(parametersToBytes(modelInitialParameters(LSTM, 1)))
      .digest('hex');
    expect(hash).to.equal('e9268a65208e118a4762e1cd3f22c9c62b2f2d0a651a0f5bcd8099858b2e9641');
  });

  it('is refused for numbers that describe no network', () => {
    for (const spec of [
      { ...LSTM, steps: 0 },
      { ...LSTM, features: 1.5 },
      { ...LSTM, units: Number.POSITIVE_INFINITY },
      { ...LSTM, dense: [0] },
      { kind: 'dense', layers: [4, 2] },
      { kind: 'dense', layers: [1] },
    ] satisfies ModelSpec[]) {
      expect(modelError(() => modelParameterCount(spec)).code).to.equal('MODEL_LAYERS');
      expect(modelError(() => modelInitialParameters(spec, 1)).code).to.equal('MODEL_LAYERS');
    }
  });
});

describe('The engine dense', () => {
  it("is the project's own trainer, bit by bit", async () => {
    const engine = await engineNamed('dense');
    const data = randomData(20, 6);
    const { layers } = DENSE;
    const start = engine.initialParameters(DENSE, 7);
    expect(engine.parameterCount(DENSE)).to.equal(start.length);
    expect(start).to.deep.equal(initialParameters(layers, 7));
    expect(await engine.train(DENSE, start, data, OPTIONS)).to.deep.equal(trainLocal(start, layers, data, OPTIONS));
    expect(await engine.predict(DENSE, start, data)).to.deep.equal(predict(start, layers, data));
    expect(engine.isBitIdentical).to.equal(true);
  });

  it('refuses an LSTM by name and says what can do it', async () => {
    const engine = await engineNamed('dense');
    const data = randomData(2, 8);
    const start = new Float32Array(modelParameterCount(LSTM));
    for (const call of [
      () => engine.parameterCount(LSTM),
      () => engine.initialParameters(LSTM, 1),
      () => engine.train(LSTM, start, data, OPTIONS),
      () => engine.predict(LSTM, start, data),
    ]) {
      const error = await engineError(call);
      expect(error.code).to.equal('ENGINE_UNFIT');
      expect(error.message).to.contain('tfjs');
    }
  });
});

describe('Engines', () => {
  it('of TensorFlow.js start from the same parameters as all others', async () => {
    const [own, wasm] = await Promise.all([engineNamed('dense'), engineNamed('tfjs-wasm')]);
    expect(wasm.initialParameters(DENSE, 3)).to.deep.equal(own.initialParameters(DENSE, 3));
    expect(wasm.initialParameters(LSTM, 3)).to.deep.equal(modelInitialParameters(LSTM, 3));
    expect(wasm.isBitIdentical).to.equal(false);
  });

  it('refuse models beyond their bounds', async () => {
    for (const name of ['dense', 'tfjs-cpu']) {
      const engine = await engineNamed(name, { parameters: 130, inputs: 6 });
      expect(engine.parameterCount({ kind: 'dense', layers: [6, 16, 1] })).to.equal(129);
      for (const layers of [
        [6, 17, 1],
        [7, 2, 1],
        [1e300, 1e300, 1],
      ]) {
        const error = await engineError(() => engine.initialParameters({ kind: 'dense', layers }, 1));
        expect(error.code).to.equal('MODEL_TOO_LARGE');
      }
    }
  });

  it('do nothing once they are closed', async () => {
    for (const name of ['dense', 'tfjs-cpu']) {
      const engine = await engineNamed(name);
      engine.close();
      const error = await engineError(() => engine.predict(DENSE, new Float32Array(1), randomData(1, 6)));
      expect(error.code).to.equal('ENGINE_CLOSED');
      await engineNamed(name);
    }
  });

  it('that nobody knows are refused with the names of those that there are', async () => {
    const error = await engineError(() => engineNamed('torch'));
    expect(error.code).to.equal('ENGINE_UNKNOWN');
    expect(ENGINE_NAMES.every((name) => error.message.includes(name))).to.equal(true);
  });

  it('are what was named', async () => {
    expect(await chooseEngine('dense')).to.deep.equal({ engine: 'dense', reason: 'dense was named' });
    expect((await engineNamed('tfjs-cpu')).name).to.equal('tfjs-cpu');
  });
});

/** The EngineError that the call throws or rejects with; anything else fails the test. */
async function engineError(call: () => unknown): Promise<EngineError> {
  try {
    await call();
  } catch (error) {
    if (error instanceof EngineError) {
      return error;
    }
    throw error;
  }
  throw new Error('An EngineError was expected');
}
