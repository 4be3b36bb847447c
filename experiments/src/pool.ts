// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** A program that answers every message, a job, with its result. */
export interface WorkerProgram {
  readonly url: URL;
  /** What each of its threads begins with. */
  readonly data?: unknown;
}

/**
 * Runs jobs on as many threads as there are processors. Each is a function of its own input, so the results do not depend
 * on how many threads there are.
 *
 * @param jobs plain data, each an object of its own.
 * @param progress told how many of how many are done, after each.
 * @returns results in the order of the jobs.
 */
export async function runOnThreads<R>(
  { url, data }: WorkerProgram,
  jobs: readonly object[],
  progress: (done: number, all: number) => void,
): Promise<readonly R[]> {
  const results = new Map<object, R>();
  const waiting = [...jobs];
  const work = async (): Promise<void> => {
    const worker = new Worker(url, { workerData: data });
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        results.set(job, await answer(worker, job));
        progress(results.size, jobs.length);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), jobs.length) }, work));
  return jobs.map((job) => results.get(job) as R);
}

/** What a worker answers to a job. */
function answer<R>(worker: Worker, job: object): Promise<R> {
  return new Promise((resolve, reject) => {
    const onMessage = (result: R): void => {
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
