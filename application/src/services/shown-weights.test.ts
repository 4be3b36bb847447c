// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type CohortRecord, type CulpritRecord, type ScoresRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import type { LearningContract } from './rounds.js';
import { shownWeights } from './secure-scores.js';

const VEHICLES = 5;
const aggregators = ['CityMSP', 'GridOperatorMSP', 'ManufacturerMSP'];
const options = { taskId: 'price', vehicles: VEHICLES, rounds: 3, seed: 1, trainingRows: 100, minimumCohort: 3 };
const { task } = priceTask({ ...options, privacy: 'secure', aggregators });
const REF = { taskId: 'price', round: 1, attempt: 1 };

const members: CohortRecord['members'] = Array.from({ length: VEHICLES }, (_, index) => ({
  vehicleId: `v-${String(index)}`,
  updateHash: sha256Hex(String(index)),
  weightClass: 0,
}));
const scores: ScoresRecord['scores'] = {
  ...REF,
  cohortHash: sha256Hex('cohort'),
  weights: members.map(() => 4),
  reasons: [],
};

/** A ledger with one scored attempt, on which these incidents were confirmed. */
function ledger(culprits: readonly Pick<CulpritRecord, 'vehicleId' | 'opened'>[]): LearningContract {
  return {
    cohort: () => Promise.resolve({ members }),
    scores: () => Promise.resolve({ scores }),
    culprits: () => Promise.resolve(culprits),
  } as unknown as LearningContract;
}

async function counted(culprits: readonly Pick<CulpritRecord, 'vehicleId' | 'opened'>[]): Promise<string[]> {
  const [sum] = await shownWeights(ledger(culprits), task, { shownAttempts: [{ round: 1, attempt: 1 }] });
  return [...sum!.keys()];
}

describe('What shown sums count', () => {
  it('is all of their cohorts but for vehicles that were opened by vote', async () => {
    const all = members.map(({ vehicleId }) => vehicleId);
    expect(await counted([])).to.deep.equal(all);
    expect(await counted([{ vehicleId: 'v-2', opened: true }])).to.deep.equal(all.filter((id) => id !== 'v-2'));
    expect(await counted([{ vehicleId: 'v-2', opened: false }]), 'confirmed, and not opened').to.deep.equal(all);
  });

  it('is nothing where none were shown', async () => {
    expect(await shownWeights(ledger([]), task, { shownAttempts: [] })).to.deep.equal([]);
  });
});
