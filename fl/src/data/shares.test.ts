// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { dataError } from '../testing/errors.js';
import { generateCarTable } from './generate.js';
import type { Dataset } from './dataset.js';
import { priceTable } from './price-table.js';

const cars = generateCarTable({ rows: 600, seed: 5 });
const table = priceTable(cars);

/** Encoded rows as texts, sorted. */
const rowsOf = ({ features, rows, x, y }: Dataset): string[] =>
  Array.from(
    { length: rows },
    (_, row) => `${x.subarray(row * features, (row + 1) * features).join()} ${y[row]}`,
  ).sort();

describe('Rows for validation', () => {
  for (const split of ['iid', 'brand']) {
    it(`are taken out of the clients' rows by ${split}, and out of nothing else`, () => {
      const without = table.split({ split, clients: 7 });
      const { clients, validation, test } = table.split({ split, clients: 7, validationRows: 40 });
      expect(validation!.rows).to.equal(40);
      expect([...clients.flatMap(rowsOf), ...rowsOf(validation!)].sort()).to.deep.equal(
        without.clients.flatMap(rowsOf).sort(),
      );
      expect(rowsOf(test)).to.deep.equal(rowsOf(without.test));
      const alone = table.clientData({ split, clients: 7, validationRows: 40 }, [3]);
      expect(rowsOf(alone[0]!)).to.deep.equal(rowsOf(clients[3]!));
    });
  }

  it('are the same whatever the order of the file', () => {
    const request = { split: 'iid', clients: 7, validationRows: 40 };
    const reversed = priceTable({ ...cars, rows: [...cars.rows].reverse() });
    expect(rowsOf(reversed.split(request).validation!)).to.deep.equal(rowsOf(table.split(request).validation!));
  });

  it('leave every client a row, and are refused where there are too few', () => {
    const spare = table.split({ split: 'iid', clients: 7 }).clients.reduce((sum, { rows }) => sum + rows - 1, 0);
    const { clients } = table.split({ split: 'iid', clients: 7, validationRows: spare });
    expect(clients.map(({ rows }) => rows)).to.deep.equal(new Array(7).fill(1));
    const refused = dataError(() => table.split({ split: 'iid', clients: 7, validationRows: spare + 1 }));
    expect(refused.code).to.equal('DATA_TOO_FEW_ROWS');
    for (const validationRows of [0, 1.5, -1]) {
      const odd = dataError(() => table.split({ split: 'iid', clients: 7, validationRows }));
      expect(odd.code).to.equal('DATA_OPTION_INVALID');
    }
  });
});
