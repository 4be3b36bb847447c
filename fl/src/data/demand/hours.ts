// SPDX-License-Identifier: Apache-2.0
import { compareKeys, groupBy } from '../shares.js';
import { DEFAULT_POWER_KW, type ChargingPowers } from './powers.js';
import type { Session } from './sessions.js';

const HOUR_SECONDS = 3_600;

/** The energy that all sessions of a location drew, hour by hour: reconstructed from the sessions, not metered. */
export interface HourlyDemand {
  readonly location: string;
  /** The first hour, counted from 1970-01-01 00:00 of the location's clock. */
  readonly firstHour: number;
  /** kWh of every hour from the one of the first plug-in to the one of the last plug-out. */
  readonly energyKwh: Float64Array;
}

/**
 * Spreads sessions over hours. A session draws constant power from plug-in until its energy is reached: the power of its
 * user, more where the energy would otherwise not be reached by plug-out, so that no energy is lost.
 *
 * @param powers charging power by user; 3.6 kW where there is none.
 * @returns one series for each location, in the order of their names.
 */
export function hourlyDemand(sessions: readonly Session[], powers: ChargingPowers): readonly HourlyDemand[] {
  const byLocation = [...groupBy(sessions, ({ location }) => location)];
  return byLocation
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([location, own]) => {
      // Rounding depends on the order of a sum, so that is not left to the file.
      own.sort((a, b) => a.pluggedInAt - b.pluggedInAt || compareKeys(a.sessionId, b.sessionId));
      const firstHour = hourOf(own[0]?.pluggedInAt ?? 0);
      const lastHour = own.reduce((latest, { pluggedOutAt }) => Math.max(latest, hourOf(pluggedOutAt)), firstHour);
      const energyKwh = new Float64Array(lastHour - firstHour + 1);
      for (const session of own) {
        addSession(energyKwh, firstHour, session, powers.get(session.userId) ?? DEFAULT_POWER_KW);
      }
      return { location, firstHour, energyKwh };
    });
}

function addSession(energyKwh: Float64Array, firstHour: number, session: Session, powerKw: number): void {
  const start = session.pluggedInAt;
  const duration = Math.min((session.energyKwh / powerKw) * HOUR_SECONDS, session.pluggedOutAt - start);
  const end = start + duration;
  for (let hour = hourOf(start); hour <= hourOf(end); hour++) {
    const from = Math.max(start, hour * HOUR_SECONDS);
    const to = Math.min(end, (hour + 1) * HOUR_SECONDS);
    // A session that is over at once draws its energy at once.
    const share = duration > 0 ? (to - from) / duration : 1;
    energyKwh[hour - firstHour] = (energyKwh[hour - firstHour] ?? 0) + share * session.energyKwh;
  }
}

const hourOf = (seconds: number): number => Math.floor(seconds / HOUR_SECONDS);
