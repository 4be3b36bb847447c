// SPDX-License-Identifier: Apache-2.0

import type { StartedProgram } from './sandbox.js';

/** One measured figure, as `runs/bench.json` lists it. Names are stable. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is measured against; null where it is only reported. */
  readonly target: number | null;
  readonly better: 'higher' | 'lower';
  /** Where the target comes from, or what the figure includes. */
  readonly note: string;
}

/** A group of figures that come out of one piece of work. */
export interface Benchmark {
  readonly name: string;
  /** @returns the figures, or why they cannot be measured here. */
  readonly run: (context: BenchmarkContext) => Promise<readonly Figure[] | { readonly skipped: string }>;
}

export interface BenchmarkContext {
  /** Folder with the real data sets, where there is one. */
  readonly dataFolder: string;
  /** Runs `sev` on the benchmark's own network and homes, until it is killed. @returns what it printed with --json. */
  readonly sev: (args: readonly string[], killed?: AbortSignal) => Promise<unknown>;
  /** Starts a service there. */
  readonly start: (args: readonly string[]) => Promise<StartedProgram>;
  /** Where all of it lies; what runs there has the path in its environment or arguments. */
  readonly folder: string;
  /** Home of the benchmark's network, and folder of the homes of programs on it. */
  readonly networkHome: string;
  readonly homes: string;
}

export function meetsTarget({ value, target, better }: Figure): boolean {
  return target === null || (better === 'higher' ? value >= target : value <= target);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[sorted.length >> 1];
  if (middle === undefined) {
    throw new RangeError('The median of nothing');
  }
  return middle;
}

/** Rounds to the digits that such measurements carry. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}
