// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { dataError } from '../../testing/errors.js';
import { sharedFile } from '../../testing/files.js';
import type { LearningSplit, LearningTable } from '../table.js';
import { generateSessions } from './generate.js';
import { encodeHours, HORIZONS } from './hour-features.js';
import { hourTable, splitHours } from './hour-table.js';
import { hourlyDemand } from './hours.js';
import { parseChargingPowers, readChargingPowers } from './powers.js';
import { encodeSessions, SESSION_FEATURES, SESSION_SETS } from './session-features.js';
import { earlierSessions, splitSessions } from './session-split.js';
import { sessionTable } from './session-table.js';
import { formatSessions, parseSessions, readSessions, type Session, type SessionTable } from './sessions.js';

const HEADER = '"location";"user_id";"session_id";"plugin_time";"plugout_time";"connection_time";"energy_session"';
const text = (...lines: string[]): string => [HEADER, ...lines, ''].join('\r\n');
const HOUR = 3_600;
const session = (change: Partial<Session>): Session => ({
  location: 'A',
  userId: 'A1',
  sessionId: '1',
  pluggedInAt: 0,
  pluggedOutAt: 10 * HOUR,
  connectionHours: 10,
  energyKwh: 7.2,
  ...change,
});
const trainingRows = ({ clients }: LearningSplit): number => clients.reduce((sum, { rows }) => sum + rows, 0);

describe('The reader of charging sessions', () => {
  it('takes semicolons, decimal commas, quotes and NA', () => {
    const table = parseSessions(
      text(
        '"ASK";"P1";"S1";2019-11-28 19:08:00;2019-11-29 08:20:00;13,2;19,96',
        '"ASK";"P1";"S2";2019-11-30 19:08:00;NA;NA;19,96',
      ),
      'test',
    );
    expect([table.sessions.length, table.unfinished]).to.deep.equal([1, 1]);
    const [first] = table.sessions;
    expect(first).to.deep.include({ location: 'ASK', userId: 'P1', connectionHours: 13.2, energyKwh: 19.96 });
    expect(first!.pluggedOutAt - first!.pluggedInAt).to.equal(13.2 * HOUR);
    expect(parseSessions(formatSessions(table.sessions), 'test').sessions).to.deep.equal(table.sessions);
  });

  it('refuses what makes no sense, with row and column', () => {
    const good = '"A";"P";"S";2019-11-28 19:08:00;2019-11-29 08:20:00;13,2;19,96';
    const refusals = [
      [text(good.replace('13,2', '13.2')), 'DATA_NOT_A_NUMBER', 'connection_time'],
      [text(good.replace('19,96', 'NA')), 'DATA_NOT_A_NUMBER', 'energy_session'],
      [text(good.replace('2019-11-28', '2019-11-31')), 'DATA_NOT_A_TIME', 'plugin_time'],
      [text(good.replace('2019-11-29', '2019-11-27')), 'DATA_OUT_OF_RANGE', 'plugout_time'],
      [text(good.replace('"P"', 'NA')), 'DATA_VALUE_MISSING', 'user_id'],
      [text(good, good.replace('19,96', '1')), 'DATA_OUT_OF_RANGE', 'session_id'],
      [text().replace('"user_id"', '"user"'), 'DATA_COLUMN_UNKNOWN', 'user'],
      [text(), 'DATA_TOO_FEW_ROWS', undefined],
    ] as const;
    for (const [csv, code, column] of refusals) {
      expect(dataError(() => parseSessions(csv, 'test'))).to.deep.include({ code, column });
    }
  });

  it('takes charging powers where they are known', () => {
    const csv = '"user_id";"charging_power";"battery_capacity"\n"a";3,5;24\n"b";NA;NA\n';
    expect([...parseChargingPowers(csv)]).to.deep.equal([['a', 3.5]]);
  });
});

describe('The features of a session', () => {
  const day = 24 * HOUR;
  const own = Array.from({ length: 12 }, (_, i) =>
    session({ sessionId: String(i), pluggedInAt: i * day, pluggedOutAt: i * day + 10 * HOUR, energyKwh: i + 1 }),
  );

  it('are taken from earlier sessions of the same user alone', () => {
    const other = session({ userId: 'A2', sessionId: 'x', energyKwh: 80 });
    const { training, test } = splitSessions([...own, other].toReversed());
    expect(test.map((row) => row.session.sessionId)).to.deep.equal(['9', '10', '11']);
    const all = [...training, ...test].filter((row) => row.session.userId === 'A1');
    expect(all.map((row) => earlierSessions(row).length)).to.deep.equal([...all.keys()]);
    const changed = all.map((row) => ({ ...row, session: { ...row.session, energyKwh: 50, pluggedOutAt: 0 } }));
    expect(encodeSessions('plug-in', changed).x).to.deep.equal(encodeSessions('plug-in', all).x);
  });

  it('do not know a session that has not ended', () => {
    const parallel = session({ sessionId: 'p', pluggedInAt: 3 * day + HOUR, pluggedOutAt: 3 * day + 2 * HOUR });
    const { test, training } = splitSessions([...own, parallel]);
    const row = [...training, ...test].find((one) => one.session.sessionId === 'p');
    expect(earlierSessions(row!).map(({ sessionId }) => sessionId)).to.deep.equal(['0', '1', '2']);
  });

  it('add the time of connection at departure, and only then', () => {
    const rows = splitSessions(own).test;
    const longer = rows.map((row) => ({ ...row, session: { ...row.session, connectionHours: 20 } }));
    expect(encodeSessions('plug-in', longer)).to.deep.equal(encodeSessions('plug-in', rows));
    expect(encodeSessions('departure', longer).x).not.to.deep.equal(encodeSessions('departure', rows).x);
    for (const set of SESSION_SETS) {
      expect(encodeSessions(set, rows).features).to.equal(SESSION_FEATURES[set].width);
    }
  });

  it('leave users of few sessions out of the test set', () => {
    expect(splitSessions(own.slice(0, 9)).test).to.have.length(0);
    expect(splitSessions(own.slice(0, 10)).test).to.have.length(2);
  });
});

describe('Hourly demand', () => {
  const powers = new Map([['A1', 7.2]]);

  it('spreads a session from plug-in at the power of its user', () => {
    const [demand] = hourlyDemand([session({ pluggedInAt: HOUR / 2, energyKwh: 10.8 })], powers);
    expect(demand!.energyKwh.length).to.equal(11);
    expect([...demand!.energyKwh.subarray(0, 4)].map((kwh) => Math.round(kwh * 1e6) / 1e6)).to.deep.equal([
      3.6, 7.2, 0, 0,
    ]);
  });

  it('loses no energy, whatever power and time of connection', () => {
    const { table, powers: own } = generateSessions({ sessions: 300, users: 6, locations: 3, seed: 2 });
    const sum = (values: Iterable<number>): number => [...values].reduce((all, value) => all + value, 0);
    const demand = hourlyDemand([...table.sessions, session({ pluggedOutAt: 0 })], own);
    const total = sum(table.sessions.map(({ energyKwh }) => energyKwh)) + 7.2;
    expect(sum(demand.flatMap(({ energyKwh }) => [...energyKwh]))).to.be.closeTo(total, 1e-6);
  });

  it('for the day ahead looks at nothing after midnight, for the next hour at nothing after it', () => {
    const noisy = (from: number): Float64Array =>
      Float64Array.from({ length: 700 }, (_, i) => (i < from ? (i * 7919) % 13 : 99));
    const at = (hour: number, firstUnknown: number, horizon: (typeof HORIZONS)[number]): Float32Array =>
      encodeHours(horizon, [
        { demand: { location: 'A', firstHour: 24 * 365, energyKwh: noisy(firstUnknown) }, index: hour },
      ]).x;
    for (let hour = 600; hour < 624; hour++) {
      expect(at(hour, 600, 'day-ahead')).to.deep.equal(at(hour, 700, 'day-ahead'));
      expect(at(hour, hour, 'next-hour')).to.deep.equal(at(hour, 700, 'next-hour'));
    }
    expect(at(600, 599, 'day-ahead')).not.to.deep.equal(at(600, 700, 'day-ahead'));
  });

  it('needs more than 504 hours for training', () => {
    const table: SessionTable = { source: 'test', sessions: [session({})], repeated: 0, unfinished: 0 };
    expect(dataError(() => hourTable(table, powers, 'next-hour')).code).to.equal('DATA_TOO_FEW_ROWS');
  });
});

describe('The generator of charging sessions', () => {
  const { table, powers } = generateSessions({ sessions: 6_000, seed: 1 });

  it('gives this very table on every machine', () => {
    const digest = createHash('sha256').update(formatSessions(table.sessions)).digest('hex');
    expect(digest).to.equal('3fe6ba067e15fd48c65c1724607027696f53b3070b747ba3b912773047ac3699');
  });

  it('gives 12 locations and 60 users whose sessions do not overlap', () => {
    expect(table.sessions).to.have.length(6_000);
    expect(sessionTable(table, 'plug-in').split({ split: 'location' }).clients).to.have.length(12);
    expect(sessionTable(table, 'plug-in').split({ split: 'user' }).clients).to.have.length(60);
    const { training, test } = splitSessions(table.sessions);
    const lasts = [...training, ...test].filter((row) => earlierSessions(row).length !== row.index);
    expect(lasts).to.have.length(0);
    expect(hourTable(table, powers, 'day-ahead').split({ split: 'location' }).clients).to.have.length(12);
  });

  it('refuses options out of range', () => {
    for (const change of [
      { sessions: 59 },
      { users: 11 },
      { locations: 13 },
      { locations: 0 },
      { seed: -1 },
      { sessions: 1.5e6 },
    ]) {
      expect(dataError(() => generateSessions({ sessions: 6_000, seed: 1, ...change })).code).to.equal(
        'DATA_OPTION_INVALID',
      );
    }
  });

  it('is split at random as well, and natural clients in their own number only', () => {
    const sessions = sessionTable(table, 'plug-in');
    const iid = sessions.split({ split: 'iid', clients: 20 });
    expect(iid.clients).to.have.length(20);
    expect(trainingRows(iid) + iid.test.rows).to.equal(6_000);
    expect(sessions.clientData({ split: 'iid', clients: 20 }, [7, 3])).to.deep.equal([iid.clients[7], iid.clients[3]]);
    expect(sessions.split({ split: 'location', clients: 12 }).clientNames).to.have.length(12);
    expect(dataError(() => sessions.split({ split: 'location', clients: 20 })).message).to.contain(
      '12 clients by location',
    );
    expect(dataError(() => sessions.split({ split: 'iid' })).code).to.equal('DATA_OPTION_INVALID');
    const small = dataError(() => sessions.split({ split: 'user', minRows: 60 }));
    expect(small.code).to.equal('DATA_CLIENT_EMPTY');
    expect(small.message).to.match(/client \d+ of 60 \(\w+_U\d+\) gets \d+ training rows/);
  });
});

describe('The Norwegian sessions', () => {
  let table: SessionTable;
  before(async function () {
    const path = sharedFile('norway-ev-charging/Dataset1_charging_reports.csv');
    if (path === undefined) {
      console.log('      skipped: no ../shared/data/norway-ev-charging beside this repository');
      this.skip();
    }
    this.timeout(20_000);
    table = await readSessions(path);
  });

  it('are 35,339 with the split that every implementation gives: 28,166 for training, 7,173 for test', () => {
    expect([table.sessions.length, table.unfinished]).to.deep.equal([35_339, 38]);
    const sessions = sessionTable(table, 'plug-in');
    expect(sessions.testFingerprint).to.match(/^2783bb8db0b4c597/);
    expectCounts(sessions, 'location', 12);
  }).timeout(20_000);

  it('belong to 267 users', () => {
    expectCounts(sessionTable(table, 'departure'), 'user', 267);
  }).timeout(20_000);

  it('give hours of which last week tells 4.27 kWh and the last three weeks 3.72 kWh', async () => {
    const powers = await readChargingPowers(sharedFile('norway-ev-charging/Dataset2_user_predictions.csv')!);
    const { test } = splitHours(hourlyDemand(table.sessions, powers));
    const error = (lags: readonly number[]): number => {
      const absolute = test.map(({ demand: { energyKwh }, index }) =>
        Math.abs(energyKwh[index]! - lags.reduce((sum, lag) => sum + energyKwh[index - lag]!, 0) / lags.length),
      );
      return absolute.reduce((sum, one) => sum + one, 0) / test.length;
    };
    expect(error([168]).toFixed(2)).to.equal('4.27');
    expect(error([168, 336, 504]).toFixed(2)).to.equal('3.72');
  }).timeout(20_000);

  function expectCounts(sessions: LearningTable, split: string, clients: number): void {
    const parts = sessions.split({ split });
    expect(parts.clients).to.have.length(clients);
    expect(trainingRows(parts)).to.equal(28_166);
    expect(parts.test.rows).to.equal(7_173);
  }
});
