// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noiseLeaf, openedCandidate, partHash, signStatement, type PartStatement } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { AttemptSecrets } from '../aggregator/attempt-secrets.js';
import { SevError } from '../errors.js';
import { FULL, seededRandom } from '../e2e/testing/seed.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { SecureBed } from '../testing/secure-bed.js';
import { CALLS, crashAt } from './testing/crashes.js';
import { attemptsOf, expectSound, namedBy, runToEnd } from './testing/outcome.js';

const DP = { noiseDeviation: 1_000, budgetMicroRho: 1_000_000_000_000, deltaExponent: 6 };
const OPTIONS = { vehicles: 3, terms: { projections: 0, rule: 'uniform' as const, dp: DP } };
/** Of fair draws fewer than 1 in 500 sequences leave these bounds. */
const [ROUNDS, LEAST, MOST] = FULL ? [100, 34, 66] : [10, 1, 9];

describe('noise of mode dp', () => {
  const random = seededRandom('noise');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  /**
   * Gives the second of two candidates another seed than its noise came from, on the liar's own disk.
   *
   * @returns parts of the seed that it came from.
   */
  async function makeUpNoise(mspId: string, ref: AttemptRef): Promise<readonly string[]> {
    const { taskId, round, attempt } = ref;
    const path = join(bed.homeOf(mspId), taskId, `${round}-${attempt}`, 'secrets.json');
    const secrets = JSON.parse(await readFile(path, 'utf8')) as AttemptSecrets;
    const [first, second] = secrets.noise!;
    const seedParts = second.seedParts.map(() => randomBytes(32).toString('hex'));
    const place = { ...attemptOf(ref), consortium: bed.consortium.bootstrapHash };
    const part = structuredClone(secrets.part);
    part.noise![1].seedLeaves = seedParts.map((value, component) => noiseLeaf(place, mspId, component, value));
    const { baseModelHash } = secrets;
    const statement: PartStatement = {
      type: 'sev/opening-part/v1',
      ...{ ...place, mspId, baseModelHash, partHash: partHash(part) },
    };
    const signature = signStatement(statement, bed.signingKeyOf(mspId));
    const noise = [first, { ...second, seedParts }];
    await writeFile(path, JSON.stringify({ ...secrets, noise, part, signature }));
    return second.seedParts;
  }

  it(`that was made up is found in the rounds that open it, about half of ${ROUNDS}, and the liar alone is named, silent or not`, async () => {
    let found = 0;
    for (let trial = 0; trial < ROUNDS; trial++) {
      bed = await SecureBed.start({ ...OPTIONS, plannedRounds: 1 });
      const liar = bed.aggregatorIds[random.below(3)]!;
      const made = new Map<string, readonly string[]>();
      bed.around.set(liar, async ({ method, args, proceed }) => {
        if (method === 'reveal' && args[1] !== undefined && trial % 2 === 1) {
          throw new SevError('SERVICE_UNREACHABLE', 'will not show its noise');
        }
        const answer = await proceed();
        const ref = args[0] as AttemptRef;
        if (method !== 'prepare' || made.has(liar)) {
          return answer;
        }
        made.set(liar, await makeUpNoise(liar, ref));
        // Only a new process reads its disk again.
        await bed.restart(liar);
        return proceed();
      });
      await runToEnd(bed, { maxAttempts: 1 });
      const { round } = await expectSound(bed, [liar], made);
      if (round.state === 'finalised') {
        expect(openedCandidate(round.secure!.seed!, liar), 'the honest candidate was opened').to.equal(0);
        expect(namedBy(round)).to.deep.equal([]);
      } else {
        found += 1;
        expect(namedBy(round), round.abortReason).to.deep.equal([liar]);
      }
      await bed.stop();
    }
    expect(found).to.be.within(LEAST, MOST);
  }).timeout(600_000);

  it('of honest aggregators is never doubted, and every round is charged', async () => {
    bed = await SecureBed.start({ ...OPTIONS, plannedRounds: 3 });
    await bed.run({ lastRound: 3 });
    await expectSound(bed);
    const rounds = await attemptsOf(bed);
    expect(rounds.map(({ round }) => round.state)).to.deep.equal(['finalised', 'finalised', 'finalised']);
    const charged = rounds.map(({ round }) => round.secure!.chargedMicroRho);
    expect(charged[0]).to.be.above(0);
    expect(charged).to.deep.equal([1, 2, 3].map((n) => n * charged[0]!));
  });

  it('hides no vehicle that sends more than its bound: the total shows it, and no model follows from it', async () => {
    bed = await SecureBed.start({ ...OPTIONS, plannedRounds: 1 });
    bed.fleet.stretch = (index) => (index === 1 ? 1_000 : 1);
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed);
    expect(round).to.include({ state: 'aborted', abortReason: 'AGGREGATORS_MISSING' });
    expect(namedBy(round)).to.deep.equal([]);
    expect(round.secure!.sums, 'the total was shown').to.have.length(3);
    expect(bed.log.lines().join()).to.include('TOTAL_OUT_OF_BOUND');
  });

  it('is no longer added once the budget is spent: the round that would cross it is refused', async () => {
    const probe = await SecureBed.start(OPTIONS);
    await probe.run();
    const one = (await probe.round()).secure!.chargedMicroRho;
    await probe.stop();
    const dp = { ...DP, budgetMicroRho: 2 * one + 1 };
    bed = await SecureBed.start({ ...OPTIONS, plannedRounds: 3, terms: { ...OPTIONS.terms, dp } });
    expect(await runToEnd(bed, { lastRound: 3, maxAttempts: 2 })).to.include('PRIVACY_BUDGET_EXCEEDED');
    const attempts = await attemptsOf(bed);
    const charged = attempts.map(({ round }) => round.secure!.chargedMicroRho);
    expect(Math.max(...charged)).to.equal(2 * one);
    expect(attempts.filter(({ round }) => round.secure?.sums !== undefined)).to.have.length(2);
  });

  for (const call of FULL ? CALLS : [CALLS[random.below(CALLS.length)]!, 'reveal' as const]) {
    it(`of an aggregator that crashes before ${call} stays in the sum, its seed put together by the others`, async () => {
      bed = await SecureBed.start(OPTIONS);
      const mspId = bed.aggregatorIds[random.below(3)]!;
      crashAt(bed, { mspId, call, when: 'before' });
      await runToEnd(bed, { maxAttempts: 1 });
      const { round } = await expectSound(bed);
      expect(round.state, round.abortReason).to.equal('finalised');
      expect(namedBy(round)).to.deep.equal([]);
    });
  }
});
