// SPDX-License-Identifier: Apache-2.0
import { modelParameters, sha256Hex, type PrivacyMode, type Task } from '@sev/chaincode/api';
import { CAR_FEATURES, HIDDEN_LAYERS, modelInitialParameters, parametersToBytes, type FeatureSet } from '@sev/fl';
import { newHeTerms } from '../homomorphic/he-terms.js';
import { modelSpecOf } from '../services/model-spec.js';
import { seedFrom } from '../services/seed.js';
import type { LearningKind } from '../vehicle/data.js';
import { secureTerms, type DifferentialPrivacy } from './secure-terms.js';
import type { judgedBy } from './validation-plan.js';
import { SERVERS, TRAINING, UNITS, type ServerName } from './task-defaults.js';

/** What is learned, and by what. */
export interface LearningChoice {
  readonly kind: LearningKind;
  readonly features: FeatureSet;
  /** Default dense. */
  readonly engine?: Task['engine'];
  /** An LSTM before the layers. */
  readonly lstm?: NonNullable<Task['model']['lstm']>;
  /** Optimiser of the server; default none. */
  readonly server?: NonNullable<Task['aggregation']['server']>;
  /** μ of FedProx; default none. */
  readonly proximal?: number;
}

/** What is learned by, as people name it. */
export interface NamedChoice {
  readonly engine?: 'dense' | 'tfjs' | undefined;
  readonly server?: ServerName | undefined;
  readonly proximal?: number | undefined;
}

export function choiceOf(
  kind: LearningKind,
  features: FeatureSet,
  { engine = 'dense', server, proximal }: NamedChoice,
): LearningChoice {
  const { sequence } = features;
  return {
    ...{ kind, features, engine },
    // Only tfjs trains a model that reads a series as one.
    ...(engine === 'dense' || sequence === undefined ? {} : { lstm: { ...sequence, units: UNITS } }),
    ...(server === undefined ? {} : { server: SERVERS[server] }),
    ...(proximal === undefined ? {} : { proximal }),
  };
}

export interface TaskOptions {
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
  /** Default plain. */
  readonly privacy?: PrivacyMode;
  /** In a secure mode: MSP ids of the aggregators. */
  readonly aggregators?: readonly string[];
  /** In mode secure: width of the ring that updates are shared in; default 32. */
  readonly ringBits?: 16;
  /** In mode secure: the rule that weighs vehicles, and where it judges directions the validators; default norm scaling. */
  readonly judged?: ReturnType<typeof judgedBy>;
  /** In mode dp. */
  readonly differentialPrivacy?: DifferentialPrivacy;
}

/** A task and the bytes of its initial model, to be put into the store before the task is created. */
export interface PreparedTask {
  readonly task: Task;
  readonly initialModel: Uint8Array;
}

const GRACE_MS = 15_000;
/** Vehicles of one machine take turns: a thousand of them need more than the fifteen seconds in their first round. */
const GRACE_MS_PER_VEHICLE = 30;
/** An LSTM takes a minute where a dense network takes a second. */
const LSTM_TIMES_SLOWER = 20;
const MAX_ABSOLUTE = 1_000;
const ROUND_MS = 5 * 60_000;
const MICRO = 1_000_000;

/** Task `price`: the market value of a used car, by the feature set and network that the published figures are for. */
export function priceTask(options: TaskOptions): PreparedTask {
  return learningTask({ kind: 'price', features: CAR_FEATURES }, options);
}

/** A task with the product's defaults for its kind. */
export function learningTask(choice: LearningChoice, options: TaskOptions): PreparedTask {
  const { taskId, vehicles, rounds, seed, trainingRows, privacy = 'plain' } = options;
  const model = modelOf(choice);
  const initialSeed = privacy === 'plain' ? seed : ownSeed(taskId, seed);
  const initialModel = parametersToBytes(modelInitialParameters(modelSpecOf(model), initialSeed));
  const task: Task = {
    taskId,
    kind: choice.kind,
    features: choice.features.name,
    model: { ...model, initialModelHash: sha256Hex(initialModel) },
    engine: choice.engine ?? 'dense',
    training: trainingTerms(choice, seed),
    aggregation: {
      rule: 'fedavg',
      weightClasses: weightClasses(trainingRows / vehicles, privacy, options.ringBits),
      maxAbsolute: options.maxAbsolute ?? MAX_ABSOLUTE,
      ...(choice.server === undefined ? {} : { server: choice.server }),
    },
    privacy,
    cohort: { minimum: options.minimumCohort ?? Math.ceil(vehicles / 2), target: vehicles },
    deadlines: deadlinesOf(options, choice.lstm === undefined ? 1 : LSTM_TIMES_SLOWER),
    plannedRounds: rounds,
  };
  return { task: { ...task, ...privacyTerms(task, options) }, initialModel };
}

/** Deadlines of a round for a fleet, unless the options say others. */
export function deadlinesOf(
  { graceMs, roundMs, vehicles }: Pick<TaskOptions, 'graceMs' | 'roundMs' | 'vehicles'>,
  factor = 1,
): Task['deadlines'] {
  const grace = graceMs ?? factor * Math.max(GRACE_MS, GRACE_MS_PER_VEHICLE * vehicles);
  return { graceMs: grace, roundMs: roundMs ?? Math.max(factor * ROUND_MS, 2 * grace) };
}

/** The model that a task of this choice has. */
export function modelOf({ features, lstm }: LearningChoice): Omit<Task['model'], 'initialModelHash'> {
  const layers = [lstm?.units ?? features.width, ...(lstm === undefined ? HIDDEN_LAYERS : []), 1];
  const model = { layers, ...(lstm === undefined ? {} : { lstm }) };
  return { ...model, parameters: modelParameters(model) };
}

function trainingTerms({ kind, proximal }: LearningChoice, seed: number): Task['training'] {
  const { epochs, batchSize, learningRate, huber } = TRAINING[kind];
  return {
    ...{ epochs, batchSize, seed },
    learningRateMicro: Math.round(learningRate * MICRO),
    ...(huber === undefined ? {} : { huberMicro: Math.round(huber * MICRO) }),
    ...(proximal === undefined ? {} : { proximalMicro: Math.round(proximal * MICRO) }),
  };
}

function privacyTerms(
  task: Task,
  { privacy = 'plain', aggregators = [], differentialPrivacy, ringBits, judged }: TaskOptions,
): Pick<Task, 'secure' | 'he' | 'rewards'> {
  if (privacy === 'plain') {
    return {};
  }
  if (privacy === 'he') {
    return { he: newHeTerms(aggregators) };
  }
  const secure = secureTerms(task, aggregators, {
    ...(ringBits === undefined ? {} : { ringBits }),
    ...(judged === undefined ? {} : { judged: judged.terms }),
    ...(privacy === 'dp' && differentialPrivacy !== undefined ? { privacy: differentialPrivacy } : {}),
  });
  return { secure, ...(judged?.rewards === undefined ? {} : { rewards: judged.rewards }) };
}

/**
 * Seed of a task's own initial model. Vehicles that train from the same model in two tasks report the same updates in both,
 * so that the tasks' sums could be subtracted; the contract refuses the second.
 */
export function ownSeed(taskId: string, seed: number): number {
  return seedFrom(`${String(seed)}/${taskId}`);
}

/**
 * Public classes of sample counts around the expected mean, a factor of four apart: vehicles with about the mean count
 * alike. The class is the vehicle's own claim, and nobody can hold it against rows that never leave the vehicle: one
 * with a single row may claim the top class. The classes bound what a false claim gains; they do not prevent it.
 *
 * Where projections are opened, a vehicle with a single row takes no part: they would confirm a guess of it. Where norms
 * are estimated, weights are 4 or more, so that whole numbers scale finely enough. A class that fewer than the minimum
 * cohort are in does not keep its weight (see `evenOut`). In mode he, where vehicles multiply by themselves before anybody
 * knows the cohort, all count alike; so they do in mode dp, where noise is in proportion to the largest weight, and in the
 * ring of 16 bits, where a larger weight would leave fewer bits to an update.
 */
export function weightClasses(
  meanRows: number,
  privacy: PrivacyMode = 'plain',
  ringBits: 16 | 32 = 32,
): Task['aggregation']['weightClasses'] {
  if (privacy === 'dp' || privacy === 'he' || ringBits === 16) {
    return [{ minSamples: 1, weight: 1 }];
  }
  const isScored = privacy === 'secure';
  const weights = isScored ? [4, 6, 21, 64] : [1, 4, 16, 48];
  const from = [isScored ? 2 : 1, Math.ceil(meanRows / 8), Math.ceil(meanRows / 2), Math.ceil(meanRows * 2)];
  const classes = from.map((minSamples, index) => ({ minSamples, weight: weights[index] ?? 1 }));
  return classes.filter(({ minSamples }, index) => index === 0 || minSamples > (classes[index - 1]?.minSamples ?? 0));
}
