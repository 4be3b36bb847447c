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
  let row = 0;
  for (const part of parts) {
    x.set(part.x, row * features);
    y.set(part.y, row);
    row += part.rows;
  }
  return { features, rows, x, y };
}

/** @throws DataError DATA_TOO_FEW_ROWS for no row, DATA_SHAPE for arrays of another length, DATA_NOT_FINITE for NaN. */
export function checkDataset(data: Dataset): void {
  const { features, rows, x, y } = data;
  if (rows < 1) {
    throw new DataError('DATA_TOO_FEW_ROWS', 'the data set holds no row');
  }
  if (x.length !== rows * features || y.length !== rows) {
    const detail = `${String(rows)} rows of ${String(features)} features do not fit ${String(x.length)} inputs and ${String(y.length)} targets`;
    throw new DataError('DATA_SHAPE', detail);
  }
  const badInput = x.findIndex((value) => !Number.isFinite(value));
  if (badInput >= 0) {
    const column = `feature ${String(badInput % features)}`;
    throw new DataError('DATA_NOT_FINITE', 'NaN or infinite', { line: Math.floor(badInput / features) + 1, column });
  }
  const badTarget = y.findIndex((value) => !Number.isFinite(value));
  if (badTarget >= 0) {
    throw new DataError('DATA_NOT_FINITE', 'NaN or infinite', { line: badTarget + 1, column: 'target' });
  }
}
