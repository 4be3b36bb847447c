// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '@sev/fl';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import { SecureBed } from '../testing/secure-bed.js';
import { Liar, LIES, type Lie } from './testing/lies.js';
import { expectSound, namedBy, runToEnd } from './testing/outcome.js';

const TRIALS = FULL ? 1_000 : 2 * LIES.length;
const VEHICLES = 4;

describe('one lying aggregator', () => {
  const random = seededRandom('lies');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  for (let trial = 0; trial < TRIALS; trial++) {
    const lie = LIES[trial % LIES.length]!;
    const seed = random.uint32();
    it(`that ${lie.name} neither spoils the sum nor has others named (${seed})`, async () => {
      await tell(lie, seed);
    });
  }

  async function tell(lie: Lie, seed: number): Promise<void> {
    const own = newRandom(seed);
    bed = await SecureBed.start({ vehicles: VEHICLES, minimum: 3 });
    const mspId = bed.aggregatorIds[own.below(bed.aggregatorIds.length)]!;
    const liar = new Liar(bed, mspId, own);
    bed.around.set(mspId, lie.around(liar));
    await runToEnd(bed, { maxAttempts: 2 });
    const { round, members } = await expectSound(bed, [mspId]);
    expect(round.state, `${round.abortReason ?? ''} after ${bed.log.lines('warn').slice(-3).join('\n')}`).to.equal(
      'finalised',
    );
    expect(round.attempt, 'attempts').to.equal(1);
    expect(members, 'vehicles in the sum').to.have.length(VEHICLES);
    if (lie.named !== 'not on the ledger') {
      expect(round.secure![lie.named]).to.deep.equal([mspId]);
    } else {
      expect(namedBy(round)).to.deep.equal([]);
    }
  }
});
