// SPDX-License-Identifier: Apache-2.0

/** What can be wrong with a data set, and how to mend it. */
export const DATA_ERROR_CODES = {
  DATA_FILE_MISSING: 'No file at this path.',
  DATA_FILE_UNREADABLE: 'The file is there but cannot be read.',
  DATA_MALFORMED: 'The text is not a table of separated values in UTF-8.',
  DATA_SCHEMA_INVALID: 'The schema of a table is not of the form that its reference describes.',
  DATA_COLUMN_MISSING: 'A column that the feature set needs is not in the header.',
  DATA_COLUMN_UNKNOWN: 'The header holds a column that the reader does not know, or one twice.',
  DATA_COLUMN_CONSTANT: 'A column holds the same value in every row, so there is nothing to learn from it.',
  DATA_COLUMN_EMPTY: 'A column holds no value in any row.',
  DATA_TARGET_MISSING: 'A row has no target.',
  DATA_NOT_A_NUMBER: 'A cell that must hold a finite number does not.',
  DATA_NOT_A_TIME: 'A cell that must hold a time (YYYY-MM-DD hh:mm:ss) does not.',
  DATA_OUT_OF_RANGE: 'A number lies outside the range that makes sense for its column.',
  DATA_VALUE_MISSING: 'A cell that must hold a value is empty.',
  DATA_VALUE_UNKNOWN: 'A cell holds a category that the feature set does not know.',
  DATA_NOT_FINITE: 'A feature or a target is NaN or infinite.',
  DATA_TOO_FEW_ROWS: 'The table holds fewer rows than the work needs.',
  DATA_CLIENT_EMPTY: 'A client of the split holds fewer rows than the minimum.',
  DATA_CLIENT_CONSTANT: 'All training rows of a client have the same target.',
  DATA_SHAPE: 'The arrays of a data set do not fit its stated numbers of rows and features.',
  DATA_OPTION_INVALID: 'An option of the generator or the split lies outside its range.',
  STATISTICS_NONE: 'The schema leaves nothing to federated statistics.',
  STATISTICS_IMPLAUSIBLE: 'Federated statistics lie outside what honest clients add up to.',
  SPLIT_UNKNOWN: 'No split of this name.',
} as const;
export type DataErrorCode = keyof typeof DATA_ERROR_CODES;

/** What can be wrong with a model, an update or a training run. */
export const MODEL_ERROR_CODES = {
  MODEL_LAYERS: 'The numbers do not describe a network.',
  MODEL_LENGTH: 'The number of parameters is not that of the model.',
  MODEL_NOT_FINITE: 'A parameter is NaN or infinite.',
  MODEL_INPUT_WIDTH: 'The data set has another number of features than the model has inputs.',
  TRAINING_OPTION_INVALID: 'An option of the training lies outside its range.',
  TRAINING_DIVERGED: 'The training left the finite numbers; lower the learning rate.',
  AGGREGATION_EMPTY: 'There is no update to aggregate.',
  AGGREGATION_WEIGHT: 'A weight is not a positive integer, or their sum is too large to be exact.',
} as const;
export type ModelErrorCode = keyof typeof MODEL_ERROR_CODES;

/** Where in a file the trouble is: `line` counts from 1, the header is line 1. */
export interface DataPlace {
  readonly line?: number;
  readonly column?: string;
}

/** A data set that cannot be used. Its text is `CODE: what, where and what to do`. */
export class DataError extends Error {
  readonly code: DataErrorCode;
  readonly detail: string;
  readonly line: number | undefined;
  readonly column: string | undefined;

  constructor(code: DataErrorCode, detail: string, place: DataPlace = {}, options?: ErrorOptions) {
    const where = [
      ...(place.line === undefined ? [] : [`row ${String(place.line)}`]),
      ...(place.column === undefined ? [] : [`column ${place.column}`]),
    ].join(', ');
    super(`${code}: ${where === '' ? detail : `${where}: ${detail}`}`, options);
    this.name = 'DataError';
    this.code = code;
    this.detail = detail;
    this.line = place.line;
    this.column = place.column;
  }
}

/** A model, update or training that cannot be used. Its text is `CODE: what and what to do`. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  readonly detail: string;

  constructor(code: ModelErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'ModelError';
    this.code = code;
    this.detail = detail;
  }
}
