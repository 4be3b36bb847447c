// SPDX-License-Identifier: Apache-2.0
import { parameterCount, sha256Hex, type Task } from '@sev/chaincode/api';
import { CAR_FEATURES, PRICE_LAYERS, PRICE_TRAINING, initialParameters, parametersToBytes } from '@sev/fl';

export interface PriceTaskOptions {
  readonly taskId: string;
  readonly vehicles: number;
  readonly rounds: number;
  readonly seed: number;
  /** Training rows of all vehicles together; the weight classes are laid around their mean. */
  readonly trainingRows: number;
  readonly minimumCohort?: number;
  /** Parameters of a larger magnitude exclude an update; default 1,000. */
  readonly maxAbsolute?: number;
  readonly graceMs?: number;
  readonly roundMs?: number;
}

/** A task and the bytes of its initial model, to be put into the store before the task is created. */
export interface PreparedTask {
  readonly task: Task;
  readonly initialModel: Uint8Array;
}

const GRACE_MS = 15_000;
const MAX_ABSOLUTE = 1_000;
const ROUND_MS = 5 * 60_000;

/** Task `price`: the market value of a used car, by the feature set and network that the published figures are for. */
export function priceTask(options: PriceTaskOptions): PreparedTask {
  const { taskId, vehicles, rounds, seed, trainingRows } = options;
  const initialModel = parametersToBytes(initialParameters(PRICE_LAYERS, seed));
  const task: Task = {
    taskId,
    kind: 'price',
    features: CAR_FEATURES.name,
    model: {
      layers: [...PRICE_LAYERS],
      parameters: parameterCount(PRICE_LAYERS),
      initialModelHash: sha256Hex(initialModel),
    },
    engine: 'dense',
    training: {
      epochs: PRICE_TRAINING.epochs,
      batchSize: PRICE_TRAINING.batchSize,
      learningRateMicro: Math.round(PRICE_TRAINING.learningRate * 1_000_000),
      seed,
    },
    aggregation: {
      rule: 'fedavg',
      weightClasses: weightClasses(trainingRows / vehicles),
      maxAbsolute: options.maxAbsolute ?? MAX_ABSOLUTE,
    },
    privacy: 'plain',
    cohort: { minimum: options.minimumCohort ?? Math.ceil(vehicles / 2), target: vehicles },
    deadlines: { graceMs: options.graceMs ?? GRACE_MS, roundMs: options.roundMs ?? ROUND_MS },
    plannedRounds: rounds,
  };
  return { task, initialModel };
}

/**
 * Public classes of sample counts around the expected mean, a factor of four apart: vehicles with about the mean count
 * alike. The class is the vehicle's own claim, and nobody can hold it against rows that never leave the vehicle: one
 * with a single row may claim the top class, and then counts three times as much as one with the mean and 48 times as
 * much as it should. The classes bound what a false claim gains; they do not prevent it.
 */
export function weightClasses(meanRows: number): Task['aggregation']['weightClasses'] {
  const classes = [
    { minSamples: 1, weight: 1 },
    { minSamples: Math.ceil(meanRows / 8), weight: 4 },
    { minSamples: Math.ceil(meanRows / 2), weight: 16 },
    { minSamples: Math.ceil(meanRows * 2), weight: 48 },
  ];
  return classes.filter(({ minSamples }, index) => index === 0 || minSamples > (classes[index - 1]?.minSamples ?? 0));
}
