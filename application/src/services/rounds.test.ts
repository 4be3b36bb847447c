// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { CulpritRecord, StandingRecord, Task } from '@sev/chaincode/api';
import { barredFrom } from './rounds.js';

const quarantined = { round: 2 };
const standings = [
  { vehicleId: 'v-one' },
  { vehicleId: 'v-two', quarantined },
  { vehicleId: 'v-four', quarantined },
] as StandingRecord[];
const culprits = [{ vehicleId: 'v-two' }, { vehicleId: 'v-three' }] as CulpritRecord[];

describe('barredFrom', () => {
  const barred = async (secure: unknown): Promise<readonly (readonly [string, string])[]> => [
    ...(await barredFrom(
      {
        // eslint-disable-next-line @typescript-eslint/require-await
        standings: async function* () {
          yield* standings;
        },
        culprits: () => Promise.resolve(culprits),
      },
      { taskId: 'price-1', secure: secure as Task['secure'] },
    )),
  ];

  it('names each vehicle that is in quarantine, or about which an incident was confirmed, with what the ledger says', async () => {
    expect(await barred({ validation: {} })).to.deep.equal([
      ['v-two', 'VEHICLE_NOT_ACTIVE'],
      ['v-four', 'VEHICLE_QUARANTINED'],
      ['v-three', 'VEHICLE_NOT_ACTIVE'],
    ]);
  });

  it('names culprits of tasks that have no validators, and nobody where nothing is shared', async () => {
    expect(await barred({})).to.deep.equal([
      ['v-two', 'VEHICLE_NOT_ACTIVE'],
      ['v-three', 'VEHICLE_NOT_ACTIVE'],
    ]);
    expect(await barred(undefined)).to.deep.equal([]);
  });
});
