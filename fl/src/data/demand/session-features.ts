// SPDX-License-Identifier: Apache-2.0
import { cyclic, phaseOf } from '../cyclic.js';
import type { Dataset } from '../dataset.js';
import { FeatureWriter } from '../encode.js';
import type { FeatureSet } from '../table.js';
import { toScaled, type Target } from '../target.js';
import type { Session } from './sessions.js';
import { earlierSessions, type SessionInHistory } from './session-split.js';

/** Energy of a session in tens of kWh. */
export const SESSION_TARGET: Target = { unit: 'kWh', transform: 'none', offset: 0, scale: 10 };

/** `plug-in`: what is known when the car is plugged in. `departure`: also how long it was connected. */
export const SESSION_SETS = ['plug-in', 'departure'] as const;
export type SessionSet = (typeof SESSION_SETS)[number];

const CALENDAR_WIDTH = 4 + 4 + 2;
const HISTORY_WIDTH = 15;
const CONNECTION_WIDTH = 4;

export const SESSION_FEATURES: Readonly<Record<SessionSet, FeatureSet>> = {
  'plug-in': { name: 'demand/session-plug-in-v1', width: CALENDAR_WIDTH + HISTORY_WIDTH },
  departure: { name: 'demand/session-departure-v1', width: CALENDAR_WIDTH + HISTORY_WIDTH + CONNECTION_WIDTH },
};

/** Energies count in tens of kWh; 100 kWh is more than a session brings. */
const ENERGY_KWH = 10;
const MAX_ENERGY = 10;

/**
 * Feature sets `demand/session-plug-in-v1` and `demand/session-departure-v1`. All scales are public constants; sums,
 * products, quotients and square roots only, so that every machine gets the same bits.
 *
 * - Time of day and of week (two harmonics each) and of the year (one) at plug-in.
 * - The user's own sessions that had ended by then: whether there are any, their number; energy of the last, means of
 *   the last 5 and of all, largest, standard deviation, median of the last 30; hours since the last plug-out, the last
 *   plug-in and between plug-ins in the mean; the mean energy drawn in an hour × the hours since the last plug-in; hours
 *   of the last connection, its energy an hour, mean hours of the connections.
 * - At departure: hours of this connection, and them × the largest energy an hour of earlier sessions.
 *
 * State of charge and charging time are never inputs: where they are known they tell the energy.
 *
 * @returns x of rows × 25 or 29, y = energy in kWh / 10.
 */
export function encodeSessions(set: SessionSet, rows: readonly SessionInHistory[]): Dataset {
  const writer = new FeatureWriter(rows.length, SESSION_FEATURES[set].width);
  for (const row of rows) {
    const { session } = row;
    const { pluggedInAt } = session;
    const earlier = earlierSessions(row);
    writer.number(...cyclic(phaseOf(pluggedInAt, 'day'), 2), ...cyclic(phaseOf(pluggedInAt, 'week'), 2));
    writer.number(...cyclic(phaseOf(pluggedInAt, 'year')));
    writer.number(...historyFeatures(pluggedInAt, earlier));
    if (set === 'departure') {
      writer.number(...connectionFeatures(session.connectionHours, earlier));
    }
    writer.endRow(toScaled(SESSION_TARGET, session.energyKwh));
  }
  return writer.dataset();
}

function historyFeatures(now: number, earlier: readonly Session[]): readonly number[] {
  const first = earlier[0];
  const last = earlier.at(-1);
  if (first === undefined || last === undefined) {
    return Array.from({ length: HISTORY_WIDTH }, () => 0);
  }
  const energies = earlier.map(({ energyKwh }) => energyKwh);
  const total = sum(energies);
  const mean = total / energies.length;
  const sinceFirst = hours(now - first.pluggedInAt);
  const sinceLast = hours(now - last.pluggedInAt);
  // The last session's energy was drawn for the way before it, the first one's for a way that is not seen.
  const between = sinceFirst - sinceLast;
  const hourly = between > 0 ? (total - first.energyKwh) / between : 0;
  return [
    1,
    saturating(energies.length, 20),
    energy(last.energyKwh),
    energy(meanOf(energies.slice(-5))),
    energy(mean),
    energy(energies.reduce((most, one) => Math.max(most, one), 0)),
    energy(Math.sqrt(sum(energies.map((one) => (one - mean) * (one - mean))) / energies.length)),
    energy(medianOf(energies.slice(-30))),
    saturating(hours(now - last.pluggedOutAt), 12),
    saturating(sinceLast, 24),
    saturating(sinceFirst / energies.length, 24),
    energy(hourly * sinceLast),
    saturating(last.connectionHours, 8),
    energy(energyAnHour(last)),
    saturating(meanOf(earlier.map(({ connectionHours }) => connectionHours)), 8),
  ];
}

function connectionFeatures(connectionHours: number, earlier: readonly Session[]): readonly number[] {
  const fastest = earlier.reduce((most, session) => Math.max(most, energyAnHour(session)), 0);
  return [
    saturating(connectionHours, 2),
    saturating(connectionHours, 12),
    Math.min(connectionHours / 24, 5),
    energy(fastest * connectionHours),
  ];
}

const hours = (seconds: number): number => seconds / 3_600;
const energy = (kwh: number): number => Math.min(kwh / ENERGY_KWH, MAX_ENERGY);
/** From 0 to 1, one half at `half`: what counts of a waiting time is whether it is short or long. */
const saturating = (value: number, half: number): number => value / (value + half);
/** Of connections of minutes the quotient says little. */
const energyAnHour = (session: Session): number => session.energyKwh / Math.max(session.connectionHours, 0.5);

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function meanOf(values: readonly number[]): number {
  return sum(values) / values.length;
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}
