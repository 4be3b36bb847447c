// SPDX-License-Identifier: Apache-2.0

/** What can go wrong in the homomorphic mode, and what it means. */
export const HE_ERROR_CODES = {
  PARAMETERS_INVALID: 'The parameters are not a secure instance of BFV with batching that this module can serve.',
  SUM_MAY_WRAP: 'The sum of so many values of that size may leave the plaintext modulus.',
  TOO_MANY_VEHICLES: 'The noise of so many ciphertexts could drown the sum; use shards.',
  VALUE_OUT_OF_RANGE: 'A value is not a whole number within the bound that the sum was checked for.',
  KEY_MALFORMED: 'The bytes are not a public key of these parameters.',
  KEY_MISMATCH: 'The report was made for another public key than this round has.',
  CIPHERTEXT_MALFORMED: 'The bytes are not a fresh ciphertext of these parameters.',
  REPORT_MISMATCH: 'What was handed in is not what the vehicle signed.',
  MASK_MISMATCH: 'The mask seed is not the one that the vehicle committed to.',
  COHORT_TOO_SMALL: 'The cohort is smaller than the least that may be opened.',
  COHORT_MISMATCH: 'A vehicle is not of the cohort, twice in it, or its report is missing.',
  ALREADY_OPENED: 'This party has opened its part of one sum with these keys; it opens no second one.',
  NOISE_EXHAUSTED: 'The ciphertext does not decrypt with this key: another key, other bytes, or too much noise.',
  CHECKSUM_FAILED: 'Sum and masks do not belong together: a wrong mask, cohort or ciphertext. Nothing was learned.',
  KEY_HOLDER_LOST: 'The key holder did not decrypt in time. Abort the round; nothing was opened.',
  MASK_HOLDER_LOST: 'The mask holder did not give its sum in time. Abort the round; nothing was opened.',
  OPENING_MALFORMED: 'The bytes are not the slots of an opening of these parameters.',
  PARTY_CLOSED: 'The party has been closed and its keys destroyed.',
} as const;
export type HeErrorCode = keyof typeof HE_ERROR_CODES;

/** A homomorphic sum that cannot go on. Its text is `CODE: what and what to do`; it never holds a secret. */
export class HeError extends Error {
  readonly code: HeErrorCode;
  readonly detail: string;

  constructor(code: HeErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.name = 'HeError';
    this.code = code;
    this.detail = detail;
  }
}
