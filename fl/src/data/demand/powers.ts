// SPDX-License-Identifier: Apache-2.0
import { Cells, findColumns } from '../cells.js';
import { csvLines, readText } from '../lines.js';
import { SESSION_FORMAT, SESSION_SEPARATOR } from './sessions.js';

/** Charging power by user, kW. */
export type ChargingPowers = ReadonlyMap<string, number>;

/** The power of a user of whom none is known, kW: 16 A at 230 V. */
export const DEFAULT_POWER_KW = 3.6;

/**
 * Reads charging powers in the columns of `Dataset2_user_predictions.csv` (user_id, charging_power, battery_capacity);
 * users without a power are left out.
 *
 * @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE and all of {@link parseChargingPowers}.
 */
export async function readChargingPowers(path: string): Promise<ChargingPowers> {
  return parseChargingPowers(await readText(path));
}

/** @throws DataError DATA_MALFORMED, DATA_COLUMN_MISSING, DATA_VALUE_MISSING, DATA_NOT_A_NUMBER, DATA_OUT_OF_RANGE */
export function parseChargingPowers(text: string): ChargingPowers {
  const { header, lines } = csvLines(text, SESSION_SEPARATOR);
  const columns = findColumns(header, ['user_id', 'charging_power'], 'any');
  const powers = new Map<string, number>();
  for (const line of lines) {
    const cells = new Cells(line, columns, SESSION_FORMAT);
    if (cells.optional('charging_power') !== undefined) {
      powers.set(cells.text('user_id'), cells.number('charging_power', 0.1, 1_000));
    }
  }
  return powers;
}
