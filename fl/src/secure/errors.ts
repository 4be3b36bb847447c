// SPDX-License-Identifier: Apache-2.0

/** What can go wrong in secure aggregation, and what it means. */
export const SECURE_ERROR_CODES = {
  SHARE_UNREADABLE:
    'The sealed share does not open with this key and these associated data: made for another recipient, round, attempt, base or vehicle, or altered.',
  SHARE_MALFORMED: 'The opened share has not the form that this sharing prescribes for its recipient.',
  SHARE_MISMATCH: 'The share contradicts the commitments that the vehicle signed.',
  SHARE_INCOMPLETE: 'A component that the recipient must hold is missing: left out, or not to be had from the store.',
  RING_LENGTH: 'The bytes or values are not as many as the vector has.',
  RING_TOO_NARROW: 'The ring of 16 bits is for sums only: without projections, without noise.',
  TOTAL_OUT_OF_BOUND: 'The opened total is longer than vehicles and noise within their bounds add up to.',
  ROUNDING_FAILED: 'No rounding within the bound was found; the source of randomness does not work.',
  SECURE_OPTION_INVALID: 'An argument lies outside its range.',
  SEALING_KEY_INVALID: 'The key is not a point on P-256 as SubjectPublicKeyInfo, or not a PKCS#8 private key.',
} as const;
export type SecureErrorCode = keyof typeof SECURE_ERROR_CODES;

/** Secure aggregation that cannot go on. Its text is `CODE: what and what to do`; it never holds a secret. */
export class SecureError extends Error {
  readonly code: SecureErrorCode;
  readonly detail: string;

  constructor(code: SecureErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.name = 'SecureError';
    this.code = code;
    this.detail = detail;
  }
}
