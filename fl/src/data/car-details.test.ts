// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { dataError, dataErrorAsync } from '../testing/errors.js';
import { sharedFile } from '../testing/files.js';
import { CAR_V3_FEATURES, encodeCarsV3, parseCarV3, readCarV3 } from './car-details-v3.js';
import { CAR_V4_FEATURES, CAR_V4_SPLITS, encodeCarsV4, parseCarV4, readCarV4 } from './car-details-v4.js';
import type { LearningTable } from './table.js';

const V3 =
  'name,year,selling_price,km_driven,fuel,seller_type,transmission,owner,mileage,engine,max_power,torque,seats\n';
const V3_TAIL = 'Tata Nano,2015,100000,0,Petrol,Individual,Manual,First Owner';
const V4 =
  'Make,Model,Price,Year,Kilometer,Fuel Type,Transmission,Location,Color,Owner,Seller Type,Engine,Max Power,Max Torque,' +
  'Drivetrain,Length,Width,Height,Seating Capacity,Fuel Tank Capacity\n';

/** Every training row with one client, every test row in the test set and one client's test. */
function expectWhole(table: LearningTable, split: string): void {
  const { clients, test, clientTests } = table.split({ split, clients: 10 });
  const rows = (parts: readonly { readonly rows: number }[]): number => parts.reduce((sum, part) => sum + part.rows, 0);
  expect(rows(clients) + test.rows).to.equal(table.rows);
  expect(rows(clientTests)).to.equal(test.rows);
  expect(clients.every(({ features }) => features === table.features.width)).to.equal(true);
}

describe('Car details v3', () => {
  it('give mileage, engine, power and seats, and say which are missing', () => {
    const rows = parseCarV3(
      `${V3}${V3_TAIL},25.0 kmpl,1900 CC,55 bhp,"12.7@ 2,700(kgm@ rpm)",4\n${V3_TAIL},0.0 kmpl,,bhp,,\n`,
      'test',
    );
    const { x, features } = encodeCarsV3(rows);
    expect(features).to.equal(CAR_V3_FEATURES.width).and.to.equal(148);
    expect([...x.subarray(12, 20)]).to.deep.equal([1, 0, 1, 0, -1, 0, -1, 0]);
    expect([...x.subarray(148 + 12, 148 + 20)]).to.deep.equal([0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it('are refused for a quantity that is none', () => {
    const error = dataError(() => parseCarV3(`${V3}${V3_TAIL},fast,1,1,,5\n`, 'test'));
    expect(error).to.deep.include({ code: 'DATA_NOT_A_NUMBER', line: 2, column: 'mileage' });
  });

  it('of the file have the test set that every implementation has', async function () {
    const path = sharedFile('cardekho/Car details v3 (deduplicated).csv');
    if (path === undefined) {
      console.log('      skipped: no ../shared/data/cardekho beside this repository');
      this.skip();
    }
    const table = await readCarV3(path);
    expect(table.rows).to.equal(6_926);
    expect(table.testFingerprint).to.match(/^173ed633fc2d0c7b/);
    expectWhole(table, 'iid');
    expectWhole(table, 'brand');
  });
});

describe('Car details v4', () => {
  const line = 'Honda,Amaze,500000,2020,0,Petrol + CNG,Manual,Pune,Grey,4 or More,Corporate,2100 cc,';

  it('give fuels, drivetrain and the figures of the maker', () => {
    const rows = parseCarV4(`${V4}${line}180 bhp @ 6000 rpm,,FWD,,,,5.0,35.0\n${line}60@5500,100@3,,,,,,\n`, 'test');
    expect(rows.map(({ specifications }) => specifications['Max Power'])).to.deep.equal([180, 60]);
    const { x, features } = encodeCarsV4(rows);
    expect(features).to.equal(CAR_V4_FEATURES.width).and.to.equal(192);
    expect([...x.subarray(2, 16)]).to.deep.equal([1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2, 1, 0, 0]);
    expect([...x.subarray(16, 22)]).to.deep.equal([1, 0, 1, 0, 0, 1]);
  });

  it('are refused for an unknown fuel', () => {
    const error = dataError(() => parseCarV4(`${V4}${line.replace('CNG', 'Coal')},,,,,,,\n`, 'test'));
    expect(error).to.deep.include({ code: 'DATA_VALUE_UNKNOWN', line: 2, column: 'Fuel Type' });
  });

  it('of the file have the test set that every implementation has, and four splits', async function () {
    const path = sharedFile('cardekho/car details v4.csv');
    if (path === undefined) {
      console.log('      skipped: no ../shared/data/cardekho beside this repository');
      this.skip();
    }
    const table = await readCarV4(path);
    expect(table.rows).to.equal(2_059);
    expect(table.testFingerprint).to.match(/^e35033bcc8b7c10e/);
    for (const split of CAR_V4_SPLITS) {
      expectWhole(table, split);
    }
    expect(dataError(() => table.split({ split: 'colour', clients: 2 })).code).to.equal('SPLIT_UNKNOWN');
    expect(dataError(() => table.split({ split: 'iid' })).code).to.equal('DATA_OPTION_INVALID');
  });

  it('are told from other files', async () => {
    const path = sharedFile('cardekho/car details v4.csv');
    if (path !== undefined) {
      expect((await dataErrorAsync(readCarV3(path))).code).to.equal('DATA_COLUMN_UNKNOWN');
    }
  });
});
