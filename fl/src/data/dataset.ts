// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';

/** Numbers to learn from. */
export interface Dataset {
  /** Width of a row of x. */
  readonly features: number;
  readonly rows: number;
  /** rows × features, row-major. */
  readonly x: Float32Array;
  /** One target a row. */
  readonly y: Float32Array;
  /** For targets that are relative to a level of their row: what a row's target is multiplied by; 1 where not given. */
  readonly rowScale?: Float32Array;
}

/** All rows of several data sets, in order. @throws DataError DATA_SHAPE where their widths differ or there is none. */
export function concatDatasets(parts: readonly Dataset[]): Dataset {
  const features = parts[0]?.features;
  if (features === undefined || parts.some((part) => part.features !== features)) {
    throw new DataError('DATA_SHAPE', 'data sets of one common width are needed');
  }
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const x = new Float32Array(rows * features);
  const y = new Float32Array(rows);
  const rowScale = new Float32Array(rows).fill(1);
  let row = 0;
  for (const part of parts) {
    x.set(part.x, row * features);
    y.set(part.y, row);
    rowScale.set(part.rowScale ?? [], row);
    row += part.rows;
  }
  const relative = parts.some((part) => part.rowScale !== undefined);
  return { features, rows, x, y, ...(relative ? { rowScale } : {}) };
}

/** Some rows of a data set, in the order asked for. */
export function pickRows({ features, x, y, rowScale }: Dataset, rows: readonly number[]): Dataset {
  const picked = new Float32Array(rows.length * features);
  rows.forEach((row, index) => {
    picked.set(x.subarray(row * features, (row + 1) * features), index * features);
  });
  const of = (values: Float32Array): Float32Array => Float32Array.from(rows, (row) => values[row] ?? Number.NaN);
  return {
    features,
    rows: rows.length,
    x: picked,
    y: of(y),
    ...(rowScale === undefined ? {} : { rowScale: of(rowScale) }),
  };
}

/** @throws DataError DATA_TOO_FEW_ROWS for no row, DATA_SHAPE for arrays of another length, DATA_NOT_FINITE for NaN. */
export function checkDataset(data: Dataset): void {
  const { features, rows, x, y, rowScale } = data;
  if (rows < 1) {
    throw new DataError('DATA_TOO_FEW_ROWS', 'the data set holds no row');
  }
  if (x.length !== rows * features || y.length !== rows || (rowScale !== undefined && rowScale.length !== rows)) {
    const detail = `${String(rows)} rows of ${String(features)} features do not fit ${String(x.length)} inputs and ${String(y.length)} targets`;
    throw new DataError('DATA_SHAPE', detail);
  }
  const badInput = x.findIndex((value) => !Number.isFinite(value));
  if (badInput >= 0) {
    const column = `feature ${String(badInput % features)}`;
    throw new DataError('DATA_NOT_FINITE', 'NaN or infinite', { line: Math.floor(badInput / features) + 1, column });
  }
  const badTarget = y.findIndex((value, row) => !Number.isFinite(value) || !Number.isFinite(rowScale?.[row] ?? 1));
  if (badTarget >= 0) {
    throw new DataError('DATA_NOT_FINITE', 'NaN or infinite', { line: badTarget + 1, column: 'target' });
  }
}
