// SPDX-License-Identifier: Apache-2.0
import { dirname, join } from 'node:path';
import type { Task } from '@sev/chaincode/api';
import {
  CAR_FEATURES,
  DataError,
  HORIZONS,
  HOUR_FEATURES,
  SESSION_FEATURES,
  SESSION_SETS,
  generateCarTable,
  generateSessions,
  hourTable,
  knownSplit,
  priceTable,
  readCarDekho,
  readCarV3,
  readCarV4,
  readChargingPowers,
  readHeader,
  readSchema,
  readSchemaTable,
  readSessions,
  schemaFeatures,
  readStatisticsTable,
  sessionTable,
  statisticsLayout,
  type ChargingPowers,
  type Dataset,
  type FeatureSet,
  type LearningSplit,
  type LearningTable,
  type SessionTable,
  type TableSchema,
} from '@sev/fl';
import { seedFrom } from '../services/seed.js';
import { readStatisticsFile, scaledSchema } from './statistics-file.js';

export type TaskKind = Task['kind'];
/** Kinds in which a model is trained. */
export type LearningKind = Exclude<TaskKind, 'statistics'>;

/** What of charging is predicted: the energy of a session as known at plug-in or at departure, or hourly demand. */
export const DEMAND_FORMS = [...SESSION_SETS, ...HORIZONS] as const;
export type DemandForm = (typeof DEMAND_FORMS)[number];

interface Generated {
  readonly source: 'generated';
  /** Rows of `price`, sessions of `demand`. */
  readonly rows: number;
  readonly seed: number;
}
interface File {
  readonly source: 'file';
  readonly path: string;
}

/** Where a vehicle's data comes from, and what is to be learned from it; `price` where no kind is named. */
export type DataSource =
  | (Generated & { readonly kind?: 'price' | undefined })
  | (File & { readonly kind?: 'price' | undefined })
  | ((Generated | File) & { readonly kind: 'demand'; readonly form: DemandForm })
  /**
   * @property schema path of the file that declares the columns.
   * @property statistics path of the file of statistics that its columns are scaled by.
   */
  | (File & { readonly kind: 'table'; readonly schema: string; readonly statistics?: string | undefined })
  | (File & { readonly kind: 'statistics'; readonly schema: string });

/** How a data set is shared out among clients; each vehicle is one client of it. */
export interface DataPlan {
  readonly data: DataSource;
  /** One of the table's splits. */
  readonly split: string;
  /** Number of clients K. */
  readonly clients: number;
  /** Fewest training rows of a client; default 1. */
  readonly minRows?: number;
  /** Training rows that are no client's, but kept for validation. */
  readonly validationRows?: number;
}

/** Beside the sessions: what each user's car charges with. Users that are not in it charge with 3.6 kW. */
const POWERS_FILE = 'Dataset2_user_predictions.csv';

/**
 * @param ofOneClient the file holds the rows of one client alone, not of all.
 * @throws DataError
 */
export async function openTable(data: DataSource, ofOneClient = false): Promise<LearningTable> {
  switch (data.kind) {
    case 'demand': {
      const { form } = data;
      const { table, powers } = await sessionsOf(data);
      const set = SESSION_SETS.find((known) => known === form);
      const horizon = HORIZONS.find((known) => known === form);
      return set !== undefined
        ? sessionTable(table, set)
        : hourTable(table, await powers(), knownSplit(horizon ?? form, HORIZONS));
    }
    case 'table':
      return readSchemaTable(await schemaOf(data), data.path, { ofOneClient });
    case 'statistics':
      return readStatisticsTable(await readSchema(data.schema), data.path, ofOneClient);
    default:
      return data.source === 'generated' ? priceTable(generateCarTable(data)) : readCars(data.path);
  }
}

/**
 * What a task of a kind learns from, without its data: of price the columns of `CAR DETAILS FROM CAR DEKHO.csv`.
 *
 * @throws DataError; SevError where the statistics do not go with the schema.
 */
export async function featuresOf(
  kind: LearningKind,
  { form, schema = '', statistics }: { form: DemandForm; schema?: string; statistics?: string },
): Promise<FeatureSet> {
  switch (kind) {
    case 'demand':
      return { ...SESSION_FEATURES, ...HOUR_FEATURES }[form];
    case 'table':
      return schemaFeatures(await schemaOf({ schema, statistics }));
    case 'price':
      return CAR_FEATURES;
  }
}

/** What a task of statistics sums: the columns that a schema leaves to them. @throws DataError STATISTICS_NONE. */
export async function summedFeatures(schema: string): Promise<FeatureSet> {
  const { name, width } = statisticsLayout(await readSchema(schema));
  return { name, width };
}

/** @throws DataError; SevError where the statistics do not go with the schema. */
async function schemaOf({
  schema,
  statistics,
}: {
  readonly schema: string;
  readonly statistics?: string | undefined;
}): Promise<TableSchema> {
  const declared = await readSchema(schema);
  return statistics === undefined ? declared : scaledSchema(declared, await readStatisticsFile(statistics));
}

/** The file's columns say which of the three car files it is like. */
async function readCars(path: string): Promise<LearningTable> {
  const header = await readHeader(path);
  if (header.includes('Make') && header.includes('Model')) {
    return readCarV4(path);
  }
  return header.includes('max_power') ? readCarV3(path) : priceTable(await readCarDekho(path));
}

async function sessionsOf(
  data: Generated | File,
): Promise<{ table: SessionTable; powers: () => Promise<ChargingPowers> }> {
  if (data.source === 'generated') {
    const { table, powers } = generateSessions({ sessions: data.rows, seed: data.seed });
    return { table, powers: () => Promise.resolve(powers) };
  }
  const powersPath = join(dirname(data.path), POWERS_FILE);
  return {
    table: await readSessions(data.path),
    powers: () =>
      readChargingPowers(powersPath).catch((error: unknown) => {
        if (error instanceof DataError && error.code === 'DATA_FILE_MISSING') {
          return new Map();
        }
        throw error;
      }),
  };
}

/** @throws DataError */
export function splitOf(table: LearningTable, { data: _read, ...request }: DataPlan): LearningSplit {
  return table.split(request);
}

/**
 * Encodes the rows of some clients only; the others' rows are dropped with the table.
 *
 * @param clients indices below `plan.clients`.
 * @returns the name of the feature set, and one data set for each client, in order.
 * @throws DataError
 */
export async function loadClients(
  plan: DataPlan,
  clients: readonly number[],
): Promise<{ features: string; data: Dataset[] }> {
  const { data, ...request } = plan;
  const table = await openTable(data, plan.clients === 1);
  return { features: table.features.name, data: [...table.clientData(request, clients)] };
}

/** Seed of one client's training in one round: follows from the task's, so that a repeated training gives the same. */
export function trainingSeed(taskSeed: number, round: number, client: number | string): number {
  return seedFrom(`${String(taskSeed)}/${String(round)}/${String(client)}`);
}
