// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { generateCarTable, hostileVehicles, initialParameters, lossMicro, PRICE_LAYERS, type Dataset } from '@sev/fl';
import { rankCorrelation } from './contribution.js';
import { runCorrectionJob } from './correction.js';
import { VALIDATORS, validatedFleet } from './fleet.js';
import { runJob, type FederationJob } from './jobs.js';
import { attackedRounds, take } from './rounds.js';
import { runSelfDealingJob } from './self-dealing.js';
import { fleetOf, optionsOf, type AttackCell } from './setting.js';
import { runValidatorJob } from './validators.js';

const VEHICLES = 10;
const table = generateCarTable({ rows: 800, seed: 1 });
const cell = (change: Partial<AttackCell>): AttackCell => ({
  ...{ split: 'iid', vehicles: VEHICLES, attack: 'none', hostile: 0, rule: 'capped-trust', seed: 1 },
  ...change,
});
const attacked = (attack: string): AttackCell => cell({ attack, hostile: 0.2 });

describe('A fleet with validators', () => {
  it('uses no row twice: root sets, vehicles and test rows are apart', () => {
    const fleet = validatedFleet(table, { split: 'brand', vehicles: VEHICLES, rootRows: 20 });
    expect(fleet.roots.map(({ rows }) => rows)).to.deep.equal(new Array(VALIDATORS).fill(20));
    const parts: readonly Dataset[] = [...fleet.roots, ...fleet.vehicles, fleet.test];
    expect(parts.reduce((sum, { rows }) => sum + rows, 0)).to.equal(table.rows.length);
  });
});

describe('Rounds under attack', function () {
  this.timeout(300_000);

  it('are the same in every run, and hostile vehicles are drawn by the seed', () => {
    const job: FederationJob = { kind: 'federation', cell: attacked('gaussian') };
    expect(runJob(table, job)).to.deep.equal(runJob(table, job));
    expect(hostileVehicles(1, 2, VEHICLES)).to.have.length(2);
    expect(hostileVehicles(1, 2, VEHICLES)).not.to.deep.equal(hostileVehicles(2, 2, VEHICLES));
  });

  it('take the weight of those who flip signs, suspect them, and count others in full', () => {
    const options = optionsOf(attacked('sign-flip'), fleetOf(table, 'iid', VEHICLES));
    const hostile = hostileVehicles(1, 2, VEHICLES);
    const last = take(attackedRounds(options), 3).at(-1)!;
    hostile.forEach((vehicle) => {
      expect(last.weights[vehicle]).to.equal(0);
      expect(last.standing[vehicle]!.suspicionMilli).to.be.above(6_000);
    });
    expect(last.weights.filter((weight) => weight > 0)).to.have.length(VEHICLES - 2);
  });

  it('share each weight that occurs among a third of the fleet', () => {
    const options = optionsOf(attacked('label-flip'), fleetOf(table, 'brand', VEHICLES));
    for (const { weights } of take(attackedRounds(options), 4)) {
      for (const weight of new Set(weights.filter((one) => one > 0))) {
        expect(weights.filter((one) => one === weight).length).to.be.at.least(options.minimum);
      }
    }
  });

  it('ruin the mean alone, and not the default rule', () => {
    const r2 = (rule: AttackCell['rule']): number =>
      (runJob(table, { kind: 'federation', cell: { ...attacked('sign-flip'), rule } }) as { r2: number }).r2;
    expect(r2('fedavg')).to.be.below(0);
    expect(r2('capped-trust')).to.be.above(0.5);
  });

  it('are corrected to nearly what they had been without the culprit', () => {
    const request = {
      split: 'iid',
      vehicles: VEHICLES,
      attack: 'alie',
      rule: 'norm-scaling',
      rounds: 4,
      seed: 1,
    } as const;
    const { corrected, without } = runCorrectionJob(table, { kind: 'correction', ...request });
    expect(corrected).to.be.closeTo(without, 0.03);
  });

  it('have validators state their losses on what the round begins with', () => {
    const request = { split: 'iid', vehicles: VEHICLES, rounds: 1, seed: 1, noise: 0 } as const;
    const { lossesMicro } = runValidatorJob(table, { kind: 'validators', ...request });
    const base = initialParameters(PRICE_LAYERS, 1);
    const { roots } = fleetOf(table, 'iid', VEHICLES);
    expect(lossesMicro).to.deep.equal([roots.map((data) => lossMicro(base, PRICE_LAYERS, data))]);
  });

  it('pay a vehicle that sends a validator’s committed direction less than were contributions not capped', () => {
    const request = { split: 'iid', vehicles: VEHICLES, own: 1, rounds: 3, seed: 1 } as const;
    const { share, uncapped } = runSelfDealingJob(table, { kind: 'self-dealing', ...request });
    expect(share).to.be.below(uncapped);
    expect(share).to.be.at.most(2 / (VEHICLES / 2));
  });
});

describe('Rank correlation', () => {
  it('is 1 for the same order, −1 for the reverse, and takes ties at their mean rank', () => {
    expect(rankCorrelation(Float64Array.of(1, 5, 9), Float64Array.of(2, 3, 100))).to.be.closeTo(1, 1e-12);
    expect(rankCorrelation(Float64Array.of(1, 5, 9), Float64Array.of(3, 2, 1))).to.be.closeTo(-1, 1e-12);
    expect(rankCorrelation(Float64Array.of(1, 1, 2), Float64Array.of(1, 2, 3))).to.be.closeTo(Math.sqrt(3) / 2, 1e-12);
  });
});
