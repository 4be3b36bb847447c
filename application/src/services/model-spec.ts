// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { DEFAULT_MODEL_BOUNDS, engineNamed, type Engine, type ModelSpec, type TrainingOptions } from '@sev/fl';

const MICRO = 1_000_000;

/** The architecture of a task's model, as engines take it. */
export function modelSpecOf({ layers, lstm }: Pick<Task['model'], 'layers' | 'lstm'>): ModelSpec {
  return lstm === undefined ? { kind: 'dense', layers } : { kind: 'lstm', ...lstm, dense: layers.slice(1, -1) };
}

/** The task's local training, with the seed of this one. */
export function trainingOf({ training }: Task, seed: number): TrainingOptions {
  const { epochs, batchSize, learningRateMicro, huberMicro = 0, proximalMicro = 0 } = training;
  return {
    ...{ epochs, batchSize, seed },
    learningRate: learningRateMicro / MICRO,
    huber: huberMicro / MICRO,
    proximal: proximalMicro / MICRO,
  };
}

const engines = new Map<string, Promise<Engine>>();

/** The engine that a task names, loaded once a thread. @throws EngineError ENGINE_UNKNOWN, ENGINE_MISSING. */
export function engineOf({ engine }: Pick<Task, 'engine'>): Promise<Engine> {
  const known = engines.get(engine);
  if (known !== undefined) {
    return known;
  }
  const loading = engineNamed(engine, DEFAULT_MODEL_BOUNDS);
  engines.set(engine, loading);
  loading.catch(() => engines.delete(engine));
  return loading;
}
