// SPDX-License-Identifier: Apache-2.0
import type { SecureBed } from '../../testing/secure-bed.js';
import type { Around } from '../../testing/secure-bed-around.js';

/** Calls at which an aggregator may die, in the order of a round. */
export const CALLS = [
  'prepare',
  'deal',
  'accept',
  'submitShare',
  'holdings',
  'reveal',
  'projections',
  'sums',
  'publish',
] as const;
export type CrashCall = (typeof CALLS)[number];

export interface Crash {
  readonly mspId: string;
  readonly call: CrashCall;
  /** Before it has done anything, or when it has done all and nobody hears of it. */
  readonly when: 'before' | 'after';
}

/** Has an aggregator die for good at the first call of a kind; others may stand between before. */
export function crashAt(bed: SecureBed, { mspId, call, when }: Crash): void {
  const inner: Around = bed.around.get(mspId) ?? (({ proceed }) => proceed());
  bed.around.set(mspId, async (made) => {
    if (made.method === call) {
      const last = when === 'after' ? await inner(made) : undefined;
      bed.crashed.add(mspId);
      return last;
    }
    return inner(made);
  });
}
