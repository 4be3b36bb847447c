// SPDX-License-Identifier: Apache-2.0

/** Why the ledger refused to go on. */
export type LedgerErrorCode =
  /** Bytes on disk are not the bytes that were committed. */
  | 'DATA_LOSS'
  /** The data folder belongs to another network. */
  | 'STATE_FOREIGN'
  /** A write failed; nothing further is committed until the network is started again. */
  | 'LEDGER_FAILED'
  | 'BLOCK_NOT_FOUND';

/** A failure of the block or state store. */
export class LedgerError extends Error {
  constructor(
    readonly code: LedgerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${message}`, options);
    this.name = 'LedgerError';
  }
}
