// SPDX-License-Identifier: Apache-2.0
import { DEFAULT_WEIGHT_RULE, quarantineMilliOf } from '@sev/fl';
import { print, printTable } from '../output.js';
import type { TableSource } from './cars.js';
import type { WatchJob, WatchResult } from './jobs.js';
import { measured } from './measured.js';
import { SPLITS, type AttackSplit } from './setting.js';

const RUNS = 50;
/** Seeds that no constant of the error model was chosen on; 1 to 12, 101 to 150, 201 to 250, 301 to 310 and 401 to 450 were looked at. */
const FIRST_SEED = 501;
const QUIET_ROUNDS = 20;
const QUIET_FLEETS = [20, 100] as const;

interface WatchedFleet {
  readonly vehicles: number;
  /** Attackers, by run, in turn. */
  readonly hostile: readonly number[];
  readonly rounds: number;
  readonly runs: number;
}
const FEW: WatchedFleet = { vehicles: 20, hostile: [1, 2, 3, 4], rounds: 5, runs: RUNS };
const MANY: WatchedFleet = { vehicles: 100, hostile: [5, 10, 15, 20], rounds: 20, runs: 10 };

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
  readonly vehicles: number;
  readonly attack: string;
  readonly runs: number;
  readonly rounds: number;
  /** Runs in which exactly the attackers were quarantined within the rounds. */
  readonly exact: number;
  /** Attackers in all, and those quarantined by then. */
  readonly hostile: number;
  readonly found: number;
  /** Honest vehicles in all, and those quarantined. */
  readonly honest: number;
  readonly accused: number;
}

/** Each persistent attack: fifty runs of twenty vehicles over five rounds, ten of a hundred over twenty. */
export async function measureIdentification(source: TableSource): Promise<readonly IdentificationRow[]> {
  return [...(await identificationOf(FEW, source)), ...(await identificationOf(MANY, source))];
}

async function identificationOf(
  { vehicles, hostile, rounds, runs }: WatchedFleet,
  source: TableSource,
): Promise<readonly IdentificationRow[]> {
  const jobs = SPLITS.flatMap((split) =>
    PERSISTENT.flatMap((attack) =>
      seeds(runs).map((seed, run): WatchJob => {
        const share = (hostile[run % hostile.length] ?? 0) / vehicles;
        const cell = { split, vehicles, attack, hostile: share, rule: DEFAULT_WEIGHT_RULE, seed };
        return { kind: 'watch', cell, rounds };
      }),
    ),
  );
  const watched = await measured(`identification among ${vehicles}`, source, jobs);
  const rows = SPLITS.flatMap((split) =>
    PERSISTENT.map((attack): IdentificationRow => {
      const ofAttack = watched.filter(({ cell }) => cell.split === split && cell.attack === attack);
      return { split, vehicles, attack, runs: ofAttack.length, rounds, ...countOf(ofAttack) };
    }),
  );
  print(`\nIdentification: ${runs} runs each, ${hostile.join(', ')} attackers among ${vehicles}, ${rounds} rounds`);
  printTable(
    ['split', 'attack', 'exactly the attackers', 'attackers found', 'honest accused'],
    rows.map(({ split, attack, exact, found, accused, ...of }) => [
      ...[split, attack, percent(exact, of.runs), percent(found, of.hostile), percent(accused, of.honest)],
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
  /** Share of all rounds of all vehicles in which one counts nothing, and so is not paid. */
  readonly lostRounds: number;
}

/** Fifty runs of twenty rounds without attack. */
export async function measureFalseQuarantine(source: TableSource): Promise<readonly QuietRow[]> {
  const jobs = SPLITS.flatMap((split) =>
    QUIET_FLEETS.flatMap((vehicles) =>
      seeds(RUNS).map((seed): WatchJob => {
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
      const lost = ofFleet.flatMap(({ lostRounds }) => lostRounds).reduce((sum, rounds) => sum + rounds, 0);
      const lostRounds = lost / (honest * QUIET_ROUNDS);
      return { split, vehicles, runs: ofFleet.length, honest, accused, lostRounds };
    }),
  );
  print(`\nFalse quarantine: ${RUNS} runs each without attack, ${QUIET_ROUNDS} rounds`);
  printTable(
    ['split', 'vehicles', 'honest vehicles', 'quarantined', 'share', 'rounds that count nothing'],
    rows.map(({ split, vehicles, honest, accused, lostRounds }) => [
      ...[split, String(vehicles), String(honest), String(accused), percent(accused, honest), percent(lostRounds, 1)],
    ]),
  );
  return rows;
}

function seeds(runs: number): readonly number[] {
  return Array.from({ length: runs }, (_, run) => FIRST_SEED + run);
}

function countOf(
  results: readonly WatchResult[],
): Pick<IdentificationRow, 'exact' | 'hostile' | 'found' | 'honest' | 'accused'> {
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
