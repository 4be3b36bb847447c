// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { PRICE_LAYERS } from '@sev/fl';
import type { NoiseCell, NoiseResult } from './noise-cell.js';

const ROUNDS = 10;
/** So few that every epoch is one step on all of a vehicle's rows, about 19 of which are for training. */
const ROWS_PER_VEHICLE = 24;
const FLEETS = [100, 1_000] as const;
const EPSILONS = [2, 8, 32, 128, null] as const;
/** The default clip, one that most updates of so few steps just reach, and a network of a fifth of the size. */
const SETTINGS = [
  { layers: PRICE_LAYERS, clip: 4 },
  { layers: PRICE_LAYERS, clip: 0.25 },
  { layers: [PRICE_LAYERS[0] ?? 0, 16, 1], clip: 0.125 },
] as const;

/**
 * What ε costs, for each fleet, model and clip; on as many threads as there are processors.
 *
 * @param progress told how many runs of how many are done.
 */
export async function measureNoise(
  seed: number,
  progress: (done: number, all: number) => void,
): Promise<readonly NoiseResult[]> {
  const cells = FLEETS.flatMap((vehicles) =>
    SETTINGS.flatMap((setting) =>
      EPSILONS.map((epsilon): NoiseCell => ({
        ...setting,
        vehicles,
        epsilon,
        seed,
        rounds: ROUNDS,
        rowsPerVehicle: ROWS_PER_VEHICLE,
      })),
    ),
  );
  const results = new Map<NoiseCell, NoiseResult>();
  const waiting = [...cells];
  const work = async (): Promise<void> => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      results.set(cell, await inWorker(cell));
      progress(results.size, cells.length);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return cells.flatMap((cell) => results.get(cell) ?? []);
}

function inWorker(cell: NoiseCell): Promise<NoiseResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./noise-worker.js', import.meta.url), { workerData: cell });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => {
      reject(new Error(`a worker ended with code ${code} before its result`));
    });
  });
}
