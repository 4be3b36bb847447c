// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from 'node:util';
import { attackNamed } from '@sev/fl';
import { carSource, readCars, type TableSource } from './attacks/cars.js';
import { measureFalseQuarantine, measureIdentification } from './attacks/detection.js';
import {
  measureContribution,
  measureCorrection,
  measureLeak,
  measureSelfDealing,
  measureValidators,
} from './attacks/evidence.js';
import { measureTable, printAttackTables, SEEDS, type TableChoice } from './attacks/table.js';
import { print, saveResults } from './output.js';

type Part = (source: TableSource, choice: TableChoice) => Promise<void>;

const PARTS: Readonly<Record<string, Part>> = {
  table: showTable,
  identification: saved('identification', measureIdentification),
  'false-quarantine': saved('false-quarantine', measureFalseQuarantine),
  contribution: saved('contribution', measureContribution),
  'self-dealing': saved('self-dealing', measureSelfDealing),
  validators: saved('validators', measureValidators),
  correction: saved('correction', measureCorrection),
  privacy: saved('privacy', measureLeak),
};

/**
 * Runs federations under attack and prints what came of them; part `table` writes runs/attacks.json, the others
 * runs/attacks-<part>.json. Names in argv choose parts; `--attacks` and `--vehicles` restrict the table.
 */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { attacks: { type: 'string' }, vehicles: { type: 'string' } },
  });
  const chosen = positionals.length === 0 ? ['table'] : positionals.includes('all') ? Object.keys(PARTS) : positionals;
  const parts = chosen.map((name) => {
    const part = PARTS[name];
    if (part === undefined) {
      throw new Error(`no part ${name}; known: ${Object.keys(PARTS).join(', ')}, all`);
    }
    return part;
  });
  const attacks = listOf(values.attacks)?.map((name) => attackNamed(name).name);
  const vehicles = listOf(values.vehicles)?.map(Number);
  const source = carSource();
  if (source.path === null) {
    print(
      'not there: the CarDekho file (SEV_DATA_FOLDER names its folder); generated data in its place, targets do not hold',
    );
  }
  const started = performance.now();
  for (const part of parts) {
    await part(source, { attacks, vehicles });
  }
  print(`${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
}

async function showTable(source: TableSource, choice: TableChoice): Promise<void> {
  const rows = await measureTable(source, choice);
  printAttackTables(rows, `${(await readCars(source)).source}, seeds ${SEEDS.join(', ')}`);
  await saveResults('attacks', rows);
}

/** A part that writes what it measured to its own file. */
function saved(name: string, measure: (source: TableSource) => Promise<object>): Part {
  return async (source) => {
    await saveResults(`attacks-${name}`, await measure(source));
  };
}

function listOf(text: string | undefined): readonly string[] | undefined {
  const words = text?.split(/[\s,]+/).filter((word) => word !== '') ?? [];
  return words.length === 0 ? undefined : words;
}

await main();
