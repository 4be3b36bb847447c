// SPDX-License-Identifier: Apache-2.0

/** What can be wrong with a reference direction, a correction or the name of an attack. */
export const ROBUSTNESS_ERROR_CODES = {
  DIRECTION_NOT_FINITE: 'A coordinate of the update is NaN or infinite; the validator has to train again.',
  DIRECTION_ZERO: 'The update, or the median of the directions, is zero everywhere: it points nowhere.',
  DIRECTION_LENGTH: 'A direction has another number of coordinates than it should.',
  DIRECTION_TOO_LONG: 'A direction is longer than 2^16: products with it could leave the ring.',
  CORRECTION_EMPTY: 'Nothing is left of a round without the contributions that are to be taken out.',
  ATTACK_UNKNOWN: 'No attack of this name.',
} as const;
export type RobustnessErrorCode = keyof typeof ROBUSTNESS_ERROR_CODES;

/** Its text is `CODE: what and what to do`. */
export class RobustnessError extends Error {
  readonly code: RobustnessErrorCode;
  readonly detail: string;

  constructor(code: RobustnessErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'RobustnessError';
    this.code = code;
    this.detail = detail;
  }
}
