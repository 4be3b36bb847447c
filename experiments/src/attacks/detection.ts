// SPDX-License-Identifier: Apache-2.0
import { DEFAULT_WEIGHT_RULE, quarantineMilliOf } from '@sev/fl';
import { print, printTable } from '../output.js';
import type { TableSource } from './cars.js';
import type { WatchJob, WatchResult } from './jobs.js';
import { measured } from './measured.js';
import { SPLITS, type AttackSplit } from './setting.js';

const VEHICLES = 20;
const RUNS = 50;
/** Seeds that no constant of the error model was chosen on; 1 to 12 and 101 to 150 were looked at. */
const FIRST_SEED = 201;
const IDENTIFIED_WITHIN = 5;
const QUIET_ROUNDS = 20;
const QUIET_FLEETS = [20, 100] as const;
/** One to so many attackers. */
const MOST_HOSTILE = 4;

const PERSISTENT = [
  'label-flip',
  'sign-flip',
  'gaussian',
  'scaling',
  'free-rider-zero',
  'free-rider-noise',
  'free-rider-replay',
  'alie',
  'backdoor-slow',
] as const;

export interface IdentificationRow {
  readonly split: AttackSplit;
  readonly attack: string;
  readonly runs: number;
  /** Runs in which exactly the attackers were quarantined within five rounds. */
  readonly exact: number;
  /** Attackers in all, and those quarantined by then. */
  readonly hostile: number;
  readonly found: number;
  /** Honest vehicles in all, and those quarantined. */
  readonly honest: number;
  readonly accused: number;
}

/** Fifty runs of each persistent attack, one to four attackers among twenty. */
export async function measureIdentification(source: TableSource): Promise<readonly IdentificationRow[]> {
  const jobs = SPLITS.flatMap((split) =>
    PERSISTENT.flatMap((attack) =>
      seeds().map((seed, run): WatchJob => {
        const hostile = (1 + (run % MOST_HOSTILE)) / VEHICLES;
        const cell = { split, vehicles: VEHICLES, attack, hostile, rule: DEFAULT_WEIGHT_RULE, seed };
        return { kind: 'watch', cell, rounds: IDENTIFIED_WITHIN };
      }),
    ),
  );
  const runs = await measured('identification', source, jobs);
  const rows = SPLITS.flatMap((split) =>
    PERSISTENT.map((attack) => {
      const ofAttack = runs.filter(({ cell }) => cell.split === split && cell.attack === attack);
      return { split, attack, runs: ofAttack.length, ...countOf(ofAttack) };
    }),
  );
  print(
    `\nIdentification: ${RUNS} runs each, one to ${MOST_HOSTILE} attackers among ${VEHICLES}, ${IDENTIFIED_WITHIN} rounds`,
  );
  printTable(
    ['split', 'attack', 'exactly the attackers', 'attackers found', 'honest accused'],
    rows.map(({ split, attack, runs, exact, hostile, found, honest, accused }) => [
      ...[split, attack, percent(exact, runs), percent(found, hostile), percent(accused, honest)],
    ]),
  );
  return rows;
}

export interface QuietRow {
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly runs: number;
  readonly honest: number;
  readonly accused: number;
}

/** Fifty runs of twenty rounds without attack. */
export async function measureFalseQuarantine(source: TableSource): Promise<readonly QuietRow[]> {
  const jobs = SPLITS.flatMap((split) =>
    QUIET_FLEETS.flatMap((vehicles) =>
      seeds().map((seed): WatchJob => {
        const cell = { split, vehicles, attack: 'none', hostile: 0, rule: DEFAULT_WEIGHT_RULE, seed };
        return { kind: 'watch', cell, rounds: QUIET_ROUNDS };
      }),
    ),
  );
  const runs = await measured('false quarantine', source, jobs);
  const rows = SPLITS.flatMap((split) =>
    QUIET_FLEETS.map((vehicles): QuietRow => {
      const ofFleet = runs.filter(({ cell }) => cell.split === split && cell.vehicles === vehicles);
      const { honest, accused } = countOf(ofFleet);
      return { split, vehicles, runs: ofFleet.length, honest, accused };
    }),
  );
  print(`\nFalse quarantine: ${RUNS} runs each without attack, ${QUIET_ROUNDS} rounds`);
  printTable(
    ['split', 'vehicles', 'honest vehicles', 'quarantined', 'share'],
    rows.map(({ split, vehicles, honest, accused }) => [
      ...[split, String(vehicles), String(honest), String(accused), percent(accused, honest)],
    ]),
  );
  return rows;
}

function seeds(): readonly number[] {
  return Array.from({ length: RUNS }, (_, run) => FIRST_SEED + run);
}

function countOf(results: readonly WatchResult[]): Omit<IdentificationRow, 'split' | 'attack' | 'runs'> {
  const count = { exact: 0, hostile: 0, found: 0, honest: 0, accused: 0 };
  for (const { hostile, standing } of results) {
    const vehicles = standing[0]?.map((_, vehicle) => vehicle) ?? [];
    const threshold = quarantineMilliOf(vehicles.length);
    const quarantined = vehicles.filter((vehicle) => standing.some((round) => (round[vehicle] ?? 0) >= threshold));
    const found = quarantined.filter((vehicle) => hostile.includes(vehicle)).length;
    const accused = quarantined.length - found;
    count.exact += found === hostile.length && accused === 0 ? 1 : 0;
    count.hostile += hostile.length;
    count.found += found;
    count.honest += vehicles.length - hostile.length;
    count.accused += accused;
  }
  return count;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}
