// SPDX-License-Identifier: Apache-2.0
import {
  componentsOf,
  noiseLeaf,
  nonceLeaf,
  openedCandidate,
  reportContext,
  type RoundOpening,
  type ScoreRound,
  type Task,
} from '@sev/chaincode/api';
import { noiseRoot } from '@sev/fl';
import { noiseReporter } from '../aggregator/cohort-work.js';
import type { AttemptRef } from './attempt.js';
import { secureTermsOf } from './secure-scores.js';

/** An attempt of one network, whose nonces were shown. */
export interface OpenedPlace extends AttemptRef {
  readonly consortium: string;
  readonly baseModelHash: string;
}

/** Whether these are the nonces that the aggregators of an opening committed themselves to. */
export function noncesFit(
  ref: AttemptRef & { readonly consortium: string },
  { aggregators }: RoundOpening,
  nonces: ScoreRound['nonces'],
): boolean {
  return (
    nonces.length === aggregators.length &&
    aggregators.every(
      ({ mspId, nonceLeaves }, index) =>
        nonces[index]?.length === nonceLeaves.length &&
        nonceLeaves.every((leaf, c) => nonceLeaf(ref, mspId, c, nonces[index]?.[c] ?? '') === leaf),
    )
  );
}

/** What the seeds of the opened candidates of noise say of their aggregators; in the opening's order. */
export interface OpenedNoise {
  /** Whose seed is not there, or not the one committed to. */
  readonly unshown: readonly string[];
  /** Whose seed gives other noise than was committed to: it was made up. */
  readonly false: readonly string[];
}

/**
 * Computes the opened noise again from its seeds.
 *
 * @param seed of the round: it chooses which candidate is opened.
 * @param shown parts of the seeds by MSP id.
 */
export function checkOpenedNoise(
  place: OpenedPlace,
  task: Task,
  { aggregators }: RoundOpening,
  seed: string,
  shown: Readonly<Record<string, readonly string[]>>,
): OpenedNoise {
  const { aggregators: all, threshold, metrics, dp } = secureTermsOf(task);
  const format = {
    holders: componentsOf(all.length, threshold),
    length: task.model.parameters + metrics.length,
    deviation: dp?.noiseDeviation ?? 1,
  };
  const opened = aggregators.flatMap(({ mspId, noise }) => {
    const candidate = openedCandidate(seed, mspId);
    return noise === undefined ? [] : [{ mspId, candidate, ...noise[candidate] }];
  });
  const partsOf = (mspId: string): readonly string[] => shown[mspId] ?? [];
  const isShown = ({ mspId, seedLeaves }: (typeof opened)[number]): boolean =>
    partsOf(mspId).length === seedLeaves.length &&
    seedLeaves.every((leaf, i) => noiseLeaf(place, mspId, i, partsOf(mspId)[i] ?? '') === leaf);
  const isFalse = ({ mspId, candidate, root }: (typeof opened)[number]): boolean => {
    const context = reportContext({ ...place, reporter: noiseReporter(mspId, candidate) });
    return noiseRoot(seedOfParts(partsOf(mspId)), { context, ...format }) !== root;
  };
  return {
    unshown: opened.filter((one) => !isShown(one)).map(({ mspId }) => mspId),
    false: opened.filter((one) => isShown(one) && isFalse(one)).map(({ mspId }) => mspId),
  };
}

/** The seed of noise: XOR of its parts, 32 bytes each in hex. */
export function seedOfParts(parts: readonly string[]): Uint8Array {
  const seed = new Uint8Array(32);
  for (const part of parts) {
    Buffer.from(part, 'hex').forEach((byte, index) => {
      seed[index] = (seed[index] ?? 0) ^ byte;
    });
  }
  return seed;
}
