// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { stepPatienceMs, type RoundRecord, type Scores, type SecureTerms, type Validation } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { DEFAULT_RETENTION_MS } from '../aggregator/retention.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { pause } from '../services/wake-up.js';
import { SevError } from '../errors.js';
import type { Around } from '../testing/secure-bed-around.js';
import { SecureBed } from '../testing/secure-bed.js';
import { codeOf } from '../testing/temporary.js';
import { directionBytes } from '../validation/directions.js';
import { haveThemLearn } from './testing/learners.js';
import { expectSound, runToEnd } from './testing/outcome.js';

const ALL = [CITY, GRID, MAKER, REGULATOR];
const VEHICLES = 8;
const validation = { validators: ALL, pastRounds: 3, quarantineMilli: 6_000 };
const judged: Partial<SecureTerms> = { projections: 8, rule: 'capped-trust', validation };

describe('rounds with validators', () => {
  let bed: SecureBed;
  beforeEach(async () => {
    bed = await SecureBed.start({ terms: judged, vehicles: VEHICLES, plannedRounds: 5 });
  });
  afterEach(() => bed.stop());

  const scoresOf = async (round = 1): Promise<Scores> =>
    (await bed.learning.scores(attemptOf(await bed.round(round)))).scores;
  const refOf = ({ taskId }: { readonly taskId: string }): AttemptRef => ({ taskId, round: 1, attempt: 1 });
  const withhold: Around = ({ method, proceed }) =>
    method === 'validate' ? proceed() : Promise.reject(new SevError('SERVICE_UNREACHABLE', 'gone'));
  /** Commits a validator to other words than its own, which it signs. */
  const saying =
    (mspId: string, change: (honest: Validation, ref: AttemptRef) => Partial<Validation>): Around =>
    async ({ method, args, proceed }) => {
      if (method !== 'validate') {
        return withhold({ method, args, proceed });
      }
      const [ref, baseModelHash] = args as [AttemptRef, string];
      const { signature: _own, ...honest } = (await proceed()) as Validation;
      const word = { ...honest, ...change({ ...honest, signature: '' }, ref) };
      const { dataHash, lossMicro, directionHash } = word;
      const signed = await bed.signer(mspId).validation(ref, { baseModelHash, dataHash, lossMicro, directionHash });
      return { ...word, signature: signed.signature };
    };

  it('open with the words of all, score by their median direction, and end in the weighted sum', async () => {
    await bed.run();
    const { round } = await expectSound(bed);
    const scores = await scoresOf();
    expect(round.secure!.opening.validations!.map(({ mspId }) => mspId)).to.deep.equal(ALL);
    expect(round.secure!.validated!.departed).to.deep.equal([]);
    expect(scores.references).to.deep.equal(ALL);
    expect(scores.astray).to.deep.equal([]);
    expect(scores.past).to.equal(undefined);
    expect(scores.evidence!.suspicionMilli).to.have.length(VEHICLES);
    expect(scores.evidence!.contributionMicro).to.have.length(VEHICLES);
    expect(round.secure!.openedProjections, 'eight random ones and the reference').to.equal(9);
  });

  it('take a hostile vehicle its weight, then quarantine it, and leave the honest ones theirs', async () => {
    haveThemLearn(bed, new Set([3]));
    await bed.run({ lastRound: 3 });
    const { members } = await expectSound(bed);
    const { vehicleId } = bed.fleet.vehicles[3]!;
    const first = await scoresOf(1);
    expect(first.weights[3]).to.equal(0);
    expect(first.reasons).to.deep.include({ vehicleId, reason: 'DIRECTION_OPPOSED' });
    // By chance a few honest ones look long, and find no company at a lower weight.
    expect(first.weights.filter((weight) => weight > 0).length).to.be.at.least(VEHICLES / 2);
    expect(first.evidence!.suspicionMilli[3]).to.be.greaterThan(0);
    expect(first.evidence!.contributionMicro[3]).to.equal(0);
    expect(Math.min(...first.evidence!.contributionMicro)).to.be.at.least(0);
    const standing = await bed.learning.standing(bed.task.taskId, vehicleId);
    expect(standing.quarantined?.round).to.equal(2);
    expect(members.map((member) => member.vehicleId)).not.to.include(vehicleId);
  });

  it('compare vehicles over the rounds before, whose numbers aggregators open again for another coordinator', async () => {
    haveThemLearn(bed);
    await bed.run({ lastRound: 2 });
    expect((await scoresOf(2)).past).to.deep.equal([{ round: 1, attempt: 1 }]);
    const asked: string[] = [];
    await bed.run({ lastRound: 3, mspId: MAKER, interrupt: (what) => asked.push(what) });
    await expectSound(bed);
    expect((await scoresOf(3)).past).to.deep.equal([
      { round: 1, attempt: 1 },
      { round: 2, attempt: 1 },
    ]);
    expect(asked).to.include(`before pastNumbers of ${CITY}`);
  });

  it('leave no earlier round out that aggregators open again, however long that takes', async () => {
    haveThemLearn(bed);
    await bed.run();
    const patienceMs = stepPatienceMs(bed.task);
    let firstMs: number | undefined;
    for (const mspId of bed.aggregatorIds) {
      bed.around.set(mspId, ({ method, proceed }) => {
        if (method !== 'pastNumbers') {
          return proceed();
        }
        firstMs ??= Date.now();
        const isLate = Date.now() < firstMs + 1.5 * patienceMs;
        return isLate ? Promise.reject(new SevError('SERVICE_UNREACHABLE', 'gone')) : proceed();
      });
    }
    await bed.run({ lastRound: 2, mspId: MAKER });
    await expectSound(bed);
    expect((await scoresOf(2)).past).to.deep.equal([{ round: 1, attempt: 1 }]);
  });

  it('leave earlier rounds out that no aggregator has any more, once attesters that had them have waited', async () => {
    haveThemLearn(bed);
    await bed.run();
    for (const mspId of bed.aggregatorIds) {
      await bed.aggregators.get(mspId)!.clean(Number.MAX_SAFE_INTEGER);
    }
    await pause(DEFAULT_RETENTION_MS);
    await bed.run({ lastRound: 2, mspId: MAKER });
    const { round } = await expectSound(bed);
    expect((await scoresOf(2)).past).to.equal(undefined);
    expect(round.stateSinceMs! - round.openedAtMs).to.be.greaterThan(bed.task.deadlines.roundMs / 4);
  });

  it('open with a majority, and wait for one', async () => {
    const gone: Around = () => Promise.reject(new SevError('SERVICE_UNREACHABLE', 'gone'));
    bed.around.set(`validator/${CITY}`, gone);
    await bed.run();
    const { round } = await expectSound(bed);
    expect((await scoresOf()).references).to.deep.equal([GRID, MAKER, REGULATOR]);
    expect(round.secure!.opening.validations).to.have.length(3);
    let asked = 0;
    bed.around.set(`validator/${MAKER}`, ({ proceed }) =>
      asked++ < 8 ? gone({ method: '', args: [], proceed }) : proceed(),
    );
    await bed.run({ lastRound: 2 });
    expect(bed.log.lines('warn').some((line) => line.includes('VALIDATORS_MISSING'))).to.equal(true);
    expect((await scoresOf(2)).references).to.deep.equal([GRID, MAKER, REGULATOR]);
  });

  it('go on without the direction of a validator that does not show it, and never before its time', async () => {
    bed.around.set(`validator/${REGULATOR}`, withhold);
    await bed.run();
    await expectSound(bed);
    const { secure } = await bed.round();
    expect(secure!.opening.validations).to.have.length(4);
    expect((await scoresOf()).references).to.deep.equal([CITY, GRID, MAKER]);
  });

  it('take a direction in that is shown when aggregators have signed without it, and lose no attempt by it', async () => {
    let isLate = true;
    const refused: unknown[] = [];
    bed.around.set(`validator/${REGULATOR}`, (call) => (isLate ? withhold(call) : call.proceed()));
    bed.around.set(GRID, async ({ method, args, proceed }) => {
      if (method === 'projections' && isLate) {
        const [ref, nonces, references] = args as [AttemptRef, string[][], string[]];
        await bed.aggregators.get(CITY)!.projections(ref, nonces, references);
        isLate = false;
        await bed
          .validators()
          .find(({ mspId }) => mspId === REGULATOR)!
          .publish(ref);
        refused.push(references, await codeOf(bed.aggregators.get(GRID)!.projections(ref, nonces, references)));
      }
      return proceed();
    });
    await bed.run();
    const { round } = await expectSound(bed);
    expect(refused).to.deep.equal([[CITY, GRID, MAKER], 'REFERENCES_INCOMPLETE']);
    expect(round.attempt).to.equal(1);
    expect((await scoresOf()).references).to.deep.equal(ALL);
  });

  it('end without a model where most show no direction', async () => {
    for (const mspId of [CITY, MAKER]) {
      bed.around.set(`validator/${mspId}`, withhold);
    }
    await runToEnd(bed, { maxAttempts: 1 });
    const { round } = await expectSound(bed);
    expect([round.state, round.abortReason]).to.deep.equal(['aborted', 'AGGREGATORS_MISSING']);
    expect(round.secure!.sums).to.equal(undefined);
  });

  const falseDirections: Readonly<Record<string, () => Uint8Array>> = {
    'of another length': () => randomBytes(4 * 7),
    'longer than it may be': () => directionBytes(new Int32Array(bed.task.model.parameters).fill(2 ** 14)),
    'that points nowhere': () => directionBytes(new Int32Array(bed.task.model.parameters)),
  };
  for (const [which, bytesOf] of Object.entries(falseDirections)) {
    it(`open nothing along a direction ${which}, whoever commits itself to it`, async () => {
      const bytes = bytesOf();
      bed.around.set(
        `validator/${CITY}`,
        saying(CITY, () => ({ directionHash: bed.plant(bytes) })),
      );
      const refusals: unknown[] = [];
      bed.around.set(GRID, async ({ method, args, proceed }) => {
        if (method === 'projections') {
          const [ref, nonces] = args as [AttemptRef, string[][]];
          refusals.push(await codeOf(bed.aggregators.get(GRID)!.projections(ref, nonces, ALL)));
        }
        return proceed();
      });
      await bed.run();
      await expectSound(bed);
      expect(new Set(refusals)).to.deep.equal(new Set(['DIRECTION_INVALID']));
      expect((await scoresOf()).references).to.deep.equal([GRID, MAKER, REGULATOR]);
    });
  }

  it('leave a validator out whose loss departs, name it, and after two rounds hear it no more', async () => {
    haveThemLearn(bed);
    bed.around.set(`validator/${MAKER}`, async (call) =>
      call.method === 'validate'
        ? saying(MAKER, ({ lossMicro }) => ({ lossMicro: 40 * lossMicro }))(call)
        : call.proceed(),
    );
    await bed.run({ lastRound: 3 });
    await expectSound(bed);
    expect((await bed.round(1)).secure!.validated!.departed).to.deep.equal([MAKER]);
    expect((await scoresOf(1)).references).to.deep.equal([CITY, GRID, REGULATOR]);
    const record = (await bed.learning.validators(bed.task.taskId)).find(({ mspId }) => mspId === MAKER)!;
    expect([record.departures, record.setAsideFrom]).to.deep.equal([[1, 2], 3]);
    const { secure } = await bed.round(3);
    expect(secure!.opening.validations!.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, REGULATOR]);
  });

  it('name a validator whose direction points away from the median, which it does not turn', async () => {
    haveThemLearn(bed);
    const away = directionBytes(new Int32Array(bed.task.model.parameters).fill(4_000));
    bed.around.set(
      `validator/${GRID}`,
      saying(GRID, () => ({ directionHash: bed.plant(away) })),
    );
    await bed.run({ lastRound: 2 });
    await expectSound(bed);
    const scores = await scoresOf(1);
    expect([scores.references, scores.astray]).to.deep.equal([ALL, [GRID]]);
    expect(Math.max(...scores.evidence!.suspicionMilli)).to.be.at.most(0);
    const [record] = (await bed.learning.validators(bed.task.taskId)).filter(({ mspId }) => mspId === GRID);
    expect(record!.departures).to.deep.equal([1, 2]);
  });

  describe('when a direction is aimed at vehicles that are known', () => {
    /** What an aggregator answers in place of what it is asked, once the cohort is fixed. */
    const asking = async (
      ask: (ref: AttemptRef, nonces: string[][], round: RoundRecord) => Promise<unknown>,
    ): Promise<unknown[]> => {
      const codes: unknown[] = [];
      bed.around.set(MAKER, async ({ method, args, proceed }) => {
        if (method === 'projections' && codes.length === 0) {
          const [ref, nonces] = args as [AttemptRef, string[][]];
          codes.push(await codeOf(ask(ref, nonces, await bed.round())));
        }
        return proceed();
      });
      await bed.run();
      await expectSound(bed);
      return codes;
    };
    const projections = (ref: AttemptRef, nonces: string[][], references?: readonly string[]) =>
      bed.aggregators.get(MAKER)!.projections(ref, nonces, references);

    it('an aggregator refuses another one in the place of the committed', async () => {
      const aimed = directionBytes(new Int32Array(bed.task.model.parameters).fill(1_000));
      const codes = await asking(async (ref, nonces, { secure }) => {
        const { directionHash } = secure!.opening.validations![0]!;
        const committed = bed.store.objects.get(directionHash)!;
        bed.store.objects.set(directionHash, aimed);
        try {
          return await projections(ref, nonces, ALL);
        } finally {
          bed.store.objects.set(directionHash, committed);
        }
      });
      expect(codes).to.deep.equal(['DIRECTION_MISMATCH']);
    });

    it('an aggregator refuses directions of a choice of validators, while the others have time', async () => {
      expect(await asking((ref, nonces) => projections(ref, nonces, [CITY, GRID, MAKER]))).to.deep.equal([
        'REFERENCES_INCOMPLETE',
      ]);
    });

    for (const [which, references] of Object.entries({
      'half of them': [CITY, GRID],
      nobody: undefined,
      'a stranger': [CITY, GRID, MAKER, 'StrangerMSP'],
      'one twice': [CITY, CITY, GRID, MAKER],
      'them in another order': [...ALL].reverse(),
    })) {
      it(`an aggregator refuses directions of ${which}`, async () => {
        expect(await asking((ref, nonces) => projections(ref, nonces, references))).to.deep.equal([
          'REFERENCES_INVALID',
        ]);
      });
    }

    it('a validator shows none before its own ledger has the cohort', async () => {
      const refusals: unknown[] = [];
      await bed.run({
        interrupt: (what) => {
          if (what === 'before FixCohort') {
            const shown = bed.validators().map((one) => codeOf(one.publish(refOf(bed.task))));
            void Promise.all(shown).then((codes) => refusals.push(...codes));
          }
        },
      });
      expect(refusals).to.deep.equal(ALL.map(() => 'ROUND_STATE'));
      await expectSound(bed);
    });
  });
});
