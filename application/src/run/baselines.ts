// SPDX-License-Identifier: Apache-2.0
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { Task } from '@sev/chaincode/api';
import {
  CENTRAL_EPOCHS,
  aloneBaseline,
  centralBaseline,
  personalise,
  type ClientMetrics,
  type TrainingOptions,
} from '@sev/fl';
import { z } from 'zod';
import { SevError } from '../errors.js';
import type { Report } from '../report/report.js';
import { engineOf, modelSpecOf, trainingOf } from '../services/model-spec.js';
import { openTable, splitOf, type DataPlan } from '../vehicle/data.js';
import { FINE_TUNING } from './task-defaults.js';

export interface BaselineRequest {
  readonly plan: DataPlan;
  readonly task: Task;
  readonly rounds: number;
  /** Of the last round, length d: what vehicles fine-tune. */
  readonly model: Float32Array;
}

/** What the federation is compared with, and what its model becomes at its clients. */
export type Comparison = Pick<Report, 'baselines' | 'personalised'>;

const metrics = z.object({ r2: z.number(), mae: z.number(), epochs: z.number() });
const served = z.object({ r2: z.number(), mae: z.number(), meanMae: z.number(), worstTenthMae: z.number() });
const comparison = z.object({
  baselines: z.object({ central: metrics, alone: metrics }),
  personalised: served.extend({ epochs: z.number(), before: served }).optional(),
});
const answer = z.union([comparison, z.object({ error: z.string() })]);

/** Central training, training alone and fine-tuning on the run's own data, in a worker thread. */
export async function computeBaselines(request: BaselineRequest): Promise<Comparison> {
  const worker = new Worker(new URL(import.meta.url), { workerData: request });
  try {
    const message = await new Promise<unknown>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    const result = answer.parse(message);
    if ('error' in result) {
      throw new SevError('BASELINES_FAILED', result.error);
    }
    return result;
  } finally {
    await worker.terminate();
  }
}

async function comparisonOf({ plan, task, rounds, model }: BaselineRequest): Promise<Comparison> {
  const table = await openTable(plan.data);
  const { clients, test, clientTests } = splitOf(table, plan);
  const learner = { engine: await engineOf(task), spec: modelSpecOf(task.model), target: table.target };
  const training = trainingOf(task, task.training.seed);
  const common = { ...learner, clients, test };
  const aloneEpochs = rounds * training.epochs;
  const { mean, clients: alone } = await aloneBaseline({ ...common, training: { ...training, epochs: aloneEpochs } });
  // Vehicles that cannot be trained took no part in the rounds either.
  const trainable = clients.filter((_, index) => alone[index] !== null);
  const central = await centralBaseline({
    ...common,
    clients: trainable,
    training: { ...training, epochs: CENTRAL_EPOCHS },
  });
  const tuning: TrainingOptions = { ...training, ...FINE_TUNING };
  const { before, after } = await personalise(model, { ...learner, clients, clientTests, training: tuning });
  return {
    baselines: {
      central: { r2: central.r2, mae: central.mae, epochs: CENTRAL_EPOCHS },
      alone: { r2: mean.r2, mae: mean.mae, epochs: aloneEpochs },
    },
    personalised: { ...servedBy(after), epochs: FINE_TUNING.epochs, before: servedBy(before) },
  };
}

function servedBy({ rows, mean, worstTenth }: ClientMetrics) {
  return { r2: rows.r2, mae: rows.mae, meanMae: mean, worstTenthMae: worstTenth };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  comparisonOf(workerData as BaselineRequest).then(
    (result) => {
      port.postMessage(result);
    },
    (error: unknown) => {
      port.postMessage({ error: error instanceof Error ? error.message : String(error) });
    },
  );
}
