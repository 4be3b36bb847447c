// SPDX-License-Identifier: Apache-2.0
import { cyclic, phaseOf } from '../cyclic.js';
import type { Dataset } from '../dataset.js';
import { FeatureWriter } from '../encode.js';
import type { FeatureSet } from '../table.js';
import { toScaled, type Target } from '../target.js';
import type { HourlyDemand } from './hours.js';

/** Energy of an hour in kWh, relative to a level of its location (the data sets' `rowScale`). */
export const HOUR_TARGET: Target = { unit: 'kWh', transform: 'none', offset: 0, scale: 1 };

/**
 * `next-hour`: from all hours before. `day-ahead`: issued at 00:00 for the 24 hours of the day. `next-hour-sequence`: the
 * next hour from the last day as a series, for models that read one.
 */
export const HORIZONS = ['next-hour', 'day-ahead', 'next-hour-sequence'] as const;
export type Horizon = (typeof HORIZONS)[number];

/** Hours that the features look back; the first ones of a location have too little before them and are skipped. */
export const HOURS_NEEDED = 504;

/** One hour of a location. */
export interface LocationHour {
  readonly demand: HourlyDemand;
  /** Position in the location's series, from {@link HOURS_NEEDED} on. */
  readonly index: number;
}

const CALENDAR_WIDTH = 6 + 4 + 2;
const NEXT_HOUR_LAGS = [1, 2, 3, 24, 48, 168, 336, 504] as const;
/** Means over so many hours up to the last known one. */
const NEXT_HOUR_MEANS = [3, 6, 24, 168] as const;
const DAY_AHEAD_LAGS = [24, 48, 72, 168, 336, 504] as const;
const DAY_AHEAD_MEANS = [3, 24, 48, 168] as const;
/** The same hour of the last weeks and of the last days, besides the lags. */
const WEEKLY = [168, 336, 504] as const;
const DAILY = [24, 48, 72, 96, 120, 144, 168] as const;

/** The last day, hour by hour. */
const SEQUENCE = { steps: 24, features: 4 } as const;

export const HOUR_FEATURES: Readonly<Record<Horizon, FeatureSet>> = {
  'next-hour': {
    name: 'demand/hour-next-v1',
    width: CALENDAR_WIDTH + 1 + NEXT_HOUR_LAGS.length + NEXT_HOUR_MEANS.length + 2,
  },
  'day-ahead': {
    name: 'demand/hour-day-ahead-v1',
    width: CALENDAR_WIDTH + 1 + DAY_AHEAD_LAGS.length + DAY_AHEAD_MEANS.length + 2 + 1 + 1,
  },
  'next-hour-sequence': {
    name: 'demand/hour-sequence-v1',
    width: SEQUENCE.steps * SEQUENCE.features,
    sequence: SEQUENCE,
  },
};

/** A quiet hour of a busy location is zero, and so is nearly every hour of an idle one: quotients stay within this. */
const MAX_RATIO = 10;

/**
 * Feature sets `demand/hour-next-v1` and `demand/hour-day-ahead-v1`: the calendar (three harmonics of the day, two of the
 * week, one of the year) and the location's own energy. Large and small locations learn from each other because energies,
 * the target too, are relative to a level of the row: 1 kWh + twice the mean of the 168 hours before the forecast is
 * issued. The level itself is an input as level / (level + 20 kWh); nothing else tells which location it is.
 *
 * - Next hour: energy 1, 2, 3, 24, 48, 168, 336 and 504 hours before, means of the last 3, 6, 24, 168 hours, means of
 *   the same hour of the last three weeks and of the last seven days.
 * - Day-ahead: only what is known at 00:00 of that day. Energy 24, 48, 72, 168, 336 and 504 hours before the hour, means
 *   of the 3, 24, 48, 168 hours before midnight, the same two means as above, mean of that hour and its neighbours of
 *   the last seven days, energy of the hour before midnight.
 * - Sequence (`demand/hour-sequence-v1`): for each of the last 24 hours its energy, the energy a week before the hour after
 *   it, and that hour's place in the day as sine and cosine; so the last step ends with what is known of the hour to come.
 *
 * @returns x of rows × 27, of a sequence × 96; y = energy in kWh / level, rowScale = level in kWh.
 */
export function encodeHours(horizon: Horizon, rows: readonly LocationHour[]): Dataset {
  const writer = new FeatureWriter(rows.length, HOUR_FEATURES[horizon].width);
  for (const { demand, index } of rows) {
    const { energyKwh, firstHour } = demand;
    const hour = firstHour + index;
    const issuedAt = horizon === 'day-ahead' ? midnightOf(hour) - firstHour : index;
    const known = energyKwh.subarray(0, issuedAt);
    const level = Math.fround(1 + 2 * meanBefore(known, issuedAt, 168));
    const relative = (kwh: number): number => Math.min(kwh / level, MAX_RATIO);
    if (horizon === 'next-hour-sequence') {
      writer.number(...sequenceOf(known, index, firstHour, relative));
    } else {
      const own = horizon === 'next-hour' ? nextHour(known, index) : dayAhead(known, index);
      writer.number(...calendarFeatures(hour), level / (level + 20));
      writer.number(...own.map(relative));
    }
    writer.endRow(toScaled(HOUR_TARGET, energyKwh[index] ?? 0), level);
  }
  return writer.dataset();
}

function calendarFeatures(hour: number): readonly number[] {
  const seconds = hour * 3_600;
  return [
    ...cyclic(phaseOf(seconds, 'day'), 3),
    ...cyclic(phaseOf(seconds, 'week'), 2),
    ...cyclic(phaseOf(seconds, 'year')),
  ];
}

function nextHour(known: Float64Array, index: number): readonly number[] {
  return [
    ...NEXT_HOUR_LAGS.map((lag) => known[index - lag] ?? 0),
    ...NEXT_HOUR_MEANS.map((count) => meanBefore(known, index, count)),
    meanOfLags(known, index, WEEKLY),
    meanOfLags(known, index, DAILY),
  ];
}

/** SEQUENCE.steps times SEQUENCE.features numbers, the oldest step first. */
function sequenceOf(
  known: Float64Array,
  index: number,
  firstHour: number,
  relative: (kwh: number) => number,
): readonly number[] {
  return Array.from({ length: SEQUENCE.steps }, (_, step) => {
    const next = index - SEQUENCE.steps + step + 1;
    const week = known[next - 168] ?? 0;
    return [relative(known[next - 1] ?? 0), relative(week), ...cyclic(phaseOf((firstHour + next) * 3_600, 'day'))];
  }).flat();
}

/** @param known the hours before midnight. */
function dayAhead(known: Float64Array, index: number): readonly number[] {
  const midnight = known.length;
  const days = meanOfLags(known, index, DAILY);
  // The hour after 23:00 of yesterday is not known yet; its place is taken by the hour itself.
  const after = index + 1 - 24 < midnight ? meanOfLags(known, index + 1, DAILY) : days;
  return [
    ...DAY_AHEAD_LAGS.map((lag) => known[index - lag] ?? 0),
    ...DAY_AHEAD_MEANS.map((count) => meanBefore(known, midnight, count)),
    meanOfLags(known, index, WEEKLY),
    days,
    (meanOfLags(known, index - 1, DAILY) + days + after) / 3,
    known[midnight - 1] ?? 0,
  ];
}

function meanBefore(energy: Float64Array, end: number, count: number): number {
  return energy.subarray(Math.max(0, end - count), Math.max(0, end)).reduce((sum, kwh) => sum + kwh, 0) / count;
}

function meanOfLags(energy: Float64Array, index: number, lags: readonly number[]): number {
  return lags.reduce((sum, lag) => sum + (energy[index - lag] ?? 0), 0) / lags.length;
}

const midnightOf = (hour: number): number => hour - (hour % 24);
