// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatCarCsv, generateCarTable, pickRows } from '@sev/fl';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { readValidationData, validationDataHash, writeValidationData, type ValidationData } from './validation-data.js';

const data: ValidationData = {
  features: 'table/of-tests',
  data: { features: 2, rows: 3, x: Float32Array.of(1, 2, 3, 4, 5, 6), y: Float32Array.of(0.1, 0.2, 0.3) },
};

describe('Validation data', () => {
  const directory = temporaryDirectory();
  const pathOf = (name: string): string => join(directory(), name);
  const source = (name: string) => ({ source: 'file', path: pathOf(name) }) as const;

  it('are the same, and have the same hash, after they were written and read', async () => {
    await writeValidationData(pathOf('own.json'), data);
    const read = await readValidationData(source('own.json'));
    expect(read).to.deep.equal(data);
    expect(validationDataHash(read)).to.equal(validationDataHash(data));
  });

  it('have another hash where a value, the order of rows, their width or the feature set is another', () => {
    const { x, y } = data.data;
    const others: ValidationData[] = [
      { ...data, features: 'table/of-others' },
      { ...data, data: { ...data.data, y: Float32Array.of(0.1, 0.2, 0.4) } },
      { ...data, data: pickRows(data.data, [1, 0, 2]) },
      { ...data, data: { features: 6, rows: 1, x, y: y.slice(0, 1) } },
      { ...data, data: pickRows(data.data, [0, 1]) },
    ];
    const hashes = [data, ...others].map(validationDataHash);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('are the rows of a CSV file that vehicles may train on, as vehicles encode them', async () => {
    const { rows } = generateCarTable({ rows: 60, seed: 3 });
    await writeFile(pathOf('cars.csv'), formatCarCsv(rows));
    const { features, data: read } = await readValidationData(source('cars.csv'));
    expect(features).to.equal('price/cardekho-v1');
    expect(read.rows).to.be.greaterThan(30).and.to.be.lessThan(60);
  });

  it('are generated rows, where asked for, others for another seed', async () => {
    const [one, other] = await Promise.all(
      [1, 2].map((seed) => readValidationData({ source: 'generated', rows: 60, seed })),
    );
    expect(one!.features).to.equal('price/cardekho-v1');
    expect(one!.data.rows).to.be.greaterThan(30).and.to.be.lessThan(60);
    expect(validationDataHash(one!)).not.to.equal(validationDataHash(other!));
  });

  it('are refused where there are none, or not in their form', async () => {
    expect(await codeOf(readValidationData(source('none.json')))).to.equal('VALIDATION_DATA_MISSING');
    await writeFile(pathOf('odd.json'), '{"schemaVersion":1}');
    expect(await codeOf(readValidationData(source('odd.json')))).to.equal('FILE_MALFORMED');
    await writeValidationData(pathOf('short.json'), { ...data, data: { ...data.data, rows: 4 } });
    expect(await codeOf(readValidationData(source('short.json')))).to.equal('MODEL_LENGTH');
  });
});
