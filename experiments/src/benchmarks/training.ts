// SPDX-License-Identifier: Apache-2.0
import {
  encodeCars,
  generateCarTable,
  initialParameters,
  predict,
  PRICE_LAYERS,
  PRICE_TRAINING,
  trainLocal,
  type Dataset,
} from '@sev/fl';
import { cpuMs } from '../cpu.js';
import { median, rounded, type Benchmark } from '../figure.js';
import { trainInNumpy } from './numpy.js';

const ROWS = 144;
const PASSES = 15;
/** Numpy needs a few passes until its memory is at hand, the compiler of JavaScript some more. */
const WARMING = 20;

/** Both trainers end with about the same error where they do the same work. */
const SAME_ERROR = 0.25;

/** CPU time of one vehicle's local training in the 20-vehicle run, and beside it the same work in numpy. */
export const localTraining: Benchmark = {
  name: 'local-training',
  run: async () => {
    const data = encodeCars(generateCarTable({ rows: ROWS, seed: 1 }).rows);
    const start = initialParameters(PRICE_LAYERS, 1);
    const own = train(start, data);
    const cpu = median(own.passes);
    const figures = [
      {
        name: 'local-training-cpu',
        value: rounded(cpu, 2),
        unit: 'ms',
        target: 12,
        better: 'lower',
        note: '140-64-32-1, 144 rows, 5 epochs; once warm; a plain loop without sparsity needs 12 to 14',
      },
    ] as const;
    const numpy = await trainInNumpy(data, start, { ...PRICE_TRAINING, passes: WARMING + PASSES });
    if (numpy === undefined) {
      process.stdout.write('  local-training-numpy-ratio skipped: python3 with numpy is not here\n');
      return figures;
    }
    const { meanSquaredError: error } = numpy;
    if (Math.abs(own.meanSquaredError - error) > SAME_ERROR * error) {
      throw new Error(`numpy ends with the error ${error}, the product with ${own.meanSquaredError}`);
    }
    const numpyCpu = median(numpy.cpuMs.slice(WARMING));
    return [
      ...figures,
      {
        name: 'local-training-numpy-ratio',
        value: rounded(cpu / numpyCpu, 2),
        unit: 'ratio',
        target: 1.5,
        better: 'lower',
        note: `CPU of the same work in numpy, one thread: ${rounded(numpyCpu, 2)} ms`,
      },
    ];
  },
};

function train(start: Float32Array, data: Dataset): { passes: readonly number[]; meanSquaredError: number } {
  const passes: number[] = [];
  let trained = start;
  for (let seed = 0; seed < WARMING + PASSES; seed++) {
    const before = cpuMs();
    trained = trainLocal(start, PRICE_LAYERS, data, { ...PRICE_TRAINING, seed });
    passes.push(cpuMs() - before);
  }
  const errors = predict(trained, PRICE_LAYERS, data).map((value, row) => value - (data.y[row] ?? Number.NaN));
  const meanSquaredError = errors.reduce((sum, error) => sum + error * error, 0) / data.rows;
  return { passes: passes.slice(WARMING), meanSquaredError };
}
