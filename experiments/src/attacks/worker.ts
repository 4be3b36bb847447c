// SPDX-License-Identifier: Apache-2.0
import { parentPort, workerData } from 'node:worker_threads';
import { readCars, type TableSource } from './cars.js';
import { runJob, type Job } from './jobs.js';

const table = await readCars(workerData as TableSource);
parentPort?.on('message', (job: Job) => {
  parentPort?.postMessage(runJob(table, job));
});
