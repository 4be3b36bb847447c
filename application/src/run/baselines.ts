// SPDX-License-Identifier: Apache-2.0
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  CENTRAL_EPOCHS,
  PRICE_LAYERS,
  PRICE_TRAINING,
  aloneBaseline,
  centralBaseline,
  encodeCars,
  splitTable,
} from '@sev/fl';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { loadTable, type DataPlan } from '../vehicle/data.js';
import type { Report } from '../report/report.js';

export interface BaselineRequest {
  readonly plan: DataPlan;
  readonly seed: number;
  readonly rounds: number;
}

type Baselines = Report['baselines'];

const metrics = z.object({ r2: z.number(), mae: z.number(), epochs: z.number() });
const answer = z.union([z.object({ central: metrics, alone: metrics }), z.object({ error: z.string() })]);

/** Central training and training alone on the run's own data, in a worker thread. */
export async function computeBaselines(request: BaselineRequest): Promise<Baselines> {
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

async function baselinesOf({ plan, seed, rounds }: BaselineRequest): Promise<Baselines> {
  const parts = splitTable(await loadTable(plan.data), { split: plan.split, clients: plan.clients });
  const clients = parts.clients.map(encodeCars);
  const test = encodeCars(parts.test);
  const common = { layers: PRICE_LAYERS, clients, test };
  const training = { ...PRICE_TRAINING, seed };
  const aloneEpochs = rounds * PRICE_TRAINING.epochs;
  const central = centralBaseline({ ...common, training: { ...training, epochs: CENTRAL_EPOCHS } });
  const { mean } = aloneBaseline({ ...common, training: { ...training, epochs: aloneEpochs } });
  return {
    central: { r2: central.r2, mae: central.mae, epochs: CENTRAL_EPOCHS },
    alone: { r2: mean.r2, mae: mean.mae, epochs: aloneEpochs },
  };
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  baselinesOf(workerData as BaselineRequest).then(
    (result) => {
      port.postMessage(result);
    },
    (error: unknown) => {
      port.postMessage({ error: error instanceof Error ? error.message : String(error) });
    },
  );
}
