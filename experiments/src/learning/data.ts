// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  generateCarTable,
  generateSessions,
  priceTable,
  readCarDekho,
  readCarV3,
  readChargingPowers,
  readSessions,
  type CarTable,
  type ChargingPowers,
  type LearningTable,
  type SessionTable,
} from '@sev/fl';

const FILES = {
  cd: join('cardekho', 'CAR DETAILS FROM CAR DEKHO.csv'),
  v3: join('cardekho', 'Car details v3 (deduplicated).csv'),
  sessions: join('norway-ev-charging', 'Dataset1_charging_reports.csv'),
  powers: join('norway-ev-charging', 'Dataset2_user_predictions.csv'),
} as const;

/** Rows of the generated data, as many as the file has that they stand for. */
const GENERATED = { cd: 3_577, v3: 6_926, sessions: 6_000 } as const;
const SEED = 1;

/** What the tables are measured on. */
export interface LearningData {
  /** Files that are not there: generated data stand for them, and the published figures do not hold. */
  readonly missing: readonly string[];
  /** CAR DETAILS FROM CAR DEKHO, row by row. */
  readonly cd: CarTable;
  readonly prices: Readonly<Record<PriceFile, LearningTable>>;
  readonly sessions: SessionTable;
  readonly powers: ChargingPowers;
}

export type PriceFile = 'cd' | 'v3';

/** Reads the files of a folder; generated data stand for those that are not there. */
export async function readLearningData(folder: string): Promise<LearningData> {
  const paths = { cd: join(folder, FILES.cd), v3: join(folder, FILES.v3), sessions: join(folder, FILES.sessions) };
  const missing = missingFiles(folder);
  const isThere = (name: keyof typeof paths): boolean => !missing.includes(FILES[name]);
  const cd = isThere('cd') ? await readCarDekho(paths.cd) : generatedCars(GENERATED.cd);
  const v3 = isThere('v3') ? await readCarV3(paths.v3) : priceTable(generatedCars(GENERATED.v3));
  const charging =
    isThere('sessions') && !missing.includes(FILES.powers)
      ? { table: await readSessions(paths.sessions), powers: await readChargingPowers(join(folder, FILES.powers)) }
      : generateSessions({ sessions: GENERATED.sessions, seed: SEED });
  return { missing, cd, prices: { cd: priceTable(cd), v3 }, sessions: charging.table, powers: charging.powers };
}

/** Files of the tables that a folder lacks. */
export function missingFiles(folder: string): readonly string[] {
  return Object.values(FILES).filter((file) => !existsSync(join(folder, file)));
}

function generatedCars(rows: number): CarTable {
  return generateCarTable({ rows, seed: SEED });
}
