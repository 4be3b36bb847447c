// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AggregatorLoad } from '../aggregator-load.js';
import { rounded, type Benchmark } from '../figure.js';

const PROGRAM = fileURLToPath(new URL('../aggregator-load.js', import.meta.url));
const PARAMETERS = 100_000;

/** How an aggregator's work grows, over the files that it really keeps: linear, in memory that does not grow. */
export const secureScale: Benchmark = {
  name: 'secure-scale',
  run: async () => {
    // Before and after the long run, so that another load on the machine counts for both.
    const before = await load(100, PARAMETERS);
    const many = await load(1_000, PARAMETERS);
    const after = await load(100, PARAMETERS);
    const few = { cpuMs: (before.cpuMs + after.cpuMs) / 2, peakRssBytes: before.peakRssBytes };
    const short = await load(100, PARAMETERS / 4);
    const perVehicle = many.cpuMs / 1_000 / (few.cpuMs / 100);
    const perParameter = few.cpuMs / 4 / short.cpuMs;
    return [
      figure('aggregator-stored-cpu', rounded(few.cpuMs, 0), 'ms', null, '100 × 100,000, encrypted files included'),
      figure('aggregator-cpu-growth', rounded(perVehicle, 2), 'ratio', 1.2, 'CPU a vehicle, 1,000 vehicles to 100'),
      figure('aggregator-cpu-length', rounded(perParameter, 2), 'ratio', 1.2, 'CPU a parameter, 100,000 to 25,000'),
      figure('aggregator-rss', rounded(many.peakRssBytes / 1e6, 0), 'MB', 400, '1,000 × 100,000: 400 MB of components'),
      figure(
        'aggregator-rss-growth',
        rounded(many.peakRssBytes / few.peakRssBytes, 2),
        'ratio',
        1.2,
        'peak memory, 1,000 vehicles to 100',
      ),
    ];
  },
};

async function load(vehicles: number, parameters: number): Promise<AggregatorLoad> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, String(vehicles), String(parameters)]);
  return JSON.parse(stdout) as AggregatorLoad;
}

function figure(name: string, value: number, unit: string, target: number | null, note: string) {
  return { name, value, unit, target, better: 'lower', note } as const;
}
