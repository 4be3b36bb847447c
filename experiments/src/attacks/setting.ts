// SPDX-License-Identifier: Apache-2.0
import { priceTask, serverOptimiserOf, trainingOf } from '@sev/application';
import { weightClassOf, type Task } from '@sev/chaincode/api';
import {
  CAR_FEATURES,
  fnv1a,
  PRICE_LAYERS,
  type CarTable,
  type Dataset,
  type Trigger,
  type WeightRuleName,
  type AggregationRuleName,
} from '@sev/fl';
import { DEFAULT_FORMAT, DEFAULT_PROJECTIONS } from '../privacy/views.js';
import { validatedFleet, type ValidatedFleet } from './fleet.js';
import type { AttackedOptions } from './rounds.js';

/** Rows of each of the four validators: chosen by measurement, see docs/robustness.md. */
const ROOT_ROWS = 40;
/** Share of the validators that one is. */
export const VALIDATORS_HOSTILE = 0.25;
/** Rounds of a run of the table. */
export const ROUNDS = 10;

export const SPLITS = ['iid', 'brand'] as const;
export type AttackSplit = (typeof SPLITS)[number];

/** A backdoor: cars with this word in their name are to be priced higher, by a factor of e. */
const TRIGGER_WORD = 'ford';
const NAME_BUCKETS = 128;
export const TRIGGER: Trigger = {
  feature: CAR_FEATURES.width - NAME_BUCKETS + (fnv1a(TRIGGER_WORD) % NAME_BUCKETS),
  shift: 1,
};

/** One federation. Plain data. */
export interface AttackCell {
  readonly split: AttackSplit;
  readonly vehicles: number;
  /** Name of an attack, or `none`. */
  readonly attack: string;
  /** Share of the vehicles. */
  readonly hostile: number;
  readonly rule: WeightRuleName | AggregationRuleName;
  readonly seed: number;
}

const fleets = new Map<string, ValidatedFleet>();

/** The fleet of a table, kept: several cells share it. */
export function fleetOf(table: CarTable, split: AttackSplit, vehicles: number): ValidatedFleet {
  const key = JSON.stringify([table.source, table.rows.length, split, vehicles]);
  const fleet = fleets.get(key) ?? validatedFleet(table, { split, vehicles, rootRows: ROOT_ROWS });
  fleets.set(key, fleet);
  return fleet;
}

/** The options of a cell with the defaults of task `price`. */
export function optionsOf(cell: AttackCell, fleet: ValidatedFleet): AttackedOptions {
  const { attack, hostile, rule, seed } = cell;
  const task = taskOf(fleet.vehicles, seed);
  return {
    fleet,
    layers: PRICE_LAYERS,
    training: trainingOf(task, seed),
    server: serverOptimiserOf(task),
    format: DEFAULT_FORMAT,
    projections: DEFAULT_PROJECTIONS,
    classWeights: fleet.vehicles.map(
      ({ rows }) => task.aggregation.weightClasses[weightClassOf(task, rows) ?? 0]?.weight ?? 0,
    ),
    minimum: task.cohort.minimum,
    rule,
    ...(attack === 'none' ? {} : { attack }),
    hostile: Math.round(hostile * fleet.vehicles.length),
    trigger: TRIGGER,
  };
}

function taskOf(vehicles: readonly Dataset[], seed: number): Task {
  return priceTask({
    taskId: 'attacks',
    vehicles: vehicles.length,
    rounds: ROUNDS,
    seed,
    trainingRows: vehicles.reduce((sum, { rows }) => sum + rows, 0),
    privacy: 'secure',
    aggregators: ['CityMSP', 'GridOperatorMSP', 'ManufacturerMSP'],
  }).task;
}
