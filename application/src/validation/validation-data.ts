// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { checkDataset, parametersFromBytes, parametersToBytes, type Dataset } from '@sev/fl';
import { z } from 'zod';
import { parseFile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { readJson, writeJson } from '../store/files.js';
import { loadClients, type DataSource } from '../vehicle/data.js';

/** What a validator knows that no vehicle does: rows of its own, encoded. */
export interface ValidationData {
  /** Name of the feature set; a task of another cannot be validated with them. */
  readonly features: string;
  readonly data: Dataset;
}

/** Where validation data are read from. */
export type ValidationSource = DataSource;

const count = z.int().min(1).max(10_000_000);
const validationFile = z.strictObject({
  schemaVersion: z.literal(1),
  features: z.string().min(1).max(100),
  width: count,
  rows: count,
  /** Base64 of little-endian float32: rows × width inputs, row after row, and one target a row. */
  x: z.base64(),
  y: z.base64(),
});

/**
 * Data in one canonical form: a line of text that names the form, the feature set, width and rows, then all inputs and all
 * targets as little-endian float32.
 */
export function canonicalValidationData({ features, data }: ValidationData): readonly (string | Uint8Array)[] {
  const head = `sev/validation-data/v1 ${features} ${String(data.features)} ${String(data.rows)}\n`;
  return [head, parametersToBytes(data.x), parametersToBytes(data.y)];
}

/** SHA-256 of {@link canonicalValidationData}. */
export function validationDataHash(data: ValidationData): string {
  const digest = createHash('sha256');
  canonicalValidationData(data).forEach((part) => digest.update(part));
  return digest.digest('hex');
}

/** Writes encoded rows where {@link readValidationData} finds them. */
export async function writeValidationData(path: string, { features, data }: ValidationData): Promise<void> {
  const base64 = (values: Float32Array): string => Buffer.from(parametersToBytes(values)).toString('base64');
  const { features: width, rows } = data;
  await writeJson(path, { schemaVersion: 1, features, width, rows, x: base64(data.x), y: base64(data.y) });
}

/**
 * Validation data: encoded rows in a file that ends in `.json`, a CSV file as vehicles read it, or generated rows. Of all but
 * encoded ones the rows that test sets are made of are left out, as vehicles do.
 *
 * @throws SevError VALIDATION_DATA_MISSING; DataError.
 */
export async function readValidationData(source: ValidationSource): Promise<ValidationData> {
  if (source.source === 'file' && source.path.endsWith('.json')) {
    return readEncoded(source.path);
  }
  const { features, data } = await loadClients({ data: source, split: 'iid', clients: 1 }, [0]);
  const [own] = data;
  if (own === undefined) {
    throw missing(source.source === 'file' ? source.path : 'the generated table');
  }
  return { features, data: own };
}

async function readEncoded(path: string): Promise<ValidationData> {
  const value = await readJson(path);
  if (value === undefined) {
    throw missing(path);
  }
  const { features, width, rows, x, y } = parseFile(validationFile, path, value);
  const data: Dataset = {
    features: width,
    rows,
    x: parametersFromBytes(Buffer.from(x, 'base64'), rows * width),
    y: parametersFromBytes(Buffer.from(y, 'base64'), rows),
  };
  checkDataset(data);
  return { features, data };
}

function missing(path: string): SevError {
  return new SevError('VALIDATION_DATA_MISSING', `${path} holds no validation data`, {
    hint: 'Name a CSV file in the columns that vehicles learn from.',
    exitCode: EXIT.usage,
  });
}
