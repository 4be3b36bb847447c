// SPDX-License-Identifier: Apache-2.0
import {
  memory,
  copyRegisteredKernels,
  engine as tfjs,
  findBackendFactory,
  registerBackend,
  removeBackend,
} from '@tensorflow/tfjs-core';
import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import type { Dataset } from '../data/dataset.js';
import { newRandom } from '../random.js';
import { referenceAdam, referenceLstm, type Loss } from '../testing/reference-lstm.js';
import { predict, trainLocal, type TrainingOptions } from '../training/train.js';
import type { Engine } from './engine.js';
import { EngineError } from './errors.js';
import { modelInputs, modelParameterCount, type DenseSpec, type LstmSpec, type ModelSpec } from './model.js';
import { chooseEngine, engineNamed } from './named.js';

const DENSE: DenseSpec = { kind: 'dense', layers: [6, 9, 5, 1] };
const LSTM: LstmSpec = { kind: 'lstm', steps: 4, features: 2, units: 3, dense: [4] };
const OPTIONS: TrainingOptions = { epochs: 2, batchSize: 8, learningRate: 1e-3, seed: 1 };

function randomData(rows: number, features: number, seed: number): Dataset {
  const random = newRandom(seed);
  const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return { features, rows, x: numbers(rows * features), y: numbers(rows) };
}

/** Parameters off zero everywhere, so that every part of the model takes part. */
function randomParameters(spec: ModelSpec, seed: number): Float32Array {
  const random = newRandom(seed);
  return Float32Array.from({ length: modelParameterCount(spec) }, () => 0.4 * random.normal());
}

async function squaredError(engine: Engine, spec: ModelSpec, parameters: Float32Array, data: Dataset): Promise<number> {
  const outputs = await engine.predict(spec, parameters, data);
  return outputs.reduce((sum, output, row) => sum + (output - data.y[row]!) ** 2, 0) / data.rows;
}

function expectNear(actual: Float32Array, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).to.equal(expected.length);
  actual.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, tolerance, `at ${String(i)}`));
}

for (const name of ['tfjs-cpu', 'tfjs-wasm'] as const) {
  describe(`The engine ${name}`, () => {
    let engine: Engine;

    before(async () => {
      engine = await engineNamed(name);
    });

    it('predicts with dense layers what the own network does', async () => {
      const data = randomData(1_100, 6, 1);
      const parameters = randomParameters(DENSE, 2);
      expectNear(await engine.predict(DENSE, parameters, data), predict(parameters, DENSE.layers, data), 1e-4);
    });

    it('takes the steps that the own trainer takes, over the same batches', async () => {
      const data = randomData(20, 6, 3);
      const parameters = randomParameters(DENSE, 4);
      for (const options of [
        { ...OPTIONS, epochs: 1, batchSize: 20 },
        { ...OPTIONS, epochs: 3 },
        { ...OPTIONS, epochs: 3, huber: 0.2 },
        { ...OPTIONS, epochs: 3, proximal: 0.5, learningRate: 0.01 },
      ]) {
        const expected = trainLocal(parameters, DENSE.layers, data, options);
        expectNear(await engine.train(DENSE, parameters, data, options), expected, 1e-5);
      }
    });

    it('computes an LSTM as published', async () => {
      const data = randomData(5, modelInputs(LSTM), 5);
      const parameters = randomParameters(LSTM, 6);
      const expected = Array.from({ length: data.rows }, (_, row) => referenceLstm(parameters, LSTM, data, row));
      expectNear(await engine.predict(LSTM, parameters, data), expected, 1e-5);
    });

    it('descends the gradient of an LSTM that finite differences of the loss give', async () => {
      const data = randomData(4, modelInputs(LSTM), 7);
      const parameters = randomParameters(LSTM, 8);
      for (const loss of [{}, { huber: 0.3, proximal: 0.5 }] satisfies Loss[]) {
        const options = { ...OPTIONS, ...loss, epochs: 4, batchSize: 4, learningRate: 0.01 };
        const expected = referenceAdam(parameters, LSTM, data, options);
        expectNear(await engine.train(LSTM, parameters, data, options), expected, 2e-4);
      }
    });

    it('frees every tensor, also when training fails', async () => {
      const { numTensors } = memory();
      const data = randomData(10, modelInputs(LSTM), 9);
      const start = engine.initialParameters(LSTM, 1);
      await engine.train(LSTM, start, data, { ...OPTIONS, proximal: 1 });
      await engine.predict(LSTM, start, data);
      const error = await rejection(engine.train(LSTM, start, data, { ...OPTIONS, epochs: 9, learningRate: 1e38 }));
      expect(error).to.have.property('code', 'TRAINING_DIVERGED');
      expect(memory().numTensors).to.equal(numTensors);
    });

    it('leaves the parameters it was given', async () => {
      const start = engine.initialParameters(DENSE, 1);
      const before = start.slice();
      const trained = await engine.train(DENSE, start, randomData(10, 6, 1), OPTIONS);
      expect(start).to.deep.equal(before);
      expect(trained).not.to.deep.equal(before);
    });

    it('refuses data and options that do not fit, by name', async () => {
      const start = engine.initialParameters(LSTM, 1);
      const data = randomData(3, modelInputs(LSTM), 1);
      const code = async (parameters: Float32Array, set: Dataset, change: Partial<TrainingOptions> = {}) =>
        ((await rejection(engine.train(LSTM, parameters, set, { ...OPTIONS, ...change }))) as { code: string }).code;
      expect(await code(start, data, { epochs: 0 })).to.equal('TRAINING_OPTION_INVALID');
      expect(await code(start.subarray(1), data)).to.equal('MODEL_LENGTH');
      expect(await code(start, randomData(3, 7, 1))).to.equal('MODEL_INPUT_WIDTH');
      expect(await code(start, { ...data, rows: 0, x: new Float32Array(0), y: new Float32Array(0) })).to.equal(
        'DATA_TOO_FEW_ROWS',
      );
    });
  });
}

describe('Engines of TensorFlow.js', () => {
  it('learn a sine with an LSTM', async () => {
    const spec: LstmSpec = { kind: 'lstm', steps: 8, features: 1, units: 6 };
    const wave = (t: number): number => Math.sin((2 * Math.PI * t) / 12);
    const rows = 96;
    const x = Float32Array.from({ length: rows * 8 }, (_, i) => wave(Math.floor(i / 8) + (i % 8)));
    const data: Dataset = { features: 8, rows, x, y: Float32Array.from({ length: rows }, (_, row) => wave(row + 8)) };
    const engine = await engineNamed('tfjs-wasm');
    const start = engine.initialParameters(spec, 1);
    const options = { epochs: 25, batchSize: 16, learningRate: 0.02, seed: 1 };
    const trained = await engine.train(spec, start, data, options);
    expect(await squaredError(engine, spec, start, data)).to.be.greaterThan(0.3);
    expect(await squaredError(engine, spec, trained, data)).to.be.lessThan(0.01);
  });

  it('work side by side, each on its own backend', async () => {
    const engines = await Promise.all(['tfjs-cpu', 'tfjs-wasm', 'tfjs-cpu'].map((name) => engineNamed(name)));
    const data = randomData(30, 6, 1);
    const start = randomParameters(DENSE, 2);
    const results = await Promise.all(engines.map((engine) => engine.train(DENSE, start, data, OPTIONS)));
    for (const [index, engine] of engines.entries()) {
      expect(results[index]).to.deep.equal(await engine.train(DENSE, start, data, OPTIONS));
    }
  });

  it('leave it to the process what happens on errors that nobody catches', () => {
    const loader = new URL('./named.js', import.meta.url).href;
    const script = `
      const { engineNamed } = await import(${JSON.stringify(loader)});
      const loading = engineNamed('tfjs-wasm');
      const own = () => undefined;
      process.on('unhandledRejection', own);
      await loading;
      const left = ['uncaughtException', 'unhandledRejection'].flatMap((event) => process.rawListeners(event));
      process.exitCode = left.length === 1 && left[0] === own ? 0 : 1;`;
    expect(spawnSync(process.execPath, ['--input-type=module', '--eval', script]).status).to.equal(0);
  });
});

describe('The native package', () => {
  const absent = { isInstalled: () => false, load: () => Promise.reject(new Error('never asked')) };
  const broken = { isInstalled: () => true, load: () => Promise.reject(new Error('wrong ELF class\nand more')) };
  const withoutKernels = {
    isInstalled: () => true,
    load: () => Promise.resolve(registerBackend('tensorflow', findBackendFactory('cpu'))),
  };
  /** TensorFlow.js cannot tell it from the real one. */
  const working = {
    isInstalled: () => true,
    load: () => {
      copyRegisteredKernels('cpu', 'tensorflow');
      return withoutKernels.load();
    },
  };

  afterEach(() => {
    if (tfjs().backendNames().includes('tensorflow')) {
      removeBackend('tensorflow');
    }
  });

  it('where absent is replaced by WebAssembly, and the user is told', async () => {
    const { engine, reason } = await chooseEngine('tfjs', absent);
    expect(engine).to.equal('tfjs-wasm');
    expect(reason).to.contain('not installed').and.to.contain('make tfjs-node');
    expect((await engineNamed('tfjs', undefined, absent)).name).to.equal('tfjs-wasm');
  });

  it('where it does not work is replaced as well, with the cause', async () => {
    const { engine, reason } = await chooseEngine('tfjs', broken);
    expect(engine).to.equal('tfjs-wasm');
    expect(reason).to.contain('wrong ELF class').and.not.to.contain('and more');
    const second = await chooseEngine('tfjs', withoutKernels);
    expect(second.engine).to.equal('tfjs-wasm');
    expect(second.reason).to.contain(`Node ${process.versions.node}`);
  });

  it('where it works is used', async () => {
    await engineNamed('tfjs-cpu');
    const engine = await engineNamed('tfjs', undefined, working);
    expect(engine.name).to.equal('tfjs-node');
    const data = randomData(5, 6, 1);
    const start = randomParameters(DENSE, 2);
    expectNear(await engine.predict(DENSE, start, data), predict(start, DENSE.layers, data), 1e-4);
  });

  it('is missed by name only where it was named', async () => {
    for (const native of [absent, broken]) {
      const error = await rejection(engineNamed('tfjs-node', undefined, native));
      expect(error).to.be.instanceOf(EngineError);
      expect(error).to.have.property('code', 'ENGINE_MISSING');
    }
  });
});

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const [result] = await Promise.allSettled([promise]);
  if (result.status === 'fulfilled') {
    throw new Error('A refusal was expected');
  }
  return result.reason;
}
