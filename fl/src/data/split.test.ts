// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { dataError } from '../testing/errors.js';
import { foldOf, isTestRow } from './car.js';
import { generateCarTable } from './generate.js';
import { priceTable } from './price-table.js';
import { SPLITS, splitTable } from './split.js';

const table = generateCarTable({ rows: 600, seed: 5 });
const names = (rows: readonly { readonly hash: string }[]): string[] => rows.map((row) => row.hash).sort();

describe('A split', () => {
  it('gives every training row to one client and every test row to the test set and one client test', () => {
    fc.assert(
      fc.property(fc.constantFrom(...SPLITS), fc.integer({ min: 1, max: 20 }), (split, clients) => {
        const parts = splitTable(table, { split, clients });
        expect(parts.clients).to.have.length(clients);
        expect(parts.clientTests).to.have.length(clients);
        expect(names(parts.clients.flat())).to.deep.equal(names(table.rows.filter((row) => !isTestRow(row))));
        expect(names(parts.clientTests.flat())).to.deep.equal(names(parts.test));
        expect(parts.test.every((row) => foldOf(row) === 0)).to.equal(true);
      }),
      { numRuns: 40 },
    );
  });

  it('does not depend on the order of the file', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SPLITS),
        fc.shuffledSubarray([...table.rows], { minLength: 600 }),
        (split, rows) => {
          const shuffled = splitTable({ ...table, rows }, { split, clients: 7 });
          expect(shuffled.clients.map(names)).to.deep.equal(
            splitTable(table, { split, clients: 7 }).clients.map(names),
          );
        },
      ),
      { numRuns: 10 },
    );
  });

  it('iid takes the client from the hash', () => {
    splitTable(table, { split: 'iid', clients: 6 }).clients.forEach((rows, client) => {
      expect(rows.every((row) => Number.parseInt(row.hash.slice(8, 16), 16) % 6 === client)).to.equal(true);
    });
  });

  it('by column gives clients of equal size whose columns follow on each other', () => {
    const { clients, clientTests } = splitTable(table, { split: 'brand', clients: 6 });
    const sizes = clients.map((rows) => rows.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).to.be.at.most(1);
    const brands = clients.flat().map((row) => row.brand);
    expect(brands).to.deep.equal(brands.toSorted());
    const known = new Set(clients[2]?.map((row) => row.brand));
    const own = clientTests[2]!.filter((row) => known.has(row.brand)).length;
    expect(own / clientTests[2]!.length).to.be.greaterThan(0.9);
  });

  it('refuses an unknown name and lists the known ones', () => {
    const error = dataError(() => splitTable(table, { split: 'colour', clients: 3 }));
    expect(error.code).to.equal('SPLIT_UNKNOWN');
    expect(error.message).to.contain('iid').and.to.contain('brand');
  });

  it('names the client that stays empty or too small', () => {
    const error = dataError(() => splitTable(table, { split: 'iid', clients: 200 }));
    expect(error.code).to.equal('DATA_CLIENT_EMPTY');
    expect(error.message).to.match(/client \d+ of 200 gets \d+ training rows/);
    const small = dataError(() => splitTable(table, { split: 'iid', clients: 20, minRows: 20 }));
    expect(small.code).to.equal('DATA_CLIENT_EMPTY');
  });

  it('refuses more clients than there are rows, and a table without test rows', () => {
    expect(dataError(() => splitTable(table, { split: 'brand', clients: 601 })).code).to.equal('DATA_TOO_FEW_ROWS');
    const training = { ...table, rows: table.rows.filter((row) => !isTestRow(row)) };
    expect(dataError(() => splitTable(training, { split: 'iid', clients: 2 })).code).to.equal('DATA_TOO_FEW_ROWS');
  });

  it('gives a client that trains alone its rows, though none of them is a test row', () => {
    const of = (isTest: boolean) =>
      priceTable({ ...table, rows: table.rows.filter((row) => isTestRow(row) === isTest) });
    const alone = { split: 'iid', clients: 1 };
    const training = of(false);
    expect(training.clientData(alone, [0])[0]?.rows).to.equal(training.rows);
    expect(dataError(() => training.split(alone)).code).to.equal('DATA_TOO_FEW_ROWS');
    expect(dataError(() => of(true).clientData(alone, [0])).code).to.equal('DATA_TOO_FEW_ROWS');
  });

  it('refuses numbers that make no sense', () => {
    for (const options of [{ clients: 0 }, { clients: 2.5 }, { clients: Number.NaN }, { clients: 2, minRows: 0 }]) {
      expect(dataError(() => splitTable(table, { split: 'iid', ...options })).code).to.equal('DATA_OPTION_INVALID');
    }
  });
});
