// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { foldOf, generateCarTable, priceTable, splitTable, type CarRow } from '@sev/fl';
import { bestServer, withoutTestFold, type ServerRow } from './servers.js';

const table = generateCarTable({ rows: 600, seed: 1 });
const nameOf = ({ name, kilometres, priceRupees }: CarRow): string => `${name} ${kilometres} ${priceRupees}`;
const namesOf = (rows: readonly CarRow[]): readonly string[] => rows.map(nameOf).sort();

describe('The table that settings are chosen on', () => {
  const folds = withoutTestFold(table);

  it('holds no row of fold 0, tests on fold 1 and trains on folds 2 to 4', () => {
    const { clients, test } = splitTable(folds, { split: 'iid', clients: 4 });
    expect(namesOf(test)).to.deep.equal(namesOf(table.rows.filter((row) => foldOf(row) === 1)));
    expect(namesOf(clients.flat())).to.deep.equal(namesOf(table.rows.filter((row) => foldOf(row) > 1)));
  });

  it('leaves every other row with the client that it had', () => {
    const before = splitTable(table, { split: 'iid', clients: 4 }).clients.map(namesOf);
    splitTable(folds, { split: 'iid', clients: 4 }).clients.forEach((rows, client) => {
      expect(before[client]).to.include.members([...namesOf(rows)]);
    });
  });

  it('says what it is', () => {
    expect(priceTable(folds).source).to.equal(`${table.source}, folds 1 to 4`);
  });
});

describe('The choice among optimisers', () => {
  const row = (name: string, mean: number): ServerRow => ({ name, option: null, r2: { iid: mean, brand: mean }, mean });

  it('takes the best', () => {
    expect(bestServer([row('a', 0.7), row('b', 0.8), row('c', 0.75)]).name).to.equal('b');
  });

  it('takes the plainest of those that nothing tells apart', () => {
    expect(bestServer([row('a', 0.7), row('b', 0.798), row('c', 0.8)]).name).to.equal('b');
  });
});
