// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { SecureBed, type BedOptions } from '../testing/secure-bed.js';
import { expectSound } from './testing/outcome.js';

describe('secure rounds of honest parties', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  for (const options of [{ aggregators: 3 }, { aggregators: 5 }] satisfies BedOptions[]) {
    it(`end in the integer weighted sum of all updates with ${options.aggregators} aggregators`, async () => {
      bed = await SecureBed.start(options);
      await bed.run();
      const { round, members } = await expectSound(bed);
      expect(round.state).to.equal('finalised');
      expect(members).to.have.length(8);
    });
  }

  it('go on from the model of the round before', async () => {
    bed = await SecureBed.start({ vehicles: 4 });
    await bed.run({ lastRound: 2 });
    const { round } = await expectSound(bed);
    expect([round.round, round.state]).to.deep.equal([2, 'finalised']);
    expect(round.baseModelHash).to.equal((await bed.round(1)).proposal?.modelHash);
  });
});
