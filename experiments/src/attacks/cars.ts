// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generateCarTable, readCarDekho, type CarTable } from '@sev/fl';

const CARDEKHO = join('cardekho', 'CAR DETAILS FROM CAR DEKHO.csv');
/** As many rows as the CarDekho file has. */
const GENERATED_ROWS = 3_577;
const SEED = 1;

/** The CarDekho file, or null for generated cars. Plain data. */
export interface TableSource {
  readonly path: string | null;
}

/** The file in the folder that SEV_DATA_FOLDER names, where it is there. */
export function carSource(): TableSource {
  const path = join(process.env['SEV_DATA_FOLDER'] ?? resolve('../shared/data'), CARDEKHO);
  return { path: existsSync(path) ? path : null };
}

export async function readCars({ path }: TableSource): Promise<CarTable> {
  return path === null ? generateCarTable({ rows: GENERATED_ROWS, seed: SEED }) : readCarDekho(path);
}
