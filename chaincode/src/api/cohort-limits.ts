// SPDX-License-Identifier: Apache-2.0
import { groupsCountedAlike, MAX_SHOWN_ATTEMPTS, smallestGroup, type WeightedCohort } from './differencing';
import type { Task } from './learning';
import type { SecureTerms } from './secure';
import { LEAST_SHARD } from './task-floors';

/**
 * Attempts at a round whose cohort may be fixed. Each shows projections of the same updates and lets whoever gets it aborted
 * choose again among what the nonces decide: which of two noises is opened, whose norm is estimated too short.
 */
export const MAX_FIXED_COHORTS = 3;

/** Shards that one transaction can name the sums of. */
const MAX_SHARDS = 100;

/** Why sums over a cohort may not be shown. */
export interface CohortProblem {
  readonly code: 'COHORT_TOO_SMALL' | 'COHORT_TOO_LARGE' | 'COHORT_TOO_CLOSE' | 'BASE_BURNED';
  readonly detail: string;
}

/** Whether a cohort, and each shard of it, has neither too few nor too many vehicles; undefined where it has not. */
export function sizeProblem({ cohort }: Task, terms: SecureTerms, size: number): CohortProblem | undefined {
  const { minimum } = cohort;
  if (size < minimum) {
    return { code: 'COHORT_TOO_SMALL', detail: `${size} vehicles; the task needs ${minimum}` };
  }
  // In mode dp the noise hides one sum only.
  const shards = terms.dp === undefined ? MAX_SHARDS : 1;
  const largest = shards * terms.shardSize;
  if (size > largest) {
    return { code: 'COHORT_TOO_LARGE', detail: `${size} vehicles; at most ${largest} fit` };
  }
  const smallestShard = Math.floor(size / Math.ceil(size / terms.shardSize));
  const detail = `${size} vehicles in shards of ${terms.shardSize} leave one of ${smallestShard}`;
  if (smallestShard < minimum) {
    return { code: 'COHORT_TOO_SMALL', detail: `${detail}; the task needs ${minimum}` };
  }
  if (size > terms.shardSize && smallestShard < LEAST_SHARD) {
    return { code: 'COHORT_TOO_LARGE', detail: `${detail}; a cohort that is cut leaves ${LEAST_SHARD} at least` };
  }
  return undefined;
}

/**
 * Whether a cohort can be weighted so that its sums may be shown beside those on the same base that were, if every vehicle is
 * believed: of those that the shown sums count alike all may count again, or as many as leave a minimum of them out; of
 * those that they count nothing any number from the minimum on. In one shard: cut into several, there is less room.
 *
 * @param shown - what the sums that may have been shown count.
 * @returns undefined where it can.
 */
export function cohortDifferenceProblem(
  shown: readonly WeightedCohort[],
  members: readonly { readonly vehicleId: string }[],
  minimum: number,
): CohortProblem | undefined {
  if (shown.length >= MAX_SHOWN_ATTEMPTS) {
    return { code: 'BASE_BURNED', detail: `sums of ${shown.length} attempts were shown` };
  }
  const present = new Set(members.map(({ vehicleId }) => vehicleId));
  const groups = groupsCountedAlike(shown);
  const known = new Set(groups.flat());
  const fresh = [...present].filter((vehicleId) => !known.has(vehicleId)).length;
  const most = groups.map((group) => mostCounted(group, present, minimum));
  const counted = [...most, fresh >= minimum ? fresh : 0].reduce((sum, count) => sum + count, 0);
  return counted >= minimum
    ? undefined
    : {
        code: 'COHORT_TOO_CLOSE',
        detail: `beside the sums on this base ${counted} of ${members.length} vehicles may count; the task needs ${minimum}`,
      };
}

/** Of vehicles that the shown sums count alike: all, or so many that those left out are a group, too; else none. */
function mostCounted(group: readonly string[], present: ReadonlySet<string>, minimum: number): number {
  const there = group.filter((vehicleId) => present.has(vehicleId)).length;
  const most = there === group.length ? there : Math.min(there, group.length - minimum);
  return most >= minimum ? most : 0;
}

/**
 * Whether sums may be shown beside those on the same base that were: a vehicle that trains again from the same base
 * reports the same update again, so that whoever has several sums can combine them. Vehicles that all of them count
 * alike form a group, and each group must have as many as a cohort at least; see {@link smallestGroup}.
 *
 * @param shown - the cohorts of the attempts whose sums may have been shown.
 * @returns undefined where they may.
 */
export function differenceProblem(
  shown: readonly WeightedCohort[],
  next: WeightedCohort,
  minimum: number,
): CohortProblem | undefined {
  if (shown.length >= MAX_SHOWN_ATTEMPTS) {
    return { code: 'BASE_BURNED', detail: `sums of ${shown.length} attempts were shown` };
  }
  const fewest = smallestGroup([...shown, next]);
  return fewest >= minimum
    ? undefined
    : {
        code: 'COHORT_TOO_CLOSE',
        detail: `the sums on this base would single out ${fewest} vehicles; they count at least ${minimum} alike`,
      };
}
