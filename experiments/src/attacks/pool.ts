// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { TableSource } from './cars.js';
import type { Job, JobResult } from './jobs.js';

const EVERY_MS = 10_000;

/**
 * Runs jobs on as many threads as there are processors. Each is a function of its own input, so the results do not depend
 * on how many threads there are.
 *
 * @param what is told on stderr together with the progress.
 * @returns results in the order of the jobs.
 */
export async function runJobs<J extends Job>(
  what: string,
  source: TableSource,
  jobs: readonly J[],
): Promise<readonly JobResult<J>[]> {
  const results = new Map<J, JobResult<J>>();
  const waiting = [...jobs];
  let told = performance.now();
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: source });
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        results.set(job, await answer(worker, job));
        if (performance.now() - told > EVERY_MS || results.size === jobs.length) {
          told = performance.now();
          process.stderr.write(`${what}: ${results.size} of ${jobs.length} runs\n`);
        }
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, work));
  return jobs.map((job) => results.get(job) as JobResult<J>);
}

/** What a worker answers to a job. */
function answer<J extends Job>(worker: Worker, job: J): Promise<JobResult<J>> {
  return new Promise((resolve, reject) => {
    const onMessage = (result: JobResult<J>): void => {
      leave();
      resolve(result);
    };
    const onError = (error: Error): void => {
      leave();
      reject(error);
    };
    const onExit = (code: number): void => {
      leave();
      reject(new Error(`a worker ended with code ${code} before its result`));
    };
    const leave = (): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(job);
  });
}
