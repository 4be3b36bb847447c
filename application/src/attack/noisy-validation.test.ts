// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { silentLog } from '../services/log.js';
import { validationDataHash, type ValidationData } from '../validation/validation-data.js';
import { noisyValidation } from './noisy-validation.js';

const rows = 50;
const data: ValidationData = {
  features: 'price/cardekho-v1',
  data: { features: 2, rows, x: new Float32Array(2 * rows).fill(1), y: new Float32Array(rows).fill(12) },
};

describe('A validator that departs on purpose', () => {
  const noisy = (seed: number): ValidationData => noisyValidation({ name: 'noisy-validator', seed }, data, silentLog);

  it('has its own inputs and wrong targets, the same at every start', () => {
    expect(noisy(1).data.x).to.deep.equal(data.data.x);
    expect([...noisy(1).data.y].some((y) => Math.abs(y - 12) > 1)).to.equal(true);
    expect(validationDataHash(noisy(1))).to.equal(validationDataHash(noisy(1)));
    expect(validationDataHash(noisy(1))).not.to.be.oneOf([validationDataHash(noisy(2)), validationDataHash(data)]);
  });

  it('is refused without data, and for attacks of vehicles', () => {
    const codeOf = (name: string, own?: ValidationData) => () => noisyValidation({ name }, own, silentLog);
    expect(codeOf('noisy-validator')).to.throw().with.property('code', 'ATTACK_UNSUITED');
    expect(codeOf('label-flip', data)).to.throw().with.property('code', 'ATTACK_UNSUITED');
  });
});
