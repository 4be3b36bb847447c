// SPDX-License-Identifier: Apache-2.0

/** A symmetric matrix, row by row. */
export interface SymmetricMatrix {
  readonly size: number;
  readonly values: Float64Array;
}

/**
 * A D Aᵀ for a matrix A and a diagonal D.
 *
 * @param rows of A.
 * @param diagonal of D; all ones where not given.
 */
export function gramMatrix(rows: readonly (Int8Array | Float64Array)[], diagonal?: Float64Array): SymmetricMatrix {
  const size = rows.length;
  const values = new Float64Array(size * size);
  rows.forEach((row, i) => {
    const weighted = Float64Array.from(row, (value, k) => value * (diagonal?.[k] ?? 1));
    for (let j = 0; j <= i; j++) {
      const product = dot(weighted, rows[j] ?? weighted);
      values[i * size + j] = product;
      values[j * size + i] = product;
    }
  });
  return { size, values };
}

/**
 * Solves (M + λI) x = b by conjugate gradients (Hestenes and Stiefel 1952), M positive semidefinite.
 *
 * @param ridge λ relative to the mean eigenvalue of M; with 0, b must lie in the range of M.
 */
export function solveRidge(matrix: SymmetricMatrix, ridge: number, b: ArrayLike<number>): Float64Array {
  const { size, values } = matrix;
  const lambda = (ridge * traceOf(matrix)) / size;
  const x = new Float64Array(size);
  const residual = Float64Array.from(b);
  const direction = residual.slice();
  let squares = dot(residual, residual);
  const goal = squares * 1e-20;
  for (let iteration = 0; iteration < 2 * size && squares > goal; iteration++) {
    const image = Float64Array.from(
      direction,
      (value, i) => dot(values.subarray(i * size, (i + 1) * size), direction) + lambda * value,
    );
    const step = squares / dot(direction, image);
    addScaled(x, step, direction);
    addScaled(residual, -step, image);
    const next = dot(residual, residual);
    direction.forEach((value, i) => {
      direction[i] = (residual[i] ?? 0) + (next / squares) * value;
    });
    squares = next;
  }
  return x;
}

/** target += factor · vector */
export function addScaled(target: Float64Array, factor: number, vector: ArrayLike<number>): void {
  for (let i = 0; i < target.length; i++) {
    target[i] = (target[i] ?? 0) + factor * (vector[i] ?? 0);
  }
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    sum += (a[i] ?? 0) * (b[i] ?? 0);
  }
  return sum;
}

/** 0 where one of the two is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const norms = Math.sqrt(dot(a, a) * dot(b, b));
  return norms === 0 ? 0 : dot(a, b) / norms;
}

function traceOf({ size, values }: SymmetricMatrix): number {
  let trace = 0;
  for (let i = 0; i < size; i++) {
    trace += values[i * (size + 1)] ?? 0;
  }
  return trace;
}
