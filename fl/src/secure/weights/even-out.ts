// SPDX-License-Identifier: Apache-2.0

/** What a rule made of a vehicle's class weight: the same, less ("scaled"), or 0. */
export interface RuledWeight {
  readonly classWeight: number;
  readonly weight: number;
}

/**
 * Evens the weights of one sum out, so that each weight that occurs is that of `minimum` vehicles at the least. Opened
 * sums are exact integers with public weights, and a sum modulo m holds nothing of a vehicle whose weight m divides:
 * were one vehicle alone in its weight, or in what is left of it modulo some m, its update would show.
 *
 * 1. Vehicles with the weight of their class, from the heaviest on, are pooled until there are `minimum`; all of a pool
 *    get its lowest weight, its level. Who remains at the end joins the last pool, and lowers it.
 * 2. A scaled vehicle is scaled from its class's level, then lowered to the next level, or to the lowest weight of
 *    `minimum` scaled vehicles on the way there. Who finds neither gets 0: it must not pull others down to its own weight,
 *    where its too long update would count like theirs.
 *
 * Where fewer than `minimum` vehicles have the weight of their class, nobody counts.
 *
 * @param ruled - the vehicles of one sum, a shard.
 * @returns for each, in their order, a weight of at most what the rule gave it.
 */
export function evenOut(ruled: readonly RuledWeight[], minimum: number): number[] {
  const levels = levelsOf(
    ruled.filter(({ classWeight, weight }) => weight === classWeight).map(({ classWeight }) => classWeight),
    minimum,
  );
  const scaled = ruled.map(({ classWeight, weight }) => {
    const level = levelAtMost(levels, classWeight);
    return weight === classWeight ? level : Math.floor((level * weight) / classWeight);
  });
  const allowed = allowedWeights(scaled, levels, minimum);
  return scaled.map((weight) => levelAtMost(allowed, weight));
}

/** Levels of the pools, descending. @param weights - those of the classes, one a vehicle; all positive. */
function levelsOf(weights: readonly number[], minimum: number): number[] {
  if (weights.length < minimum) {
    return [];
  }
  const levels: number[] = [];
  let pooled = 0;
  for (const weight of descending(weights)) {
    pooled += weights.filter((other) => other === weight).length;
    if (pooled >= minimum) {
      levels.push(weight);
      pooled = 0;
    }
  }
  return pooled === 0 ? levels : [...levels.slice(0, -1), Math.min(...weights)];
}

/** The levels, and between them the lowest weights of `minimum` scaled vehicles; descending. */
function allowedWeights(weights: readonly number[], levels: readonly number[], minimum: number): number[] {
  const allowed: number[] = [];
  let pooled = 0;
  for (const weight of descending(weights).filter((one) => one > 0)) {
    pooled += weights.filter((other) => other === weight).length;
    if (levels.includes(weight) || pooled >= minimum) {
      allowed.push(weight);
      pooled = 0;
    }
  }
  return allowed;
}

/** The highest of these weights, descending, that is not above `most`; 0 where none is. */
function levelAtMost(weights: readonly number[], most: number): number {
  return weights.find((weight) => weight <= most) ?? 0;
}

function descending(weights: readonly number[]): number[] {
  return [...new Set(weights)].sort((a, b) => b - a);
}
