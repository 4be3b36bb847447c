// SPDX-License-Identifier: Apache-2.0
import { SERVERS } from '@sev/application';
import { rounded, type Benchmark, type Figure } from '../figure.js';
import { missingFiles, readLearningData, type LearningData } from '../learning/data.js';
import { DEMAND_CASES, measureDemand, type DemandCase } from '../learning/demand.js';
import { measurePrices, PRICE_CASES, PRICE_ROUNDS, TOLERANCE, type PriceCase } from '../learning/prices.js';
import { SERVER_CLIENTS, SERVER_ROUNDS, SERVER_SPLITS, serverR2 } from '../learning/servers.js';
import { higher, lower } from './native.js';

const SEEDS = [1, 2, 3] as const;
/** With momentum, which was chosen on folds 1 to 4 (docs/learning.md). */
const SERVER_TARGETS = { iid: 0.84, brand: 0.77 } as const;

/** Errors of federations in memory on real data: prices, optimisers of the server, demand. Means of three seeds. */
export const learning: Benchmark = {
  name: 'learning',
  run: async ({ dataFolder }) => {
    const missing = missingFiles(dataFolder);
    if (missing.length > 0) {
      return { skipped: `${missing.join(', ')} not there (SEV_DATA_FOLDER names the folder)` };
    }
    const data = await readLearningData(dataFolder);
    const figures = [...PRICE_CASES.flatMap((one) => priceFigures(data, one)), ...serverFigures(data)];
    for (const one of DEMAND_CASES) {
      figures.push(...(await demandFigures(data, one)));
    }
    return figures;
  },
};

function priceFigures({ prices }: LearningData, one: PriceCase): readonly Figure[] {
  const { r2 } = measurePrices(prices[one.file], one, SEEDS);
  return PRICE_ROUNDS.map((round, at) => {
    const reference = one.reference[at] ?? Number.NaN;
    const name = `learning-${one.file}-${one.split}-k${one.clients}-r${round}`;
    const note = `fold 0; another implementation ${reference}`;
    return r2Figure(name, r2[at], rounded(reference - TOLERANCE), note);
  });
}

function serverFigures({ cd }: LearningData): readonly Figure[] {
  return SERVER_SPLITS.map((split) => {
    const name = `learning-cd-${split}-k${SERVER_CLIENTS}-r${SERVER_ROUNDS}`;
    const r2 = serverR2(cd, split, { server: SERVERS.momentum }, SEEDS);
    return r2Figure(name, r2, SERVER_TARGETS[split], 'fold 0, server momentum, chosen on folds 1 to 4');
  });
}

async function demandFigures(data: LearningData, one: DemandCase): Promise<readonly Figure[]> {
  const row = await measureDemand(data, one, SEEDS);
  const figure = (when: 'before' | 'after'): Figure =>
    lower(
      `learning-${one.form}-${one.split}-${when}`,
      row[when].rows,
      'kWh',
      one.targets[when],
      `${row.clients} clients, ${one.rounds} rounds, ${when} fine-tuning`,
    );
  return [figure('before'), figure('after')];
}

function r2Figure(name: string, r2: number | undefined, target: number, note: string): Figure {
  return { ...higher(name, 0, 'R²', target, note), value: rounded(r2 ?? Number.NaN) };
}
