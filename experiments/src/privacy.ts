// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generateCarTable, isTestRow, readCarDekho, type CarTable } from '@sev/fl';
import { print, printTable } from './output.js';
import { measureParts, type Parts } from './parts.js';
import type { GuessScore } from './privacy/car-guess.js';
import { confirmLastRecord, type Confirmation } from './privacy/confirmation.js';
import { measureLeaks, type Leaks } from './privacy/leaks.js';
import { compareSecure, fleetOf, measureMembership } from './privacy/model-tables.js';
import { measureNoise } from './privacy/noise-table.js';
import { DELTA } from './privacy/noise-terms.js';

const CARDEKHO = join('cardekho', 'CAR DETAILS FROM CAR DEKHO.csv');
/** As many rows as the CarDekho file has. */
const GENERATED_ROWS = 3_577;
const VICTIMS = 160;
const BATCHES = [1, 4] as const;
const SIZES = [20, 144] as const;
const SPLITS = ['iid', 'brand'] as const;

const VIEWS: Readonly<Record<keyof Leaks, string>> = {
  marginal: 'nothing, marginal guess',
  random: 'nothing, cars at random',
  gradient: 'plain, one step of gradient descent',
  plain: 'plain, default training',
  twoAggregators: 'secure, two aggregators together',
  oneAggregator: 'secure, one aggregator',
  projections: 'secure, opened projections',
  guessAndCheck: 'secure, projections, guess and check',
};

const SEED = 1;

const PARTS: Parts<Tables> = {
  leaks: ({ table, others }) => [table, ...others].flatMap(showLeaks),
  confirmation: showConfirmation,
  membership: ({ table }) => showMembership(table),
  secure: ({ table }) => showSecure(table),
  noise: showNoise,
};

/** Runs the attacks, prints what came of them as tables and writes runs/privacy.json. Names in argv choose parts. */
function main(): Promise<void> {
  return measureParts('privacy', `seed ${SEED}`, PARTS, async () => {
    const data = await readTables();
    return { data, facts: { seed: SEED, source: data.table.source } };
  });
}

interface Tables {
  readonly table: CarTable;
  readonly others: readonly CarTable[];
}

/** The CarDekho file where it is there, and generated data in any case. */
async function readTables(): Promise<Tables> {
  const path = join(process.env['SEV_DATA_FOLDER'] ?? resolve('../shared/data'), CARDEKHO);
  const generated = generateCarTable({ rows: GENERATED_ROWS, seed: SEED });
  if (existsSync(path)) {
    return { table: await readCarDekho(path), others: [generated] };
  }
  print('skipped: the CarDekho file is not there (SEV_DATA_FOLDER names its folder); generated data in its place');
  return { table: generated, others: [] };
}

interface LeakTable {
  readonly source: string;
  readonly records: number;
  readonly leaks: Leaks;
}

/** Victims are test rows; the training rows are the market that the attacker knows. */
function showLeaks(table: CarTable): readonly LeakTable[] {
  const victims = table.rows.filter(isTestRow).slice(0, VICTIMS);
  const market = table.rows.filter((row) => !isTestRow(row));
  return BATCHES.map((records) => {
    const leaks = measureLeaks({ victims, market, records, seed: SEED });
    print(`\nReading records out of an update: ${table.source}, vehicles with ${records} of ${VICTIMS} records`);
    printTable(
      ['seen', 'fuel', 'seller', 'gearbox', 'owner', 'name', 'year ±', 'ln(km) ±'],
      Object.entries(VIEWS).map(([view, text]) => [text, ...scoreCells(leaks[view as keyof Leaks])]),
    );
    return { source: table.source, records, leaks };
  });
}

/** On generated data: 10 vehicles of each size, 20 candidates beside the truth. */
function showConfirmation(): readonly Confirmation[] {
  const others = generateCarTable({ rows: 20, seed: SEED + 1 }).rows;
  const rows = SIZES.map((records) =>
    confirmLastRecord(generateCarTable({ rows: 10 * records, seed: SEED }).rows, others, { records, seed: SEED }),
  );
  print('\nThe last record of a vehicle from its projections, all others known: generated data');
  printTable(
    ['records', 'candidates', 'vehicles', 'named'],
    rows.map(({ records, candidates, vehicles, named }) => [records, candidates, vehicles, named].map(String)),
  );
  return rows;
}

function scoreCells(score: GuessScore): readonly string[] {
  const { fuel, seller, transmission, owner, name, yearError, kilometresError } = score;
  const shares = [fuel, seller, transmission, owner, name].map((share) => share.toFixed(2));
  return [...shares, yearError.toFixed(2), kilometresError.toFixed(2)];
}

function showMembership(table: CarTable): ReturnType<typeof measureMembership> {
  const rows = measureMembership(fleetOf(table, 'iid'), SEED);
  print(`\nMembership inference by the loss: ${table.source}, 20 vehicles, iid`);
  printTable(
    ['model', 'AUC', 'R²'],
    rows.map(({ model, auc, r2 }) => [model, auc.toFixed(3), r2.toFixed(3)]),
  );
  return rows;
}

function showSecure(table: CarTable): readonly ReturnType<typeof compareSecure>[] {
  const rows = SPLITS.flatMap((split) => [0, 1, 2].map((offset) => compareSecure(table, split, SEED + offset)));
  print(`\nSecure against plain: ${table.source}, 20 vehicles, R² after 10 rounds`);
  printTable(
    ['split', 'seed', 'plain', 'secure', 'difference'],
    rows.map(({ split, seed, plain, secure }) => [
      split,
      String(seed),
      plain.toFixed(4),
      secure.toFixed(4),
      (secure - plain).toFixed(4),
    ]),
  );
  return rows;
}

async function showNoise(): Promise<Awaited<ReturnType<typeof measureNoise>>> {
  const rows = await measureNoise(SEED, (done, all) => {
    process.stderr.write(`mode dp: ${done} of ${all} runs\n`);
  });
  print(`\nMode dp: R² after 10 rounds at δ = ${DELTA.toExponential()}, generated data, 24 rows a vehicle, iid`);
  printTable(
    ['vehicles', 'network', 'C', 'ε', 'noise in a parameter, each round', 'R²'],
    rows.map(({ vehicles, layers, clip, epsilon, noisePerParameter, r2 }) => [
      String(vehicles),
      layers.join('-'),
      String(clip),
      epsilon === null ? '∞' : String(epsilon),
      noisePerParameter.toPrecision(2),
      r2.toFixed(3),
    ]),
  );
  return rows;
}

await main();
