// SPDX-License-Identifier: Apache-2.0
import { SevError } from '../errors.js';

/** A refusal for which another organisation is said to be the cause; which of the two is wrong is not settled by it. */
export class AccusationError extends SevError {
  /** MSP id. */
  readonly accused: string;

  constructor(code: string, message: string, accused: string, cause?: unknown) {
    super(code, message, { cause });
    this.name = 'AccusationError';
    this.accused = accused;
  }
}
