// SPDX-License-Identifier: Apache-2.0

/** What can be wrong with a request for noise or for an account of privacy. */
export const PRIVACY_ERROR_CODES = {
  NOISE_DEVIATION: 'The standard deviation of the noise is not a whole number from 1 to 10,000,000.',
  NOISE_COUNT: 'The number of noise values is not a whole number from 0 on.',
  NOISE_MISMATCH: 'A seed of noise does not give the root that was committed: the aggregator is dishonest.',
  PRIVACY_PARAMETER: 'A parameter of the privacy account lies outside its range.',
} as const;
export type PrivacyErrorCode = keyof typeof PRIVACY_ERROR_CODES;

/** Noise or an account of privacy that cannot be made or does not hold. Its text is `CODE: what and what to do`. */
export class PrivacyError extends Error {
  readonly code: PrivacyErrorCode;
  readonly detail: string;

  constructor(code: PrivacyErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'PrivacyError';
    this.code = code;
    this.detail = detail;
  }
}
