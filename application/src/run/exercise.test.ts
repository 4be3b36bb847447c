// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import {
  attesterAttackArguments,
  hostileOf,
  insistOnValidators,
  plannedAttack,
  vehicleAttackArguments,
} from './exercise.js';
import type { RunPlan } from './plan.js';

const vehicleIds = Array.from({ length: 20 }, (_, index) => `v-${String(index)}`);
const honest: RunPlan = {
  ...{ schemaVersion: 1, taskId: 'price-1', kind: 'price', split: 'iid', seed: 3, vehicles: 20, rounds: 2 },
  ...{ data: { source: 'generated', rows: 400, seed: 1 }, minimumCohort: 3, privacy: 'secure', vehicleIds },
  startedAt: '2026-01-02T03:04:05.000Z',
};

const organisations = ['grid', 'maker', 'city', 'regulator'];

describe('An exercise', () => {
  it('takes a share of the vehicles or their number, and at least one', () => {
    expect(plannedAttack('alie', 20)).to.deep.equal({ name: 'alie', hostile: 4 });
    expect(plannedAttack('alie', 20, 0.3)).to.deep.equal({ name: 'alie', hostile: 6 });
    expect(plannedAttack('alie', 20, 3).hostile).to.equal(3);
    expect(plannedAttack('alie', 3, 0.01).hostile).to.equal(1);
    expect(() => plannedAttack('alie', 20, 21))
      .to.throw()
      .with.property('code', 'HOSTILE_TOO_MANY');
    expect(() => plannedAttack('flattery', 20))
      .to.throw()
      .with.property('code', 'ATTACK_UNKNOWN');
  });

  it('draws the hostile vehicles by the seed, and says the same to the report and to their program', () => {
    const plan: RunPlan = { ...honest, attack: { name: 'label-flip', hostile: 4 } };
    const hostile = hostileOf(plan, organisations)!;
    expect(hostile).to.include({ attack: 'label-flip', share: 0.2, from: 1 });
    expect(new Set(hostile.vehicles).size).to.equal(4);
    expect(vehicleIds).to.include.members([...hostile.vehicles]);
    expect(hostileOf(plan, organisations)).to.deep.equal(hostile);
    const others = [4, 5, 6, 7].map((seed) => String(hostileOf({ ...plan, seed }, organisations)!.vehicles));
    expect(new Set([...others, String(hostile.vehicles)]).size).to.be.greaterThan(3);
    const args = vehicleAttackArguments(hostile, plan);
    expect(args.slice(0, 4)).to.deep.equal(['--attack', 'label-flip', '--attack-seed', '3']);
    expect(args.slice(4)).to.deep.equal(hostile.vehicles.flatMap((id) => ['--hostile', id]));
    const later = { ...plan, attack: plannedAttack('label-flip', 20, 4, 3) };
    expect(hostileOf(later, organisations)).to.deep.equal({ ...hostile, from: 3 });
    expect(vehicleAttackArguments(hostile, later).slice(2, 6)).to.deep.equal([
      '--attack-seed',
      '3',
      '--attack-from',
      '3',
    ]);
  });

  it('draws one validator, not the coordinator, and tells its attester alone', () => {
    expect(plannedAttack('noisy-validator', 20)).to.deep.equal({ name: 'noisy-validator', hostile: 1 });
    expect(() => plannedAttack('noisy-validator', 20, 2))
      .to.throw()
      .with.property('code', 'HOSTILE_TOO_MANY');
    const plan: RunPlan = { ...honest, attack: { name: 'noisy-validator', hostile: 1 } };
    const hostile = hostileOf(plan, organisations)!;
    expect(hostile).to.deep.include({ share: 0.25, vehicles: [], from: 1 });
    expect(hostile.validators).to.have.length(1).and.not.to.include('grid');
    const told = organisations.filter((name) => attesterAttackArguments(hostile, plan, name).length > 0);
    expect(told).to.deep.equal(hostile.validators);
    expect(attesterAttackArguments(hostile, plan, told[0]!)).to.deep.equal([
      ...['--attack', 'noisy-validator', '--attack-seed', '3'],
    ]);
    expect(vehicleAttackArguments(hostile, plan)).to.deep.equal([]);
    const { task } = new Federation({ secure: {} });
    expect(() => {
      insistOnValidators(hostile, task);
    })
      .to.throw()
      .with.property('code', 'ATTACK_UNSUITED');
  });

  it('is none where no attack is named', () => {
    expect(hostileOf(honest, organisations)).to.equal(undefined);
    expect(vehicleAttackArguments(undefined, honest)).to.deep.equal([]);
  });
});
