// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { MAX_FIXED_COHORTS, type RoundOpening } from '@sev/chaincode/api';
import { newRandom } from '@sev/fl';
import { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { SecureBed } from '../testing/secure-bed.js';
import { crashAt } from './testing/crashes.js';
import { Liar, wrongSums } from './testing/lies.js';
import { expectSound, namedBy, attemptsOf, runToEnd } from './testing/outcome.js';

const VEHICLES = 4;

/** The first component that these aggregators hold, and none of the others. */
function heldBy(bed: SecureBed, holds: (holders: readonly string[]) => boolean): string {
  const { aggregators, threshold } = bed.task.secure!;
  const sets = subsets(aggregators, threshold).map((out) => aggregators.filter((mspId) => !out.includes(mspId)));
  return String(sets.findIndex(holds));
}

function subsets(items: readonly string[], size: number): string[][] {
  return size === 0
    ? [[]]
    : items.flatMap((first, index) => subsets(items.slice(index + 1), size - 1).map((rest) => [first, ...rest]));
}

describe('aggregators that crash while others lie', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  function lies(mspId: string, component: string): void {
    bed.around.set(mspId, wrongSums(component)(new Liar(bed, mspId, newRandom(1))));
  }

  it('of three, one crashed and one alone with its lie: found by the audit, named, and never final', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    const [crashed, liar] = bed.aggregatorIds as [string, string];
    lies(
      liar,
      heldBy(bed, (holders) => holders.includes(crashed) && holders.includes(liar)),
    );
    crashAt(bed, { mspId: crashed, call: 'sums', when: 'before' });
    await runToEnd(bed, { maxAttempts: 1 });
    const [first] = await attemptsOf(bed);
    await expectSound(bed, [liar]);
    expect(first!.round.state).to.equal('aborted');
    expect(namedBy(first!.round)).to.deep.equal([liar]);
  });

  it('of three without an arbiter: what the liar alone answers for becomes no model', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES, arbiter: false });
    const [crashed, liar] = bed.aggregatorIds as [string, string];
    lies(
      liar,
      heldBy(bed, (holders) => holders.includes(crashed) && holders.includes(liar)),
    );
    crashAt(bed, { mspId: crashed, call: 'sums', when: 'before' });
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed, [liar]);
    expect([round.state, round.abortReason]).to.deep.equal(['aborted', 'AGGREGATORS_MISSING']);
    expect(round.secure!.sums, 'no sum was opened').to.equal(undefined);
  });

  it('of three, none crashed and one that accuses its peer and then lies about what it alone answers for', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    const [peer, other, liar] = bed.aggregatorIds as [string, string, string];
    const lie = wrongSums(heldBy(bed, (holders) => holders.includes(peer) && holders.includes(liar)))(
      new Liar(bed, liar, newRandom(1)),
    );
    bed.around.set(liar, (made) =>
      made.method === 'accept' && (made.args[1] as RoundOpening).aggregators.some(({ mspId }) => mspId === peer)
        ? Promise.reject(new AccusationError('DEAL_INVALID', 'a lie', peer))
        : lie(made),
    );
    await runToEnd(bed, { maxAttempts: 3 });
    const last = await expectSound(bed, [liar]);
    expect(last.round.state, last.round.abortReason).to.equal('finalised');
    expect(last.round.secure!.opening.aggregators.map(({ mspId }) => mspId)).to.deep.equal([peer, other]);
  });

  it('of five, one crashed and one liar: the liar is named and the sum is right', async () => {
    bed = await SecureBed.start({ aggregators: 5, vehicles: VEHICLES });
    const [crashed, liar] = bed.aggregatorIds as [string, string];
    lies(
      liar,
      heldBy(bed, (holders) => holders.includes(crashed) && holders.includes(liar)),
    );
    crashAt(bed, { mspId: crashed, call: 'sums', when: 'before' });
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed, [liar]);
    expect(round.state, round.abortReason).to.equal('finalised');
    expect(round.secure!.faulty).to.deep.equal([liar]);
    expect(round.secure!.unverified).to.deep.equal([]);
  });

  it('of five, two liars that lie alike about what one honest one holds too: both are named', async () => {
    bed = await SecureBed.start({ aggregators: 5, vehicles: VEHICLES });
    const [first, second] = bed.aggregatorIds as [string, string];
    const component = heldBy(bed, (holders) => holders.includes(first) && holders.includes(second));
    const random = newRandom(7);
    const one = wrongSums(component, Buffer.alloc(4 * 32, 7));
    [first, second].forEach((mspId) => {
      bed.around.set(mspId, one(new Liar(bed, mspId, random)));
    });
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed, [first, second]);
    expect(round.state, round.abortReason).to.equal('finalised');
    expect(round.secure!.faulty).to.deep.equal([first, second]);
  });

  it('of five, two liars about different components: both are named and the sum is right', async () => {
    bed = await SecureBed.start({ aggregators: 5, vehicles: VEHICLES });
    const [first, second] = bed.aggregatorIds as [string, string];
    lies(
      first,
      heldBy(bed, (holders) => holders.includes(first) && !holders.includes(second)),
    );
    lies(
      second,
      heldBy(bed, (holders) => !holders.includes(first) && holders.includes(second)),
    );
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed, [first, second]);
    expect(round.state, round.abortReason).to.equal('finalised');
    expect(round.secure!.faulty).to.deep.equal([first, second]);
  });

  it('in front of an arbiter that never answers: the attempt ends, and what is disputed stays closed', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    const liar = bed.aggregatorIds[0]!;
    lies(
      liar,
      heldBy(bed, (holders) => holders.includes(liar)),
    );
    bed.around.set('arbiter', ({ method, proceed }) =>
      method === 'verdict' ? bed.clock.idleWith(new Promise(() => undefined)) : proceed(),
    );
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed, [liar]);
    expect([round.state, round.abortReason]).to.deep.equal(['aborted', 'DISPUTE_UNSETTLED']);
    expect(namedBy(round), 'nobody has judged').to.deep.equal([]);
    expect(round.secure!.silent, 'who was to judge').to.deep.equal(['RegulatorMSP']);
    expect(round.secure!.sums, 'no sum was opened').to.equal(undefined);
  });

  it('of three, one crashed before an arbiter that never answers: the base is not spent', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    crashAt(bed, { mspId: bed.aggregatorIds[0]!, call: 'sums', when: 'before' });
    bed.around.set('arbiter', ({ method, proceed }) =>
      method === 'verdict' ? bed.clock.idleWith(new Promise(() => undefined)) : proceed(),
    );
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed);
    expect([round.state, round.abortReason]).to.deep.equal(['aborted', 'DISPUTE_UNSETTLED']);
    expect(round.secure).to.deep.include({ silent: ['RegulatorMSP'], shownAttempts: [] });
  });

  it('of three, one crashed and one that is away for a while: the audit comes before the attempt is given up', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    const [crashed, away] = bed.aggregatorIds as [string, string];
    crashAt(bed, { mspId: crashed, call: 'sums', when: 'before' });
    let left = 4;
    bed.around.set(away, ({ method, proceed }) =>
      method === 'sums' && left-- > 0 ? Promise.reject(new SevError('SERVICE_UNREACHABLE', 'away')) : proceed(),
    );
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed);
    expect([round.state, round.abortReason]).to.deep.equal(['finalised', undefined]);
    expect(round.secure!.disputes.map(({ phase }) => phase)).to.deep.equal(['audit', 'audit']);
  });

  it('in front of an arbiter that gives no key: the round waits, and opens once it does', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    let left = 4;
    bed.around.set('arbiter', ({ method, proceed }) =>
      method === 'prepare' && left-- > 0 ? Promise.reject(new SevError('SERVICE_UNREACHABLE', 'down')) : proceed(),
    );
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed);
    expect([round.state, round.attempt]).to.deep.equal(['finalised', 1]);
    expect(round.secure!.opening.arbiter?.mspId).to.equal('RegulatorMSP');
  });
});

describe('attesters that are away', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  it('so that there is no majority: attempts end without their cohort fixed, and the round once it is back', async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES });
    const away = ['attester/CityMSP', 'attester/RegulatorMSP'];
    away.forEach((name) => bed.around.set(name, () => Promise.reject(new SevError('SERVICE_UNREACHABLE', 'away'))));
    expect(await runToEnd(bed, { maxAttempts: MAX_FIXED_COHORTS })).to.include('aborted 3 times');
    const attempts = await attemptsOf(bed);
    expect(attempts.map(({ round }) => round.abortReason)).to.deep.equal(Array(MAX_FIXED_COHORTS).fill('NO_MAJORITY'));
    expect((await bed.round()).secure).to.deep.include({ fixedCohorts: 0, openedProjections: 0 });
    away.forEach((name) => bed.around.delete(name));
    await bed.run({ maxAttempts: MAX_FIXED_COHORTS + 1 });
    const { round } = await expectSound(bed);
    expect([round.state, round.attempt]).to.deep.equal(['finalised', MAX_FIXED_COHORTS + 1]);
  });
});
