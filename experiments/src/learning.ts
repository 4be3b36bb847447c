// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import { readLearningData, type LearningData } from './learning/data.js';
import { DEMAND_CASES, measureDemand, type DemandErrors, type DemandRow } from './learning/demand.js';
import { measurePrices, PRICE_CASES, type PriceRow } from './learning/prices.js';
import { bestServer, CANDIDATES, measureServer, withoutTestFold, type ServerRow } from './learning/servers.js';
import { print, printTable } from './output.js';
import { measureParts, type Parts } from './parts.js';

const SEEDS = [1, 2, 3] as const;

const PARTS: Parts<LearningData> = {
  prices: showPrices,
  servers: showServers,
  demand: showDemand,
};

/** Runs federations in memory, prints their errors as tables and writes runs/learning.json. Names in argv choose parts. */
function main(): Promise<void> {
  return measureParts('learning', `seeds ${SEEDS.join(', ')}`, PARTS, async () => {
    const data = await readLearningData(process.env['SEV_DATA_FOLDER'] ?? resolve('../shared/data'));
    for (const file of data.missing) {
      print(
        `not there: ${file} (SEV_DATA_FOLDER names its folder); generated data in its place, published figures do not hold`,
      );
    }
    return { data, facts: { seeds: SEEDS, missing: data.missing } };
  });
}

function showPrices({ prices }: LearningData): readonly PriceRow[] {
  const rows = PRICE_CASES.map((one) =>
    measured(`prices ${one.file}`, () => measurePrices(prices[one.file], one, SEEDS)),
  );
  print('\nFederated averaging: R² on fold 0, mean of three seeds, beside another implementation (Python)');
  printTable(
    ['file', 'split', 'clients', 'round 10', 'reference', 'round 30', 'reference'],
    rows.map(({ file, split, clients, r2, reference }) => [
      prices[file].source,
      split,
      String(clients),
      ...r2.flatMap((value, at) => [value.toFixed(3), reference[at]?.toFixed(3) ?? '']),
    ]),
  );
  return rows;
}

interface ServerTables {
  readonly chosenOn: readonly ServerRow[];
  readonly chosen: string;
  readonly reported: readonly ServerRow[];
}

/** The choice sees folds 1 to 4; fold 0 is looked at for the chosen one and the plain average alone. */
function showServers({ cd }: LearningData): ServerTables {
  const folds = withoutTestFold(cd);
  const chosenOn = CANDIDATES.map((candidate) =>
    measured(candidate.name, () => measureServer(folds, candidate, SEEDS)),
  );
  const chosen = bestServer(chosenOn).name;
  print(
    '\nOptimisers of the server: trained on folds 2 to 4, R² on fold 1, 100 clients, round 50, mean of three seeds',
  );
  printServers(chosenOn);
  const reported = CANDIDATES.filter(({ name }) => name === 'none' || name === chosen).map((candidate) =>
    measured(candidate.name, () => measureServer(cd, candidate, SEEDS)),
  );
  print(`\nChosen: ${chosen}. Trained on folds 1 to 4, R² on fold 0`);
  printServers(reported);
  return { chosenOn, chosen, reported };
}

function printServers(rows: readonly ServerRow[]): void {
  printTable(
    ['server', 'option', 'iid', 'brand', 'mean'],
    rows.map(({ name, option, r2, mean }) => [
      name,
      option === null || option === '' ? '' : `\`${option}\``,
      ...[r2.iid, r2.brand, mean].map((value) => value.toFixed(3)),
    ]),
  );
}

async function showDemand(data: LearningData): Promise<readonly DemandRow[]> {
  const rows: DemandRow[] = [];
  for (const one of DEMAND_CASES) {
    rows.push(await measured(`demand ${one.form} ${one.split}`, () => measureDemand(data, one, SEEDS)));
  }
  print(
    `\nDemand: mean absolute error in kWh before → after fine-tuning, mean of three seeds; ${data.sessions.source}`,
  );
  printTable(
    ['form', 'split', 'clients', 'rounds', 'all test rows', 'mean of clients', 'worst tenth of clients'],
    rows.map(({ form, split, clients, rounds, before, after }) => [
      ...[form, split, String(clients), String(rounds)],
      ...(['rows', 'clients', 'worstTenth'] as const).map((of) => change(of, before, after)),
    ]),
  );
  return rows;
}

function change(of: keyof DemandErrors, before: DemandErrors, after: DemandErrors): string {
  return `${before[of].toFixed(2)} → ${after[of].toFixed(2)}`;
}

function measured<T>(name: string, measure: () => T): T {
  process.stderr.write(`${name}\n`);
  return measure();
}

await main();
