// SPDX-License-Identifier: Apache-2.0
import {
  hashOf,
  parameterCount,
  sha256Hex,
  type BatchResult,
  type RewardTerms,
  type SecureTerms,
  type Task,
} from '@sev/chaincode/api';
import {
  CITY,
  enroll,
  enrollmentOf,
  GRID,
  MAKER,
  newVehicle,
  REGULATOR,
  signingKey,
  TestConsortium,
  type Vehicle,
} from '@sev/chaincode/testing';
import { parametersToBytes, newRandom } from '@sev/fl';
import { seedFrom } from '../services/seed.js';
import type { ValidationData } from '../validation/validation-data.js';

/** Names of aggregators beyond the consortium's three, sorted behind them. */
const MORE = ['PortMSP', 'TollMSP'] as const;
/** Between ½ and 1, and updates are multiples of 2^−11 and small: a vehicle's difference from the base is then exact. */
const BASE_VALUE = 0.75;

/** Rows of a validator's data. */
const VALIDATION_ROWS = 40;

/** Rows of a vehicle's data: every second one is in the class with the larger weight. */
const ROWS = [10, 150] as const;

export interface TaskOptions {
  /** n; t is 1 of three, 2 of five. Default 3. */
  readonly aggregators?: 3 | 5;
  readonly vehicles?: number;
  readonly minimum?: number;
  readonly terms?: Partial<SecureTerms>;
  /** Rounds that the task plans; default 3. */
  readonly plannedRounds?: number;
  readonly rewards?: RewardTerms;
}

/** A task of 241 parameters in a secure mode, in mode `dp` where the terms have it, and its first model's bytes. */
export function bedTask(options: TaskOptions): { readonly task: Task; readonly initial: Uint8Array } {
  const { aggregators: n = 3, vehicles = 8, minimum = 3, terms = {}, plannedRounds = 3, rewards } = options;
  const layers = [4, 40, 1];
  const initial = parametersToBytes(new Float32Array(parameterCount(layers)).fill(BASE_VALUE));
  const secure: SecureTerms = {
    aggregators: n === 3 ? [CITY, GRID, MAKER] : [CITY, GRID, MAKER, ...MORE],
    threshold: n === 3 ? 1 : 2,
    clipMilli: 4_000,
    fractionBits: 11,
    shardSize: 64,
    metrics: ['samples'],
    projections: 2,
    rule: 'uniform',
    openedShareMilli: 250,
    receiptMs: 2_000,
    ...terms,
  };
  const task: Task = {
    taskId: 'price-bed',
    kind: 'price',
    features: 'price/cardekho-v1',
    model: { layers, parameters: parameterCount(layers), initialModelHash: sha256Hex(initial) },
    engine: 'dense',
    training: { epochs: 1, batchSize: 32, learningRateMicro: 1_000, seed: 1 },
    aggregation: {
      rule: 'fedavg',
      weightClasses: [
        { minSamples: 2, weight: 4 },
        { minSamples: 100, weight: 12 },
      ],
      maxAbsolute: 1_000,
    },
    privacy: secure.dp === undefined ? 'secure' : 'dp',
    secure,
    cohort: { minimum, target: vehicles },
    deadlines: { graceMs: 5_000, roundMs: 60_000 },
    plannedRounds,
    ...(rewards === undefined ? {} : { rewards }),
  };
  return { task, initial };
}

/**
 * The consortium with these aggregators, bootstrapped, and a task of it.
 *
 * @param withAuditor whether a member may settle disputes.
 */
export async function bootstrap(task: Task, nowMs: number, withAuditor: boolean): Promise<TestConsortium> {
  const consortium = new TestConsortium();
  consortium.nowMs = nowMs;
  for (const mspId of MORE.filter((more) => task.secure?.aggregators.includes(more))) {
    consortium.signingKeys.set(mspId, signingKey());
  }
  const content = {
    ...consortium.bootstrapContent(),
    organisations: [...consortium.signingKeys.keys()].map((mspId) => {
      const member = consortium.organisation(mspId);
      const roles = member.roles.filter((role) => withAuditor || role !== 'auditor');
      return { ...member, roles, name: mspId.toLowerCase().replace('msp', '') };
    }),
  };
  await consortium.submit('governance:Bootstrap', content, GRID, 'operator');
  consortium.bootstrapHash = hashOf(content);
  await consortium.submit('learning:CreateTask', task, GRID, 'coordinator');
  return consortium;
}

/** The same vehicles in every bed: a key and a certificate take longer to make than a round's messages. */
const made: Vehicle[] = [];

/** Enrolls vehicles of the maker. @returns them, by id. */
export async function enrolFleet(consortium: TestConsortium, count: number): Promise<Vehicle[]> {
  while (made.length < count) {
    made.push(newVehicle());
  }
  const fleet = made.slice(0, count).sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const { results }: BatchResult = await enroll(
    consortium,
    fleet.map((vehicle, slot) => enrollmentOf(consortium, vehicle, { slot })),
  );
  if (!results.every(({ accepted }) => accepted)) {
    throw new Error(JSON.stringify(results));
  }
  return fleet;
}

/** What an organisation validates on: rows of a line that all agree on, its own ones. @returns undefined where it does not. */
export function validationDataOf({ features, model, secure }: Task, mspId: string): ValidationData | undefined {
  if (secure?.validation?.validators.includes(mspId) !== true) {
    return undefined;
  }
  const width = model.layers[0] ?? 0;
  const random = newRandom(seedFrom(mspId));
  const x = Float32Array.from({ length: VALIDATION_ROWS * width }, () => random.below(1_000) / 1_000);
  const y = Float32Array.from({ length: VALIDATION_ROWS }, (_, row) => {
    const own = x.subarray(row * width, (row + 1) * width);
    return own.reduce((sum, value) => sum + value, 0) / 2;
  });
  return { features, data: { features: width, rows: VALIDATION_ROWS, x, y } };
}

/** Rows that the vehicle with this index has. */
export function rowsOf(index: number): number {
  return ROWS[index % ROWS.length] ?? 1;
}

export { REGULATOR };
