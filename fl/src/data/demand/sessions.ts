// SPDX-License-Identifier: Apache-2.0
import { basename } from 'node:path';
import { Cells, checkRowCount, findColumns, formatClockSeconds, type CellFormat } from '../cells.js';
import { csvLines, readText } from '../lines.js';

/** Columns of `Dataset1_charging_reports.csv` (Sørensen et al., Data in Brief 57, 110883), in the order of the file. */
export const SESSION_COLUMNS = [
  'location',
  'user_id',
  'session_id',
  'plugin_time',
  'plugout_time',
  'connection_time',
  'energy_session',
] as const;

/** Separator `;`, decimal comma, `NA` for a missing value. */
export const SESSION_SEPARATOR = ';';
export const SESSION_FORMAT: CellFormat = { decimal: ',', missing: ['NA'] };

/** One charging session of one user. */
export interface Session {
  readonly location: string;
  readonly userId: string;
  readonly sessionId: string;
  /** Seconds on the clock of the place, see `Cells.clockSeconds`. */
  readonly pluggedInAt: number;
  readonly pluggedOutAt: number;
  /** As the file states it: over a change of the clock it is not the difference of the two times. */
  readonly connectionHours: number;
  readonly energyKwh: number;
}

export interface SessionTable {
  readonly source: string;
  /** In the order of the file. */
  readonly sessions: readonly Session[];
  /** Repeated lines that were dropped. */
  readonly repeated: number;
  /** Sessions dropped because the time of plug-out is missing. */
  readonly unfinished: number;
}

/**
 * Reads charging sessions in the columns of `Dataset1_charging_reports.csv`.
 *
 * @throws DataError DATA_FILE_MISSING, DATA_FILE_UNREADABLE and all of {@link parseSessions}.
 */
export async function readSessions(path: string): Promise<SessionTable> {
  return parseSessions(await readText(path), basename(path));
}

/**
 * Parses charging sessions; those without a time of plug-out are dropped.
 *
 * @throws DataError DATA_MALFORMED, DATA_COLUMN_MISSING, DATA_COLUMN_UNKNOWN, DATA_VALUE_MISSING, DATA_NOT_A_NUMBER,
 *   DATA_NOT_A_TIME, DATA_OUT_OF_RANGE (also for a plug-out before the plug-in and for a session number used twice).
 */
export function parseSessions(text: string, source: string): SessionTable {
  const { header, lines, repeated } = csvLines(text, SESSION_SEPARATOR);
  const columns = findColumns(header, SESSION_COLUMNS);
  const sessions: Session[] = [];
  const ids = new Set<string>();
  for (const line of lines) {
    const cells = new Cells(line, columns, SESSION_FORMAT);
    const sessionId = cells.text('session_id');
    if (ids.has(sessionId)) {
      throw cells.refusal('DATA_OUT_OF_RANGE', 'session_id', `"${sessionId}" is there twice`);
    }
    ids.add(sessionId);
    if (cells.optional('plugout_time') !== undefined) {
      sessions.push(session(sessionId, cells));
    }
  }
  checkRowCount(source, sessions.length);
  return { source, sessions, repeated, unfinished: lines.length - sessions.length };
}

/** Writes sessions in the columns and format of the file, LF line ends. */
export function formatSessions(sessions: readonly Session[]): string {
  const decimal = (value: number): string => String(value).replace('.', ',');
  const lines = sessions.map((one) =>
    [
      `"${one.location}"`,
      `"${one.userId}"`,
      `"${one.sessionId}"`,
      formatClockSeconds(one.pluggedInAt),
      formatClockSeconds(one.pluggedOutAt),
      decimal(one.connectionHours),
      decimal(one.energyKwh),
    ].join(SESSION_SEPARATOR),
  );
  return [SESSION_COLUMNS.map((column) => `"${column}"`).join(SESSION_SEPARATOR), ...lines, ''].join('\n');
}

function session(sessionId: string, cells: Cells<(typeof SESSION_COLUMNS)[number]>): Session {
  const pluggedInAt = cells.clockSeconds('plugin_time');
  const pluggedOutAt = cells.clockSeconds('plugout_time');
  if (pluggedOutAt < pluggedInAt) {
    throw cells.refusal('DATA_OUT_OF_RANGE', 'plugout_time', 'the plug-out is before the plug-in');
  }
  return {
    location: cells.text('location'),
    userId: cells.text('user_id'),
    sessionId,
    pluggedInAt,
    pluggedOutAt,
    connectionHours: cells.number('connection_time', 0, 10_000),
    energyKwh: cells.number('energy_session', 0, 10_000),
  };
}
