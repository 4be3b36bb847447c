// SPDX-License-Identifier: Apache-2.0

/** A point on the unit circle. */
export interface CirclePoint {
  readonly sin: number;
  readonly cos: number;
}

/**
 * Sine and cosine of a full turn's fraction, by sums and products only, so that every machine gets the same bits, which
 * `Math.sin` does not promise. Taylor series within an eighth of a turn; the error is below 1e-14.
 *
 * @param turns any finite number; whole turns do not count.
 */
export function circlePoint(turns: number): CirclePoint {
  const quarter = Math.round(turns * 4);
  const angle = (turns - quarter / 4) * 2 * Math.PI;
  const square = angle * angle;
  let sin = 0;
  let cos = 0;
  for (let n = 8; n >= 1; n--) {
    sin = 1 - (square / (2 * n * (2 * n + 1))) * (n === 8 ? 1 : sin);
    cos = 1 - (square / (2 * n * (2 * n - 1))) * (n === 8 ? 1 : cos);
  }
  sin *= angle;
  switch (((quarter % 4) + 4) % 4) {
    case 0:
      return { sin, cos };
    case 1:
      return { sin: cos, cos: 0 - sin };
    case 2:
      return { sin: 0 - sin, cos: 0 - cos };
    default:
      return { sin: 0 - cos, cos: sin };
  }
}

/** Sine and cosine of the first harmonics of a fraction of a period: 2 × `harmonics` numbers. */
export function cyclic(turns: number, harmonics = 1): readonly number[] {
  return Array.from({ length: harmonics }, (_, index) => circlePoint(turns * (index + 1))).flatMap(({ sin, cos }) => [
    sin,
    cos,
  ]);
}

const HOUR = 3_600;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
/** Mean length of a year of the Gregorian calendar: the year's phase moves by less than a day. */
const YEAR = 365.2425 * DAY;
/** 1970-01-01 was a Thursday; weeks are counted from Monday 00:00. */
const MONDAY = -3 * DAY;

export const PERIOD_SECONDS = { hour: HOUR, day: DAY, week: WEEK, year: YEAR } as const;
export type Period = keyof typeof PERIOD_SECONDS;

/** How far into the period a clock's time is, in [0, 1). @param clockSeconds see `Cells.clockSeconds`. */
export function phaseOf(clockSeconds: number, period: Period): number {
  const seconds = PERIOD_SECONDS[period];
  const since = clockSeconds - (period === 'week' ? MONDAY : 0);
  const whole = Math.floor(since / seconds);
  return (since - whole * seconds) / seconds;
}
