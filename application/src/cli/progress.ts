// SPDX-License-Identifier: Apache-2.0
import type { Terminal } from './terminal.js';

/** How often a status is repeated: often on a terminal, seldom in a log. */
const LIVE_EVERY_MS = 100;
const LOG_EVERY_MS = 2_000;

export interface ProgressOptions {
  readonly terminal: Pick<Terminal, 'status' | 'isLive'>;
  /** What is being done: `audit, blocks`. */
  readonly label: string;
  readonly unit: string;
  readonly total?: number;
  readonly now?: () => number;
}

/** Shows how far long work is, at which rate it goes, and how long the rest will take. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  /** When something was first done, and how much: what came before (connecting, loading) says nothing of the rate. */
  #first: { readonly at: number; readonly done: number } | undefined;
  #shownAt: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#shownAt = this.#now();
  }

  /** @param extra shown behind, e.g. the last figure. */
  update(done: number, total: number | undefined = this.#options.total, extra = ''): void {
    const now = this.#now();
    this.#first ??= { at: now, done };
    const everyMs = this.#options.terminal.isLive ? LIVE_EVERY_MS : LOG_EVERY_MS;
    if (now - this.#shownAt >= everyMs) {
      this.#shownAt = now;
      const { at, done: from } = this.#first;
      const perSecond = now > at ? ((done - from) / (now - at)) * 1_000 : 0;
      this.#options.terminal.status(progressText(this.#options, done, total, perSecond, extra));
    }
  }
}

/** `round 3/10 · 1.9 rounds/s · 4 s left`; a rate of 0 is not known yet. */
export function progressText(
  { label, unit }: Pick<ProgressOptions, 'label' | 'unit'>,
  done: number,
  total: number | undefined,
  perSecond: number,
  extra = '',
): string {
  const parts = [total === undefined ? `${label} ${String(done)}` : `${label} ${String(done)}/${String(total)}`];
  if (perSecond > 0) {
    parts.push(`${perSecond.toFixed(perSecond < 10 ? 1 : 0)} ${unit}/s`);
    if (total !== undefined && total > done) {
      parts.push(`${duration((total - done) / perSecond)} left`);
    }
  }
  if (extra !== '') {
    parts.push(extra);
  }
  return parts.join(' · ');
}

/** `8 s`, `2 min 5 s`, `1 h 3 min` */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) {
    return `${String(whole)} s`;
  }
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${String(minutes)} min ${String(whole % 60)} s`
    : `${String(Math.floor(minutes / 60))} h ${String(minutes % 60)} min`;
}
