// SPDX-License-Identifier: Apache-2.0
import { concatDatasets, type Dataset } from '../data/dataset.js';
import { DataError } from '../errors.js';
import { deriveSeed } from '../random.js';
import type { TrainingOptions } from '../training/train.js';
import { orDiverged, type Learner } from './baselines.js';
import { metricsOf, type Metrics } from './metrics.js';

/** How models serve their clients one by one: a good mean may hide clients that they fail. Errors in the target's unit. */
export interface ClientMetrics {
  /** In the order of the clients; null for a client without test rows. */
  readonly clients: readonly (Metrics | null)[];
  /** Over all test rows together. */
  readonly rows: Metrics;
  /** Mean absolute error, mean over clients with test rows, each counting once. */
  readonly mean: number;
  /** The same over the tenth of those clients (at least one) with the largest error. */
  readonly worstTenth: number;
}

/**
 * @param modelOf parameters that serve a client.
 * @param tests test data of each client; may be empty for some.
 * @throws DataError DATA_TOO_FEW_ROWS where no client has a test row; otherwise as `Engine.predict`.
 */
export async function evaluateClients(
  { engine, spec, target }: Learner,
  modelOf: (client: number) => Float32Array | Promise<Float32Array>,
  tests: readonly Dataset[],
): Promise<ClientMetrics> {
  const predicted: (Float32Array | undefined)[] = [];
  for (const [client, data] of tests.entries()) {
    predicted.push(data.rows === 0 ? undefined : await engine.predict(spec, await modelOf(client), data));
  }
  const clients = tests.map(({ y, rowScale }, client) => {
    const own = predicted[client];
    return own === undefined ? null : metricsOf(target, own, y, rowScale);
  });
  const known = clients.filter((metrics) => metrics !== null);
  if (known.length === 0) {
    throw new DataError('DATA_TOO_FEW_ROWS', 'no client has a test row');
  }
  const all = concatDatasets(tests);
  const errors = known.map(({ mae }) => mae).sort((a, b) => b - a);
  return {
    clients,
    rows: metricsOf(target, joined(predicted.flatMap((own) => own ?? [])), all.y, all.rowScale),
    mean: meanOf(errors),
    worstTenth: meanOf(errors.slice(0, Math.ceil(errors.length / 10))),
  };
}

/** A model before and after each client trained it a little more on its own rows. */
export interface Personalised {
  readonly before: ClientMetrics;
  readonly after: ClientMetrics;
}

export interface PersonaliseOptions extends Learner {
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Test data of each client; may be empty for some. */
  readonly clientTests: readonly Dataset[];
  /** The few epochs of fine-tuning. */
  readonly training: TrainingOptions;
}

/**
 * Fine-tunes a model for each client on its own rows, which nobody else sees, and tells what that brings.
 *
 * @param parameters of the common model, length d.
 * @throws as `evaluateClients` and `Engine.train`.
 */
export async function personalise(parameters: Float32Array, options: PersonaliseOptions): Promise<Personalised> {
  const { engine, spec, clients, clientTests, training } = options;
  const tuned = async (client: number): Promise<Float32Array> => {
    const data = clients[client];
    const seed = deriveSeed(training.seed, 'fine-tuning', client);
    const own = data && (await orDiverged(engine.train(spec, parameters, data, { ...training, seed })));
    // A client that cannot be trained is served by the common model.
    return own ?? parameters;
  };
  return {
    before: await evaluateClients(options, () => parameters, clientTests),
    after: await evaluateClients(options, tuned, clientTests),
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
