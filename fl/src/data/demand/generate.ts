// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../../errors.js';
import { newRandom, type Random } from '../../random.js';
import { parseClockSeconds } from '../cells.js';
import type { ChargingPowers } from './powers.js';
import { formatSessions, parseSessions, type Session, type SessionTable } from './sessions.js';

export interface GenerateSessionsOptions {
  /** Sessions to make. */
  readonly sessions: number;
  readonly seed: number;
  /** 60 where not given. */
  readonly users?: number;
  /** 12 where not given. */
  readonly locations?: number;
}

export interface GeneratedSessions {
  readonly table: SessionTable;
  readonly powers: ChargingPowers;
}

/** Invented housing estates. */
const LOCATIONS = [
  'ALDER',
  'BIRCH',
  'CEDAR',
  'DOGWOOD',
  'ELM',
  'FIR',
  'GORSE',
  'HAZEL',
  'IVY',
  'JUNIPER',
  'LARCH',
  'MAPLE',
] as const;

/** The habits of one user. */
interface Habits {
  readonly location: string;
  readonly userId: string;
  readonly batteryKwh: number;
  readonly powerKw: number;
  /** Mean use of a day. */
  readonly dailyKwh: number;
  /** Days between two sessions are 1 … 2 · habit − 1. */
  readonly daysBetween: number;
  readonly arrivalHour: number;
  readonly departureHour: number;
}

const DAY = 86_400;
/** A Monday. */
const START = parseClockSeconds('2022-01-03 00:00:00') ?? 0;
const BATTERIES_KWH = [24, 40, 58, 64, 77, 95];
const POWERS_KW = [3.6, 3.6, 7.2, 7.2, 11];

/**
 * Charging sessions of invented locations and users from a seed, in the columns of the Norwegian file: the default input
 * of the task `demand`, and the same on every machine (sums, products and quotients only). A session brings back what
 * was used since the last one, as far as battery, power and the time of connection allow; use is higher in winter,
 * arrival follows each user's habits, and one session in five is a short one.
 *
 * @throws DataError DATA_OPTION_INVALID where locations ≤ users ≤ sessions ≤ 1,000,000 does not hold, there are more
 *   than 12 locations, or the seed is no 32-bit integer.
 */
export function generateSessions(options: GenerateSessionsOptions): GeneratedSessions {
  const { sessions: count, seed, users = 60, locations = LOCATIONS.length } = options;
  const whole = [count, seed, users, locations].every(Number.isInteger);
  if (!whole || locations < 1 || users < locations || count < users || count > 1_000_000) {
    const detail =
      'locations, users and sessions must be whole numbers with 1 ≤ locations ≤ users ≤ sessions ≤ 1,000,000';
    throw new DataError('DATA_OPTION_INVALID', detail);
  }
  if (locations > LOCATIONS.length || seed < 0 || seed > 0xffff_ffff) {
    throw new DataError('DATA_OPTION_INVALID', 'at most 12 locations, and a seed from 0 to 4,294,967,295');
  }
  const random = newRandom(seed);
  const fleet = Array.from({ length: users }, (_, index) => newHabits(index, locations, random));
  const counts = sessionCounts(count, fleet.length, random);
  const sessions = fleet.flatMap((habits, index) => userSessions(habits, counts[index] ?? 0, random));
  const text = formatSessions(sessions);
  const source = `generated (${String(count)} sessions, ${String(users)} users, seed ${String(seed)})`;
  return {
    table: parseSessions(text, source),
    powers: new Map(fleet.map(({ userId, powerKw }) => [userId, powerKw])),
  };
}

/** Every location has a user; the others live more often in the first ones, so that locations differ in size. */
function newHabits(index: number, locations: number, random: Random): Habits {
  const home = index < locations ? index : Math.min(random.below(locations), random.below(locations));
  const location = LOCATIONS[home] ?? LOCATIONS[0];
  return {
    location,
    userId: `${location}_U${String(index + 1)}`,
    batteryKwh: pick(BATTERIES_KWH, random),
    powerKw: pick(POWERS_KW, random),
    dailyKwh: 2 + 4 * random.uniform() + 5 * random.uniform() * random.uniform(),
    daysBetween: 1 + random.below(3),
    arrivalHour: 16.5 + 1.2 * random.normal(),
    departureHour: 7.5 + 0.8 * random.normal(),
  };
}

/** Shares a total out among users who differ by a factor of up to four; everyone gets at least one. */
function sessionCounts(total: number, users: number, random: Random): readonly number[] {
  const weights = Array.from({ length: users }, () => 0.4 + 1.2 * random.uniform());
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const counts = weights.map((weight) => 1 + Math.floor(((total - users) * weight) / sum));
  let left = total - counts.reduce((all, count) => all + count, 0);
  for (let user = 0; left > 0; user = (user + 1) % users, left--) {
    counts[user] = (counts[user] ?? 0) + 1;
  }
  return counts;
}

function userSessions(habits: Habits, count: number, random: Random): readonly Session[] {
  const sessions: Session[] = [];
  let day = random.below(14);
  let lastOut = START + day * DAY - DAY;
  let needKwh = 0;
  for (let number = 1; number <= count; number++) {
    const pluggedInAt = Math.max(arrival(habits, day, random), lastOut + 1_800 + 60 * random.below(120));
    const pluggedOutAt = departure(habits, pluggedInAt, random);
    const days = (pluggedInAt - lastOut) / DAY;
    needKwh += habits.dailyKwh * days * winter(day) * Math.max(0.2, 1 + 0.4 * random.normal());
    const connectionHours = rounded((pluggedOutAt - pluggedInAt) / 3_600, 100_000);
    const drawn = Math.min(needKwh, 0.9 * habits.batteryKwh, habits.powerKw * connectionHours);
    const energyKwh = Math.max(0.06, rounded(drawn, 100));
    // What one session leaves waits for the next, but a battery holds no more than it does.
    needKwh = Math.min(needKwh, 0.9 * habits.batteryKwh) - drawn;
    sessions.push({
      location: habits.location,
      userId: habits.userId,
      sessionId: `${habits.userId}_${String(number)}`,
      pluggedInAt,
      pluggedOutAt,
      connectionHours,
      energyKwh,
    });
    lastOut = pluggedOutAt;
    const nextDay = day + 1 + random.below(2 * habits.daysBetween - 1);
    day = Math.max(nextDay, Math.floor((lastOut - START) / DAY));
  }
  return sessions;
}

function arrival({ arrivalHour }: Habits, day: number, random: Random): number {
  const weekend = day % 7 >= 5;
  const hour = weekend ? 9 + 10 * random.uniform() : arrivalHour + random.normal();
  const minute = Math.min(1_439, Math.max(0, Math.round(hour * 60)));
  return START + day * DAY + minute * 60;
}

/** A short stop, or until the next time the user drives off in the morning. */
function departure({ departureHour }: Habits, pluggedInAt: number, random: Random): number {
  if (random.uniform() < 0.2) {
    return pluggedInAt + 60 * (20 + random.below(220));
  }
  const morning = Math.floor(pluggedInAt / DAY) * DAY + 60 * Math.round(60 * (departureHour + 0.5 * random.normal()));
  return morning > pluggedInAt + 3_600 ? morning : morning + DAY;
}

/** 1.25 in midwinter, .75 in midsummer, straight lines between. */
function winter(day: number): number {
  const ofYear = day % 365;
  return 0.75 + Math.abs(ofYear - 182.5) / 365;
}

const rounded = (value: number, parts: number): number => Math.round(value * parts) / parts;

function pick(items: readonly number[], random: Random): number {
  return items[random.below(items.length)] ?? 0;
}
