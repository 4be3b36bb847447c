// SPDX-License-Identifier: Apache-2.0
import { HE_MAX_VEHICLES, HE_PLAIN_MODULUS, heTermsProblem } from '@sev/chaincode/api';
import { checkHeRange, HE_PARAMETERS } from '@sev/fl';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import { heSumTermsOf } from './he-task.js';
import { heTaskLines } from './lines.js';

const size = { taskId: 'price-1', vehicles: 20, rounds: 10, seed: 1, trainingRows: 3_000 };

describe('A task in mode he', () => {
  it('is checked by the contract with the numbers of the library', () => {
    expect(HE_PLAIN_MODULUS).to.equal(HE_PARAMETERS.plainModulus);
    expect(HE_MAX_VEHICLES).to.equal(HE_PARAMETERS.maxVehicles);
  });

  it('gives three of the organisations a part, in the order of their MSP ids, within the range of the library', () => {
    const { task } = priceTask({ ...size, privacy: 'he', aggregators: ['CMSP', 'AMSP', 'BMSP', 'DMSP'] });
    expect(task.he).to.include({ keyHolder: 'AMSP', summer: 'BMSP', maskHolder: 'CMSP' });
    expect(heTermsProblem(task)).to.equal(undefined);
    expect(task.aggregation.weightClasses).to.deep.equal([{ minSamples: 1, weight: 1 }]);
    checkHeRange(heSumTermsOf(task, 'a'.repeat(64)).range);
    expect(heTaskLines(task)[0]).to.contain('key holder AMSP, summer BMSP, mask holder CMSP');
  });

  it('needs three organisations', () => {
    expect(() => priceTask({ ...size, privacy: 'he', aggregators: ['AMSP', 'BMSP'] })).to.throw('mode he needs three');
  });
});
