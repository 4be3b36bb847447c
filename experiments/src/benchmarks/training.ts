// SPDX-License-Identifier: Apache-2.0
import { encodeCars, generateCarTable, initialParameters, PRICE_LAYERS, PRICE_TRAINING, trainLocal } from '@sev/fl';
import { median, rounded, type Benchmark } from '../figure.js';

const ROWS = 144;
const PASSES = 15;

/** CPU time of one vehicle's local training in the 20-vehicle run: 144 rows, 5 epochs. */
export const localTraining: Benchmark = {
  name: 'local-training',
  run: () => {
    const data = encodeCars(generateCarTable({ rows: ROWS, seed: 1 }).rows);
    const start = initialParameters(PRICE_LAYERS, 1);
    const passes = Array.from({ length: PASSES }, (_, seed) => {
      const before = process.cpuUsage();
      trainLocal(start, PRICE_LAYERS, data, { ...PRICE_TRAINING, seed });
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1000;
    });
    return Promise.resolve([
      {
        name: 'local-training-cpu',
        value: rounded(median(passes), 2),
        unit: 'ms',
        target: 12,
        better: 'lower',
        note: 'a plain loop without sparsity needs 12 to 14',
      },
    ]);
  },
};
