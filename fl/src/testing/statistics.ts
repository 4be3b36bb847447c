// SPDX-License-Identifier: Apache-2.0

/** Standard normal quantile of 1 − 10^−6: a right program fails a test on it once in a million runs. */
export const ONE_IN_A_MILLION = 4.7534;

/** P[X = x] of the discrete Gaussian for |x| ≤ reach, indexed from −reach, by its definition. */
export function discreteGaussianProbabilities(deviation: number, reach: number): readonly number[] {
  const density = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)));
  const total = density.reduce((a, b) => a + b, 0);
  return density.map((value) => value / total);
}

/**
 * Pearson's χ² of samples against probabilities indexed from −reach, neighbouring values joined until 20 are expected,
 * as a standard normal deviate (Wilson and Hilferty 1931).
 */
export function chiSquareDeviate(samples: ArrayLike<number>, probabilities: readonly number[]): number {
  const reach = (probabilities.length - 1) / 2;
  const counts = new Float64Array(probabilities.length);
  for (const sample of Array.from(samples)) {
    const index = Math.min(Math.max(sample + reach, 0), 2 * reach);
    counts[index] = counts[index]! + 1;
  }
  const bins: { observed: number; expected: number }[] = [];
  let open = { observed: 0, expected: 0 };
  probabilities.forEach((probability, index) => {
    open.observed += counts[index]!;
    open.expected += probability * samples.length;
    if (open.expected >= 20) {
      bins.push(open);
      open = { observed: 0, expected: 0 };
    }
  });
  const last = bins.at(-1)!;
  last.observed += open.observed;
  last.expected += open.expected;
  const freedom = bins.length - 1;
  const chiSquare = bins.reduce((sum, { observed, expected }) => sum + (observed - expected) ** 2 / expected, 0);
  const spread = 2 / (9 * freedom);
  return (Math.cbrt(chiSquare / freedom) - (1 - spread)) / Math.sqrt(spread);
}
