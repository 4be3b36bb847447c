// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { generateCarTable } from '@sev/fl';
import { confirmLastRecord } from './confirmation.js';

describe('Opened projections', function () {
  this.timeout(300_000);

  it('confirm the last record of a vehicle to whoever knows all others, as only noise would prevent', () => {
    const rows = generateCarTable({ rows: 5 * 40, seed: 3 }).rows;
    const others = generateCarTable({ rows: 9, seed: 4 }).rows;
    const { vehicles, named } = confirmLastRecord(rows, others, { records: 40, seed: 1 });
    expect(vehicles).to.equal(5);
    expect(named).to.be.at.least(4);
  });
});
