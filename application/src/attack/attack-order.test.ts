// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { attackOrder, knownAttack } from './attack-order.js';

const vehicles = ['v-a', 'v-b', 'v-c'].map((vehicleId, index) => ({ vehicleId, client: 4 + index }));

describe('The order to attack', () => {
  it('names the clients of those that attack, all where none is named', () => {
    expect(attackOrder({ name: 'alie', vehicleIds: ['v-c', 'v-a'], seed: 7 }, vehicles)).to.deep.equal({
      ...{ name: 'alie', seed: 7 },
      clients: [4, 6],
    });
    expect(attackOrder({ name: 'alie', from: 3 }, vehicles).from).to.equal(3);
    expect(attackOrder({ name: 'alie' }, vehicles).clients).to.deep.equal([4, 5, 6]);
  });

  it('is refused for vehicles that do not run here, unknown attacks and those of validators', () => {
    const codeOf = (name: string, vehicleIds?: string[]) => () => attackOrder({ name, vehicleIds }, vehicles);
    expect(codeOf('alie', ['v-d']))
      .to.throw()
      .with.property('code', 'VEHICLE_NOT_HERE');
    expect(codeOf('flattery')).to.throw('label-flip').with.property('code', 'ATTACK_UNKNOWN');
    expect(codeOf('noisy-validator')).to.throw().with.property('code', 'ATTACK_UNSUITED');
    expect(knownAttack('noisy-validator', 'validator').role).to.equal('validator');
  });
});
