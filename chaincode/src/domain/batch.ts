// SPDX-License-Identifier: Apache-2.0
import { ContractError, type ItemResult } from '../api';

/**
 * Runs the decision on one item of a batch. A refusal becomes the item's result and leaves the rest of the batch
 * alone; any other error ends the transaction.
 */
export function itemResult(id: string, decide: () => void): ItemResult {
  try {
    decide();
    return { id, accepted: true };
  } catch (error) {
    if (error instanceof ContractError) {
      return { id, accepted: false, code: error.code, detail: error.detail };
    }
    throw error;
  }
}

/** How many items of a batch were accepted and refused. */
export function tally(results: readonly ItemResult[]): { accepted: number; refused: number } {
  const accepted = results.filter((result) => result.accepted).length;
  return { accepted, refused: results.length - accepted };
}
