// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { dataError } from '../testing/errors.js';
import { Cells, findColumns, formatClockSeconds, parseClockSeconds, parseNumber } from './cells.js';

const cells = (a: string, b = ''): Cells<'a' | 'b'> =>
  new Cells({ line: 7, hash: '', cells: [a, b] }, findColumns(['a', 'b'], ['a', 'b']), {
    decimal: ',',
    missing: ['NA'],
  });

describe('A cell', () => {
  it('holds a number in the decimal mark of the file', () => {
    expect(parseNumber('-1.5e2', '.')).to.equal(-150);
    expect(parseNumber('13,25', ',')).to.equal(13.25);
    for (const [text, mark] of [
      ['13,25', '.'],
      ['1.300', ','],
      ['1,300,2', ','],
      ['Infinity', '.'],
      ['0x10', '.'],
      ['1e999', '.'],
      ['', '.'],
    ] as const) {
      expect(parseNumber(text, mark), text).to.equal(undefined);
    }
  });

  it('holds a time on the clock of its place', () => {
    expect(parseClockSeconds('1970-01-02 00:00:01')).to.equal(86_401);
    expect(parseClockSeconds('1970-01-01T00:30')).to.equal(1_800);
    expect(formatClockSeconds(parseClockSeconds('2020-02-29 23:59:59')!)).to.equal('2020-02-29 23:59:59');
    for (const text of ['2021-02-29 00:00:00', '2021-13-01 00:00:00', '2021-01-01 24:00:00', '2021-01-01', 'NA']) {
      expect(parseClockSeconds(text), text).to.equal(undefined);
    }
  });

  it('is missing when empty or marked so', () => {
    expect(cells('NA').optional('a')).to.equal(undefined);
    expect(cells(' x ').optional('a')).to.equal('x');
    expect(cells('kWh').optionalQuantity('a', /kWh$/, 0, 1)).to.equal(undefined);
    expect(cells('0,5 kWh').optionalQuantity('a', /kWh$/, 0, 1)).to.equal(0.5);
  });

  it('is refused with its line and column', () => {
    const refusals = [
      ['DATA_VALUE_MISSING', () => cells('NA').text('a')],
      ['DATA_NOT_A_NUMBER', () => cells('one').number('a', 0, 9)],
      ['DATA_OUT_OF_RANGE', () => cells('10').number('a', 0, 9)],
      ['DATA_VALUE_UNKNOWN', () => cells('z').oneOf('a', ['x', 'y'])],
      ['DATA_NOT_A_TIME', () => cells('noon').clockSeconds('a')],
    ] as const;
    for (const [code, call] of refusals) {
      expect(dataError(call)).to.deep.include({ code, line: 7, column: 'a' });
    }
  });
});
