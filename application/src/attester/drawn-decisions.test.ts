// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { drawnLosses, drawnVehicles, type RoundRecord, type SecureRound, type UpdateRecord } from '@sev/chaincode/api';
import { Federation, vehicleIdOf } from '../testing/federation.js';
import { refuseDrawn, type DrawnFacts } from './drawn-decisions.js';
import type { SecureView } from './secure-decisions.js';

const BASE = 'b'.repeat(64);
const HASH = 'a'.repeat(64);
const validation = { validators: ['CityMSP', 'GridMSP', 'MakerMSP'], pastRounds: 0, quarantineMilli: 1, vehicles: 3 };
const { task } = new Federation({ secure: { validation } });
const members = [0, 1, 2, 3, 4].map((index) => {
  return { vehicleId: vehicleIdOf(index), updateHash: HASH, weightClass: 0 };
});
const { drawn = [] } = drawnVehicles(
  validation,
  { taskId: task.taskId, round: 2, baseModelHash: BASE },
  { modelHash: BASE, cohort: { members } },
);
const updates = members.map(({ vehicleId }, index): Pick<UpdateRecord, 'vehicleId' | 'validation'> => {
  const word = { validation: { lossMicro: 100 + index, dataHash: HASH } };
  return { vehicleId, ...(drawn.includes(vehicleId) ? word : {}) };
});
const facts: DrawnFacts = { before: { modelHash: BASE, cohort: { members } }, updates };

/** @param change what the round carries instead of the truth. */
function refusalOf(change: Partial<SecureRound> = {}, given: DrawnFacts | undefined = facts): string | undefined {
  const secure = { drawn, ...drawnLosses(updates), ...change } as SecureRound;
  const round = { taskId: task.taskId, round: 2, attempt: 1, baseModelHash: BASE } as RoundRecord;
  const view: Pick<SecureView, 'task' | 'round' | 'secure'> = { task, round, secure };
  return refuseDrawn(view, given)?.code;
}

describe('Scores of a round that draws vehicles', () => {
  it('are agreed to where it asked those who are drawn, and keeps what they said', () => {
    expect(refusalOf()).to.equal(undefined);
  });

  it('are agreed to in rounds that asked nobody', () => {
    const silent = updates.map(({ vehicleId }) => ({ vehicleId }));
    const first: DrawnFacts = { before: { modelHash: undefined, cohort: undefined }, updates: silent };
    const nothing = { drawn: [], drawnLosses: undefined } as unknown as Partial<SecureRound>;
    expect(refusalOf(nothing, first)).to.equal(undefined);
  });

  it('are refused where it asked others', () => {
    for (const others of [[...drawn].reverse(), drawn.slice(1), [], members.slice(0, 3).map((m) => m.vehicleId)]) {
      const isSame = String(others) === String(drawn);
      expect(refusalOf({ drawn: others })).to.equal(isSame ? undefined : 'ATTESTATION_REFUSED');
    }
  });

  it('are refused where it keeps other losses', () => {
    const { drawnLosses: losses } = drawnLosses(updates);
    for (const change of [{ heard: 2 }, { medianLossMicro: 1 }, { departed: [drawn[0]!] }]) {
      expect(refusalOf({ drawnLosses: { ...losses!, ...change } })).to.equal('ATTESTATION_REFUSED');
    }
  });

  it('are refused where it leaves out what a vehicle said', () => {
    const [silenced] = drawn;
    const heard = updates.filter(({ vehicleId }) => vehicleId !== silenced);
    expect(refusalOf(drawnLosses(heard))).to.equal('ATTESTATION_REFUSED');
  });
});
