// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataError, dataErrorAsync } from '../../testing/errors.js';
import { carDekhoFile } from '../../testing/files.js';
import { isTestRow } from '../car.js';
import { formatSessions } from '../demand/sessions.js';
import { csvLines } from '../lines.js';
import { generateSessions } from '../demand/generate.js';
import { sessionTable } from '../demand/session-table.js';
import type { LearningTable } from '../table.js';
import { parseSchema, readSchema, type TableSchema } from './schema.js';
import { parseSchemaTable, readSchemaTable } from './table.js';

const TRIPS = {
  name: 'trips',
  separator: ';',
  decimal: ',',
  missing: ['NA'],
  target: { column: 'used', unit: 'kWh', scale: 10 },
  features: [
    { column: 'km', type: 'number', centre: 50, scale: 50 },
    { column: 'road', type: 'category', vocabulary: ['town', 'motorway'] },
    { column: 'driver', type: 'category', buckets: 4 },
    { column: 'note', type: 'text', buckets: 8 },
    { column: 'start', type: 'cyclic', period: 'day' },
    { column: 'heated', type: 'flag' },
  ],
  splits: [{ column: 'driver' }, { column: 'km', kind: 'sorted' }],
  test: { by: 'time', column: 'start', percent: 20, within: 'driver' },
};
const HEADER = 'start;km;road;driver;note;heated;used;colour';
const LINES = Array.from({ length: 40 }, (_, i) => {
  const start = `2021-03-${String(1 + (i % 20)).padStart(2, '0')} 06:00:00`;
  const road = i % 3 === 0 ? 'town' : 'motorway';
  const used = `${String(i)},5`;
  return [
    start,
    i % 7 === 0 ? 'NA' : 50 + i,
    road,
    i < 20 ? 'Ann' : 'Bob',
    'wet snow',
    i % 2 === 0 ? 'yes' : 'no',
    used,
    'red',
  ].join(';');
});
// The note of one line differs, so that the column is not constant.
const CSV = [HEADER, ...LINES.with(1, LINES[1]!.replace('wet snow', 'ice')), ''].join('\n');
const schema = (change: Record<string, unknown> = {}): TableSchema => parseSchema({ ...TRIPS, ...change });

describe('A table by a schema', () => {
  const table = parseSchemaTable(schema(), CSV, 'trips.csv');

  it('has the features of its columns', () => {
    expect(table.features.width).to.equal(2 + 2 + 4 + 8 + 2 + 1);
    const { clients, clientNames } = table.split({ split: 'driver' });
    expect(clientNames).to.deep.equal(['Ann', 'Bob']);
    const first = clients[0]!;
    expect([...first.x.subarray(0, 4)]).to.deep.equal([0, 1, 1, 0]);
    expect([...first.x.subarray(16, 19)]).to.deep.equal([1, 0, 1]);
    expect(first.y[0]).to.equal(Math.fround(0.05));
    expect(table.target).to.deep.include({ unit: 'kWh', scale: 10, offset: 0, transform: 'none' });
  });

  it('of one client alone may hold the same value in every row', () => {
    const own = [HEADER, ...LINES.slice(0, 20)].join('\n');
    expect(dataError(() => parseSchemaTable(schema(), own, 'own.csv')).code).to.equal('DATA_COLUMN_CONSTANT');
    const ofOne = parseSchemaTable(schema(), own, 'own.csv', { ofOneClient: true });
    expect(ofOne.features).to.deep.equal(table.features);
    expect(ofOne.clientData({ split: 'iid', clients: 1 }, [0])[0]?.rows).to.equal(16);
  });

  it('of one client alone needs rows to train on, and none to test with', () => {
    const byHash = schema({ test: { by: 'hash' } });
    const kept = csvLines(CSV, ';').lines.map(isTestRow);
    const own = (isTest: boolean): LearningTable => {
      const lines = LINES.with(1, LINES[1]!.replace('wet snow', 'ice')).filter((_, index) => kept[index] === isTest);
      return parseSchemaTable(byHash, [HEADER, ...lines].join('\n'), 'own.csv', { ofOneClient: true });
    };
    const alone = { split: 'iid', clients: 1 };
    const training = own(false);
    expect(training.clientData(alone, [0])[0]?.rows).to.equal(training.rows);
    expect(dataError(() => training.split(alone))).to.include({ code: 'DATA_TOO_FEW_ROWS' });
    expect(dataError(() => own(true).clientData(alone, [0]))).to.include({ code: 'DATA_TOO_FEW_ROWS' });
  });

  it('keeps the last part by time for test, of each client where asked', () => {
    const { clients, test, clientTests } = table.split({ split: 'driver' });
    expect(clients.map(({ rows }) => rows)).to.deep.equal([16, 16]);
    expect(clientTests.map(({ rows }) => rows)).to.deep.equal([4, 4]);
    expect([...test.y].map((y) => Math.round(y * 10 - 0.5))).to.deep.equal([16, 17, 18, 19, 36, 37, 38, 39]);
  });

  it('is shared out by value, by order and at random', () => {
    const filled = parseSchemaTable(schema(), CSV.replaceAll(';NA;', ';5,5;'), 'trips.csv');
    expect(filled.splits).to.deep.equal(['iid', 'driver', 'km']);
    const { clients } = filled.split({ split: 'km', clients: 4 });
    expect(clients.map(({ rows }) => rows)).to.deep.equal([8, 8, 8, 8]);
    const largest = clients.map(({ x }) => Math.max(...Array.from({ length: 8 }, (_, row) => x[row * 19]!)));
    expect(largest).to.deep.equal(largest.toSorted((a, b) => a - b));
    expect(filled.split({ split: 'iid', clients: 3 }).clients).to.have.length(3);
  });

  it('carries the feature set in its name: another scale is another set, another split is not', () => {
    const { name } = table.features;
    expect(name).to.match(/^csv\/trips-[0-9a-f]{12}$/);
    const of = (change: Record<string, unknown>): string => parseSchemaTable(schema(change), CSV, 'x').features.name;
    expect(of({ splits: [], test: { by: 'hash' } })).to.equal(name);
    expect(of({ target: { ...TRIPS.target, scale: 1 } })).not.to.equal(name);
    expect(of({ features: TRIPS.features.slice(1) })).not.to.equal(name);
  });

  describe('is refused', () => {
    const replaced = (from: string | RegExp, to: string): string => CSV.replaceAll(from, to);
    const refusals = [
      ['where schema and file disagree', replaced('heated', 'heating'), 'DATA_COLUMN_MISSING', 'heated'],
      ['for a constant column', replaced('ice', 'wet snow'), 'DATA_COLUMN_CONSTANT', 'note'],
      ['for a column without a value', replaced(/;(town|motorway);/g, ';NA;'), 'DATA_COLUMN_EMPTY', 'road'],
      ['for a constant target', replaced(/\d+,5;red/g, '1,5;red'), 'DATA_COLUMN_CONSTANT', 'used'],
      ['for a missing target', CSV.replace('39,5', 'NA'), 'DATA_TARGET_MISSING', 'used'],
      ['for an unknown category', CSV.replace('motorway', 'track'), 'DATA_VALUE_UNKNOWN', 'road'],
      ['for an unknown flag', CSV.replace(';yes;', ';maybe;'), 'DATA_VALUE_UNKNOWN', 'heated'],
      ['for a word where a number is due', CSV.replace(';51;', ';far;'), 'DATA_NOT_A_NUMBER', 'km'],
      ['for a number where a time is due', CSV.replace(/^2021\S+ \S+?;/m, '5;'), 'DATA_NOT_A_TIME', 'start'],
      ['for a missing time', CSV.replace(/^2021\S+ \S+?;/m, 'NA;'), 'DATA_VALUE_MISSING', 'start'],
      ['with one row alone', [HEADER, LINES[0]].join('\n'), 'DATA_TOO_FEW_ROWS', undefined],
    ] as const;
    it('with a word of the way out', () => {
      const constant = dataError(() => parseSchemaTable(schema(), replaced(/\d+,5;red/g, '1,5;red'), 'trips.csv'));
      expect(constant.message).to.contain('there is nothing to predict').and.not.to.contain('leave it out');
      const other = dataError(() => parseSchemaTable(schema(), CSV.replaceAll(';', '|'), 'trips.csv'));
      expect(other.message).to.match(/DATA_COLUMN_MISSING.*the header is one cell, "\S+\|.*another separator\?/);
    });
    for (const [what, csv, code, column] of refusals) {
      it(what, () => {
        expect(dataError(() => parseSchemaTable(schema(), csv, 'trips.csv'))).to.deep.include({ code, column });
      });
    }

    it('for a target that has no logarithm', () => {
      const log = schema({ target: { ...TRIPS.target, transform: 'log' } });
      const error = dataError(() => parseSchemaTable(log, CSV.replace(';7,5;', ';0;'), 'trips.csv'));
      expect(error).to.deep.include({ code: 'DATA_OUT_OF_RANGE', column: 'used' });
    });

    it('for a client with one row or none, by name', () => {
      const one = CSV.replace(';Bob;', ';Cat;');
      const error = dataError(() => parseSchemaTable(schema(), one, 'trips.csv').split({ split: 'driver' }));
      expect(error.code).to.equal('DATA_CLIENT_EMPTY');
      expect(error.message).to.contain('(Cat)');
    });

    it('for a client whose rows have one target, by name', () => {
      const flat = CSV.replace(/^(.*;Bob;.*;)\d+,5;red$/gm, '$11,5;red');
      const error = dataError(() => parseSchemaTable(schema(), flat, 'trips.csv').split({ split: 'driver' }));
      expect(error.code).to.equal('DATA_CLIENT_CONSTANT');
      expect(error.message).to.contain('(Bob)');
    });
  });

  it('reads what the readers in code read: the same rows, and the same test set where the rule is the same', async function () {
    const { table: sessions } = generateSessions({ sessions: 1_500, seed: 4 });
    const bySchema = parseSchemaTable(
      parseSchema({
        name: 'sessions',
        separator: ';',
        decimal: ',',
        missing: ['NA'],
        target: { column: 'energy_session', unit: 'kWh', scale: 10 },
        features: [{ column: 'plugin_time', type: 'cyclic', period: 'week', harmonics: 3 }],
        splits: [{ column: 'location' }, { column: 'user_id' }],
        test: { by: 'time', column: 'plugin_time', within: 'user_id' },
      }),
      formatSessions(sessions.sessions),
      'sessions.csv',
    );
    for (const [own, inCode] of [
      ['location', 'location'],
      ['user_id', 'user'],
    ] as const) {
      const parts = sessionTable(sessions, 'plug-in').split({ split: inCode });
      const same = bySchema.split({ split: own });
      expect(same.clientNames).to.deep.equal(parts.clientNames);
      expect(same.clients.map(({ y }) => y.toSorted())).to.deep.equal(parts.clients.map(({ y }) => y.toSorted()));
    }
    const path = carDekhoFile();
    if (path === undefined) {
      console.log('      skipped: no ../shared/data/cardekho beside this repository');
      this.skip();
    }
    const cars = parseSchema({
      name: 'cars',
      target: { column: 'selling_price', unit: 'rupees', transform: 'log', offset: 13 },
      features: [{ column: 'km_driven', type: 'number', transform: 'log1p', centre: 11 }],
    });
    expect((await readSchemaTable(cars, path)).testFingerprint).to.match(/^755009bbaaccd565/);
  });
});

describe('A schema', () => {
  it('is read from a JSON file, and refused where it is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fl schema '));
    try {
      const path = join(folder, 'trips.json');
      await writeFile(path, JSON.stringify(TRIPS));
      expect(await readSchema(path)).to.deep.equal(schema());
      await writeFile(path, (await readFile(path, 'utf8')).slice(1));
      expect((await dataErrorAsync(readSchema(path))).code).to.equal('DATA_SCHEMA_INVALID');
      expect((await dataErrorAsync(readSchema(join(folder, 'none.json')))).code).to.equal('DATA_FILE_MISSING');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is refused with the name of the field that is wrong', () => {
    const feature = (change: Record<string, unknown>): Record<string, unknown> => ({
      features: [{ column: 'km', type: 'number', ...change }],
    });
    const refusals = [
      ['the schema', []],
      ['name', { ...TRIPS, name: 'My trips' }],
      ['colour', { ...TRIPS, colour: 1 }],
      ['separator', { ...TRIPS, separator: ';;' }],
      ['decimal', { ...TRIPS, separator: ',' }],
      ['missing', { ...TRIPS, missing: ['NA', 'NA'] }],
      ['target.unit', { ...TRIPS, target: { column: 'used' } }],
      ['target.scale', { ...TRIPS, target: { ...TRIPS.target, scale: 0 } }],
      ['target.transform', { ...TRIPS, target: { ...TRIPS.target, transform: 'sqrt' } }],
      ['features', { ...TRIPS, features: [] }],
      ['features', { ...TRIPS, ...feature({ column: 'used' }) }],
      ['features[0].type', { ...TRIPS, ...feature({ type: 'integer' }) }],
      ['features[0].buckets', { ...TRIPS, ...feature({ buckets: 3 }) }],
      ['features[0].buckets', { ...TRIPS, ...feature({ type: 'text', buckets: 1.5 }) }],
      ['features[0].scal is unknown here; known are column, type, centre', { ...TRIPS, ...feature({ scal: 1 }) }],
      ['features[0].scale', { ...TRIPS, ...feature({ scale: '1' }) }],
      ['features[0].type', { ...TRIPS, ...feature({ type: 'category' }) }],
      ['features[0].period', { ...TRIPS, ...feature({ type: 'cyclic', period: 'month' }) }],
      ['splits', { ...TRIPS, splits: [{ column: 'iid' }] }],
      ['splits[0].kind', { ...TRIPS, splits: [{ column: 'km', kind: 'random' }] }],
      ['test.by', { ...TRIPS, test: { by: 'chance' } }],
      ['test.percent', { ...TRIPS, test: { by: 'time', column: 'start', percent: 100 } }],
      ['column', { ...TRIPS, test: { by: 'hash', column: 'start' } }],
    ] as const;
    for (const [field, value] of refusals) {
      const error = dataError(() => parseSchema(value));
      expect(error.code).to.equal('DATA_SCHEMA_INVALID');
      expect(error.detail).to.contain(field);
    }
  });
});
