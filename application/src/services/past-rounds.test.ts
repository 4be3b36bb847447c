// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { SecureTerms } from '@sev/chaincode/api';
import { CITY, GRID, MAKER } from '@sev/chaincode/testing';
import { SecureBed } from '../testing/secure-bed.js';
import { codeOf } from '../testing/temporary.js';
import { haveThemLearn } from '../secure-protocol/testing/learners.js';
import { PastRounds, type ComponentNumbers } from './past-rounds.js';

const VEHICLES = 6;
const K = 8;
const validation = { validators: [CITY, GRID, MAKER], pastRounds: 2, quarantineMilli: 6_000 };
const terms: Partial<SecureTerms> = { projections: K, rule: 'capped-trust', validation };

describe('Numbers of earlier rounds', () => {
  let bed: SecureBed;
  beforeEach(async () => {
    bed = await SecureBed.start({ terms, vehicles: VEHICLES, plannedRounds: 5 });
    haveThemLearn(bed);
  });
  afterEach(() => bed.stop());

  /** What aggregators open again of a round. */
  const numbersOf = async (round: number): Promise<ComponentNumbers> => {
    const { attempt } = await bed.round(round);
    const ref = { taskId: bed.task.taskId, round, attempt };
    const opened = await Promise.all(bed.aggregatorIds.map((mspId) => bed.aggregators.get(mspId)!.pastNumbers(ref)));
    return Object.assign({}, ...opened) as ComponentNumbers;
  };

  it('are those of the last finalised rounds, and of each of their vehicles', async () => {
    await bed.run({ lastRound: 4 });
    const past = new PastRounds(bed.learning);
    const before = await past.before(bed.task, 4);
    expect(before.map(({ round }) => round)).to.deep.equal([2, 3]);
    expect((await past.before(bed.task, 5)).map(({ round }) => round)).to.deep.equal([3, 4]);
    expect(await past.before(bed.task, 1)).to.deep.equal([]);
    const found = await past.of(bed.task, before[0]!, await numbersOf(2));
    expect([...found!.projections.keys()].sort()).to.deep.equal(
      bed.fleet.vehicles.map(({ vehicleId }) => vehicleId).sort(),
    );
    found!.projections.forEach((values) => {
      expect(values).to.have.length(K);
    });
  });

  it('are taken by the hashes on the ledger, whoever gives them', async () => {
    await bed.run({ lastRound: 2 });
    const past = new PastRounds(bed.learning);
    const [first] = await past.before(bed.task, 2);
    const numbers = await numbersOf(1);
    const { '0': _left, ...some } = numbers;
    const [altered, ...rest] = Buffer.from(numbers['1']!, 'base64');
    const changed = { ...numbers, '1': Buffer.from([altered! ^ 1, ...rest]).toString('base64') };
    for (const wrong of [some, changed, { ...numbers, '3': numbers['0']! }, await numbersOf(2)]) {
      expect(await codeOf(past.of(bed.task, first!, wrong))).to.equal('PROJECTIONS_INVALID');
    }
    expect(await past.of(bed.task, first!)).to.equal(undefined);
    past.note(first!, numbers);
    expect((await past.of(bed.task, first!))?.round).to.equal(1);
  });

  it('are opened again of a final attempt only, and not once its shares are destroyed', async () => {
    const [mspId] = bed.aggregatorIds as [string];
    const codes: unknown[] = [];
    const ref = { taskId: bed.task.taskId, round: 1, attempt: 1 };
    bed.around.set(mspId, async ({ method, proceed }) => {
      if (method === 'sums') {
        codes.push(await codeOf(bed.aggregators.get(mspId)!.pastNumbers(ref)));
      }
      return proceed();
    });
    await bed.run();
    expect(codes).to.deep.equal(['ROUND_STATE']);
    await bed.aggregators.get(mspId)!.pastNumbers(ref);
    await bed.aggregators.get(mspId)!.clean(Number.MAX_SAFE_INTEGER);
    expect(await codeOf(bed.aggregators.get(mspId)!.pastNumbers(ref))).to.equal('ATTEMPT_UNKNOWN');
  });
});
