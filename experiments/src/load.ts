// SPDX-License-Identifier: Apache-2.0

/** What a load is made of. */
export interface LoadOptions {
  /** Calls under way at once. */
  readonly inFlight: number;
  /** How many calls in all, or how long calls are started for. */
  readonly calls?: number;
  readonly durationMs?: number;
  /** Calls started a second, at the most; as fast as they go where it is missing. */
  readonly ratePerSecond?: number;
  /** Makes one call; the number is different for each. */
  readonly call: (index: number) => Promise<void>;
}

/** What came of a load. */
export interface LoadResult {
  /** Duration of each call that succeeded, in ms, in the order of their ends. */
  readonly latenciesMs: readonly number[];
  /** Numbers of the calls that succeeded. */
  readonly succeeded: readonly number[];
  readonly failures: readonly { readonly index: number; readonly error: unknown }[];
  /** Longest time without the end of a successful call. */
  readonly longestGapMs: number;
  readonly wallMs: number;
}

/** Keeps a number of calls under way until enough were made. A call that fails is noted; it is not made again. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { inFlight, calls = Infinity, durationMs = Infinity, ratePerSecond, call } = options;
  const started = performance.now();
  const latenciesMs: number[] = [];
  const succeeded: number[] = [];
  const failures: { index: number; error: unknown }[] = [];
  let next = 0;
  let lastEnd = started;
  let longestGapMs = 0;
  const worker = async (): Promise<void> => {
    while (next < calls && performance.now() - started < durationMs) {
      const index = next;
      next += 1;
      if (ratePerSecond !== undefined) {
        await until(started + (index * 1000) / ratePerSecond);
      }
      const begin = performance.now();
      try {
        await call(index);
        const end = performance.now();
        latenciesMs.push(end - begin);
        succeeded.push(index);
        longestGapMs = Math.max(longestGapMs, end - lastEnd);
        lastEnd = end;
      } catch (error) {
        failures.push({ index, error });
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { latenciesMs, succeeded, failures, longestGapMs, wallMs: performance.now() - started };
}

async function until(time: number): Promise<void> {
  const waitMs = time - performance.now();
  if (waitMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** A quantile of measurements, 0 to 1. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
  if (value === undefined) {
    throw new RangeError('A quantile of nothing');
  }
  return value;
}
