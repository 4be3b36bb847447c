// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Random } from '@sev/fl';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import type { Drop } from '../testing/secure-bed-vehicles.js';
import { SecureBed } from '../testing/secure-bed.js';
import { CALLS, crashAt, type Crash } from './testing/crashes.js';
import { attemptsTrained, expectSound, indicesOf, namedBy, runToEnd } from './testing/outcome.js';

const VEHICLES = 8;
const MINIMUM = 3;
const ALL_SUBSETS = Array.from({ length: 2 ** VEHICLES }, (_, bits) => bits);

/** Everybody is somewhere in a round when it leaves, or an aggregator dies. */
describe('vehicles that leave and aggregators that crash', () => {
  const random = seededRandom('dropouts');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  for (const [aggregators, crashes] of [
    [3, 1],
    [5, 2],
  ] as const) {
    const subsets = FULL ? ALL_SUBSETS : Array.from({ length: 5 }, () => random.below(ALL_SUBSETS.length));
    for (const gone of subsets) {
      it(`of ${aggregators}: the sum is that of the vehicles that stay (gone: ${gone.toString(2).padStart(8, '0')})`, async () => {
        bed = await SecureBed.start({ aggregators, vehicles: VEHICLES, minimum: MINIMUM });
        const dropped = dropping(gone, random, bed.aggregatorIds);
        bed.fleet.drops = (index) => dropped.get(index);
        const crashed = drawCrashes(random, bed.aggregatorIds, random.below(crashes + 1));
        crashed.forEach((crash) => {
          crashAt(bed, crash);
        });
        await runToEnd(bed, { maxAttempts: 1 });

        const last = await expectSound(bed);
        const story = JSON.stringify([[...dropped], crashed]);
        expect(namedBy(last.round), story).to.deep.equal([]);
        const staying = VEHICLES - dropped.size;
        if (staying < MINIMUM) {
          expect([last.round.state, last.round.abortReason], story).to.deep.equal(['aborted', 'COHORT_TOO_SMALL']);
          return;
        }
        expect(last.round.state, story).to.equal('finalised');
        expect(attemptsTrained(bed).size, 'no vehicle is asked again').to.equal(1);
        expect(indicesOf(bed, last).some((index) => dropped.has(index))).to.equal(false);
        expect(last.members, story).to.have.length(staying);
        expect(last.round.secure?.unverified, story).to.deep.equal([]);
      });
    }
  }

  it('a vehicle whose share one aggregator cannot read is left out, and nobody is named for it', async () => {
    bed = await SecureBed.start({ vehicles: 4 });
    const mspId = bed.aggregatorIds[random.below(3)]!;
    const index = random.below(4);
    const { vehicleId } = bed.fleet.vehicles[index]!;
    bed.around.set(mspId, ({ method, args, proceed }) => {
      const submission = args[0] as ShareSubmission;
      return method === 'submitShare' && submission.envelope.vehicleId === vehicleId
        ? bed.aggregators.get(mspId)!.submitShare({ ...submission, sealed: submission.sealed.slice(4) })
        : proceed();
    });
    await runToEnd(bed, { maxAttempts: 1 });
    const last = await expectSound(bed);
    expect(last.round.state).to.equal('finalised');
    expect(indicesOf(bed, last)).to.have.members([0, 1, 2, 3].filter((other) => other !== index));
  });

  for (const when of ['before', 'after'] as const) {
    for (const call of FULL ? CALLS : [CALLS[random.below(CALLS.length)]!, 'sums' as const]) {
      it(`without an arbiter, what is held once becomes no model: a crash ${when} ${call}`, async () => {
        bed = await SecureBed.start({ vehicles: 4, arbiter: false });
        const mspId = bed.aggregatorIds[random.below(3)]!;
        crashAt(bed, { mspId, call, when });
        await runToEnd(bed, { maxAttempts: 1 });
        const { round } = await expectSound(bed);
        const isHeldTwice = call === 'publish';
        expect(round.state).to.equal(isHeldTwice ? 'finalised' : 'aborted');
        expect(round.abortReason).to.equal(isHeldTwice ? undefined : 'AGGREGATORS_MISSING');
        expect(round.secure!.shownAttempts, 'no sum was opened in vain').to.have.length(isHeldTwice ? 1 : 0);
      });
    }
  }
});

/** Where each vehicle of a subset leaves. */
function dropping(bits: number, random: Random, aggregators: readonly string[]): Map<number, Drop> {
  const drops = new Map<number, Drop>();
  for (let index = 0; index < VEHICLES; index++) {
    if (((bits >> index) & 1) === 1) {
      const some = aggregators.filter(() => random.below(2) === 0);
      drops.set(index, (['before-share', 'before-envelope', { sharedWith: some }] as const)[random.below(3)]!);
    }
  }
  return drops;
}

function drawCrashes(random: Random, aggregators: readonly string[], count: number): Crash[] {
  const left = [...aggregators];
  return Array.from({ length: count }, () => ({
    mspId: left.splice(random.below(left.length), 1)[0]!,
    call: CALLS[random.below(CALLS.length)]!,
    when: random.below(2) === 0 ? ('before' as const) : ('after' as const),
  }));
}
