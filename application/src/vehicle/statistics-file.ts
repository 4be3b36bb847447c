// SPDX-License-Identifier: Apache-2.0
import { privacyMode, sha256Hex } from '@sev/chaincode/api';
import {
  parametersFromBytes,
  readStatistics,
  statisticsLayout,
  withStatistics,
  type Statistics,
  type TableSchema,
} from '@sev/fl';
import { z } from 'zod';
import { parseFile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { readJson, writeJson } from '../store/files.js';

/**
 * The outcome of a task of kind `statistics`, as the tasks that are scaled by it take it. The hash of the model stands for
 * all of it: the rest follows from the ledger, and whoever uses the file looks there.
 */
const statisticsFile = z.strictObject({
  schemaVersion: z.literal(1),
  taskId: z.string(),
  privacy: privacyMode,
  /** Name of what was summed. */
  features: z.string(),
  modelHash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Base64 of the model's bytes. */
  model: z.base64(),
  /** Vehicles whose mean it is. */
  vehicles: z.int().min(1),
  /** Standard deviation of each of the model's numbers, by rounding and noise. */
  deviation: z.number().nonnegative(),
});
export type StatisticsFile = z.infer<typeof statisticsFile>;

/** @throws SevError STATISTICS_MISSING, FILE_MALFORMED, CONTENT_HASH_MISMATCH where the model is not that of its hash. */
export async function readStatisticsFile(path: string): Promise<StatisticsFile> {
  const value = await readJson(path);
  if (value === undefined) {
    throw new SevError('STATISTICS_MISSING', `${path} is missing`, {
      hint: 'Make it with `sev statistics run`.',
      exitCode: EXIT.usage,
    });
  }
  const file = parseFile(statisticsFile, path, value);
  const actual = sha256Hex(modelBytes(file));
  if (actual !== file.modelHash) {
    throw new SevError('CONTENT_HASH_MISMATCH', `${path} holds a model of ${actual} under the hash ${file.modelHash}`, {
      exitCode: EXIT.integrity,
    });
  }
  return file;
}

export async function writeStatisticsFile(path: string, file: StatisticsFile): Promise<void> {
  await writeJson(path, file);
}

/** @throws SevError STATISTICS_FOREIGN where they were made for other columns; DataError STATISTICS_IMPLAUSIBLE. */
export function statisticsOf(schema: TableSchema, file: StatisticsFile): Statistics {
  const layout = statisticsLayout(schema);
  if (layout.name !== file.features) {
    const detail = `the statistics are of ${file.features}, the schema asks for ${layout.name}`;
    throw new SevError('STATISTICS_FOREIGN', detail, {
      hint: 'Run `sev statistics run` again with this schema.',
      exitCode: EXIT.usage,
    });
  }
  return readStatistics(layout, parametersFromBytes(modelBytes(file), layout.width), file.deviation);
}

/** @throws as {@link statisticsOf}, and what `withStatistics` throws. */
export function scaledSchema(schema: TableSchema, file: StatisticsFile): TableSchema {
  return withStatistics(schema, statisticsOf(schema, file), file);
}

function modelBytes({ model }: StatisticsFile): Uint8Array {
  return Buffer.from(model, 'base64');
}
