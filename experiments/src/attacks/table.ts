// SPDX-License-Identifier: Apache-2.0
import { ATTACKS, DEFAULT_WEIGHT_RULE, type AggregationRuleName, type WeightRuleName } from '@sev/fl';
import { meanOf } from '../learning/federate.js';
import { print, printTable } from '../output.js';
import type { TableSource } from './cars.js';
import type { FederationJob, FederationResult } from './jobs.js';
import { measured } from './measured.js';
import { ROUNDS, SPLITS, VALIDATORS_HOSTILE, type AttackCell, type AttackSplit } from './setting.js';

export const SEEDS = [1, 2, 3] as const;
const FLEETS = [20, 100] as const;
const SHARES = [0.1, 0.2, 0.3, 0.4] as const;
/** Where rules are compared, with one seed. */
const COMPARED = { vehicles: 20, hostile: 0.2, seeds: [1] } as const;
/** Beside the default; the first is the mean alone. */
const OTHER_RULES = [
  'fedavg',
  'norm-scaling',
  'trust',
  'multi-krum',
  'clustering',
  'median',
  'trimmed-mean',
  'geometric-median',
] as const satisfies readonly (WeightRuleName | AggregationRuleName)[];

/** What is asked for; all where nothing is. */
export interface TableChoice {
  readonly attacks?: readonly string[] | undefined;
  readonly vehicles?: readonly number[] | undefined;
}

/** A line of runs/attacks.json. */
export interface AttackRow extends FederationResult {
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly attack: string;
  readonly hostile: number;
  /** `default` is the rule of a task that names none. */
  readonly rule: string;
  readonly seed: number;
}

/** Every attack at every share under the default rule, and with a fifth of 20 vehicles hostile under the others too. */
export async function measureTable(source: TableSource, choice: TableChoice): Promise<readonly AttackRow[]> {
  const jobs = cellsOf(choice).map((cell): FederationJob => ({ kind: 'federation', cell }));
  const runs = await measured('attacks', source, jobs);
  return runs.map(({ cell, r2, bias, hostileShare, honestShare }): AttackRow => {
    const { split, vehicles, attack, hostile, rule, seed } = cell;
    const name = rule === DEFAULT_WEIGHT_RULE ? 'default' : rule;
    return { split, vehicles, attack, hostile, rule: name, seed, r2, bias, hostileShare, honestShare };
  });
}

function cellsOf({ attacks, vehicles = FLEETS }: TableChoice): readonly AttackCell[] {
  const chosen = ATTACKS.filter(({ name }) => attacks?.includes(name) ?? true);
  return SPLITS.flatMap((split) =>
    vehicles.flatMap((fleet) =>
      rulesOf(fleet).flatMap((rule) => {
        const shares = rule === DEFAULT_WEIGHT_RULE ? SHARES : [COMPARED.hostile];
        const attacked = chosen.flatMap(({ name, role }) =>
          (role === 'validator' ? [VALIDATORS_HOSTILE] : shares).map((hostile) => ({ attack: name, hostile })),
        );
        const seeds = rule === DEFAULT_WEIGHT_RULE ? SEEDS : COMPARED.seeds;
        return [{ attack: 'none', hostile: 0 }, ...attacked].flatMap((one) =>
          seeds.map((seed): AttackCell => ({ split, vehicles: fleet, rule, seed, ...one })),
        );
      }),
    ),
  );
}

function rulesOf(vehicles: number): readonly AttackCell['rule'][] {
  return [DEFAULT_WEIGHT_RULE, ...(vehicles === COMPARED.vehicles ? OTHER_RULES : [])];
}

/** Prints R² after the last round, the mean of the seeds. */
export function printAttackTables(rows: readonly AttackRow[], source: string): void {
  const attacks = [...new Set(rows.map(({ attack }) => attack))];
  for (const split of SPLITS) {
    for (const vehicles of [...new Set(rows.map((row) => row.vehicles))]) {
      const ofFleet = rows.filter((row) => row.split === split && row.vehicles === vehicles);
      print(
        `\nDefault rule: ${source}, ${split}, ${vehicles} vehicles, R² after ${ROUNDS} rounds by share of hostile ones`,
      );
      const shares = [...new Set(ofFleet.map(({ hostile }) => hostile))].sort((a, b) => a - b);
      printTable(
        ['attack', ...shares.map(String)],
        attacks.map((attack) => [
          attack,
          ...shares.map((hostile) => cellText(ofFleet, { attack, hostile, rule: 'default' })),
        ]),
      );
      printRules(ofFleet, `${source}, ${split}, ${vehicles} vehicles`);
    }
  }
  printBias(rows);
}

function printRules(rows: readonly AttackRow[], setting: string): void {
  const rules = [...new Set(rows.map(({ rule }) => rule))];
  if (rules.length < 2) {
    return;
  }
  print(
    `\nRules compared: ${setting}, a fifth hostile (of the validators a quarter), seed 1 for all but the default, R² after ${ROUNDS} rounds`,
  );
  printTable(
    ['attack', ...rules],
    [...new Set(rows.map(({ attack }) => attack))].map((attack) => {
      const role = ATTACKS.find(({ name }) => name === attack)?.role;
      const hostile = role === undefined ? 0 : role === 'validator' ? VALIDATORS_HOSTILE : COMPARED.hostile;
      return [attack, ...rules.map((rule) => cellText(rows, { attack, hostile, rule }))];
    }),
  );
}

/** How far a backdoor moves the price of cars that carry its trigger, against the same rounds without attack. */
function printBias(rows: readonly AttackRow[]): void {
  const backdoors = rows.filter(({ attack }) => attack.startsWith('backdoor'));
  if (backdoors.length === 0) {
    return;
  }
  print('\nBackdoors: mean error in ln(price) on the test cars with the trigger, less that without attack');
  const keyOf = (row: AttackRow): string =>
    JSON.stringify([row.split, row.vehicles, row.attack, row.rule, row.hostile]);
  printTable(
    ['split', 'vehicles', 'attack', 'rule', 'hostile', 'shift of the bias'],
    [...new Set(backdoors.map(keyOf))].map((key) => {
      const group = backdoors.filter((row) => keyOf(row) === key);
      const shifts = group.map((row) => row.bias - (cleanOf(rows, row)?.bias ?? Number.NaN));
      return [...(JSON.parse(key) as (string | number)[]).map(String), meanOf(shifts).toFixed(2)];
    }),
  );
}

function cleanOf(rows: readonly AttackRow[], row: AttackRow): AttackRow | undefined {
  return rows.find(
    (one) =>
      one.attack === 'none' &&
      one.split === row.split &&
      one.vehicles === row.vehicles &&
      one.rule === row.rule &&
      one.seed === row.seed,
  );
}

function cellText(
  rows: readonly AttackRow[],
  one: { readonly attack: string; readonly hostile: number; readonly rule: string },
): string {
  const found = rows.filter(
    ({ attack, hostile, rule }) => attack === one.attack && hostile === one.hostile && rule === one.rule,
  );
  return found.length === 0 ? '' : r2Text(meanOf(found.map(({ r2 }) => r2)));
}

function r2Text(r2: number): string {
  return r2 > -10 ? r2.toFixed(3) : r2.toExponential(1);
}
