// SPDX-License-Identifier: Apache-2.0
import { EXIT, SevError } from '../errors.js';
import { LedgerError } from '../ledger/errors.js';

/** Why one of many was refused. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
  /** What can be done about it. */
  readonly hint?: string;
}

/**
 * Does a piece of work of which there are many: what concerns this one only becomes its outcome, so that the others go
 * on.
 *
 * @throws whatever would hit the others as well, such as a CA or ledger that cannot be reached.
 */
export async function orRefusal<T>(work: () => Promise<T>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SevError) || !CONCERNS_ONE.includes(error.exitCode)) {
      throw error;
    }
    const { code, hint } = error;
    const detail = error instanceof LedgerError ? error.detail : error.message;
    return { code, detail, ...(hint === undefined ? {} : { hint }) };
  }
}

const CONCERNS_ONE: readonly number[] = [EXIT.refused, EXIT.integrity];
