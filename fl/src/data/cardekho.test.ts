// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataError, dataErrorAsync } from '../testing/errors.js';
import { carDekhoFile } from '../testing/files.js';
import { isTestRow } from './car.js';
import { formatCarCsv, parseCarTable, readCarDekho, testSetFingerprint } from './cardekho.js';
import { generateCarTable } from './generate.js';

const HEADER = 'name,year,selling_price,km_driven,fuel,seller_type,transmission,owner';
const ALTO = 'Maruti Alto LX,2007,60000,70000,Petrol,Individual,Manual,First Owner';
const VERNA = 'Hyundai Verna 1.6 SX,2012,600000,100000,Diesel,Dealer,Automatic,Second Owner';
const text = (...lines: string[]): string => [HEADER, ...lines, ''].join('\n');

describe('The reader of CarDekho files', () => {
  describe('reads a file', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'fl data '));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it('whose path has spaces, with a byte-order mark and CRLF', async () => {
      const path = join(folder, 'my used cars.csv');
      await writeFile(path, `\uFEFF${text(ALTO, VERNA).replaceAll('\n', '\r\n')}`);
      const table = await readCarDekho(path);
      expect(table.source).to.equal('my used cars.csv');
      expect(table.rows).to.deep.equal(parseCarTable(text(ALTO, VERNA), 'plain').rows);
    });

    it('or says that there is none', async () => {
      const error = await dataErrorAsync(readCarDekho(join(folder, 'no such file.csv')));
      expect(error.code).to.equal('DATA_FILE_MISSING');
      expect(error.message).to.contain('no such file.csv');
    });

    it('or says that it cannot be read', async () => {
      expect((await dataErrorAsync(readCarDekho(folder))).code).to.equal('DATA_FILE_UNREADABLE');
    });

    it('and refuses bytes that are not UTF-8', async () => {
      const path = join(folder, 'binary.csv');
      await writeFile(path, Uint8Array.of(0x6e, 0xff, 0xfe, 0x00));
      await chmod(path, 0o600);
      expect((await dataErrorAsync(readCarDekho(path))).code).to.equal('DATA_MALFORMED');
    });
  });

  it('gives the split that every implementation gives: 3,577 rows, 695 for test', async function () {
    const path = carDekhoFile();
    if (path === undefined) {
      console.log('      skipped: no ../shared/data/cardekho beside this repository');
      this.skip();
    }
    const table = await readCarDekho(path);
    expect(table.rows).to.have.length(3577);
    expect(table.repeated).to.equal(763);
    expect(table.rows.filter(isTestRow)).to.have.length(695);
    expect(testSetFingerprint(table)).to.match(/^755009bbaaccd565/);
    // Written and read again, every row keeps its hash and so its place.
    expect(parseCarTable(formatCarCsv(table.rows), table.source).rows).to.deep.equal(table.rows);
  });

  it('takes the values of a line as they are', () => {
    const [row] = parseCarTable(text(VERNA), 'test').rows;
    expect(row).to.deep.include({
      name: 'Hyundai Verna 1.6 SX',
      brand: 'Hyundai',
      year: 2012,
      priceRupees: 600_000,
      kilometres: 100_000,
      fuel: 'Diesel',
      seller: 'Dealer',
      transmission: 'Automatic',
      owner: 'Second Owner',
    });
  });

  it('drops empty and repeated lines and keeps the first', () => {
    const table = parseCarTable(text(ALTO, '', VERNA, ALTO, '  ', VERNA), 'test');
    expect(table.rows.map((row) => row.brand)).to.deep.equal(['Maruti', 'Hyundai']);
    expect(table.repeated).to.equal(2);
  });

  it('takes columns in any order and leaves the technical ones of the larger file aside', () => {
    const table = parseCarTable(
      'seats,owner,transmission,seller_type,fuel,km_driven,selling_price,year,name\n' +
        '5,First Owner,Manual,Individual,Petrol,70000,60000,2007,"Maruti Alto, LX"\n',
      'test',
    );
    expect(table.rows[0]).to.deep.include({ name: 'Maruti Alto, LX', priceRupees: 60_000, year: 2007 });
  });

  it('writes quoted cells that it can read again', () => {
    const rows = parseCarTable(text(ALTO.replace('Maruti Alto LX', '"Maruti ""Alto"", LX"')), 'test').rows;
    expect(rows[0]?.name).to.equal('Maruti "Alto", LX');
    expect(parseCarTable(formatCarCsv(rows), 'test').rows).to.deep.equal(rows);
  });

  describe('refuses, naming row and column,', () => {
    const refusals: readonly [string, string, string, number | undefined, string | undefined][] = [
      ['an empty file', '', 'DATA_MALFORMED', undefined, undefined],
      ['a row with a cell too few', text(ALTO, VERNA.replace(',Dealer', '')), 'DATA_MALFORMED', 3, undefined],
      ['a row with a cell too many', text(`${ALTO},x`), 'DATA_MALFORMED', 2, undefined],
      ['a quote that stays open', text(ALTO, '', VERNA.replace('Hyundai', '"Hyundai')), 'DATA_MALFORMED', 4, undefined],
      ['a cell that runs over its line', text('"Maruti', `Alto",${ALTO.slice(15)}`), 'DATA_MALFORMED', 2, undefined],
      ['a stray quote', text(ALTO.replace('Alto', 'Al"to')), 'DATA_MALFORMED', 2, undefined],
      [
        'a missing column',
        text(ALTO).replace(',owner', '').replace(',First Owner', ''),
        'DATA_COLUMN_MISSING',
        1,
        'owner',
      ],
      ['an unknown column', `${HEADER},colour\n${ALTO},red\n`, 'DATA_COLUMN_UNKNOWN', 1, 'colour'],
      ['an unnamed column', `${HEADER},\n${ALTO},red\n`, 'DATA_COLUMN_UNKNOWN', 1, '9'],
      ['a column that is there twice', `${HEADER},year\n${ALTO},2007\n`, 'DATA_COLUMN_UNKNOWN', 1, 'year'],
      ['a word for a number', text(ALTO, VERNA.replace('2012', 'new')), 'DATA_NOT_A_NUMBER', 3, 'year'],
      ['NaN', text(ALTO.replace('60000', 'NaN')), 'DATA_NOT_A_NUMBER', 2, 'selling_price'],
      ['infinity', text(ALTO.replace('70000', '1e999')), 'DATA_NOT_A_NUMBER', 2, 'km_driven'],
      ['an empty number', text(ALTO.replace('70000', '')), 'DATA_NOT_A_NUMBER', 2, 'km_driven'],
      ['a price of nothing', text(ALTO.replace('60000', '0')), 'DATA_OUT_OF_RANGE', 2, 'selling_price'],
      ['negative kilometres', text(ALTO.replace('70000', '-1')), 'DATA_OUT_OF_RANGE', 2, 'km_driven'],
      ['a year of another age', text(ALTO.replace('2007', '12')), 'DATA_OUT_OF_RANGE', 2, 'year'],
      ['an empty name', text(ALTO.replace('Maruti Alto LX', ' ')), 'DATA_VALUE_MISSING', 2, 'name'],
      ['an unknown fuel', text(ALTO.replace('Petrol', 'Steam')), 'DATA_VALUE_UNKNOWN', 2, 'fuel'],
      ['an unknown seller', text(ALTO.replace('Individual', 'Thief')), 'DATA_VALUE_UNKNOWN', 2, 'seller_type'],
      ['an unknown gearbox', text(ALTO.replace('Manual', 'None')), 'DATA_VALUE_UNKNOWN', 2, 'transmission'],
      ['an unknown owner', text(ALTO.replace('First Owner', '1')), 'DATA_VALUE_UNKNOWN', 2, 'owner'],
      ['a header alone', text(), 'DATA_TOO_FEW_ROWS', undefined, undefined],
    ];
    for (const [what, csv, code, line, column] of refusals) {
      it(what, () => {
        const error = dataError(() => parseCarTable(csv, 'test'));
        expect(error).to.deep.include({ code, line, column });
        expect(error.message).to.match(new RegExp(`^${code}: `));
      });
    }

    it('fewer rows than asked for', () => {
      expect(dataError(() => parseCarTable(text(ALTO, VERNA), 'test', { minRows: 3 })).code).to.equal(
        'DATA_TOO_FEW_ROWS',
      );
    });
  });
});

describe('The generator of car data', () => {
  it('gives the same rows for the same seed, and others for another', () => {
    const table = generateCarTable({ rows: 300, seed: 7 });
    expect(generateCarTable({ rows: 300, seed: 7 })).to.deep.equal(table);
    expect(testSetFingerprint(generateCarTable({ rows: 300, seed: 8 }))).not.to.equal(testSetFingerprint(table));
  });

  it('gives this very table on every machine', () => {
    expect(testSetFingerprint(generateCarTable({ rows: 500, seed: 1 }))).to.equal(
      '89e28982b858bcf6ba1639e3b7bce8978dcc4c1d6dee2d8b7c1b551d90c95d4d',
    );
  });

  it('gives distinct rows that the reader takes', () => {
    const table = generateCarTable({ rows: 2_000, seed: 3 });
    expect(new Set(table.rows.map((row) => row.hash)).size).to.equal(2_000);
    expect(parseCarTable(formatCarCsv(table.rows), table.source)).to.deep.equal(table);
  });

  it('refuses options out of range', () => {
    for (const options of [
      { rows: 0, seed: 1 },
      { rows: 1.5, seed: 1 },
      { rows: 1_000_001, seed: 1 },
      { rows: 10, seed: -1 },
      { rows: 10, seed: 2 ** 32 },
    ]) {
      expect(dataError(() => generateCarTable(options)).code).to.equal('DATA_OPTION_INVALID');
    }
  });
});
