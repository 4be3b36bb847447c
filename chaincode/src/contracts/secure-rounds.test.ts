// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  hashOf,
  sha256Hex,
  TIME_MARGIN_MS,
  type ErrorCode,
  type HistoryEntry,
  type Page,
  type ReceiptRecord,
  type RoundRecord,
  type RoundState,
  type ScoresRecord,
  type Task,
  type UpdateRecord,
} from '../api';
import { CITY, GRID, MAKER, REGULATOR, START_MS, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { identity, randomHash } from '../testing/identities';
import { INITIAL_MODEL, ROUND_1, ROUND_MS, RoundDriver, taskOf, withOwnModel } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { AGGREGATORS, dpTask, SecureDriver, secureTask } from '../testing/secure-learning';

const MAJORITY = [GRID, CITY, REGULATOR];
const A_ROUND = ROUND_MS + TIME_MARGIN_MS + 1;

let consortium: TestConsortium;
let driver: SecureDriver;
let fleet: Vehicle[];

async function fresh(task: Task = secureTask(), size = 4): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new SecureDriver(consortium, task);
  fleet = await enrolledFleet(consortium, size);
}
const idsOf = (vehicles: readonly Vehicle[]): string[] => vehicles.map(({ vehicleId }) => vehicleId).sort();

for (const task of [secureTask(), dpTask()]) {
  describe(`A round in mode ${task.privacy}`, () => {
    before(() => fresh(task));

    it('goes from the opening to the model, one transaction and one event a step', async () => {
      const step = async (transaction: string, argument: unknown): Promise<RoundState> => {
        const caller = await identity(CITY, 'coordinator');
        const simulated = await consortium.simulate(`learning:${transaction}`, argument, caller);
        consortium.raise(simulated);
        expect(consortium.commit(simulated)).to.equal('VALID');
        events.push(simulated.event?.type ?? 'none');
        return (simulated.result as RoundRecord).state;
      };
      const events: string[] = [];
      await driver.coordinate('CreateTask', task);
      await step('OpenRound', driver.signedOpening(driver.opening()));
      await driver.record(driver.envelopes(fleet));
      expect(await step('CloseRound', { ...ROUND_1, statements: driver.closeStatements(MAJORITY) })).to.equal('closed');
      expect(await step('FixCohort', await driver.fixing())).to.equal('cohort');
      expect(await step('ScoreRound', await driver.scoring())).to.equal('scored');
      expect(await step('CommitSums', { ...ROUND_1, sums: await driver.sums() })).to.equal('aggregated');
      const proposal = await driver.proposal();
      expect(await step('FinaliseRound', driver.attested(proposal, MAJORITY))).to.equal('finalised');
      const steps = ['RoundOpened', 'RoundClosed', 'CohortFixed', 'RoundScored', 'SumsCommitted', 'RoundFinalised'];
      expect(events).to.deep.equal(steps);
      const model = { taskId: 'price-1', modelHash: proposal.modelHash };
      expect(await consortium.evaluate('learning:GetModel', model)).to.include({ round: 1, attempt: 1 });
    });

    it('leaves cohort, scores and sums on the ledger', async () => {
      const { members } = await driver.cohort();
      expect(members.map(({ vehicleId }) => vehicleId)).to.deep.equal(idsOf(fleet));
      const record = await consortium.evaluate<ScoresRecord>('learning:GetScores', ROUND_1);
      const secure = await driver.secure();
      expect(hashOf(record.scores)).to.equal(secure.scoresHash);
      expect(record.attestations.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, REGULATOR]);
      expect(record.noiseSeeds?.length).to.equal(task.privacy === 'dp' ? 3 : undefined);
      expect(secure).to.deep.include({
        ...{ holders: [...AGGREGATORS], contradicted: [], cohortSize: 4, seed: await driver.seed() },
        ...{ sums: [0, 1, 2].map((component) => [sha256Hex(`sum ${component} 0`)]), unverified: [], faulty: [] },
        ...{ answeredBy: driver.holders, shownAttempts: [{ round: 1, attempt: 1 }], disputes: [], accused: [] },
      });
      const history = { taskId: 'price-1', round: 1, pageSize: 9, bookmark: '' };
      const page = await consortium.evaluate<Page<HistoryEntry<RoundRecord>>>('learning:RoundHistory', history);
      expect(page.items.map(({ value }) => value?.state).reverse()).to.deep.equal([
        ...['open', 'closed', 'cohort', 'scored', 'aggregated', 'finalised'],
      ]);
    });

    it('is taken over at any step: each one repeated, by anyone, changes nothing', async () => {
      const finalised = await driver.round();
      const { proposal } = finalised;
      const again: [string, unknown][] = [
        ['OpenRound', { ...driver.signedOpening(finalised.secure!.opening) }],
        ['CloseRound', { ...ROUND_1, statements: [] }],
        ['FixCohort', { ...ROUND_1, holdings: await driver.holdings(), statements: [] }],
        ['ScoreRound', await driver.scoring()],
        ['CommitSums', { ...ROUND_1, sums: await driver.sums() }],
        ['FinaliseRound', driver.attested(proposal!, [MAKER])],
      ];
      for (const [transaction, argument] of again) {
        const caller = await identity(MAKER, 'coordinator');
        const repeated = await consortium.simulate(`learning:${transaction}`, argument, caller);
        consortium.raise(repeated);
        expect(repeated.result, transaction).to.deep.equal(finalised);
        expect(repeated.stub.writes.size, transaction).to.equal(0);
        expect(repeated.event, transaction).to.equal(undefined);
      }
    });

    it('is the base of the next one', async () => {
      const { proposal, secure } = await driver.round();
      const second = { ...ROUND_1, round: 2 };
      const opened = await driver.open(second, proposal!.modelHash);
      expect(opened.secure).to.deep.include({ shownAttempts: [], disputes: [], faulty: [] });
      expect(opened.secure).to.include({
        openedProjections: secure!.openedProjections,
        chargedMicroRho: secure!.chargedMicroRho,
      });
    });
  });
}

describe('learning:OpenRound in the secure modes', () => {
  beforeEach(async () => {
    await fresh(dpTask());
    await driver.coordinate('CreateTask', driver.task);
  });
  const open = (argument: unknown) => driver.coordinate('OpenRound', argument);

  it('takes t + 1 aggregators', async () => {
    const opening = driver.opening(ROUND_1, [CITY, MAKER]);
    expect((await open(driver.signedOpening(opening))).secure?.opening).to.deep.equal(opening);
  });

  it('takes no opening without an arbiter, unless no member may be one', async () => {
    const opening = driver.opening(ROUND_1, AGGREGATORS, false);
    const refusal = await expectRefusal(open(driver.signedOpening(opening)), 'ARBITER_MISSING');
    expect(refusal.detail).to.include(REGULATOR);
    consortium = await TestConsortium.withoutAuditor();
    driver = new SecureDriver(consortium, dpTask());
    await driver.coordinate('CreateTask', driver.task);
    const alone = driver.opening(ROUND_1, AGGREGATORS, false);
    expect((await open(driver.signedOpening(alone))).secure?.opening).to.deep.equal(alone);
  });

  it('refuses an opening that is missing, or not one of this task', async () => {
    const good = driver.opening();
    const [first, second, third] = good.aggregators as [object, object, object];
    const { noise: _noise, ...silent } = good.aggregators[0]!;
    const same = [good.aggregators[0]!.noise![0], good.aggregators[0]!.noise![0]] as const;
    const replaced = (change: object): object => ({ ...good, aggregators: [{ ...first, ...change }, second, third] });
    const { opening: _opening, ...without } = driver.signedOpening(good);
    await expectRefusal(open(without), 'OPENING_INVALID');
    const wrong: object[] = [
      { ...good, aggregators: [second, first, third] },
      { ...good, aggregators: [first, first, second] },
      replaced({ mspId: 'AbsentMSP' }),
      replaced({ nonceLeaves: [...good.aggregators[0]!.nonceLeaves, randomHash()] }),
      replaced({ sealingKey: 'A'.repeat(124) }),
      replaced({ noise: same }),
      { ...good, aggregators: [silent, second, third] },
      { ...good, arbiter: { ...good.arbiter, mspId: GRID } },
      { ...good, arbiter: { ...good.arbiter, mspId: 'AbsentMSP' } },
      { ...good, arbiter: { ...good.arbiter, sealingKey: 'A'.repeat(124) } },
    ];
    for (const opening of wrong) {
      await expectRefusal(open({ ...driver.signedOpening(good), opening }), 'OPENING_INVALID');
    }
    const lone = { ...driver.signedOpening(good), opening: { ...good, aggregators: [first] } };
    await expectRefusal(open(lone), 'ARGUMENT_INVALID');
  });

  it('refuses noise in mode secure, and an opening in plain mode', async () => {
    const noisy = driver.opening();
    const secure = new SecureDriver(consortium, withOwnModel(secureTask({}, { taskId: 'secure-1' })));
    const { initialModelHash } = secure.task.model;
    const ref = { ...ROUND_1, taskId: 'secure-1' };
    await driver.coordinate('CreateTask', secure.task);
    await expectRefusal(open(secure.signedOpening(noisy, ref, initialModelHash)), 'OPENING_INVALID');
    await driver.coordinate('CreateTask', taskOf({ taskId: 'plain-1' }));
    await expectRefusal(open(secure.signedOpening(noisy, { ...ROUND_1, taskId: 'plain-1' })), 'OPENING_INVALID');
  });

  it('needs the statement of everybody in it, over this very opening', async () => {
    const good = driver.signedOpening(driver.opening());
    for (const missing of [...AGGREGATORS, REGULATOR]) {
      const statements = good.statements!.filter(({ mspId }) => mspId !== missing);
      const refusal = await expectRefusal(open({ ...good, statements }), 'SIGNATURE_INVALID');
      expect(refusal.detail).to.include(missing);
    }
    const other = driver.signedOpening(driver.opening());
    await expectRefusal(open({ ...good, statements: other.statements }), 'SIGNATURE_INVALID');
    await expectRefusal(open(driver.signedOpening(driver.opening(), ROUND_1, randomHash())), 'BASE_MODEL_MISMATCH');
  });

  it('conflicts with another opening of the same attempt', async () => {
    const first = driver.signedOpening(driver.opening());
    const record = await open(first);
    expect(await open(first)).to.deep.equal(record);
    await expectRefusal(open(driver.signedOpening(driver.opening())), 'ROUND_CONFLICT');
    await expectRefusal(open({ ...ROUND_1, baseModelHash: INITIAL_MODEL }), 'ROUND_CONFLICT');
  });
});

describe('learning:ShowReceipts', () => {
  beforeEach(async () => {
    await fresh();
    await driver.open();
    await driver.record(driver.envelopes(fleet.slice(0, 3)));
  });
  const show = async (argument: unknown, role = 'coordinator') =>
    consortium.submit<ReceiptRecord[]>('learning:ShowReceipts', argument, MAKER, role);

  it('takes what an aggregator signed for a recorded update, from the vehicle or whoever has it', async () => {
    const [first, second] = (await driver.recorded()) as [UpdateRecord, UpdateRecord];
    const receipt = driver.receipt(CITY, first);
    const simulated = await consortium.simulate('learning:ShowReceipts', receipt, await identity(MAKER, 'vehicle'));
    expect(simulated.event).to.deep.equal({ type: 'ReceiptsShown', ...ROUND_1, receipts: 1 });
    const [record] = await show(receipt, 'vehicle');
    expect(record).to.deep.include({ docType: 'receipt', vehicleId: first.vehicleId, mspId: CITY });
    await driver.close(MAJORITY);
    await show(driver.receipt(GRID, second));
    const list = { ...ROUND_1, pageSize: 10, bookmark: '' };
    const page = await consortium.evaluate<Page<ReceiptRecord>>('learning:ListReceipts', list);
    expect(page.items.map(({ vehicleId }) => vehicleId)).to.deep.equal([first.vehicleId, second.vehicleId]);
  });

  it('keeps a receipt once, however often and under whatever signature it is shown', async () => {
    const [update] = (await driver.recorded()) as [UpdateRecord];
    const { receipts } = driver.receipt(CITY, update);
    const twice = { ...ROUND_1, receipts: [...receipts, ...driver.receipt(CITY, update).receipts] };
    const records = await show(twice);
    expect(records[1]).to.deep.equal(records[0]);
    const again = await consortium.simulate(
      'learning:ShowReceipts',
      driver.receipt(CITY, update),
      await identity(MAKER, 'vehicle'),
    );
    expect(again.result).to.deep.equal([records[0]]);
    expect(again.stub.writes.size).to.equal(0);
    expect(again.event).to.equal(undefined);
  });

  it('refuses what no aggregator signed for what is recorded', async () => {
    const [update, other] = (await driver.recorded()) as [UpdateRecord, UpdateRecord];
    const { vehicleId } = fleet[3]!;
    const foreign = { ...ROUND_1, receipts: driver.receipt(CITY, update, { ...ROUND_1, attempt: 2 }).receipts };
    const borrowed = driver.receipt(CITY, other).receipts[0]!.signature;
    const wrong = [
      driver.receipt(CITY, { ...update, updateHash: randomHash() }),
      driver.receipt(CITY, { ...update, vehicleId }),
      driver.receipt(REGULATOR, update),
      { ...ROUND_1, receipts: [{ vehicleId: update.vehicleId, mspId: CITY, signature: borrowed }] },
      foreign,
    ];
    for (const argument of wrong) {
      await expectRefusal(show(argument), 'RECEIPT_INVALID');
    }
    const one = driver.receipt(CITY, update).receipts[0]!;
    const many = { ...ROUND_1, receipts: Array.from({ length: 101 }, () => one) };
    await expectRefusal(show(many), 'BATCH_TOO_LARGE');
  });

  it('comes too late once the cohort is fixed', async () => {
    await driver.close(MAJORITY);
    const [update] = (await driver.recorded()) as [UpdateRecord];
    await driver.fix();
    await expectRefusal(show(driver.receipt(CITY, update)), 'ROUND_STATE');
  });
});

describe('learning:FixCohort', () => {
  beforeEach(async () => {
    await fresh();
    await driver.closed(fleet);
  });
  const fix = (holdings: unknown, statements: unknown = []) =>
    driver.coordinate('FixCohort', { ...ROUND_1, holdings, statements });

  it('takes all recorded vehicles where every aggregator holds them, on the word of a majority', async () => {
    await expectRefusal(fix(await driver.holdings()), 'STATEMENTS_INSUFFICIENT');
    const fixed = await driver.fix();
    expect(fixed).to.include({ state: 'cohort', stateSinceMs: START_MS });
    expect(fixed.secure).to.include({ cohortSize: 4, openedProjections: 2 });
    const { members } = await driver.cohort();
    expect(hashOf(members.map((m) => [m.vehicleId, m.updateHash, m.weightClass]))).to.equal(fixed.secure!.cohortHash);
  });

  it('leaves out whom one aggregator does not hold, on the word of a majority', async () => {
    const updates = await driver.recorded();
    const [out, ...rest] = updates;
    const holdings = await driver.holdings(AGGREGATORS, { [MAKER]: [out!.vehicleId] });
    await expectRefusal(fix(holdings), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(fix(holdings, await driver.cohortStatements([GRID, CITY], rest)), 'STATEMENTS_INSUFFICIENT');
    const ofAll = await driver.cohortStatements(MAJORITY, updates);
    await expectRefusal(fix(holdings, ofAll), 'STATEMENTS_INSUFFICIENT');
    const ofTwo = await driver.cohortStatements(MAJORITY, rest, [CITY, GRID]);
    await expectRefusal(fix(holdings, ofTwo), 'STATEMENTS_INSUFFICIENT');
    const fixed = await fix(holdings, await driver.cohortStatements(MAJORITY, rest));
    expect(fixed.secure).to.deep.include({ cohortSize: 3, contradicted: [] });
    expect((await driver.cohort()).members.map(({ vehicleId }) => vehicleId)).to.deep.equal(
      rest.map(({ vehicleId }) => vehicleId),
    );
  });

  it('keeps a vehicle that shows its receipt, and names the aggregator that would censor it', async () => {
    const [censored] = (await driver.recorded()) as [UpdateRecord];
    await driver.coordinate('ShowReceipts', driver.receipt(MAKER, censored));
    const holdings = await driver.holdings(AGGREGATORS, { [MAKER]: [censored.vehicleId] });
    const fixed = await fix(holdings, await driver.cohortStatements(MAJORITY, await driver.recorded()));
    expect(fixed.secure).to.deep.include({ cohortSize: 4, contradicted: [MAKER], holders: [...AGGREGATORS] });
  });

  it('conflicts with a receipt that is shown at the same time', async () => {
    const [update] = (await driver.recorded()) as [UpdateRecord];
    const argument = await driver.fixing();
    const fixing = await consortium.simulate('learning:FixCohort', argument, await identity(GRID, 'coordinator'));
    await driver.coordinate('ShowReceipts', driver.receipt(MAKER, update));
    expect(consortium.commit(fixing)).to.equal('PHANTOM_READ_CONFLICT');
  });

  it('goes on without an aggregator on the word of a majority, but not without t + 1', async () => {
    const two = await driver.holdings([CITY, MAKER]);
    await expectRefusal(fix(two), 'STATEMENTS_INSUFFICIENT');
    const statements = await driver.cohortStatements(MAJORITY, await driver.recorded(), [CITY, MAKER]);
    const fixed = await fix(two, statements);
    expect(fixed.secure?.holders).to.deep.equal([CITY, MAKER]);
  });

  it('does not count holdings that their aggregator did not sign for what is recorded', async () => {
    const [city, grid, maker] = (await driver.holdings()) as [object, object, object];
    const stale = (await driver.holdings([CITY, MAKER], {}, ROUND_1)).map(({ mspId }) => ({
      ...{ mspId, held: 'AA', signature: 'A'.repeat(86) },
    }));
    await expectRefusal(fix([city, ...stale]), 'AGGREGATORS_MISSING');
    const [stranger] = await driver.holdings([REGULATOR]);
    await expectRefusal(fix([city, stranger]), 'AGGREGATORS_MISSING');
    const borrowed = { ...grid, mspId: MAKER };
    await expectRefusal(fix([city, borrowed]), 'AGGREGATORS_MISSING');
    const statements = await driver.cohortStatements(MAJORITY, await driver.recorded());
    expect(await fix([city, grid, maker, stranger], statements)).to.include({ state: 'cohort' });
  });

  it('names an aggregator that signed two different holdings, and goes on without it', async () => {
    const updates = await driver.recorded();
    const honest = await driver.holdings();
    const [other] = await driver.holdings([MAKER], { [MAKER]: [updates[0]!.vehicleId] });
    const both = [...honest, other];
    await expectRefusal(fix(both), 'STATEMENTS_INSUFFICIENT');
    const fixed = await fix(both, await driver.cohortStatements(MAJORITY, updates, [CITY, GRID]));
    expect(fixed.secure).to.deep.include({ holders: [CITY, GRID], contradicted: [MAKER], cohortSize: 4 });
  });

  it('refuses a cohort below the minimum; the round is then given up', async () => {
    const updates = await driver.recorded();
    const lacking = updates.slice(0, 3).map(({ vehicleId }) => vehicleId);
    const holdings = await driver.holdings(AGGREGATORS, { [GRID]: lacking });
    const statements = await driver.cohortStatements(MAJORITY, updates.slice(3));
    await expectRefusal(fix(holdings, statements), 'COHORT_TOO_SMALL');
    const reason = 'COHORT_TOO_SMALL';
    const abort = { ...ROUND_1, reason, statements: driver.abortStatements(MAJORITY, reason) };
    expect(await driver.coordinate('AbortRound', abort)).to.include({ state: 'aborted', abortReason: reason });
  });

  it('is done by nobody alone, however late, so that an attempt without a majority does not count', async () => {
    consortium.nowMs += A_ROUND;
    await expectRefusal(fix(await driver.holdings()), 'STATEMENTS_INSUFFICIENT');
    const [out] = (await driver.recorded()) as [UpdateRecord];
    await expectRefusal(
      fix(await driver.holdings([CITY, GRID], { [GRID]: [out.vehicleId] })),
      'STATEMENTS_INSUFFICIENT',
    );
    await driver.coordinate('AbortRound', { ...ROUND_1, reason: 'NO_MAJORITY', statements: [] });
    const spent = { fixedCohorts: 0, openedProjections: 0 };
    expect((await driver.open({ ...ROUND_1, attempt: 2 })).secure).to.deep.include(spent);
  });

  it('conflicts with another cohort, and with other holders of the same one', async () => {
    await driver.fix();
    const updates = await driver.recorded();
    const fewer = await driver.holdings(AGGREGATORS, { [MAKER]: [updates[0]!.vehicleId] });
    await expectRefusal(fix(fewer, await driver.cohortStatements(MAJORITY, updates.slice(1))), 'COHORT_CONFLICT');
    await expectRefusal(fix(await driver.holdings([CITY, GRID])), 'COHORT_CONFLICT');
  });

  it('comes after closing, in the secure modes only', async () => {
    const plain = new RoundDriver(consortium);
    await plain.openFirst(taskOf({ taskId: 'plain-1' }));
    const holdings = await driver.holdings();
    const onPlain = { ...ROUND_1, taskId: 'plain-1', holdings, statements: [] };
    await expectRefusal(driver.coordinate('FixCohort', onPlain), 'ROUND_STATE');
    await expectRefusal(
      driver.coordinate('FixCohort', { ...ROUND_1, attempt: 2, holdings, statements: [] }),
      'ROUND_STALE',
    );
    await driver.abort();
    await expectRefusal(fix(holdings), 'ROUND_STATE');
    await expectRefusal(consortium.evaluate('learning:GetCohort', ROUND_1), 'COHORT_UNKNOWN');
    const second = { ...ROUND_1, attempt: 2 };
    await driver.open(second);
    await expectRefusal(driver.coordinate('FixCohort', { ...second, holdings, statements: [] }), 'ROUND_STATE');
  });
});

describe('The size of a cohort', () => {
  it('is at most one shard in mode dp, where only one sum is hidden by noise', async () => {
    await fresh(dpTask({}, { secure: { ...dpTask().secure!, shardSize: 3 } }));
    await driver.closed(fleet);
    await expectRefusal(driver.fix(), 'COHORT_TOO_LARGE');
  });

  it('leaves no shard below the minimum', async () => {
    await fresh(secureTask({ shardSize: 3 }));
    await driver.closed(fleet);
    await expectRefusal(driver.fix(), 'COHORT_TOO_SMALL');
  });

  it('leaves no small shard, however small the minimum is', async () => {
    await fresh(secureTask({ shardSize: 3 }), 6);
    await driver.closed(fleet);
    const refusal = await expectRefusal(driver.fix(), 'COHORT_TOO_LARGE');
    expect(refusal.detail).to.include('leave one of 3');
  });
});

describe('learning:ScoreRound', () => {
  beforeEach(async () => {
    await fresh();
    await driver.closed(fleet);
    await driver.fix();
  });
  const score = async (change: object) => driver.coordinate('ScoreRound', { ...(await driver.scoring()), ...change });

  it('refuses nonces that the opening did not commit to', async () => {
    const nonces = await driver.nonces();
    const forged = [[randomHash(), ...nonces[0]!.slice(1)], ...nonces.slice(1)];
    for (const wrong of [forged, [nonces[1], nonces[0], nonces[2]], nonces.slice(0, 2)]) {
      await expectRefusal(score({ nonces: wrong }), 'NONCE_INVALID');
    }
    const longer = [[...nonces[0]!, randomHash()], ...nonces.slice(1)];
    await expectRefusal(score({ nonces: longer }), 'NONCE_INVALID');
    await expectRefusal(score({ noiseSeeds: [AGGREGATORS.map(() => randomHash())] }), 'NOISE_INVALID');
  });

  it('takes the answers of fewer aggregators as long as every component has one', async () => {
    const scored = await driver.score(ROUND_1, { projections: await driver.projections([CITY, MAKER]) });
    expect(scored).to.include({ state: 'scored' });
    expect(scored.secure).to.deep.include({ projectedBy: [[MAKER], [CITY, MAKER], [CITY]] });
  });

  it('refuses a component without an answer', async () => {
    await expectRefusal(score({ projections: await driver.projections([CITY]) }), 'AGGREGATORS_MISSING');
    await expectRefusal(score({ projections: [] }), 'AGGREGATORS_MISSING');
  });

  it('refuses answers to components that the aggregator does not hold, and unsigned or repeated ones', async () => {
    const [city, grid, maker] = (await driver.projections()) as [object, object, object];
    // Component 0 is the one that the first aggregator lacks.
    const [greedy] = await driver.projections([CITY], { [CITY]: { '0': randomHash() } });
    await expectRefusal(score({ projections: [greedy, grid, maker] }), 'COMPONENT_NOT_HELD');
    const [beyond] = await driver.projections([CITY], { [CITY]: { '7': randomHash() } });
    await expectRefusal(score({ projections: [beyond, grid, maker] }), 'COMPONENT_NOT_HELD');
    const [stranger] = await driver.projections([REGULATOR], { [REGULATOR]: { '0': randomHash() } });
    await expectRefusal(score({ projections: [city, grid, maker, stranger] }), 'COMPONENT_NOT_HELD');
    const unsigned = { ...maker, signature: 'A'.repeat(86) };
    await expectRefusal(score({ projections: [city, grid, unsigned] }), 'SIGNATURE_INVALID');
    await expectRefusal(score({ projections: [city, grid, grid] }), 'ARGUMENT_INVALID');
  });

  it('refuses two answers to one component', async () => {
    const projections = await driver.projections(AGGREGATORS, { [GRID]: { '2': randomHash() } });
    const refusal = await expectRefusal(score({ projections }), 'PROJECTIONS_DISAGREE');
    expect(refusal.detail).to.include('component 2').and.include(GRID);
  });

  it('takes lower weights with their reasons', async () => {
    const [slow] = idsOf(fleet) as [string];
    const scores = await driver.scores({ [slow]: 0 });
    const scored = await driver.score(ROUND_1, { scores });
    expect(scored.secure?.scoresHash).to.equal(hashOf(scores));
  });

  it('refuses weights that do not follow from public facts', async () => {
    const good = await driver.scores();
    const [first, second] = idsOf(fleet) as [string, string];
    const reason = 'NORM_SCALED' as const;
    const lower = await driver.scores({ [first]: 0 });
    const wrong: [object, ErrorCode][] = [
      [{ weights: good.weights.slice(1) }, 'SCORES_INVALID'],
      [{ weights: [5, ...good.weights.slice(1)] }, 'SCORES_INVALID'],
      [{ weights: lower.weights }, 'SCORES_INVALID'],
      [{ reasons: [{ vehicleId: first, reason }] }, 'SCORES_INVALID'],
      [{ ...lower, reasons: [{ vehicleId: second, reason }] }, 'SCORES_INVALID'],
      [await driver.scores({ [first]: 3 }), 'SCORES_INVALID'],
      [{ cohortHash: randomHash() }, 'COHORT_MISMATCH'],
      [
        {
          ...(await driver.scores(
            Object.fromEntries(
              idsOf(fleet)
                .slice(1)
                .map((id) => [id, 0]),
            ),
          )),
        },
        'COHORT_TOO_SMALL',
      ],
    ];
    for (const [change, code] of wrong) {
      await expectRefusal(driver.score(ROUND_1, { scores: { ...good, ...change } }), code);
    }
  });

  it('needs the attestations of a majority, over these very weights', async () => {
    const input = await driver.scoring();
    const two = driver.attestScores(input, [GRID, CITY]);
    await expectRefusal(score({ attestations: two }), 'STATEMENTS_INSUFFICIENT');
    const scores = await driver.scores({ [idsOf(fleet)[0]!]: 0 });
    const others = driver.attestScores({ ...input, scores });
    await expectRefusal(score({ attestations: others }), 'STATEMENTS_INSUFFICIENT');
  });

  it('needs them over these very projections: weights that follow from other numbers are attested in vain', async () => {
    const input = await driver.scoring();
    const forged = randomHash();
    const lie = { [GRID]: { '2': forged }, [CITY]: { '2': forged } };
    const projections = await driver.projections(AGGREGATORS, lie);
    const onOthers = driver.attestScores({ ...input, projections });
    await expectRefusal(score({ attestations: onOthers }), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(score({ projections, attestations: input.attestations }), 'STATEMENTS_INSUFFICIENT');
    const fewer = driver.attestScores({ ...input, projections: input.projections.slice(1) });
    await expectRefusal(score({ attestations: fewer }), 'STATEMENTS_INSUFFICIENT');
  });

  it('conflicts with other weights, and comes after the cohort', async () => {
    await driver.score();
    const scores = await driver.scores({ [idsOf(fleet)[0]!]: 0 });
    await expectRefusal(driver.score(ROUND_1, { scores }), 'SCORES_CONFLICT');
    await driver.abort();
    await expectRefusal(driver.score(), 'ROUND_STATE');
    const second = { ...ROUND_1, attempt: 2 };
    const scoring = await driver.scoring();
    await driver.closed(fleet, second);
    const ahead = { ...scoring, scores: { ...scoring.scores, ...second } };
    await expectRefusal(driver.coordinate('ScoreRound', ahead), 'ROUND_STATE');
    await expectRefusal(consortium.evaluate('learning:GetScores', second), 'SCORES_UNKNOWN');
  });
});

describe('learning:ScoreRound in mode dp', () => {
  beforeEach(async () => {
    await fresh(dpTask());
    await driver.closed(fleet);
    await driver.fix();
  });

  it('opens the candidate of noise that the nonces choose, and no other', async () => {
    const seed = await driver.seed();
    const chosen = await driver.noiseSeeds();
    const others = AGGREGATORS.map((mspId) => driver.secrets(mspId, ROUND_1).noiseSeeds);
    const unchosen = others.map(([a, b], index) => (chosen[index] === a ? b : a));
    expect(seed).to.match(/^[0-9a-f]{64}$/);
    for (const noiseSeeds of [
      unchosen,
      chosen.slice(1),
      [[randomHash(), ...chosen[0]!.slice(1)], ...chosen.slice(1)],
      undefined,
    ]) {
      const scoring = { ...(await driver.scoring()), noiseSeeds };
      await expectRefusal(driver.coordinate('ScoreRound', scoring), 'NOISE_INVALID');
    }
    expect(await driver.score()).to.include({ state: 'scored' });
  });

  it('takes the weights of the classes, lower ones only to be even, and no projections', async () => {
    const scores = await driver.scores({ [idsOf(fleet)[0]!]: 0 });
    await expectRefusal(driver.score(ROUND_1, { scores }), 'SCORES_INVALID');
    await expectRefusal(driver.score(ROUND_1, { projections: await driver.projections() }), 'SCORES_INVALID');
    const evened = scores.reasons.map(({ vehicleId }) => ({ vehicleId, reason: 'EVENED' as const }));
    expect(await driver.score(ROUND_1, { scores: { ...scores, reasons: evened } })).to.include({ state: 'scored' });
  });
});

describe('learning:CommitSums', () => {
  beforeEach(async () => {
    await fresh();
    await driver.closed(fleet);
    await driver.fix();
    await driver.score();
  });
  const commit = (sums: unknown) => driver.coordinate('CommitSums', { ...ROUND_1, sums });

  it('keeps one hash for each component and shard', async () => {
    await fresh(secureTask({ shardSize: 127 }), 128);
    await driver.open();
    await driver.record(driver.envelopes(fleet.slice(0, 64)));
    await driver.record(driver.envelopes(fleet.slice(64)));
    await driver.close(MAJORITY);
    await driver.fix();
    await driver.score();
    const { secure } = await driver.commit();
    expect(secure?.sums).to.deep.equal([0, 1, 2].map((c) => [0, 1].map((shard) => sha256Hex(`sum ${c} ${shard}`))));
  });

  it('refuses what only one aggregator answers for', async () => {
    const refusal = await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'COMPONENTS_UNVERIFIED');
    // Held by all but the first: 0, by all but the second: 1, by all but the third: 2.
    expect(refusal.detail).to.include('0, 2');
    expect((await driver.commit()).secure).to.deep.include({ unverified: [], answeredBy: driver.holders });
  });

  it('refuses a component without an answer, two answers to one, and another number of shards', async () => {
    await expectRefusal(commit(await driver.sums([CITY])), 'ARGUMENT_INVALID');
    const [city, grid] = (await driver.sums()) as [object, object];
    const partial = (await driver.sums([MAKER])).map((answer) => ({ ...answer, components: {} }));
    await expectRefusal(commit([city, ...partial]), 'SIGNATURE_INVALID');
    const differing = await driver.sums(AGGREGATORS, { [GRID]: { '0': [randomHash()] } });
    const refusal = await expectRefusal(commit(differing), 'SUMS_DISAGREE');
    expect(refusal.detail).to.include('component 0');
    const long = await driver.sums(AGGREGATORS, { [GRID]: { '0': [randomHash(), randomHash()] } });
    await expectRefusal(commit(long), 'SUMS_INVALID');
    const greedy = await driver.sums(AGGREGATORS, { [CITY]: { '0': [randomHash()] } });
    await expectRefusal(commit(greedy), 'COMPONENT_NOT_HELD');
    await expectRefusal(commit([city, { ...grid, mspId: MAKER }]), 'COMPONENT_NOT_HELD');
  });

  it('refuses a component that no holder of the cohort answers for', async () => {
    await driver.abort();
    const second = { ...ROUND_1, attempt: 2 };
    await driver.closed(fleet, second);
    await driver.fix(second, [CITY, GRID]);
    await driver.score(second);
    await expectRefusal(driver.commit(second, [CITY, MAKER]), 'COMPONENT_NOT_HELD');
    const [city, grid] = (await driver.sums([CITY, GRID], {}, second)) as [object, object];
    await expectRefusal(driver.coordinate('CommitSums', { ...second, sums: [city, city] }), 'ARGUMENT_INVALID');
    await driver.audit([0, 1], [CITY, GRID], second);
    const committed = await driver.coordinate('CommitSums', { ...second, sums: [city, grid] });
    expect(committed.secure).to.deep.include({ unverified: [], answeredBy: [[GRID], [CITY], [CITY, GRID]] });
  });

  it('conflicts with other sums, and comes after the scores', async () => {
    await driver.commit();
    const changes = Object.fromEntries([CITY, GRID].map((mspId) => [mspId, { '2': [randomHash()] }]));
    changes[CITY] = changes[GRID]!;
    await expectRefusal(commit(await driver.sums(AGGREGATORS, changes)), 'SUMS_CONFLICT');
    await driver.abort();
    await expectRefusal(commit(await driver.sums()), 'ROUND_STATE');
  });
});

describe('learning:FinaliseRound in the secure modes', () => {
  beforeEach(async () => {
    await fresh();
    await driver.closed(fleet);
    await driver.fix();
    await driver.score();
  });

  it('takes a proposal over the fixed cohort, none excluded, once the sums are committed', async () => {
    const proposal = await driver.proposal();
    await expectRefusal(driver.finalise(proposal, MAJORITY), 'ROUND_STATE');
    await driver.commit();
    const excluded = [{ vehicleId: idsOf(fleet)[0]!, reason: 'UPDATE_MISSING' as const }];
    for (const change of [{ cohortHash: randomHash() }, { cohortSize: 3 }, { excluded }]) {
      await expectRefusal(driver.finalise({ ...proposal, ...change }, MAJORITY), 'COHORT_MISMATCH');
    }
    await expectRefusal(driver.finalise(proposal, [GRID, CITY]), 'STATEMENTS_INSUFFICIENT');
    expect(await driver.finalise(proposal, MAJORITY)).to.include({ state: 'finalised' });
  });
});

describe('learning:AbortRound in the secure modes', () => {
  const steps: [RoundState, () => Promise<unknown>][] = [
    ['open', () => driver.open()],
    ['closed', () => driver.record(driver.envelopes(fleet)).then(() => driver.close(MAJORITY))],
    ['cohort', () => driver.fix()],
    ['scored', () => driver.score()],
    ['aggregated', () => driver.commit()],
  ];
  for (const [index, [state]] of steps.entries()) {
    it(`ends a round that is ${state}, alone only as long as a round takes after that state began`, async () => {
      await fresh();
      for (const [, step] of steps.slice(0, index + 1)) {
        consortium.nowMs += 1_000;
        await step();
      }
      const before = await driver.round();
      const alone = { ...ROUND_1, reason: 'AGGREGATORS_MISSING', statements: [] };
      consortium.nowMs += A_ROUND - 1;
      await expectRefusal(driver.coordinate('AbortRound', alone), 'ROUND_DEADLINE_NOT_REACHED');
      consortium.nowMs += 1;
      const aborted = await driver.coordinate('AbortRound', alone);
      expect(aborted).to.deep.equal({
        ...before,
        ...{ state: 'aborted', abortedAtMs: consortium.nowMs, abortReason: 'AGGREGATORS_MISSING' },
      });
    });
  }
});

describe('An abort for false noise', () => {
  beforeEach(async () => {
    await fresh(dpTask());
    await driver.closed(fleet);
    await driver.fix();
  });
  const second = { ...ROUND_1, attempt: 2 };
  const third = { ...ROUND_1, attempt: 3 };

  it('names whose it was, and the next attempts are opened without them as long as enough others remain', async () => {
    const aborted = await driver.accuse([GRID]);
    expect(aborted).to.include({ state: 'aborted', abortReason: 'NOISE_FALSE' });
    expect(aborted.secure).to.deep.include({ accused: [GRID] });
    const refusal = await expectRefusal(driver.open(second), 'OPENING_INVALID');
    expect(refusal.detail).to.include(GRID);
    const opened = await driver.open(second, INITIAL_MODEL, [CITY, MAKER]);
    expect(opened.secure).to.deep.include({ accused: [GRID] });
    await driver.record(driver.envelopes(fleet, second), second);
    await driver.close(MAJORITY, second);
    await driver.fix(second, [CITY, MAKER]);
    expect((await driver.accuse([CITY], second)).secure).to.deep.include({ accused: [CITY, GRID] });
    const all = await driver.open(third);
    expect(all.secure?.opening.aggregators, 'MAKER alone could open none').to.have.length(3);
  });

  it('is forgotten with the round', async () => {
    await driver.accuse([GRID]);
    await driver.open(second, INITIAL_MODEL, [CITY, MAKER]);
    await driver.record(driver.envelopes(fleet, second), second);
    await driver.close(MAJORITY, second);
    await driver.fix(second, [CITY, MAKER]);
    await driver.score(second);
    await driver.audit([0, 2], [CITY, MAKER], second);
    await driver.commit(second, [CITY, MAKER]);
    const proposal = await driver.proposal(second);
    await driver.finalise(proposal, MAJORITY);
    const next = await driver.open({ ...ROUND_1, round: 2 }, proposal.modelHash);
    expect(next.secure).to.deep.include({ accused: [] });
  });

  it('is a majority’s at any time, never one organisation’s alone', async () => {
    const alone = { ...ROUND_1, reason: 'NOISE_FALSE', accused: [GRID], statements: [] };
    consortium.nowMs += 2 * A_ROUND;
    await expectRefusal(driver.coordinate('AbortRound', alone), 'STATEMENTS_INSUFFICIENT');
    const ofOther = driver.abortStatements(MAJORITY, 'NOISE_FALSE', ROUND_1, undefined, [CITY]);
    const argument = { ...alone, statements: ofOther };
    await expectRefusal(driver.coordinate('AbortRound', argument), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(driver.accuse([GRID], ROUND_1, [GRID, CITY]), 'STATEMENTS_INSUFFICIENT');
    expect(await driver.accuse([GRID])).to.include({ state: 'aborted' });
  });

  it('accuses aggregators of the opening, in order, and only of noise', async () => {
    for (const accused of [[REGULATOR], [GRID, CITY], [GRID, GRID]]) {
      await expectRefusal(driver.accuse(accused), 'ACCUSATION_INVALID');
    }
    const reason = 'AGGREGATORS_MISSING' as const;
    const statements = driver.abortStatements(MAJORITY, reason, ROUND_1, undefined, [GRID]);
    const otherReason = { ...ROUND_1, reason, accused: [GRID], statements };
    await expectRefusal(driver.coordinate('AbortRound', otherReason), 'ACCUSATION_INVALID');
    const nobody = { ...ROUND_1, reason: 'NOISE_FALSE', statements };
    await expectRefusal(driver.coordinate('AbortRound', nobody), 'ACCUSATION_INVALID');
    await driver.score();
    await expectRefusal(driver.accuse([GRID]), 'ROUND_STATE');
  });

  it('is not for rounds without noise', async () => {
    await fresh(secureTask());
    await driver.closed(fleet);
    await driver.fix();
    await expectRefusal(driver.accuse([GRID]), 'ACCUSATION_INVALID');
  });
});

describe('An organisation', () => {
  it('may leave while a secure round that it opened is under way: the others go on without it', async () => {
    await fresh();
    await driver.closed(fleet);
    await driver.fix();
    const vote = (transaction: string, argument: object, mspId: string) =>
      consortium.submit(`governance:${transaction}`, argument, mspId, 'operator');
    await vote('Propose', { proposalId: 'p', change: { kind: 'remove-organisation', mspId: GRID } }, CITY);
    await vote('Vote', { proposalId: 'p', approve: true }, MAKER);
    await vote('Vote', { proposalId: 'p', approve: true }, REGULATOR);
    await vote('Execute', { proposalId: 'p' }, CITY);
    const statements = driver.abortStatements([CITY, MAKER], 'AGGREGATORS_MISSING');
    const abort = { ...ROUND_1, reason: 'AGGREGATORS_MISSING', statements };
    expect(await consortium.submit('learning:AbortRound', abort, CITY, 'coordinator')).to.include({ state: 'aborted' });
    const second = { ...ROUND_1, attempt: 2 };
    const opening = driver.signedOpening(driver.opening(second, [CITY, MAKER]), second);
    expect(await consortium.submit('learning:OpenRound', opening, CITY, 'coordinator')).to.include({ state: 'open' });
  });
});
