// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { UpdateRecord } from '@sev/chaincode/api';
import { contradictionIn, heldCohort } from './secure-evidence.js';

const updates = ['v-1', 'v-2', 'v-3', 'v-4'].map((vehicleId) => ({ vehicleId }) as UpdateRecord);
const holds = (mspId: string, ...vehicles: readonly number[]) => ({
  mspId,
  held: updates.map((_, index) => vehicles.includes(index + 1)),
});

describe('heldCohort', () => {
  const atLeast = (minimum: number) => (covered: readonly UpdateRecord[]) => covered.length >= minimum;

  it('is what all hold, or gave a receipt for', () => {
    const said = [holds('A', 1, 2, 3, 4), holds('B', 1, 2, 3), holds('C', 1, 2, 3, 4)];
    const { covered, holders } = heldCohort(updates, said, [], 2, atLeast(3));
    expect(covered.map(({ vehicleId }) => vehicleId)).to.deep.equal(['v-1', 'v-2', 'v-3']);
    expect(holders).to.deep.equal(['A', 'B', 'C']);
    const receipt = { vehicleId: 'v-4', mspId: 'B' };
    expect(heldCohort(updates, said, [receipt], 2, atLeast(4)).covered).to.have.length(4);
  });

  it('is what the most others hold where one leaves a cohort that may not be summed, for whatever reason', () => {
    const said = [holds('A', 1, 2, 3, 4), holds('B'), holds('C', 1, 2, 3, 4)];
    expect(heldCohort(updates, said, [], 2, atLeast(3)).holders).to.deep.equal(['A', 'C']);
    const close = [holds('A', 1, 2, 3, 4), holds('B', 1, 2, 3), holds('C', 1, 2, 3, 4)];
    const notThree = (covered: readonly UpdateRecord[]): boolean => covered.length !== 3;
    expect(heldCohort(updates, close, [], 2, notThree).holders).to.deep.equal(['A', 'C']);
  });

  it('is by all, who show why no cohort follows, where no t + 1 leave one', () => {
    const said = [holds('A', 1), holds('B', 2), holds('C', 3)];
    expect(heldCohort(updates, said, [], 2, atLeast(1)).holders).to.deep.equal(['A', 'B', 'C']);
  });
});

describe('contradictionIn', () => {
  it('names the first component of which two differ, and who', () => {
    const a = { mspId: 'A', components: { 0: ['x'], 1: ['y'] } };
    const b = { mspId: 'B', components: { 1: ['y'], 2: ['z'] } };
    expect(contradictionIn([a, b])).to.equal(undefined);
    const c = { mspId: 'C', components: { 2: ['other'] } };
    expect(contradictionIn([a, b, c])).to.deep.equal({ component: 2, mspIds: ['B', 'C'] });
  });
});
