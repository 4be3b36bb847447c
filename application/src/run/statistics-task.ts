// SPDX-License-Identifier: Apache-2.0
import { modelParameters, sha256Hex, type Task } from '@sev/chaincode/api';
import { parametersToBytes, type FeatureSet } from '@sev/fl';
import { newHeTerms } from '../homomorphic/he-terms.js';
import { deadlinesOf, ownSeed, type PreparedTask, type TaskOptions } from './learning-task.js';
import { secureTerms } from './secure-terms.js';

/** A vehicle's statistics are at most 1 long, so that none is scaled down. */
const CLIP_MILLI = 1_000;
/** 2^19 · 2 · 1,024 vehicles < 2^31; with noise, which is larger than any rounding, some room is left for it. */
const FRACTION_BITS = { secure: 19, dp: 16, he: 13 } as const;

/** Nothing is trained; the ledger wants to be told of a training. */
const NO_TRAINING = { epochs: 1, batchSize: 1, learningRateMicro: 1 } as const;

/**
 * A task whose one round sums the vehicles' statistics. All weigh alike, so the model is a mean over vehicles, and no
 * projection is opened: the numbers are few and easily guessed, and each says something of a vehicle's rows by itself.
 *
 * The model begins at zero but for its first number, which is the task's own mark: no two tasks that keep updates secret
 * begin with the same model. Vehicles add nothing to it.
 *
 * @param features of a statistics table.
 */
export function statisticsTask(
  features: FeatureSet,
  options: Omit<TaskOptions, 'rounds' | 'trainingRows' | 'ringBits'>,
): PreparedTask {
  const { taskId, vehicles, seed, privacy = 'plain' } = options;
  const layers = [features.width - 1, 1];
  const initial = new Float32Array(features.width);
  initial[0] = ownSeed(taskId, seed) / 2 ** 32;
  const initialModel = parametersToBytes(initial);
  const task: Task = {
    taskId,
    kind: 'statistics',
    features: features.name,
    model: { layers, parameters: modelParameters({ layers }), initialModelHash: sha256Hex(initialModel) },
    engine: 'dense',
    training: { ...NO_TRAINING, seed },
    aggregation: { rule: 'fedavg', weightClasses: [{ minSamples: 1, weight: 1 }], maxAbsolute: 1 },
    privacy,
    cohort: { minimum: options.minimumCohort ?? Math.ceil(vehicles / 2), target: vehicles },
    deadlines: deadlinesOf(options),
    plannedRounds: 1,
  };
  return { task: { ...task, ...termsOf(task, options) }, initialModel };
}

function termsOf(
  task: Task,
  {
    privacy = 'plain',
    aggregators = [],
    differentialPrivacy,
  }: Pick<TaskOptions, 'privacy' | 'aggregators' | 'differentialPrivacy'>,
): Pick<Task, 'secure' | 'he'> {
  switch (privacy) {
    case 'plain':
      return {};
    case 'he':
      return {
        he: { ...newHeTerms(aggregators), metrics: [], clipMilli: CLIP_MILLI, fractionBits: FRACTION_BITS.he },
      };
    default: {
      const sumsOnly = { clipMilli: CLIP_MILLI, fractionBits: FRACTION_BITS[privacy] };
      const noise = privacy === 'dp' && differentialPrivacy !== undefined ? { privacy: differentialPrivacy } : {};
      return { secure: secureTerms(task, aggregators, { sumsOnly, ...noise }) };
    }
  }
}
