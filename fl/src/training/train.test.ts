// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Dataset } from '../data/dataset.js';
import { encodeCars } from '../data/features.js';
import { generateCarTable } from '../data/generate.js';
import { parametersToBytes } from '../models/bytes.js';
import { initialParameters, parameterCount } from '../models/dense.js';
import { newRandom } from '../random.js';
import { dataError, modelError } from '../testing/errors.js';
import { referenceGradient, referenceLayers, referenceLoss, referencePredict } from '../testing/reference.js';
import { KERNEL_SOURCE } from './dense-kernel.js';
import { lossGradient } from './gradient.js';
import { predict, trainLocal, type TrainingOptions } from './train.js';

const OPTIONS: TrainingOptions = { epochs: 2, batchSize: 8, learningRate: 1e-3, seed: 1 };

/** Data of which a share of the inputs is zero; one input never is anything else. */
function randomData(rows: number, features: number, density: number, seed: number): Dataset {
  const random = newRandom(seed);
  const x = Float32Array.from({ length: rows * features }, (_, i) =>
    i % features !== 1 && random.uniform() < density ? random.normal() : 0,
  );
  return { features, rows, x, y: Float32Array.from({ length: rows }, () => random.normal()) };
}

const networks = fc.record({
  layers: fc
    .tuple(fc.integer({ min: 2, max: 9 }), fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 }))
    .map(([inputs, hidden]) => [inputs, ...hidden, 1]),
  density: fc.constantFrom(0.1, 0.5, 1),
  seed: fc.nat(),
});

describe('The dense network', () => {
  it('with sparse inputs computes what a dense one computes', () => {
    fc.assert(
      fc.property(networks, ({ layers, density, seed }) => {
        const data = randomData(5, layers[0]!, density, seed);
        const parameters = initialParameters(layers, seed);
        const network = referenceLayers(parameters, layers);
        predict(parameters, layers, data).forEach((output, row) => {
          const input = Array.from(data.x.subarray(row * data.features, (row + 1) * data.features));
          expect(output).to.be.closeTo(referencePredict(network, input), 1e-5);
        });
      }),
    );
  });

  it('has the gradient that finite differences of the loss give', () => {
    fc.assert(
      fc.property(networks, ({ layers, density, seed }) => {
        const data = randomData(4, layers[0]!, density, seed);
        // Biases off zero, so that no unit lies on the kink of ReLU.
        const random = newRandom(seed);
        const parameters = initialParameters(layers, seed).map((p) => p + 0.1 * random.normal());
        const gradient = lossGradient(parameters, layers, data);
        referenceGradient(parameters, layers, data, [0, 1, 2, 3]).forEach((expected, i) => {
          expect(gradient[i]).to.be.closeTo(expected, 1e-4 * (1 + Math.abs(expected)), `parameter ${String(i)}`);
        });
      }),
      { numRuns: 50 },
    );
  });
});

describe('Local training', () => {
  const layers = [6, 5, 4, 1];
  const data = randomData(20, 6, 0.4, 3);
  const start = initialParameters(layers, 4);

  it('takes the steps of Adam as published, over all parameters', () => {
    // One batch an epoch, so that the order of the rows does not matter.
    const options = { ...OPTIONS, epochs: 5, batchSize: 20, learningRate: 0.01 };
    // Biases off zero, so that no unit lies on the kink of ReLU.
    const shifted = start.map((p) => p + 0.05);
    let expected = Array.from(shifted);
    let m = expected.map(() => 0);
    let v = expected.map(() => 0);
    const rows = [...data.y.keys()];
    for (let t = 1; t <= options.epochs; t++) {
      const g = referenceGradient(expected, layers, data, rows);
      m = m.map((value, i) => 0.9 * value + 0.1 * g[i]!);
      v = v.map((value, i) => 0.999 * value + 0.001 * g[i]! ** 2);
      expected = expected.map((p, i) => {
        const mHat = m[i]! / (1 - 0.9 ** t);
        const vHat = v[i]! / (1 - 0.999 ** t);
        return p - (options.learningRate * mHat) / (Math.sqrt(vHat) + 1e-8);
      });
    }
    const trained = trainLocal(shifted, layers, data, options);
    trained.forEach((p, i) => expect(p).to.be.closeTo(expected[i]!, 1e-4, `parameter ${String(i)}`));
    // Weights of the input that is always zero have not moved.
    expect(trained.subarray(5, 10)).to.deep.equal(shifted.subarray(5, 10));
  });

  it("takes the steps of Huber's loss and of a proximal term, as published", () => {
    const options = { ...OPTIONS, epochs: 3, batchSize: 20, learningRate: 0.01, huber: 0.2, proximal: 0.5 };
    const shifted = start.map((p) => p + 0.05);
    const loss = (p: readonly number[]): number => {
      const network = referenceLayers(Float32Array.from(p), layers);
      const errors = [...data.y].map((y, row) => {
        const input = Array.from(data.x.subarray(row * data.features, (row + 1) * data.features));
        return Math.abs(referencePredict(network, input) - y);
      });
      const mean = errors.reduce((sum, e) => sum + (e <= 0.2 ? (e * e) / 2 : 0.2 * (e - 0.1)), 0) / errors.length;
      return mean + (0.5 / 2) * p.reduce((sum, value, i) => sum + (value - shifted[i]!) ** 2, 0);
    };
    let expected = Array.from(shifted);
    let m = expected.map(() => 0);
    let v = expected.map(() => 0);
    for (let t = 1; t <= options.epochs; t++) {
      const step = 1e-3;
      const moved = (i: number, by: number): number[] => expected.map((p, j) => (i === j ? p + by : p));
      const at = expected;
      const g = at.map((_, i) => (loss(moved(i, step)) - loss(moved(i, -step))) / (2 * step));
      m = m.map((value, i) => 0.9 * value + 0.1 * g[i]!);
      v = v.map((value, i) => 0.999 * value + 0.001 * g[i]! ** 2);
      expected = at.map((p, i) => {
        const root = Math.sqrt(v[i]! / (1 - 0.999 ** t)) + 1e-8;
        return p - (options.learningRate * (m[i]! / (1 - 0.9 ** t))) / root;
      });
    }
    const trained = trainLocal(shifted, layers, data, options);
    trained.forEach((p, i) => expect(p).to.be.closeTo(expected[i]!, 2e-3, `parameter ${String(i)}`));
  });

  it('stays nearer to where it began with a stronger proximal term', () => {
    const distance = (proximal: number): number => {
      const trained = trainLocal(start, layers, data, { ...OPTIONS, epochs: 30, learningRate: 0.01, proximal });
      return Math.hypot(...trained.map((p, i) => p - start[i]!));
    };
    expect(distance(1)).to.be.lessThan(0.8 * distance(0));
    expect(distance(100)).to.be.lessThan(0.8 * distance(1));
  });

  it('runs the kernel that its source was compiled to', async () => {
    const source = await readFile(new URL('../../wasm/dense.ts', import.meta.url));
    const hash = createHash('sha256').update(source).digest('hex');
    expect(hash).to.equal(KERNEL_SOURCE, 'npm run build:kernel -w @sev/fl');
  });

  it('does not mix up trainings of networks of other sizes that follow each other', () => {
    const wide = [6, 33, 17, 1];
    const alone = trainLocal(initialParameters(wide, 1), wide, data, OPTIONS);
    trainLocal(start, layers, randomData(500, 6, 1, 9), OPTIONS);
    expect(trainLocal(initialParameters(wide, 1), wide, data, OPTIONS)).to.deep.equal(alone);
  });

  it('lowers the loss and leaves the parameters it was given', () => {
    const before = start.slice();
    const trained = trainLocal(start, layers, data, { ...OPTIONS, epochs: 100, learningRate: 0.01 });
    const rows = [...data.y.keys()];
    expect(referenceLoss(trained, layers, data, rows)).to.be.lessThan(0.5 * referenceLoss(start, layers, data, rows));
    expect(start).to.deep.equal(before);
  });

  it('gives the same bits for the same seed, others for another', () => {
    const train = (seed: number): Float32Array => trainLocal(start, layers, data, { ...OPTIONS, seed });
    expect(train(1)).to.deep.equal(train(1));
    expect(train(1)).not.to.deep.equal(train(2));
  });

  it('gives these very bits on every machine', () => {
    const cars = encodeCars(generateCarTable({ rows: 200, seed: 11 }).rows);
    const model = [140, 64, 32, 1];
    const trained = trainLocal(initialParameters(model, 12), model, cars, {
      ...OPTIONS,
      epochs: 5,
      batchSize: 32,
      seed: 13,
    });
    expect(createHash('sha256').update(parametersToBytes(trained)).digest('hex')).to.equal(
      'ebe7f73164eaf5cdd4feddebdf113aadf91b3f9a4064dba5e6d694135d3ae514',
    );
  });

  it('of 140 rows and 5 epochs takes milliseconds', () => {
    const cars = encodeCars(generateCarTable({ rows: 140, seed: 11 }).rows);
    const model = [140, 64, 32, 1];
    const initial = initialParameters(model, 12);
    const times = Array.from({ length: 20 }, () => {
      const { user } = process.cpuUsage();
      trainLocal(initial, model, cars, { ...OPTIONS, epochs: 5, batchSize: 32 });
      return (process.cpuUsage().user - user) / 1_000;
    });
    // The figure is about 7 ms; the bound leaves room for slow machines and only catches a lost fast path.
    expect(Math.min(...times)).to.be.lessThan(50);
  });

  it('refuses data, parameters and options that do not fit, by name', () => {
    const code = (change: Partial<TrainingOptions>): string =>
      modelError(() => trainLocal(start, layers, data, { ...OPTIONS, ...change })).code;
    for (const change of [
      { epochs: 0 },
      { epochs: 1.5 },
      { batchSize: 0 },
      { learningRate: 0 },
      { learningRate: Number.NaN },
      { seed: 0.5 },
      { huber: -1 },
      { proximal: Number.POSITIVE_INFINITY },
    ]) {
      expect(code(change)).to.equal('TRAINING_OPTION_INVALID');
    }
    const model = (parameters: Float32Array, widths: readonly number[], set = data): string =>
      modelError(() => trainLocal(parameters, widths, set, OPTIONS)).code;
    expect(model(start.subarray(1), layers)).to.equal('MODEL_LENGTH');
    expect(
      model(
        start.map((p, i) => (i === 3 ? Number.NaN : p)),
        layers,
      ),
    ).to.equal('MODEL_NOT_FINITE');
    expect(model(new Float32Array(parameterCount([6, 2])), [6, 2])).to.equal('MODEL_LAYERS');
    expect(model(start, layers, randomData(3, 7, 1, 1))).to.equal('MODEL_INPUT_WIDTH');
    const nan = { ...data, y: data.y.map((y, i) => (i === 2 ? Number.NaN : y)) };
    expect(dataError(() => trainLocal(start, layers, nan, OPTIONS)).code).to.equal('DATA_NOT_FINITE');
    const empty = { features: 6, rows: 0, x: new Float32Array(0), y: new Float32Array(0) };
    expect(dataError(() => trainLocal(start, layers, empty, OPTIONS)).code).to.equal('DATA_TOO_FEW_ROWS');
  });

  it('says so when it leaves the finite numbers', () => {
    expect(code({ learningRate: 1e300, epochs: 50 })).to.equal('TRAINING_DIVERGED');
    function code(change: Partial<TrainingOptions>): string {
      return modelError(() => trainLocal(start, layers, data, { ...OPTIONS, ...change })).code;
    }
  });
});
