// SPDX-License-Identifier: Apache-2.0
import { MAX_FIXED_COHORTS } from '@sev/chaincode/api';
import { expect } from 'chai';
import { attackGroups, attackProjections, meanDeviations } from './linear-attack.js';
import { cosine, gramMatrix, solveRidge } from './least-squares.js';
import { syntheticUpdates, watchFederation } from './watched-federation.js';

const FULL = process.env['SEV_TEST_FULL'] === '1';
/** The dimension of the task `price`, the K of its secure terms, and the rounds and vehicles of the published figures. */
const TERMS = { vehicles: 20, rounds: 30, rows: 3_577 } as const;
const PROJECTIONS = 8;
/** Whoever has every round aborted as often as the contract lets it sees so many projections of the same update. */
const STALLED = MAX_FIXED_COHORTS * PROJECTIONS;
const DIMENSION = 11_137;

describe('The cross-round linear attack', function () {
  this.timeout(600_000);

  const runs = FULL
    ? ([1, 2, 3] as const).flatMap((seed) => [{ split: 'iid', seed } as const, { split: 'brand', seed } as const])
    : [{ split: 'iid', seed: 1 } as const];
  for (const { split, seed } of runs) {
    it(`learns next to nothing of a vehicle from all that 30 rounds open (${split}, seed ${seed})`, () => {
      const updates = watchFederation({ ...TERMS, split, seed });
      expect(updates[0]?.[0]?.length).to.equal(DIMENSION);
      const flat = attackProjections(updates, { projections: PROJECTIONS, seed });
      const totals = attackProjections(updates, { projections: PROJECTIONS, seed, prior: 'totals' });
      const oracle = attackProjections(updates, { projections: PROJECTIONS, seed, prior: 'oracle' });
      const [stalled = 1] = (['flat', 'totals'] as const)
        .map((prior) => attackProjections(updates, { projections: STALLED, seed, prior }))
        .sort((a, b) => b - a);
      const groups = attackGroups(updates, { groupSize: 4, seed });
      console.log(
        `      mean cosine: projections ${flat.toFixed(3)}, prior from totals ${totals.toFixed(3)}, ` +
          `true variances ${oracle.toFixed(3)}, every round thrice ${stalled.toFixed(3)}; re-drawn groups of 4 ${groups.toFixed(3)}`,
      );
      expect(flat).to.be.at.most(0.2);
      expect(totals).to.be.at.most(0.2);
      expect(stalled).to.be.at.most(0.25);
      // The same attacker, shown group sums instead, knows every vehicle: the test above can fail.
      expect(groups).to.be.at.least(0.9);
    });
  }

  it('finds what the number of equations allows, and everything where there are as many as unknowns', () => {
    const seed = 5;
    // Without noise the estimate is the projection onto a random subspace: cosine √(equations / unknowns).
    const updates = syntheticUpdates({ vehicles: 6, rounds: 10, length: 200, noise: 0, seed });
    expect(attackProjections(updates, { projections: 2, seed })).to.be.closeTo(Math.sqrt(20 / 200), 0.08);
    expect(attackProjections(updates, { projections: 10, seed })).to.be.closeTo(Math.sqrt(100 / 200), 0.08);
    expect(attackProjections(updates, { projections: 30, seed })).to.be.greaterThan(0.95);
    expect(attackGroups(updates, { groupSize: 2, seed })).to.be.greaterThan(0.99);
  });

  it('compares with deviations that sum to zero over the vehicles', () => {
    const deviations = meanDeviations(syntheticUpdates({ vehicles: 5, rounds: 3, length: 10, noise: 1, seed: 2 }));
    for (let i = 0; i < 10; i++) {
      expect(deviations.reduce((sum, one) => sum + (one[i] ?? 0), 0)).to.be.closeTo(0, 1e-9);
    }
  });
});

describe('Least squares', () => {
  it('solves a system by conjugate gradients', () => {
    const rows = [Int8Array.of(1, 0, -1), Int8Array.of(0, 1, 1), Int8Array.of(1, 1, 1)];
    const gram = gramMatrix(rows);
    expect(Array.from(gram.values)).to.deep.equal([2, -1, 0, -1, 2, 2, 0, 2, 3]);
    const x = solveRidge(gram, 0, [3, 0, -1]);
    [3, 0, -1].forEach((value, i) => {
      const image = [0, 1, 2].reduce((sum, j) => sum + (gram.values[3 * i + j] ?? 0) * (x[j] ?? 0), 0);
      expect(image).to.be.closeTo(value, 1e-8);
    });
    // λ = 1 × the mean eigenvalue 7/3.
    const shrunk = solveRidge(gram, 1, [3, 0, -1]);
    expect(2 * shrunk[0]! - shrunk[1]! + (7 / 3) * shrunk[0]!).to.be.closeTo(3, 1e-8);
  });

  it('weighs coordinates', () => {
    const gram = gramMatrix([Int8Array.of(1, -1), Int8Array.of(1, 1)], Float64Array.of(2, 3));
    expect(Array.from(gram.values)).to.deep.equal([5, -1, -1, 5]);
  });

  it('measures angles', () => {
    expect(cosine([1, 0], [2, 0])).to.equal(1);
    expect(cosine([1, 0], [0, 1])).to.equal(0);
    expect(cosine([0, 0], [0, 1])).to.equal(0);
  });
});
