// SPDX-License-Identifier: Apache-2.0

/** A line of a plot: one value a round, or one value for all rounds. */
export interface PlotSeries {
  readonly label: string;
  readonly values: readonly number[];
}

/** What a plot of accuracy by round shows. */
export interface AccuracyPlot {
  readonly title: string;
  readonly subtitle: string;
  /** Round numbers, ascending. */
  readonly rounds: readonly number[];
  readonly federated: readonly number[];
  /** What it is compared with. */
  readonly baselines?: { readonly central: number; readonly alone: number };
}

export interface Scale {
  readonly low: number;
  readonly high: number;
  /** Round values between low and high, both included. */
  readonly ticks: readonly number[];
}

/** Steps that people read easily: 1, 2 or 5 times a power of ten. */
function niceStep(span: number, count: number): number {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough) ?? 10;
  return factor * power;
}

/** A scale that covers all finite values; at most about `count` ticks. */
export function niceScale(values: readonly number[], count: number): Scale {
  const finite = values.filter((value) => Number.isFinite(value));
  const least = finite.length === 0 ? 0 : Math.min(...finite);
  const most = finite.length === 0 ? 1 : Math.max(...finite);
  const span = most - least > 1e-9 ? most - least : Math.max(Math.abs(most) * 0.1, 0.1);
  const step = niceStep(span, count);
  const from = Math.floor(least / step + 1e-9);
  const to = Math.max(Math.ceil(most / step - 1e-9), from + 1);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toFixed(digits)));
  return { low: ticks[0] ?? 0, high: ticks.at(-1) ?? 1, ticks };
}

/** Where R² starts to tell models apart: worse values are drawn at the bottom edge, and marked. */
const LOWEST_R2 = -0.5;

/** The vertical scale of an accuracy plot. */
export function accuracyScale({ federated, baselines }: AccuracyPlot, count: number): Scale {
  const shown = [...federated, ...(baselines === undefined ? [] : [baselines.central, baselines.alone])];
  const values = shown.map((value) => Math.max(value, LOWEST_R2));
  return niceScale(values, count);
}

/** Whether a value is too low for the scale: it is drawn at the bottom edge, and is not there. */
export function isBelow({ low }: Scale, value: number): boolean {
  return !(value >= low);
}

/** What a legend says of rounds at the bottom edge: `2 rounds below −0.5`; undefined where there are none. */
export function belowText({ federated }: AccuracyPlot, scale: Scale): string | undefined {
  const count = federated.filter((value) => isBelow(scale, value)).length;
  const low = String(scale.low).replace('-', '−');
  return count === 0 ? undefined : `${String(count)} round${count === 1 ? '' : 's'} below ${low}`;
}

/** Position of a value between low (0) and high (1), cut off at both. */
export function fraction(scale: Scale, value: number): number {
  const at = (value - scale.low) / (scale.high - scale.low);
  return Number.isFinite(at) ? Math.min(1, Math.max(0, at)) : 0;
}
