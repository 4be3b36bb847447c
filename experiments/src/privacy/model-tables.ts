// SPDX-License-Identifier: Apache-2.0
import { priceTask } from '@sev/application';
import { weightClassOf, type Task } from '@sev/chaincode/api';
import {
  concatDatasets,
  encodeCars,
  evaluatePrice,
  initialParameters,
  deriveSeed,
  PRICE_LAYERS,
  PRICE_TRAINING,
  runFederation,
  splitTable,
  trainLocal,
  type CarTable,
  type Dataset,
} from '@sev/fl';
import { membershipAuc } from './membership.js';
import { noiseTerms } from './noise-terms.js';
import { runSecureFederation } from './secure-federation.js';
import { DEFAULT_FORMAT, DEFAULT_PROJECTIONS } from './views.js';

const VEHICLES = 20;
const ROUNDS = 10;
const LONG_ROUNDS = 50;
const OVERFITTED_EPOCHS = 500;
const NOISE = { clip: 0.25, epsilons: [8, 32, 128] } as const;

export interface Fleet {
  readonly clients: readonly Dataset[];
  readonly test: Dataset;
}

export function fleetOf(table: CarTable, split: string): Fleet {
  const parts = splitTable(table, { split, clients: VEHICLES });
  return { clients: parts.clients.map(encodeCars), test: encodeCars(parts.test) };
}

/** How well a model's error tells its training records from test records, and what the model is worth. */
export interface MembershipRow {
  readonly model: string;
  readonly auc: number;
  readonly r2: number;
}

/** Membership inference on a fleet's models, with and without noise; last a model that has learnt few rows by heart. */
export function measureMembership({ clients, test }: Fleet, seed: number): readonly MembershipRow[] {
  const training = { ...PRICE_TRAINING, seed };
  const row = (model: string, parameters: Float32Array, members = concatDatasets(clients)): MembershipRow => ({
    model,
    auc: membershipAuc(parameters, PRICE_LAYERS, { members, others: test }),
    r2: evaluatePrice(parameters, PRICE_LAYERS, test).r2,
  });
  const federated = (rounds: number): MembershipRow =>
    row(
      `federation, ${rounds} rounds`,
      runFederation({ layers: PRICE_LAYERS, clients, test, rounds, training, evaluateAt: [] }).parameters,
    );
  const noisy = NOISE.epsilons.map((epsilon) => {
    const terms = noiseTerms({
      ...NOISE,
      epsilon,
      parameters: initialParameters(PRICE_LAYERS, seed).length,
      rounds: ROUNDS,
      vehicles: clients.length,
    });
    const { format, aggregators, deviation = 0 } = terms;
    const parameters = runSecureFederation({
      layers: PRICE_LAYERS,
      clients,
      rounds: ROUNDS,
      training,
      format,
      classWeights: clients.map(() => 1),
      projections: 0,
      noise: { aggregators, deviation },
    });
    return row(`dp, ε = ${epsilon}, C = ${NOISE.clip}, ${ROUNDS} rounds`, parameters);
  });
  const [first] = clients;
  const alone = first === undefined ? [] : [row(...learntByHeart(first, seed))];
  return [federated(ROUNDS), federated(LONG_ROUNDS), ...noisy, ...alone];
}

/** One vehicle for itself, far too long. */
function learntByHeart(data: Dataset, seed: number): [string, Float32Array, Dataset] {
  const options = { ...PRICE_TRAINING, epochs: OVERFITTED_EPOCHS, seed: deriveSeed(seed, 'alone') };
  const parameters = trainLocal(initialParameters(PRICE_LAYERS, seed), PRICE_LAYERS, data, options);
  return [`one vehicle alone, ${data.rows} rows, ${OVERFITTED_EPOCHS} epochs`, parameters, data];
}

/** R² of the same rounds in floating point, weighted by rows, and in mode `secure`. */
export interface SecureRow {
  readonly split: string;
  readonly seed: number;
  readonly plain: number;
  readonly secure: number;
}

export function compareSecure(table: CarTable, split: string, seed: number): SecureRow {
  const { clients, test } = fleetOf(table, split);
  const training = { ...PRICE_TRAINING, seed };
  const task = secureTask(clients, seed);
  const common = { layers: PRICE_LAYERS, clients, rounds: ROUNDS, training };
  const plain = runFederation({ ...common, test, evaluateAt: [] }).parameters;
  const secure = runSecureFederation({
    ...common,
    format: DEFAULT_FORMAT,
    classWeights: clients.map(
      ({ rows }) => task.aggregation.weightClasses[weightClassOf(task, rows) ?? 0]?.weight ?? 0,
    ),
    projections: DEFAULT_PROJECTIONS,
  });
  return {
    split,
    seed,
    plain: evaluatePrice(plain, PRICE_LAYERS, test).r2,
    secure: evaluatePrice(secure, PRICE_LAYERS, test).r2,
  };
}

function secureTask(clients: readonly Dataset[], seed: number): Task {
  const trainingRows = clients.reduce((sum, { rows }) => sum + rows, 0);
  return priceTask({
    taskId: 'privacy',
    vehicles: clients.length,
    rounds: ROUNDS,
    seed,
    trainingRows,
    privacy: 'secure',
    aggregators: ['CityMSP', 'GridOperatorMSP', 'ManufacturerMSP'],
  }).task;
}
