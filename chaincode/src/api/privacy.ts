// SPDX-License-Identifier: Apache-2.0
import type { Task } from './learning';
import type { SecureTerms } from './secure';

/*
 * Accounting of zero-concentrated differential privacy (Bun, Steinke 2016), in integers so that every peer and every
 * auditor comes to the same charge. All bounds are rounded up.
 */

const THOUSAND = 1_000n;
const MILLION = 1_000_000n;

/** The smallest integer whose square is at least n. */
export function ceilSqrt(n: bigint): bigint {
  if (n < 2n) {
    return n < 0n ? 0n : n;
  }
  // Newton's iteration from above ends at ⌊√n⌋.
  let root = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) {
      break;
    }
    root = next;
  }
  return root * root === n ? root : root + 1n;
}

/** Largest weight that a vehicle can have. */
export function maxWeightOf(task: Pick<Task, 'aggregation'>): number {
  return Math.max(...task.aggregation.weightClasses.map(({ weight }) => weight));
}

/** ⌈2^f · C · factor⌉: the clipping bound in units of the quantised update. */
export function quantisedClip(
  { fractionBits, clipMilli }: Pick<SecureTerms, 'fractionBits' | 'clipMilli'>,
  factor = 1n,
): bigint {
  const scaled = (1n << BigInt(fractionBits)) * BigInt(clipMilli) * factor;
  return (scaled + THOUSAND - 1n) / THOUSAND;
}

/**
 * Bound on the Euclidean norm of what one vehicle adds to its shard's sum, in integer units: of its quantised update, of
 * its metrics, times the largest weight. Rounding moves each of d coordinates by less than 1 and so the vector by less
 * than √d; each of m metrics is cut to ±2^f · C (fl `encodeMetric`).
 *
 * S = max(a) · ⌈√((⌈2^f·C⌉ + ⌈√d⌉)² + m · ⌈2^f·C⌉²)⌉
 */
export function sumSensitivity(task: Task, terms: SecureTerms): bigint {
  const update = quantisedClip(terms) + ceilSqrt(BigInt(task.model.parameters));
  const metric = quantisedClip(terms);
  const metrics = BigInt(terms.metrics.length) * metric * metric;
  return BigInt(maxWeightOf(task)) * ceilSqrt(update * update + metrics);
}

/**
 * ρ of one sum with discrete Gaussian noise, in millionths: ⌈10^6 · Δ² / (2σ²)⌉. (Canonne, Kamath, Steinke 2020,
 * theorem 4)
 *
 * @param sensitivity - Δ in integer units.
 * @param deviation - σ of one aggregator's noise in the same units: the others' is not relied upon.
 */
export function microRho(sensitivity: bigint, deviation: bigint): bigint {
  const variance = 2n * deviation * deviation;
  return (MILLION * sensitivity * sensitivity + variance - 1n) / variance;
}

/** What showing the sums of one attempt costs, in millionths of ρ; 0 where the task has no terms of differential privacy. */
export function sumsMicroRho(task: Task): bigint {
  const { secure } = task;
  return secure?.dp === undefined ? 0n : microRho(sumSensitivity(task, secure), BigInt(secure.dp.noiseDeviation));
}

/** Numbers that a round opens of each update: its random projections, and with validators that on the reference direction. */
export function openedNumbers({ projections, validation }: Pick<SecureTerms, 'projections' | 'validation'>): number {
  return projections + (validation === undefined ? 0 : 1);
}

/** Numbers ({@link openedNumbers}) that a task may open of one vehicle's updates over all rounds: ⌊d · share⌋. */
export function projectionBudget(task: Task, terms: SecureTerms): number {
  return Math.floor((task.model.parameters * terms.openedShareMilli) / 1_000);
}
