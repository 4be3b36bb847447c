// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import {
  cohortHash,
  encodeBitmap,
  MAX_FIXED_COHORTS,
  roundSeed,
  TIME_MARGIN_MS,
  type HoldingsStatement,
  type Proposal,
  type SignedBy,
} from '@sev/chaincode/api';
import { newRandom } from '@sev/fl';
import { expect } from 'chai';
import type { OpenedProjections } from '../aggregator/aggregator-client.js';
import type { ScoresRequest, StatementSource } from '../coordinator/statements.js';
import { learning } from '../ledger/contracts.js';
import { attemptOf } from '../services/attempt.js';
import { computeScores } from '../services/secure-scores.js';
import { pause } from '../services/wake-up.js';
import { updatesOf, type LearningContract } from '../services/rounds.js';
import { intercepted } from '../testing/secure-bed-around.js';
import { SecureBed } from '../testing/secure-bed.js';
import { codeOf } from '../testing/temporary.js';
import { Killed } from './testing/killed.js';
import { Liar } from './testing/lies.js';
import { attemptsOf, expectSound, namedBy, runToEnd } from './testing/outcome.js';

const OWN = 'GridOperatorMSP';
const VEHICLES = 4;
/** Of the bed's rounds; a quarter of it is what attesters wait for an aggregator. */
const ROUND_MS = 60_000;
const QUARTER_MS = ROUND_MS / 4;

/**
 * A coordinator that leaves its program: it asks attesters for what it likes and submits what it gets. Its own
 * organisation signs anything.
 */
describe('a lying coordinator', () => {
  let bed: SecureBed;
  let contract: LearningContract;
  let asked: ScoresRequest | undefined;

  beforeEach(async () => {
    bed = await SecureBed.start({ vehicles: VEHICLES, terms: { rule: 'norm-scaling' } });
    contract = learning(await bed.session(OWN, 'coordinator'));
    asked = undefined;
  });
  afterEach(() => bed.stop());

  /** Drives the round until this transaction would be sent; what attesters were asked about weights is kept. */
  async function driveTo(transaction: string): Promise<void> {
    const sources = bed.sources(OWN).map((source) =>
      intercepted(source, ({ method, args, proceed }) => {
        asked = method === 'scores' ? (args[0] as ScoresRequest) : asked;
        return proceed();
      }),
    );
    let isDead = false;
    const die = (what: string): void => {
      isDead ||= what === `before ${transaction}`;
      if (isDead) {
        throw new Killed(what);
      }
    };
    await bed
      .run({
        sources,
        interrupt: die,
        read: () => {
          die('a read');
        },
      })
      .catch((error: unknown) => {
        expect(error).to.be.instanceOf(Killed);
      });
  }

  /** Whatever signatures the other organisations give. */
  async function signatures(ask: (source: StatementSource) => Promise<SignedBy>): Promise<SignedBy[]> {
    const others = bed.sources(OWN).filter(({ mspId }) => mspId !== OWN);
    const given = await Promise.allSettled(others.map(ask));
    return given.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  }

  const place = async () => ({ consortium: bed.consortium.bootstrapHash, ...attemptOf(await bed.round()) });

  /** Somebody honest takes over, and the round ends as if nothing had been tried. */
  async function expectHonestEnd(): Promise<void> {
    await bed.run({ mspId: 'ManufacturerMSP' });
    const { round, members } = await expectSound(bed);
    expect([round.state, round.attempt]).to.deep.equal(['finalised', 1]);
    expect(members).to.have.length(VEHICLES);
  }

  it('gets no majority for another model', async () => {
    await driveTo('FinaliseRound');
    const round = await bed.round();
    const proposal: Proposal = {
      ...attemptOf(round),
      baseModelHash: round.baseModelHash,
      modelHash: bed.plant(randomBytes(4 * bed.task.model.parameters)),
      cohortHash: round.secure!.cohortHash!,
      cohortSize: VEHICLES,
      excluded: [],
    };
    const given = await signatures((source) => source.attest(proposal));
    expect(given).to.deep.equal([]);
    const attestations = [await bed.signer(OWN).attest(proposal)];
    expect(await codeOf(contract.finaliseRound({ proposal, attestations }))).to.equal('STATEMENTS_INSUFFICIENT');
    await expectHonestEnd();
  });

  it('gets no majority for weights of its choice', async () => {
    await driveTo('ScoreRound');
    const weights = asked!.scores.weights.map((weight, index) => (index === 0 ? 0 : weight));
    const request: ScoresRequest = { ...asked!, scores: { ...asked!.scores, weights } };
    const given = await signatures((source) => source.scores(request));
    expect(given).to.deep.equal([]);
    expect(await codeOf(submitted(request, given))).to.be.oneOf(['STATEMENTS_INSUFFICIENT', 'SCORES_INVALID']);
    await expectHonestEnd();
  });

  it('gets no weights from projections that a colluding aggregator signed for the attesters alone', async () => {
    await driveTo('ScoreRound');
    const request = await collusion(asked!);
    expect(request.scores.weights, 'the lie pays').to.not.deep.equal(asked!.scores.weights);
    const given = await signatures((source) => source.scores(request));
    expect(given, 'one that made the cohort was not heard').to.deep.equal([]);
    expect(await codeOf(submitted(request, given))).to.equal('STATEMENTS_INSUFFICIENT');
    await expectHonestEnd();
  });

  it('gets no weights that were signed for other projections than it shows', async () => {
    await driveTo('ScoreRound');
    const request = await collusion(asked!);
    await bed.clock.run(pause(QUARTER_MS), ROUND_MS);
    const given = await signatures((source) => source.scores(request));
    expect(given).to.have.length(3);
    const { nonces, projections } = asked!;
    const other = submitted({ ...request, nonces, projections }, given);
    expect(await codeOf(other)).to.equal('STATEMENTS_INSUFFICIENT');
    await expectHonestEnd();
  });

  it('gains no time by dating its transactions early', async () => {
    bed.ledger.skewMs = -TIME_MARGIN_MS;
    await driveTo('ScoreRound');
    expect((await bed.round()).stateSinceMs).to.be.below(bed.clock.nowMs - QUARTER_MS);
    const request = await collusion(asked!);
    expect(await signatures((source) => source.scores(request)), 'weights without a third word').to.deep.equal([]);
    expect(await silence(), 'an abort').to.deep.equal([]);
    bed.ledger.skewMs = 0;
    await expectHonestEnd();
  });

  it('gets no audit by dating its transactions early and late', async () => {
    bed.ledger.skewMs = -TIME_MARGIN_MS;
    await driveTo('CommitSums');
    const ref = attemptOf(await bed.round());
    const [liar] = bed.aggregatorIds as [string];
    const { components, ...signed } = await bed.client(liar).sums(ref);
    const [component] = Object.keys(components);
    const audit = { ...ref, phase: 'audit' as const, component: Number(component), projections: [] };
    bed.ledger.skewMs = TIME_MARGIN_MS;
    const alone = [{ ...signed, components }];
    expect(await codeOf(contract.openDispute({ ...audit, sums: alone }))).to.equal('DISPUTE_REFUSED');
    bed.ledger.skewMs = 0;
    await expectHonestEnd();
  });

  it('that sits a quarter of the round out gets weights, and no sum: an audit names the liar before one is shown', async () => {
    await driveTo('ScoreRound');
    const request = await collusion(asked!);
    await bed.clock.run(pause(QUARTER_MS), ROUND_MS);
    const scored = await submitted(request, await signatures((source) => source.scores(request)));
    expect(scored.result.state).to.equal('scored');
    await bed.run({ mspId: 'ManufacturerMSP' });
    const liar = bed.aggregatorIds[0]!;
    const { round } = await expectSound(bed, [liar]);
    const [first] = await attemptsOf(bed);
    expect([first!.round.state, first!.round.secure!.sums]).to.deep.equal(['aborted', undefined]);
    expect(namedBy(first!.round)).to.deep.equal([liar]);
    expect([round.state, round.attempt]).to.deep.equal(['finalised', 2]);
    expect(round.secure!.opening.aggregators.map(({ mspId }) => mspId)).to.not.include(liar);
    expect(round.secure!.shownAttempts).to.deep.equal([{ round: 1, attempt: 2 }]);
  });

  /** Submits weights with what follows them, and the signatures that others gave, and its own. */
  async function submitted({ numbers: _numbers, ...content }: ScoresRequest, given: readonly SignedBy[]) {
    const attestations = [...given, await bed.signer(OWN).scores(content)];
    return contract.scoreRound({ ...content, attestations });
  }

  /** The liar signs the component that another holds too with other numbers, and that other's word is not shown. */
  async function collusion(honest: ScoresRequest): Promise<ScoresRequest> {
    const liar = new Liar(bed, bed.aggregatorIds[0]!, newRandom(1));
    const silenced = bed.aggregatorIds[2]!;
    const shown = honest.projections.filter(({ mspId }) => mspId !== silenced);
    const spoken = shown.find(({ mspId }) => mspId !== liar.mspId)!;
    const mine = honest.projections.find(({ mspId }) => mspId === liar.mspId)!;
    const [alone] = Object.keys(mine.components).filter((component) => !(component in spoken.components));
    const bytes = Buffer.from(honest.numbers[alone!]!, 'base64');
    bytes.writeUInt32LE((bytes.readUInt32LE(0) + 2 ** 30) >>> 0, 0);
    const numbers = { ...honest.numbers, [alone!]: bytes.toString('base64') };
    const cohort = honest.scores.cohortHash;
    const seed = roundSeed(await place(), cohort, honest.nonces);
    const own: OpenedProjections['numbers'] = Object.fromEntries(
      Object.keys(mine.components).map((component) => [component, numbers[component]!]),
    );
    const { signed } = liar.signProjections(honest.scores, cohort, { seed, numbers: own });
    const projections = [signed, spoken];
    const { members } = await bed.learning.cohort(attemptOf(honest.scores));
    const from = { task: bed.task, ref: honest.scores, cohortHash: cohort, members, seed, numbers, shown: [] };
    const scores = computeScores(from);
    return { ...honest, projections, numbers, scores };
  }

  it('gets no cohort without a vehicle that everybody holds', async () => {
    await driveTo('FixCohort');
    const ref = attemptOf(await bed.round());
    const updates = await updatesOf(contract, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const honest = await Promise.all(bed.aggregatorIds.map((mspId) => bed.client(mspId).holdings(ref)));
    const held = encodeBitmap(updates.map((_, index) => index > 0));
    const holdings = honest.map((one) => ({ ...one, held }));
    const content = { recordedHash: cohortHash(updates), cohortHash: cohortHash(updates.slice(1)) };
    const request = { ref, holdings, ...content, holders: [...bed.aggregatorIds] };
    const given = await signatures((source) => source.cohort(request));
    expect(given).to.deep.equal([]);
    expect(await codeOf(contract.fixCohort({ ...ref, holdings, statements: [] }))).to.equal('AGGREGATORS_MISSING');
    await expectHonestEnd();
  });

  it('cannot end an attempt before its time with an aggregator that denies all that it holds', async () => {
    await driveTo('FixCohort');
    const ref = attemptOf(await bed.round());
    const [liar, honest] = bed.aggregatorIds as [string, string];
    const updates = await updatesOf(contract, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const held = encodeBitmap(updates.map(() => false));
    const own = new Liar(bed, liar, newRandom(1));
    const statement: HoldingsStatement = {
      type: 'sev/holdings/v1',
      ...{ ...own.place(ref), recordedHash: cohortHash(updates), held },
    };
    const denial = { mspId: liar, held, signature: own.sign(statement) };
    const holdings = [denial, await bed.client(honest).holdings(ref)];
    const given = await signatures((source) => source.abort(ref, 'COHORT_TOO_SMALL', { holdings }));
    expect(given).to.deep.equal([]);
    await expectHonestEnd();
  });

  /** Lets virtual time pass. */
  const wait = (ms: number): Promise<unknown> =>
    bed.clock.run(new Promise((resolve) => setTimeout(resolve, ms)), 2 * ms);

  const silence = async (): Promise<SignedBy[]> => {
    const ref = attemptOf(await bed.round());
    return signatures((source) => source.abort(ref, 'AGGREGATORS_MISSING', {}));
  };

  it('ends an attempt by stalling it for a quarter of its time, nobody named, and three of a round at the most', async () => {
    for (let attempt = 1; attempt <= MAX_FIXED_COHORTS; attempt++) {
      await driveTo('ScoreRound');
      expect(await bed.round()).to.include({ state: 'cohort', attempt });
      await wait(bed.task.deadlines.roundMs / 4 - 1_000);
      expect(await silence(), 'before a quarter').to.deep.equal([]);
      await wait(1_001);
      const ref = attemptOf(await bed.round());
      const statements = await silence();
      expect(statements, 'after a quarter').to.have.length(3);
      await contract.abortRound({ ...ref, reason: 'AGGREGATORS_MISSING', statements });
      expect(namedBy(await bed.round())).to.deep.equal([]);
    }
    expect(await runToEnd(bed, { mspId: 'ManufacturerMSP' })).to.include('ATTEMPTS_EXHAUSTED');
    expect((await bed.round()).secure).to.deep.include({ fixedCohorts: MAX_FIXED_COHORTS, shownAttempts: [] });
  });

  it('has to stall for a whole round’s time once sums may have been shown', async () => {
    await driveTo('FinaliseRound');
    await wait(bed.task.deadlines.roundMs - 1_000);
    expect(await silence()).to.deep.equal([]);
    await wait(1_001);
    expect(await silence()).to.have.length(3);
    await expectHonestEnd();
  });

  for (const transaction of ['CloseRound', 'FixCohort', 'ScoreRound', 'CommitSums', 'FinaliseRound']) {
    it(`cannot end an attempt before its time: instead of ${transaction}`, async () => {
      await driveTo(transaction);
      const ref = attemptOf(await bed.round());
      for (const reason of ['AGGREGATORS_MISSING', 'NO_MAJORITY', 'COHORT_TOO_SMALL', 'OPERATOR'] as const) {
        const given = await signatures((source) => source.abort(ref, reason, {}));
        expect(given, reason).to.deep.equal([]);
        const own = await bed.signer(OWN).abort(ref, reason);
        const code = await codeOf(contract.abortRound({ ...ref, reason, statements: [own] }));
        expect(code).to.be.oneOf(['STATEMENTS_INSUFFICIENT', 'ROUND_DEADLINE_NOT_REACHED']);
      }
      await expectHonestEnd();
    });
  }
});
