// SPDX-License-Identifier: Apache-2.0
import type { Random } from '../../random.js';
import { norm } from '../../vectors.js';

/** More vector arithmetic for attackers, who owe nobody the same bits. */

export function scale(values: ArrayLike<number>, factor: number): Float32Array {
  const scaled = new Float32Array(values.length);
  for (let i = 0; i < scaled.length; i++) {
    scaled[i] = (values[i] as number) * factor;
  }
  return scaled;
}

/** a + factor · b */
export function plus(a: ArrayLike<number>, b: ArrayLike<number>, factor = 1): Float32Array {
  const sum = new Float32Array(a.length);
  for (let i = 0; i < sum.length; i++) {
    sum[i] = (a[i] as number) + factor * (b[i] as number);
  }
  return sum;
}

/** The same direction with another norm; zeros stay zeros. */
export function withNorm(values: ArrayLike<number>, length: number): Float32Array {
  const own = norm(values);
  return scale(values, own === 0 ? 0 : length / own);
}

export function mean(vectors: readonly ArrayLike<number>[]): Float32Array {
  const sum = new Float64Array(vectors[0]?.length ?? 0);
  for (const vector of vectors) {
    for (let i = 0; i < sum.length; i++) {
      sum[i] = (sum[i] as number) + (vector[i] as number);
    }
  }
  return scale(sum, 1 / vectors.length);
}

/** Of each coordinate over the vectors. */
export function deviations(vectors: readonly ArrayLike<number>[]): Float32Array {
  const middle = mean(vectors);
  return middle.map((value, i) =>
    Math.sqrt(vectors.reduce((sum, vector) => sum + ((vector[i] as number) - value) ** 2, 0) / vectors.length),
  );
}

/** Independent normal numbers, scaled to a norm. */
export function noise(count: number, length: number, random: Random): Float32Array {
  return withNorm(
    Float32Array.from({ length: count }, () => random.normal()),
    length,
  );
}
