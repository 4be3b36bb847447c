// SPDX-License-Identifier: Apache-2.0
import {
  sha256Hex,
  type CohortRecord,
  type CulpritRecord,
  type IncidentRecord,
  type ScoresRecord,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/learning-task.js';
import type { LearningContract } from './rounds.js';
import { NONE_SHOWN, shownSums } from './secure-scores.js';

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

type Culprits = readonly Pick<CulpritRecord, 'vehicleId' | 'opened'>[];

/** A ledger with one scored attempt, these culprits and these incidents. */
function ledger(culprits: Culprits, incidents: readonly Partial<IncidentRecord>[]): LearningContract {
  return {
    cohort: () => Promise.resolve({ members }),
    scores: () => Promise.resolve({ scores }),
    culprits: () => Promise.resolve(culprits),
    // eslint-disable-next-line @typescript-eslint/require-await
    incidents: async function* () {
      yield* incidents;
    },
  } as unknown as LearningContract;
}

async function counted(culprits: Culprits, incidents: readonly Partial<IncidentRecord>[] = []): Promise<string[]> {
  const shown = await shownSums(ledger(culprits, incidents), task, { shownAttempts: [{ round: 1, attempt: 1 }] });
  return [...shown.counted[0]!.keys()];
}

describe('What shown sums count', () => {
  it('is all of their cohorts but for vehicles that were opened by vote', async () => {
    const all = members.map(({ vehicleId }) => vehicleId);
    expect(await counted([])).to.deep.equal(all);
    expect(await counted([{ vehicleId: 'v-2', opened: true }])).to.deep.equal(all.filter((id) => id !== 'v-2'));
    expect(await counted([{ vehicleId: 'v-2', opened: false }]), 'confirmed, and not opened').to.deep.equal(all);
  });

  it('leaves out whose update in them an incident opened, whatever came of it, and nobody for one in other rounds', async () => {
    const all = members.map(({ vehicleId }) => vehicleId);
    const open = { taskId: 'price', vehicleId: 'v-3', incidentId: 'i', disputed: [{ round: 1, attempt: 1 }] };
    const vectors = { decidedBy: { projections: ['CityMSP'], vectors: ['CityMSP'] } };
    const others = all.filter((id) => id !== 'v-3');
    expect(await counted([], [{ ...open, state: 'cleared', ...vectors }])).to.deep.equal(others);
    expect(await counted([], [{ ...open, state: 'vectors', ...vectors }])).to.deep.equal(others);
    const projections = { decidedBy: { projections: ['CityMSP'] } };
    expect(await counted([], [{ ...open, state: 'cleared', ...projections }])).to.deep.equal(all);
    const elsewhere = { disputed: [{ round: 2, attempt: 1 }] };
    expect(await counted([], [{ ...open, ...vectors, ...elsewhere }])).to.deep.equal(all);
  });

  it('is nothing where none were shown', async () => {
    expect(await shownSums(ledger([], []), task, { shownAttempts: [] })).to.deep.equal(NONE_SHOWN);
  });
});
