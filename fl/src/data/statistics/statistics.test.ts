// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { decodeTotal, encodeUpdate, type FixedPoint } from '../../secure/fixed-point.js';
import { seededRandom } from '../../secure/random.js';
import { dataError } from '../../testing/errors.js';
import { fnv1a } from '../fnv.js';
import { featureSetName, parseSchema, type CategoryColumn, type TableSchema } from '../schema/schema.js';
import { parseSchemaTable } from '../schema/table.js';
import type { Dataset } from '../dataset.js';
import { withStatistics } from './apply.js';
import { MOST_ROWS, statisticsLayout } from './layout.js';
import { readStatistics, type CategoryStatistics, type NumberStatistics, type Statistics } from './read.js';
import { reportedStatistics, statisticsEncoding } from './report.js';

const FORMAT: FixedPoint = { fractionBits: 19, clip: 1 };
const HASH = 'ab'.repeat(32);

const DECLARED = {
  name: 'trips',
  target: { column: 'used', unit: 'kWh' },
  features: [
    { column: 'km', type: 'number', low: 0, high: 100 },
    { column: 'weight', type: 'number', low: 0, high: 3_000, transform: 'log1p' },
    { column: 'road', type: 'category', vocabulary: ['town', 'motorway', 'forest'], threshold: 0.1 },
    { column: 'driver', type: 'category', buckets: 16, threshold: 0.02 },
    { column: 'speed', type: 'number', centre: 50, scale: 20 },
  ],
};
const schemaOf = (change: Record<string, unknown> = {}): TableSchema => parseSchema({ ...DECLARED, ...change });

interface Trip {
  readonly km: number | undefined;
  readonly weight: number;
  readonly road: string;
  readonly driver: string;
}
const CLIENTS = 10;
/** Of client and row; kilometres go beyond their range, and some are missing. */
function trip(client: number, row: number): Trip {
  return {
    km: (client + row) % 5 === 0 ? undefined : client * 7 + row * 4,
    weight: 1_000 + 50 * client + row,
    road: row % 4 === 0 ? 'town' : client === 3 ? 'forest' : row === 1 ? 'ice' : 'motorway',
    driver: `Ann ${String(client % 4)}`,
  };
}
const TRIPS = Array.from({ length: CLIENTS }, (_, client) =>
  Array.from({ length: 10 + client }, (__, row) => trip(client, row)),
);
const lineOf = ({ km, weight, road, driver }: Trip, index: number): string =>
  [km ?? '', weight, road, driver, 40 + index, index].join(',');

/** Statistics data of each list of trips. */
function datasetsOf(schema: TableSchema, trips: readonly (readonly Trip[])[]): Dataset[] {
  const { encoding, splits } = { encoding: statisticsEncoding(statisticsLayout(schema)), splits: [{ column: 'who' }] };
  const lines = trips.flatMap((own, who) =>
    // The first rows of each client are kept for testing, by the number of the row.
    [undefined, ...own].map((one, row) => `${lineOf(one ?? own[0]!, who * 100 + row)},c${String(who)},${String(-row)}`),
  );
  const text = ['km,weight,road,driver,speed,used,who,at', ...lines].join('\n');
  const test = { by: 'time', column: 'at', percent: 1, within: 'who' } as const;
  const table = parseSchemaTable(
    { ...schema, splits: splits.map((s) => ({ ...s, kind: 'values' })), test },
    text,
    'x',
    { encoding },
  );
  const { clients, clientNames } = table.split({ split: 'who' });
  return trips.map((_, who) => clients[clientNames!.indexOf(`c${String(who)}`)]!);
}

/** The mean that aggregators' sums give: each vector rounded to integers, added exactly, divided once. */
function summed(vectors: readonly Float32Array[]): Float32Array {
  const random = seededRandom(new Uint8Array(32).fill(7));
  const total = new Float64Array(vectors[0]!.length);
  for (const vector of vectors) {
    new Int32Array(encodeUpdate(vector, FORMAT, random).buffer).forEach((value, index) => (total[index]! += value));
  }
  return decodeTotal(total, vectors.length, FORMAT);
}
const deviationOf = (vehicles: number): number => 0.5 / Math.sqrt(vehicles) / 2 ** FORMAT.fractionBits;

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const meanOver = (value: (trip: Trip) => number): number => mean(TRIPS.map((own) => mean(own.map(value))));

describe('Federated statistics', () => {
  const schema = schemaOf();
  const layout = statisticsLayout(schema);
  const statistics = readStatistics(
    layout,
    summed(datasetsOf(schema, TRIPS).map(reportedStatistics)),
    deviationOf(CLIENTS),
  );
  const number = (index: number): NumberStatistics => statistics.columns[index] as NumberStatistics;
  const categories = (index: number): CategoryStatistics => statistics.columns[index] as CategoryStatistics;

  it('are those of all clients together, each counting once, within the error of fixed point', () => {
    const clipped = ({ km }: Trip): number => Math.min(100, km ?? 0);
    const there = 1 - meanOver(({ km }) => (km === undefined ? 1 : 0));
    const expected = meanOver(clipped) / there;
    const variance = meanOver((one) => clipped(one) ** 2) / there - expected ** 2;
    expect(number(0).mean).to.be.closeTo(expected, 1e-3);
    expect(number(0).deviation).to.be.closeTo(Math.sqrt(variance), 1e-2);
    expect(number(0).missing).to.be.closeTo(1 - there, 1e-4);
    expect(number(1).mean).to.be.closeTo(
      meanOver(({ weight }) => Math.log(1 + weight)),
      1e-3,
    );
    expect(statistics.rowsPerVehicle).to.be.closeTo(mean(TRIPS.map((own) => own.length)), 0.2);
  });

  it('have the shares of declared categories, of others, and of hash buckets', () => {
    const share = (road: string): number => meanOver((one) => (one.road === road ? 1 : 0));
    const expected = { town: share('town'), motorway: share('motorway'), forest: share('forest'), other: share('ice') };
    for (const { name, share: found } of categories(2).categories) {
      expect(found, name).to.be.closeTo(expected[name as keyof typeof expected], 1e-4);
    }
    expect(mean(categories(3).categories.map((one) => one.share)) * 16).to.be.closeTo(1, 1e-3);
    expect(categories(3).categories[fnv1a('ann 0') % 16]!.share).to.be.closeTo(0.3, 1e-3);
  });

  it('keep a category that enough of the rows have, and that three vehicles have, whatever the share of one', () => {
    const kept = (roads: readonly string[]) => {
      const trips = roads.map((road, client) =>
        Array.from({ length: 5 }, (_, row) => ({ ...trip(client, row), road, driver: 'Ann' })),
      );
      const read = readStatistics(
        layout,
        summed(datasetsOf(schema, trips).map(reportedStatistics)),
        deviationOf(roads.length),
      );
      const { features } = withStatistics(schema, read, { modelHash: HASH, vehicles: roads.length });
      return (features[2] as CategoryColumn & { vocabulary: readonly string[] }).vocabulary;
    };
    const three = ['forest', 'forest', 'forest', 'town', 'town', 'town', 'town'];
    expect(kept(three)).to.deep.equal(['town', 'forest']);
    expect(kept(['motorway', ...three.slice(1)])).to.deep.equal(['town']);
  });

  it('scale the features of a schema, under a name that holds the hash of their model', () => {
    const origin = { modelHash: HASH, vehicles: CLIENTS };
    const scaled = withStatistics(schema, statistics, origin);
    expect(scaled.features[0]).to.deep.include({ centre: number(0).mean, scale: number(0).deviation });
    expect(scaled.features[4]).to.deep.equal(schema.features[4]);
    const name = featureSetName(scaled);
    expect(name).to.contain(HASH.slice(0, 32)).and.not.to.equal(featureSetName(schema));
    expect(featureSetName({ ...scaled, name: 'x'.repeat(50) })).to.have.length(100);
    const other = withStatistics(schema, statistics, { ...origin, modelHash: 'cd'.repeat(32) });
    expect(featureSetName(other)).not.to.equal(name);
  });

  it('come from vectors that are never longer than the bound, so that none is scaled down', () => {
    const rows = fc.array(
      fc.record({
        km: fc.option(fc.constantFrom(-1e9, 0, 50, 100, 1e9), { nil: undefined }),
        weight: fc.constantFrom(0, 1, 3_000, 1e6),
        road: fc.constantFrom('town', 'motorway', 'ice'),
        driver: fc.constantFrom('Ann', 'Bob'),
      }),
      { minLength: 2, maxLength: 20 },
    );
    fc.assert(
      fc.property(rows, (own) => {
        const [data] = datasetsOf(schema, [own]);
        expect(Math.hypot(...reportedStatistics(data!))).to.be.at.most(1 + 1e-6);
      }),
      { numRuns: 50 },
    );
    const one = Float32Array.from({ length: layout.width }, (_, index) => (index === 1 ? layout.unit : 0));
    const many = new Float32Array(layout.width * 2 * MOST_ROWS).map((_, index) => one[index % layout.width]!);
    const data = { features: layout.width, rows: 2 * MOST_ROWS, x: many, y: new Float32Array(2 * MOST_ROWS) };
    expect(reportedStatistics(data)[1]).to.be.closeTo(layout.unit, 1e-6);
  });
});

describe('Federated statistics that cannot be used', () => {
  const schema = schemaOf();
  const layout = statisticsLayout(schema);
  const model = (): Float32Array => summed(datasetsOf(schema, TRIPS).map(reportedStatistics));
  const read = (change: (values: Float32Array) => void): Statistics => {
    const values = model();
    change(values);
    return readStatistics(layout, values, deviationOf(CLIENTS));
  };
  const apply = (change: (values: Float32Array) => void) => () =>
    withStatistics(schema, read(change), { modelHash: HASH, vehicles: CLIENTS });
  const [km, , road] = layout.columns;

  it('are of a column that all vehicles lack: named', () => {
    const error = dataError(
      apply((values) => {
        values.set([0, 0, layout.unit], km!.at);
      }),
    );
    expect([error.code, error.column]).to.deep.equal(['DATA_COLUMN_EMPTY', 'km']);
  });

  it('are of a column that is the same everywhere: named', () => {
    const error = dataError(
      apply((values) => {
        values.set([layout.unit / 2, layout.unit / 4, 0], km!.at);
      }),
    );
    expect([error.code, error.column]).to.deep.equal(['DATA_COLUMN_CONSTANT', 'km']);
  });

  it('are of categories none of which has the share: named', () => {
    const error = dataError(
      apply((values) => {
        values.set([0, 0, 0, layout.unit, 0], road!.at);
      }),
    );
    expect([error.code, error.column]).to.deep.equal(['DATA_COLUMN_CONSTANT', 'road']);
  });

  it('lie where no honest vehicles bring them: named', () => {
    for (const values of [
      [2 * layout.unit, 0, 0],
      [0, -layout.unit, 0],
      [0, 0, Number.NaN],
    ]) {
      const error = dataError(() =>
        read((all) => {
          all.set(values, km!.at);
        }),
      );
      expect([error.code, error.column]).to.deep.equal(['STATISTICS_IMPLAUSIBLE', 'km']);
    }
    expect(dataError(() => readStatistics(layout, new Float32Array(3), 0)).code).to.equal('STATISTICS_IMPLAUSIBLE');
  });

  it('are asked of a schema that declares everything', () => {
    const features = [{ column: 'km', type: 'number' }];
    expect(dataError(() => statisticsLayout(schemaOf({ features }))).code).to.equal('STATISTICS_NONE');
  });

  it('are declared falsely in the schema', () => {
    const cases: readonly (readonly [Record<string, unknown>, string])[] = [
      [{ type: 'number', low: 0 }, 'features[0].high'],
      [{ type: 'number', low: 5, high: 5 }, 'features[0].high must be above low'],
      [{ type: 'number', low: 0, high: 5, scale: 2 }, 'features[0].low'],
      [{ type: 'number', low: -1, high: 5, transform: 'log1p' }, 'features[0].low'],
      [{ type: 'category', buckets: 4, threshold: 2 }, 'features[0].threshold'],
    ];
    for (const [feature, place] of cases) {
      const error = dataError(() => schemaOf({ features: [{ column: 'km', ...feature }] }));
      expect(error.message).to.include('DATA_SCHEMA_INVALID').and.to.include(place);
    }
  });
});
