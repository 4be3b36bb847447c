// SPDX-License-Identifier: Apache-2.0
import { PRICE_LAYERS } from '@sev/fl';
import { runOnThreads } from '../pool.js';
import type { NoiseCell, NoiseResult } from './noise-cell.js';

const WORKER = new URL('./noise-worker.js', import.meta.url);
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
  return runOnThreads<NoiseResult>({ url: WORKER }, cells, progress);
}
