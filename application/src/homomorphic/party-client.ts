// SPDX-License-Identifier: Apache-2.0
import type { CommitHeSum, FixCohort, HeOpening, SignedBy } from '@sev/chaincode/api';
import type { AttemptRef } from '../services/attempt.js';

/** What one organisation gives to an opening: the key holder its public key's hash, the mask holder its sealing key. */
export type PreparedHePart = Partial<HeOpening>;

/**
 * One organisation with a part in mode `he`, in this process or over HTTPS. Everything may be asked again at any time: the
 * answer is the same. It believes its own view of the ledger and nothing that a caller says, so any of these fails with
 * `ROUND_STATE` or `ROUND_STALE` until its own gateway shows what it needs.
 */
export interface HePartyClient {
  readonly mspId: string;
  /**
   * Makes what the party needs for the attempt that may be opened next.
   *
   * @throws SevError ROUND_OUT_OF_ORDER, BASE_MODEL_MISMATCH, MODE_NOT_HE, AGGREGATOR_NOT_NAMED; LedgerError TASK_UNKNOWN.
   */
  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedHePart>;
  /**
   * Signs an opening (`sev/round-opening/v1`) whose part of it is its own.
   *
   * @throws SevError ATTEMPT_UNKNOWN, OPENING_INVALID, ROUND_CONFLICT; KEY_HOLDER_LOST where the key is gone.
   */
  accept(ref: AttemptRef, opening: HeOpening): Promise<SignedBy>;
  /** Summer, mask holder: signs what it holds of the recorded updates. State `closed`. @throws SevError ATTEMPT_UNKNOWN. */
  holdings(ref: AttemptRef): Promise<FixCohort['holdings'][number]>;
  /**
   * Summer: adds the cohort's ciphertexts, puts the sum into the store and signs its hash. From `cohort` on.
   *
   * @throws SevError ATTEMPT_UNKNOWN, PART_NOT_HELD, SHARE_LOST, STATEMENT_CONFLICT.
   */
  sum(ref: AttemptRef): Promise<CommitHeSum['sum']>;
  /** Mask holder: adds the cohort's masks and signs the hash of their sum, which it keeps. @throws as `sum`. */
  masks(ref: AttemptRef): Promise<CommitHeSum['masks']>;
  /**
   * Key holder: decrypts the sum that the summer signed, once, and signs the hash of what it keeps. From `cohort` on.
   *
   * @throws SevError ALREADY_OPENED for a second sum, KEY_HOLDER_LOST, SIGNATURE_INVALID, NOISE_EXHAUSTED,
   *   CIPHERTEXT_MALFORMED, PART_NOT_HELD.
   */
  decrypt(ref: AttemptRef, sum: CommitHeSum['sum']): Promise<CommitHeSum['masked']>;
  /**
   * Mask holder, then key holder: puts its opening into the store. From `aggregated` on, where the ledger shows its hash. The
   * key holder does so only where the masks in the store fit.
   *
   * @throws SevError ATTEMPT_UNKNOWN, PART_NOT_HELD, SUMS_MISMATCH, SUM_INVALID, OBJECT_MISSING, STORE_UNREACHABLE.
   */
  publish(ref: AttemptRef): Promise<{ readonly hash: string }>;
}
