// SPDX-License-Identifier: Apache-2.0
import {
  openedCandidate,
  openedNumbers,
  ringBitsOfTerms,
  shardsOf,
  type CohortRecord,
  type Scores,
} from '@sev/chaincode/api';
import {
  addScaledTo,
  componentOf,
  project,
  projectionVectors,
  projectOn,
  ringBytes,
  ringZeros,
  type HeldShare,
  type RingVector,
} from '@sev/fl';
import { mapConcurrently } from '../services/concurrency.js';
import type { DealPlace } from './deals.js';
import { contextOf, type HeldReports } from './held-reports.js';
import type { SecureRoundRecord, SecureTask } from './ledger-view.js';

/** Reports read at a time: what bounds the memory, about as many whole vectors. */
const READ_AT_A_TIME = 4;

/** What is computed over a cohort's reports. */
export interface CohortWork {
  readonly task: SecureTask;
  readonly place: DealPlace;
  readonly reports: HeldReports;
  readonly members: CohortRecord['members'];
}

/** Bytes by component that this aggregator holds. */
export type ByComponent<T> = ReadonlyMap<number, T>;

/**
 * K projections of each vehicle's components and, where the task has validators, their product with the reference
 * direction, little-endian uint32, vehicle after vehicle in the order of their ids.
 *
 * @param reference r, length d.
 * @throws SevError SHARE_LOST.
 */
export async function projectCohort(
  work: CohortWork,
  seed: string,
  reference?: Int32Array,
): Promise<ByComponent<Uint8Array>> {
  const { task, members } = work;
  const count = openedNumbers(task.terms);
  const vectors = projectionVectors(seed, task.terms.projections, task.task.model.parameters);
  const numbers = new Map(task.own.map((component) => [component, new Uint32Array(members.length * count)]));
  await eachReport(work, (index, componentValues) => {
    numbers.forEach((all, component) => {
      const values = componentValues(component);
      all.set(project(values, vectors), index * count);
      if (reference !== undefined) {
        all[(index + 1) * count - 1] = projectOn(values, reference);
      }
    });
  });
  return new Map([...numbers].map(([component, all]) => [component, ringBytes(all)]));
}

/**
 * Weighted sums of each component over each shard, in the task's ring, little-endian. Vehicles of weight 0 are not read. In
 * mode `dp` the noise that the seed did not open is added, with weight 1, to the first shard.
 *
 * @throws SevError SHARE_LOST.
 */
export async function sumCohort(
  work: CohortWork,
  round: SecureRoundRecord,
  scores: Scores,
): Promise<ByComponent<readonly Uint8Array[]>> {
  const { task, members } = work;
  const seed = round.secure.seed ?? '';
  const bits = ringBitsOfTerms(task.terms);
  const ids = members.map(({ vehicleId }) => vehicleId);
  const shards = shardsOf(ids, seed, task.terms.shardSize);
  const shardOf = new Map(shards.flatMap((indices, shard) => indices.map((index) => [index, shard] as const)));
  const sums = new Map(task.own.map((component) => [component, shards.map(() => ringZeros(task.length, bits))]));
  const add = (shard: number, weight: number, componentValues: (component: number) => RingVector): void => {
    sums.forEach((byShard, component) => {
      const sum = byShard[shard];
      if (sum !== undefined) {
        addScaledTo(sum, componentValues(component), weight);
      }
    });
  };
  const weightOf = (index: number): number => scores.weights[index] ?? 0;
  await eachReport(
    work,
    (index, componentValues) => {
      add(shardOf.get(index) ?? -1, weightOf(index), componentValues);
    },
    (index) => weightOf(index) > 0,
  );
  for (const { reporter, root } of noiseOf(round, seed)) {
    const share = await work.reports.get(noiseName(root), root);
    add(0, 1, valuesOf(work, reporter, share));
  }
  return new Map([...sums].map(([component, byShard]) => [component, byShard.map(ringBytes)]));
}

/** The noise reports that are added to the sums: of every aggregator the candidate that the seed did not open. */
export function noiseOf(round: SecureRoundRecord, seed: string): { reporter: string; root: string }[] {
  return round.secure.opening.aggregators.flatMap(({ mspId, noise }) => {
    const used = openedCandidate(seed, mspId) === 0 ? 1 : 0;
    return noise === undefined ? [] : [{ reporter: noiseReporter(mspId, used), root: noise[used].root }];
  });
}

/** The reporter of an aggregator's noise, as `reportContext` takes it. */
export function noiseReporter(mspId: string, candidate: 0 | 1): string {
  return `noise/${mspId}/${String(candidate)}`;
}

/** Name of a noise report in the inbox. */
export function noiseName(root: string): string {
  return `noise-${root}`;
}

/** Reads the reports of the cohort, a few at a time, in no certain order. */
async function eachReport(
  work: CohortWork,
  visit: (index: number, componentValues: (component: number) => RingVector) => void,
  wanted: (index: number) => boolean = () => true,
): Promise<void> {
  const { members, reports } = work;
  const indices = members.map((_, index) => index).filter(wanted);
  await mapConcurrently(indices, READ_AT_A_TIME, async (index) => {
    const member = members[index];
    if (member !== undefined) {
      const share = await reports.get(member.vehicleId, member.updateHash);
      visit(index, valuesOf(work, member.vehicleId, share));
    }
  });
}

/** The components that a share of this reporter holds, in the task's ring. */
export function valuesOf(
  { task, place }: Pick<CohortWork, 'task' | 'place'>,
  reporter: string,
  share: HeldShare,
): (component: number) => RingVector {
  const context = contextOf(place, reporter);
  const bits = ringBitsOfTerms(task.terms);
  return (component) => componentOf(share, component, context, task.length, bits);
}
