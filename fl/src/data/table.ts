// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import type { Target } from './target.js';

/** A named feature set: an update can only be aggregated with updates on the same one. */
export interface FeatureSet {
  readonly name: string;
  /** Number of features, the width of a row of x. */
  readonly width: number;
  /** Where a row is a series: so many steps of so many numbers, one step after the other; width is their product. */
  readonly sequence?: { readonly steps: number; readonly features: number };
}

export interface SplitRequest {
  /** One of the table's splits. */
  readonly split: string;
  /**
   * Number of clients K. A split by a natural client (a location, a user) has as many as there are in the data; for it
   * this may be left out, and any other number is refused.
   */
  readonly clients?: number;
  /** Fewer training rows than this in any client are refused; 1 where not given. */
  readonly minRows?: number;
  /** So many training rows are no client's, but kept for validation, drawn by their hashes. None where not given. */
  readonly validationRows?: number;
}

/** A table shared out among clients, encoded. */
export interface LearningSplit {
  readonly split: string;
  /** Training data of each client. */
  readonly clients: readonly Dataset[];
  /** Names of natural clients, in the order of `clients`. */
  readonly clientNames?: readonly string[];
  /** Training rows that are no client's, where some were asked for. */
  readonly validation?: Dataset;
  /** The common test data. */
  readonly test: Dataset;
  /** The same test rows by client; together they are `test`. Some may be empty. */
  readonly clientTests: readonly Dataset[];
}

/** A task's data, read and ready to be shared out and learned from, whatever it is about. */
export interface LearningTable {
  /** Name of the file without its folder, or the generator's settings. */
  readonly source: string;
  readonly features: FeatureSet;
  readonly target: Target;
  /** Names that `split` takes. */
  readonly splits: readonly string[];
  readonly rows: number;
  /** SHA-256, hex, over what names the test rows: two parties compare their test sets. */
  readonly testFingerprint: string;
  /**
   * @throws DataError SPLIT_UNKNOWN, DATA_OPTION_INVALID, DATA_TOO_FEW_ROWS, DATA_CLIENT_EMPTY (names the client).
   */
  split(request: SplitRequest): LearningSplit;
  /**
   * Training data of some clients of a split alone: nothing else is encoded, and no test row is needed.
   *
   * @param clients indices; one data set for each is returned, in order.
   * @throws as `split`; RangeError for a client that there is not.
   */
  clientData(request: SplitRequest, clients: readonly number[]): readonly Dataset[];
}

/** @throws DataError SPLIT_UNKNOWN, which lists what is known. */
export function knownSplit<S extends string>(name: string, known: readonly S[]): S {
  const split = known.find((candidate) => candidate === name);
  if (split === undefined) {
    throw new DataError('SPLIT_UNKNOWN', `"${name}" is none of ${known.join(', ')}`);
  }
  return split;
}

/**
 * Whole numbers from 1 on for clients and rows.
 *
 * @returns the number of clients and the fewest rows of each.
 * @throws DataError DATA_OPTION_INVALID
 */
export function checkedCounts({ split, clients, minRows = 1 }: SplitRequest): { clients: number; minRows: number } {
  if (clients === undefined) {
    throw new DataError('DATA_OPTION_INVALID', `the split ${split} needs a number of clients`);
  }
  if (![clients, minRows].every((n) => Number.isInteger(n) && n >= 1)) {
    throw new DataError('DATA_OPTION_INVALID', 'clients and minRows must be whole numbers from 1 on');
  }
  return { clients, minRows };
}

/** @throws DataError DATA_TOO_FEW_ROWS where there are too few training rows to share out. */
export function checkEnoughRows(
  source: string,
  training: number,
  { clients, minRows }: { readonly clients: number; readonly minRows: number },
): void {
  if (training < clients * minRows) {
    throw new DataError(
      'DATA_TOO_FEW_ROWS',
      `${source} has ${String(training)} training rows; ` +
        `${String(clients)} clients of ${String(minRows)} rows are needed: use fewer clients or more data`,
    );
  }
}

/** @throws DataError DATA_TOO_FEW_ROWS where nothing is kept for testing. */
export function checkTestRows(source: string, test: number): void {
  if (test === 0) {
    const detail = `${source} has no test row, and without one no model can be judged: use more data`;
    throw new DataError('DATA_TOO_FEW_ROWS', detail);
  }
}

/** @throws DataError DATA_CLIENT_EMPTY, which names the client. */
export function checkClientRows(
  clients: readonly (readonly unknown[])[],
  minRows: number,
  names?: readonly string[],
): void {
  clients.forEach(({ length: rows }, index) => {
    if (rows < minRows) {
      const name = names?.[index];
      const client = `client ${String(index)} of ${String(clients.length)}${name === undefined ? '' : ` (${name})`}`;
      throw new DataError(
        'DATA_CLIENT_EMPTY',
        `${client} gets ${String(rows)} training rows, ${String(minRows)} are needed: use fewer clients or more data`,
      );
    }
  });
}
