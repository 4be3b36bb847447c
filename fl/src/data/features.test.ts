// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { dataError } from '../testing/errors.js';
import { parseCarTable } from './cardekho.js';
import { checkDataset, concatDatasets, type Dataset } from './dataset.js';
import { CAR_FEATURES, encodeCars } from './features.js';
import { fnv1a } from './fnv.js';

const table = parseCarTable(
  'name,year,selling_price,km_driven,fuel,seller_type,transmission,owner\n' +
    'Maruti Alto Maruti,2007,60000,70000,CNG,Trustmark Dealer,Automatic,Third Owner\n' +
    'Tata Nano,2020,100000,0,Petrol,Individual,Manual,Test Drive Car\n',
  'test',
);

describe('The features of a car', () => {
  it('have 140 columns', () => {
    expect(CAR_FEATURES).to.deep.equal({ name: 'price/cardekho-v1', width: 140 });
  });

  it('are age, use, fuel, seller, gearbox, owners and name tokens, as float32', () => {
    const { x, y, rows, features } = encodeCars(table.rows);
    expect([rows, features]).to.deep.equal([2, 140]);
    const known = [1.3, Math.log(70_001) - 11, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1.5].map(Math.fround);
    expect([...x.subarray(0, 12)]).to.deep.equal(known);
    const tokens = x.subarray(12, 140);
    expect(tokens[fnv1a('maruti') % 128]).to.equal(1);
    expect(tokens[fnv1a('alto') % 128]).to.equal(1);
    expect(tokens.reduce((sum, v) => sum + v, 0)).to.equal(2);
    expect(y[0]).to.equal(Math.fround(Math.log(60_000) - 13));
    expect([...x.subarray(140, 152)]).to.deep.equal([0, -11, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
  });

  it('hash tokens by FNV-1a', () => {
    // Vectors of the authors' test suite (http://www.isthe.com/chongo/tech/comp/fnv/).
    expect(['', 'a', 'foobar'].map(fnv1a)).to.deep.equal([0x811c9dc5, 0xe40c292c, 0xbf9cf968]);
  });
});

describe('A data set', () => {
  const good: Dataset = { features: 2, rows: 2, x: Float32Array.of(1, 2, 3, 4), y: Float32Array.of(5, 6) };
  const refused = (change: Partial<Dataset>): string =>
    dataError(() => {
      checkDataset({ ...good, ...change });
    }).code;

  it('is refused when empty, out of shape or not finite', () => {
    checkDataset(good);
    expect(refused({ rows: 0, x: new Float32Array(0), y: new Float32Array(0) })).to.equal('DATA_TOO_FEW_ROWS');
    expect(refused({ x: new Float32Array(3) })).to.equal('DATA_SHAPE');
    expect(refused({ y: new Float32Array(3) })).to.equal('DATA_SHAPE');
    expect(refused({ x: Float32Array.of(1, 2, 3, Number.NaN) })).to.equal('DATA_NOT_FINITE');
    expect(refused({ y: Float32Array.of(1, Infinity) })).to.equal('DATA_NOT_FINITE');
    const { line, column } = dataError(() => {
      checkDataset({ ...good, x: Float32Array.of(1, 2, 3, Number.NaN) });
    });
    expect([line, column]).to.deep.equal([2, 'feature 1']);
  });

  it('joins with others of its width', () => {
    expect(concatDatasets([good, good])).to.deep.equal({
      features: 2,
      rows: 4,
      x: Float32Array.of(1, 2, 3, 4, 1, 2, 3, 4),
      y: Float32Array.of(5, 6, 5, 6),
    });
    expect(dataError(() => concatDatasets([])).code).to.equal('DATA_SHAPE');
    expect(dataError(() => concatDatasets([good, { ...good, features: 1 }])).code).to.equal('DATA_SHAPE');
  });
});
