// SPDX-License-Identifier: Apache-2.0
import { HE_PLAIN_MODULUS, heParties, type HeTaskTerms } from './he';
import type { Task } from './learning';
import { maxWeightOf, quantisedClip } from './privacy';
import type { TermsProblem } from './secure-terms';

type Rule = readonly [holds: boolean, path: string, problem: string];

/** Sums lie within ±(t − 1)/2; larger magnitudes are read as numbers of the other sign. */
const LARGEST_SUM = BigInt((HE_PLAIN_MODULUS - 1) / 2);

/** A sum over one vehicle is that vehicle's update. */
const LEAST_COHORT = 2;

/**
 * Checks the terms of mode `he`: present in that mode only, consistent, and such that no sum can wrap around.
 *
 * @returns the first rule that the task breaks; undefined where all hold.
 */
export function heTermsProblem(task: Task): TermsProblem | undefined {
  const { he: terms, privacy } = task;
  const rules: Rule[] =
    terms === undefined
      ? [[privacy !== 'he', 'he', 'missing in mode he']]
      : [
          [privacy === 'he', 'he', 'only in mode he'],
          [task.secure === undefined, 'secure', 'not in mode he'],
          [
            new Set(heParties(terms)).size === 3,
            'he',
            'key holder, summer and mask holder must be three organisations',
          ],
          [new Set(terms.metrics).size === terms.metrics.length, 'he.metrics', 'one occurs twice'],
          // An exact sum modulo the weight of one class is a sum over the vehicles of the others.
          [task.aggregation.weightClasses.length === 1, 'aggregation.weightClasses', 'mode he takes one only'],
          [task.cohort.minimum >= LEAST_COHORT, 'cohort.minimum', `below ${LEAST_COHORT}`],
          [task.cohort.target <= terms.maxVehicles, 'cohort.target', `above he.maxVehicles ${terms.maxVehicles}`],
          [heLargestSum(task, terms) <= LARGEST_SUM, 'he.maxVehicles', `a sum could pass ±${LARGEST_SUM} and wrap`],
        ];
  const broken = rules.find(([holds]) => !holds);
  return broken && { path: broken[1], problem: broken[2], code: 'ARGUMENT_INVALID' };
}

/** Bound on the magnitude of each value that a vehicle reports, its weight multiplied in: 2^f · 2C · max(a). */
export function heMaxAbsolute(task: Task, terms: HeTaskTerms): bigint {
  return quantisedClip(terms, 2n) * BigInt(maxWeightOf(task));
}

function heLargestSum(task: Task, terms: HeTaskTerms): bigint {
  return heMaxAbsolute(task, terms) * BigInt(terms.maxVehicles);
}
