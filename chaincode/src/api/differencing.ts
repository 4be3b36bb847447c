// SPDX-License-Identifier: Apache-2.0
import { shardsOf, type CohortRecord, type ScoresRecord } from './secure';

/** Attempts on one base model, of whatever rounds, whose sums may be shown. */
export const MAX_SHOWN_ATTEMPTS = 2;

/** What a vehicle's report counts in the sums of an attempt: in which shard's sum, and with which integer weight. */
export interface Counted {
  readonly shard: number;
  readonly weight: number;
}

/** The vehicles of an attempt's sums; who is not in it counts nothing. */
export type WeightedCohort = ReadonlyMap<string, Counted>;

/**
 * Size of the smallest group of vehicles that all these sums count alike, those with weight 0 in all of them left out;
 * Infinity where no vehicle counts.
 *
 * Sums are integers and weights public, so whoever has the sums can take any integer combination of them, modulo any
 * number. What a vehicle counts there follows from its weights in the sums alone: the combination holds whole groups.
 */
export function smallestGroup(sums: readonly WeightedCohort[]): number {
  return groupsCountedAlike(sums).reduce((least, { length }) => Math.min(least, length), Infinity);
}

/** Vehicles that all these sums count alike, those with weight 0 in all of them left out. */
export function groupsCountedAlike(sums: readonly WeightedCohort[]): readonly (readonly string[])[] {
  const groups = new Map<string, string[]>();
  for (const vehicleId of new Set(sums.flatMap((sum) => [...sum.keys()]))) {
    const counted = sums.map((sum) => sum.get(vehicleId)).map((one) => ((one?.weight ?? 0) > 0 ? one : undefined));
    if (counted.some((one) => one !== undefined)) {
      const key = counted.map((one) => (one === undefined ? '-' : `${one.shard}:${one.weight}`)).join();
      groups.set(key, [...(groups.get(key) ?? []), vehicleId]);
    }
  }
  return [...groups.values()];
}

/**
 * A sum without the vehicles that were opened by vote. What they reported is known or may be known, so they hide nobody; and
 * nobody is hidden for their sake. The sums of the others that are left are compared as if these had never been in.
 */
export function withoutOpened(sum: WeightedCohort, opened: ReadonlySet<string>): WeightedCohort {
  return opened.size === 0 ? sum : new Map([...sum].filter(([vehicleId]) => !opened.has(vehicleId)));
}

/** The vehicles of one sum. @param weights - one a vehicle, in their order. */
export function weightedBy(
  members: readonly { readonly vehicleId: string }[],
  weights: readonly number[],
): WeightedCohort {
  return new Map(members.map(({ vehicleId }, index) => [vehicleId, { shard: 0, weight: weights[index] ?? 0 }]));
}

/**
 * A scored cohort as the sums of its shards count it.
 *
 * @param record - one that carries no seed was written before shards were compared; its vehicles count as in one sum.
 */
export function scoredWeights(
  { members }: Pick<CohortRecord, 'members'>,
  { scores, seed }: Pick<ScoresRecord, 'scores' | 'seed'>,
  shardSize: number,
): WeightedCohort {
  if (seed === undefined || members.length <= shardSize) {
    return weightedBy(members, scores.weights);
  }
  const ids = members.map(({ vehicleId }) => vehicleId);
  return new Map(
    shardsOf(ids, seed, shardSize).flatMap((indices, shard) =>
      indices.map((index): [string, Counted] => [ids[index] ?? '', { shard, weight: scores.weights[index] ?? 0 }]),
    ),
  );
}
