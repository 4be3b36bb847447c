// SPDX-License-Identifier: Apache-2.0
import { runOnThreads } from '../pool.js';
import type { TableSource } from './cars.js';
import type { Job, JobResult } from './jobs.js';

const EVERY_MS = 10_000;
const WORKER = new URL('./worker.js', import.meta.url);

/** Jobs and what came of each, for the file. */
export type Measured<J extends Job> = readonly (J & JobResult<J>)[];

/**
 * Runs jobs on all processors.
 *
 * @param what is told on stderr together with the progress.
 */
export async function measured<J extends Job>(
  what: string,
  source: TableSource,
  jobs: readonly J[],
): Promise<Measured<J>> {
  let told = performance.now();
  const results = await runOnThreads<JobResult<J>>({ url: WORKER, data: source }, jobs, (done, all) => {
    if (performance.now() - told > EVERY_MS || done === all) {
      told = performance.now();
      process.stderr.write(`${what}: ${done} of ${all} runs\n`);
    }
  });
  return jobs.map((job, i) => ({ ...job, ...(results[i] as JobResult<J>) }));
}
