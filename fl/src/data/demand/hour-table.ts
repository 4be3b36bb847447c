// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { DataError } from '../../errors.js';
import { naturalShares, newLearningTable, sharesByKey } from '../shares.js';
import type { LearningTable } from '../table.js';
import {
  encodeHours,
  HOUR_FEATURES,
  HOUR_TARGET,
  HOURS_NEEDED,
  type Horizon,
  type LocationHour,
} from './hour-features.js';
import { hourlyDemand, type HourlyDemand } from './hours.js';
import type { ChargingPowers } from './powers.js';
import type { SessionTable } from './sessions.js';

export const HOUR_SPLITS = ['location'] as const;

export interface HourParts {
  readonly training: readonly LocationHour[];
  readonly test: readonly LocationHour[];
}

/**
 * Energy of every hour of a location, for the next hour or the day ahead. The last fifth of the hours of each location,
 * from floor(4n/5) on, is for test; the first 504 are only looked back at.
 *
 * @throws DataError DATA_TOO_FEW_ROWS where no location has more than 504 hours.
 */
export function hourTable(table: SessionTable, powers: ChargingPowers, horizon: Horizon): LearningTable {
  const { source } = table;
  const parts = splitHours(hourlyDemand(table.sessions, powers));
  if (parts.training.length === 0 || parts.test.length === 0) {
    const detail = `${source} has no location with more than ${String(HOURS_NEEDED)} hours for training`;
    throw new DataError('DATA_TOO_FEW_ROWS', `${detail}: give sessions of a longer time`);
  }
  const facts = {
    source,
    features: HOUR_FEATURES[horizon],
    target: HOUR_TARGET,
    splits: HOUR_SPLITS,
    rows: parts.training.length + parts.test.length,
    testFingerprint: testHoursFingerprint(parts),
  };
  const shares = sharesByKey(parts, ({ demand }) => demand.location);
  return newLearningTable(
    facts,
    (_, request) => naturalShares(source, shares, request),
    (rows) => encodeHours(horizon, rows),
    (row) => sha256Hex(nameOf(row)),
  );
}

/** See {@link hourTable}. A location with too few hours for training gives no test row either. */
export function splitHours(demands: readonly HourlyDemand[]): HourParts {
  const training: LocationHour[] = [];
  const test: LocationHour[] = [];
  for (const demand of demands) {
    const hours = demand.energyKwh.length;
    const firstTest = Math.floor((4 * hours) / 5);
    for (let index = HOURS_NEEDED; index < hours && firstTest > HOURS_NEEDED; index++) {
      (index < firstTest ? training : test).push({ demand, index });
    }
  }
  return { training, test };
}

/** SHA-256, hex, of "location hour" of the test rows, sorted and joined by line feeds. */
function testHoursFingerprint({ test }: HourParts): string {
  return sha256Hex(test.map(nameOf).sort().join('\n'));
}

function nameOf({ demand, index }: LocationHour): string {
  return `${demand.location} ${String(demand.firstHour + index)}`;
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
