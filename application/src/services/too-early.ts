// SPDX-License-Identifier: Apache-2.0
import { SevError } from '../errors.js';

/** A refusal that only time mends: the same request is welcome once `leftMs` have gone by. */
export class TooEarlyError extends SevError {
  readonly leftMs: number;

  constructor(code: string, message: string, leftMs: number) {
    super(code, message);
    this.name = 'TooEarlyError';
    this.leftMs = leftMs;
  }
}
