// SPDX-License-Identifier: Apache-2.0
import {
  coveredUpdates,
  type CoveredUpdates,
  type Holdings,
  type ReceiptRecord,
  type UpdateRecord,
} from '@sev/chaincode/api';
import type { OpenedProjections } from '../aggregator/aggregator-client.js';
import { subsetsBySize } from '../services/subsets.js';

/** Two aggregators that signed different hashes of one component. */
export interface Contradiction {
  readonly component: number;
  readonly mspIds: readonly [string, string];
}

/** The first component about which two statements differ. */
export function contradictionIn(
  statements: readonly { readonly mspId: string; readonly components: Readonly<Record<string, unknown>> }[],
): Contradiction | undefined {
  const first = new Map<string, { mspId: string; said: string }>();
  for (const { mspId, components } of statements) {
    for (const [component, value] of Object.entries(components)) {
      const said = JSON.stringify(value);
      const before = first.get(component);
      if (before !== undefined && before.said !== said) {
        return { component: Number(component), mspIds: [before.mspId, mspId] };
      }
      first.set(component, before ?? { mspId, said });
    }
  }
  return undefined;
}

/** One copy of each component's numbers; those of two that agree are the same. */
export function numbersOf(opened: readonly OpenedProjections[]): Record<string, string> {
  return Object.assign({}, ...opened.map(({ numbers }) => numbers)) as Record<string, string>;
}

/** Whose holdings make a cohort, and which vehicles are in it. */
export interface HeldCohort extends CoveredUpdates<UpdateRecord> {
  readonly holders: readonly string[];
}

/**
 * The cohort by all holdings; where what they deny leaves one that may not be summed, that of the most aggregators who leave
 * one that may. So no single one ends a round by what it says that it does not hold.
 *
 * @param needed holders, t + 1.
 * @param mayBeSummed whether these vehicles are neither too few nor too many, nor too close to others that were summed.
 */
export function heldCohort(
  updates: readonly UpdateRecord[],
  said: readonly Holdings[],
  receipts: readonly Pick<ReceiptRecord, 'vehicleId' | 'mspId'>[],
  needed: number,
  mayBeSummed: (covered: readonly UpdateRecord[]) => boolean,
): HeldCohort {
  const cohortOf = (holdings: readonly Holdings[]): HeldCohort => ({
    ...coveredUpdates(updates, holdings, receipts),
    holders: holdings.map(({ mspId }) => mspId).sort(),
  });
  const all = cohortOf(said);
  if (mayBeSummed(all.covered)) {
    return all;
  }
  const choices = subsetsBySize(said).filter((holdings) => holdings.length >= needed);
  return choices.map(cohortOf).find(({ covered }) => mayBeSummed(covered)) ?? all;
}
