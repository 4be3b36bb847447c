// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { sha256Hex, type RoundRecord } from '@sev/chaincode/api';
import { medianDirection, parametersToBytes } from '@sev/fl';
import { learning } from '../ledger/contracts.js';
import { Federation } from '../testing/federation.js';
import { earlierRounds } from './earlier-rounds.js';

const federation = new Federation({ secure: {} });
const { task, store, ledger } = federation;
const contract = learning(ledger.session('CityMSP'));
const length = task.model.parameters;
const directions = [1_000, 2_000, -4_000].map((value) => new Int32Array(length).fill(value));
const mspIds = ['CityMSP', 'GridMSP', 'MakerMSP'];

/** A round as far as it is looked at; the store has its base and the directions that its opening commits to. */
function addRound(round: number): Float32Array {
  const base = new Float32Array(length).fill(round);
  const baseModelHash = put(parametersToBytes(base));
  const validations = mspIds.map((mspId, index) => ({
    ...{ mspId, dataHash: '', lossMicro: 1, signature: '' },
    directionHash: put(new Uint8Array(directions[index]!.buffer)),
  }));
  const opening = { aggregators: [], validations };
  const secure = { opening, references: mspIds.slice(0, 2) } as unknown as RoundRecord['secure'];
  ledger.rounds.set(round, { taskId: task.taskId, round, attempt: 1, baseModelHash, secure } as RoundRecord);
  return base;
}

function put(bytes: Uint8Array): string {
  const hash = sha256Hex(bytes);
  store.objects.set(hash, bytes);
  return hash;
}

describe('What is known of earlier rounds', () => {
  const fetch = (hash: string): Promise<Uint8Array> => store.get(hash);

  it('is nothing in the first', async () => {
    expect(await earlierRounds(contract, task, 1, fetch)).to.deep.equal({ bases: [] });
  });

  it('is the models of the last five, and the direction by which the last was judged', async () => {
    const bases = [1, 2, 3, 4, 5, 6].map(addRound);
    const earlier = await earlierRounds(contract, task, 7, fetch);
    expect(earlier.bases).to.deep.equal(bases.slice(1));
    expect(earlier.lastDirection).to.deep.equal(medianDirection(directions.slice(0, 2)));
  });

  it('is no direction where the task has no validators', async () => {
    const { secure: _secure, ...plain } = ledger.rounds.get(6)!;
    ledger.rounds.set(6, plain);
    expect(await earlierRounds(contract, task, 7, fetch)).not.to.have.property('lastDirection');
  });
});
