// SPDX-License-Identifier: Apache-2.0
import type { WeightedCohort } from '@sev/chaincode/api';

/** A cohort with weights that are even among those that shown sums count alike. */
export interface EvenCohort {
  readonly ids: readonly string[];
  /** Indices into the cohort, by shard. */
  readonly shards: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

/*
 * Sums may be shown beside others on the same base where vehicles that all of them count alike form groups of the minimum
 * at least. So weights are evened out among those of a shard that the shown sums count alike (`alikeInShown`), and whoever
 * counts nothing any more is joined by as many others as it takes (`besideShown`). Whom no shown sum counts may count
 * nothing alone. That a vehicle was believed in the attempt before says nothing of what it reports now: no weight is raised
 * to be like the one that was shown.
 */

/** Splits a shard into those that the shown sums count alike; where none were shown, it remains one. */
export function alikeInShown(
  shown: readonly WeightedCohort[],
  ids: readonly string[],
  shard: readonly number[],
): readonly (readonly number[])[] {
  return [...groupsOf(shard, (index) => placeIn(shown, ids[index] ?? '')).values()];
}

/**
 * Leaves out as many as it takes for nobody to stand apart. Deterministic: the order of the shown sums' vehicles is of no
 * account.
 *
 * @returns one weight a vehicle, the same or 0.
 */
export function besideShown(shown: readonly WeightedCohort[], cohort: EvenCohort, minimum: number): number[] {
  const weights = [...cohort.weights];
  for (const [place, ids] of groupsOf(countedIn(shown), (id) => placeIn(shown, id))) {
    if (place !== NOWHERE) {
      leaveOutEnough(weights, cohort, new Set(ids), minimum);
    }
  }
  return weights;
}

/** The place of a vehicle that no shown sum counts. */
const NOWHERE = '';

/** In which shard's sum, and with which weight, the shown sums count a vehicle. */
function placeIn(shown: readonly WeightedCohort[], id: string): string {
  const counted = shown.map((sum) => sum.get(id)).map((one) => ((one?.weight ?? 0) > 0 ? one : undefined));
  return counted.every((one) => one === undefined)
    ? NOWHERE
    : counted.map((one) => (one === undefined ? '-' : `${String(one.shard)}:${String(one.weight)}`)).join();
}

function countedIn(shown: readonly WeightedCohort[]): string[] {
  return [...new Set(shown.flatMap((sum) => [...sum.keys()]))].sort();
}

/**
 * Those of a shown group who count nothing now, be it that they are not there any more, are a group, too: where they are
 * fewer than the minimum, others join them.
 */
function leaveOutEnough(
  weights: number[],
  { ids, shards }: EvenCohort,
  group: ReadonlySet<string>,
  minimum: number,
): void {
  const counting = shards.flatMap((shard, number) =>
    shard
      .filter((index) => group.has(ids[index] ?? '') && (weights[index] ?? 0) > 0)
      .map((index) => ({ index, key: `${String(number)}:${String(weights[index] ?? 0)}` })),
  );
  const left = group.size - counting.length;
  let lacking = left === 0 ? 0 : minimum - left;
  const byCount = [...groupsOf(counting, ({ key }) => key).values()].sort((a, b) => a.length - b.length);
  while (lacking > 0 && byCount.length > 0) {
    const largest = byCount.at(-1) ?? [];
    // From one that stays large enough; else the smallest goes as a whole.
    const leaving = largest.length - lacking >= minimum ? largest.slice(0, lacking) : (byCount.shift() ?? []);
    for (const { index } of leaving) {
      weights[index] = 0;
    }
    lacking -= leaving.length;
  }
}

function groupsOf<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, [item]);
    } else {
      group.push(item);
    }
  }
  return groups;
}
