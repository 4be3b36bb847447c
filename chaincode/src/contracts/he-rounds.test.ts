// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { heParties, TIME_MARGIN_MS, type CohortRecord, type ErrorCode, type RoundRecord, type Task } from '../api';
import { CITY, GRID, MAKER, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { HeDriver, heTask, heTermsOf, KEY_HOLDER, MASK_HOLDER, SUMMER } from '../testing/he-learning';
import { identity, signingKey } from '../testing/identities';
import { INITIAL_MODEL, ROUND_1, ROUND_MS, taskOf, withOwnModel } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { secureTask, termsOf } from '../testing/secure-learning';

const MAJORITY = [GRID, CITY, REGULATOR];
const SECOND = { ...ROUND_1, attempt: 2 };

let consortium: TestConsortium;
let driver: HeDriver;
let fleet: Vehicle[];

async function fresh(size = 4): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new HeDriver(consortium);
  fleet = await enrolledFleet(consortium, size);
}

describe('learning:CreateTask in mode he', () => {
  before(() => fresh(0));
  const create = (task: Task) => driver.coordinate('CreateTask', withOwnModel(task));

  it('takes the terms, and returns the record when repeated', async () => {
    const record = await create(heTask());
    expect(record).to.deep.include({ task: withOwnModel(heTask()) });
    expect(await create(heTask())).to.deep.equal(record);
  });

  it('refuses an organisation that is no member', async () => {
    await expectRefusal(create(heTask({ summer: 'StrangerMSP' }, { taskId: 'other' })), 'ORGANISATION_UNKNOWN');
  });

  const { he: _none, ...withoutTerms } = heTask();
  const refused: [string, Task, string][] = [
    ['the mode without terms', withoutTerms, 'he: missing'],
    ['terms in plain mode', taskOf({ he: heTermsOf() }), 'he: only'],
    ['terms in mode secure', { ...secureTask(), he: heTermsOf() }, 'he: only'],
    ['terms of secure aggregation', { ...heTask(), secure: termsOf() }, 'secure: only'],
    ['one organisation with two parts', heTask({ maskHolder: KEY_HOLDER }), 'three organisations'],
    ['a metric twice', heTask({ metrics: ['loss', 'loss'] }), 'he.metrics'],
    [
      'weights that tell vehicles of one class from a sum',
      heTask({}, { aggregation: taskOf().aggregation }),
      'weightClasses',
    ],
    ['sums over one vehicle', heTask({}, { cohort: { minimum: 1, target: 3 } }), 'cohort.minimum'],
    ['more vehicles than a sum holds', heTask({ maxVehicles: 2 }), 'cohort.target'],
    ['sums that could wrap around', heTask({ fractionBits: 18 }), 'he.maxVehicles'],
  ];
  for (const [what, task, path] of refused) {
    it(`refuses ${what}, naming the path`, async () => {
      const refusal = await expectRefusal(create({ ...task, taskId: 'other' }), 'ARGUMENT_INVALID');
      expect(refusal.detail).to.include(path);
    });
  }

  it('refuses sums over two vehicles, as in every mode that keeps updates secret', async () => {
    const two = heTask({}, { taskId: 'other', cohort: { minimum: 2, target: 3 } });
    const refusal = await expectRefusal(create(two), 'TERMS_BELOW_FLOOR');
    expect(refusal.detail).to.include('cohort.minimum');
  });

  it('takes the largest sums that fit below half of the plaintext modulus, and no larger ones', async () => {
    // 2^f · 2C · weight · vehicles = 2^10 · 2 · 4 · 1,024 · C; (t − 1)/2 lies between C = 511.98 and 512.
    const wide = (clipMilli: number, taskId: string) => create(heTask({ fractionBits: 10, clipMilli }, { taskId }));
    await wide(511_980, 'widest');
    await expectRefusal(wide(512_000, 'too-wide'), 'ARGUMENT_INVALID');
  });
});

describe('A round in mode he', () => {
  before(() => fresh());

  it('goes from the opening to the model, one transaction and one event a step', async () => {
    const events: string[] = [];
    const step = async (transaction: string, argument: unknown): Promise<string> => {
      const simulated = await consortium.simulate(
        `learning:${transaction}`,
        argument,
        await identity(MAKER, 'coordinator'),
      );
      consortium.raise(simulated);
      expect(consortium.commit(simulated)).to.equal('VALID');
      events.push(simulated.event?.type ?? 'none');
      return (simulated.result as RoundRecord).state;
    };
    await driver.coordinate('CreateTask', heTask());
    await step('OpenRound', driver.signedOpening(driver.newOpening()));
    await driver.record(driver.envelopes(fleet));
    await step('CloseRound', { ...ROUND_1, statements: driver.closeStatements(MAJORITY) });
    expect(await step('FixCohort', { ...ROUND_1, holdings: await driver.holdings(), statements: [] })).to.equal(
      'cohort',
    );
    expect(await step('CommitHeSum', await driver.committing())).to.equal('aggregated');
    expect(await step('FinaliseRound', driver.attested(await driver.proposal(), MAJORITY))).to.equal('finalised');
    expect(events).to.deep.equal([...['RoundOpened', 'RoundClosed', 'CohortFixed', 'SumsCommitted', 'RoundFinalised']]);
  });

  it('leaves cohort and hashes on the ledger, and is taken over at any step', async () => {
    const finalised = await driver.round();
    const { he, proposal } = finalised;
    expect(he).to.deep.include({ cohortSize: 4, contradicted: [], shownAttempts: [{ round: 1, attempt: 1 }] });
    const again: [string, unknown][] = [
      ['OpenRound', driver.signedOpening(he!.opening)],
      ['FixCohort', { ...ROUND_1, holdings: await driver.holdings(), statements: [] }],
      ['FinaliseRound', driver.attested(proposal!, MAJORITY)],
    ];
    for (const [transaction, argument] of again) {
      expect(await driver.coordinate(transaction, argument), transaction).to.deep.equal(finalised);
    }
    await expectRefusal(driver.commit(), 'SUMS_CONFLICT');
  });
});

describe('The steps of mode he refuse', () => {
  beforeEach(() => fresh());

  it('an opening that one of the three did not sign, a wrong key, none, or one of mode secure', async () => {
    await driver.coordinate('CreateTask', heTask());
    const opening = driver.newOpening();
    for (const missing of heParties(heTermsOf())) {
      const signers = heParties(heTermsOf()).filter((mspId) => mspId !== missing);
      const refusal = await expectRefusal(
        driver.coordinate('OpenRound', driver.signedOpening(opening, ROUND_1, undefined, signers)),
        'SIGNATURE_INVALID',
      );
      expect(refusal.detail).to.include(missing);
    }
    const signed = driver.signedOpening(opening);
    const changes: [unknown, ErrorCode][] = [
      [{ ...signed, he: { ...opening, sealingKey: 'AAAA' } }, 'ARGUMENT_INVALID'],
      [{ ...signed, he: { ...opening, sealingKey: signingKey().publicKey } }, 'SIGNATURE_INVALID'],
      [{ ...ROUND_1, baseModelHash: signed.baseModelHash }, 'OPENING_INVALID'],
    ];
    for (const [argument, code] of changes) {
      await expectRefusal(driver.coordinate('OpenRound', argument), code);
    }
    await driver.coordinate('CreateTask', taskOf({ taskId: 'plain' }));
    await expectRefusal(driver.coordinate('OpenRound', { ...signed, taskId: 'plain' }), 'OPENING_INVALID');
  });

  it('another opening of the same attempt', async () => {
    await driver.open(heTask());
    const other = driver.signedOpening(driver.newOpening());
    await expectRefusal(driver.coordinate('OpenRound', other), 'ROUND_CONFLICT');
  });

  it('a cohort without the holdings of summer or mask holder', async () => {
    await driver.closed(heTask(), fleet);
    for (const missing of [SUMMER, MASK_HOLDER]) {
      const holdings = await driver.holdings({}, ROUND_1, [missing === SUMMER ? MASK_HOLDER : SUMMER, KEY_HOLDER]);
      const call = driver.coordinate('FixCohort', { ...ROUND_1, holdings, statements: [] });
      expect((await expectRefusal(call, 'PARTY_MISSING')).detail).to.include(missing);
    }
  });

  it('a cohort below the minimum', async () => {
    await driver.closed(heTask(), fleet);
    const [a, b, c] = fleet.map(({ vehicleId }) => vehicleId) as [string, string, string];
    await expectRefusal(driver.fix(ROUND_1, [a, b, c]), 'COHORT_TOO_SMALL');
  });

  it('hashes that another party than the right one signed, or none', async () => {
    await driver.closed(heTask(), fleet);
    await expectRefusal(driver.coordinate('CommitHeSum', await driver.committing()), 'ROUND_STATE');
    await driver.fix();
    for (const signers of [{ summer: KEY_HOLDER }, { maskHolder: SUMMER }, { keyHolder: MASK_HOLDER }]) {
      const argument = await driver.committing(ROUND_1, signers);
      await expectRefusal(driver.coordinate('CommitHeSum', argument), 'SIGNATURE_INVALID');
    }
    const [one, other] = [await driver.committing(), await driver.committing()];
    await expectRefusal(driver.coordinate('CommitHeSum', { ...one, sum: other.sum }), 'SIGNATURE_INVALID');
  });

  it('a model before the hashes, over another cohort, or attested by a minority', async () => {
    await driver.closed(heTask(), fleet);
    await driver.fix();
    const proposal = await driver.proposal();
    await expectRefusal(driver.finalise(proposal, MAJORITY), 'ROUND_STATE');
    await driver.commit();
    await expectRefusal(driver.finalise({ ...proposal, cohortSize: 3 }, MAJORITY), 'COHORT_MISMATCH');
    await expectRefusal(driver.finalise(proposal, [GRID, CITY]), 'STATEMENTS_INSUFFICIENT');
  });

  it('steps of the secure modes, and their own in those', async () => {
    await driver.closed(heTask(), fleet);
    const sums = { ...ROUND_1, sums: [] };
    await expectRefusal(driver.coordinate('CommitSums', sums), 'ARGUMENT_INVALID');
    await expectRefusal(driver.finalise(await driver.proposal(), MAJORITY), 'ARGUMENT_INVALID');
    await driver.coordinate('CreateTask', taskOf({ taskId: 'plain' }));
    await driver.coordinate('OpenRound', {
      ...ROUND_1,
      taskId: 'plain',
      baseModelHash: taskOf().model.initialModelHash,
    });
    await driver.fix();
    const committing = await driver.committing();
    await expectRefusal(driver.coordinate('CommitHeSum', { ...committing, taskId: 'plain' }), 'ROUND_STATE');
  });
});

describe('Who is left out in mode he', () => {
  beforeEach(() => fresh());

  it('is left out by either of the two, on the word of a majority before the deadline', async () => {
    await driver.closed(heTask(), fleet);
    const { vehicleId } = fleet[0]!;
    const holdings = await driver.holdings({ [MASK_HOLDER]: [vehicleId] });
    const argument = { ...ROUND_1, holdings, statements: [] };
    await expectRefusal(driver.coordinate('FixCohort', argument), 'ROUND_DEADLINE_NOT_REACHED');
    const statements = await driver.cohortStatements([vehicleId]);
    const fixed = await driver.coordinate('FixCohort', { ...argument, statements });
    expect(fixed).to.have.nested.property('he.cohortSize', 3);
  });

  it('is left out where more were recorded than a sum takes: those with the last ids', async () => {
    await driver.closed(heTask({ maxVehicles: 3 }), fleet);
    const last = (await driver.recorded()).map(({ vehicleId }) => vehicleId).sort()[3]!;
    const statements = await driver.cohortStatements([last]);
    const argument = { ...ROUND_1, holdings: await driver.holdings(), statements };
    await expectRefusal(driver.coordinate('FixCohort', { ...argument, statements: [] }), 'ROUND_DEADLINE_NOT_REACHED');
    const fixed = await driver.coordinate('FixCohort', argument);
    expect(fixed).to.have.nested.property('he.cohortSize', 3);
    const { members } = await consortium.evaluate<CohortRecord>('learning:GetCohort', ROUND_1);
    expect(members.map(({ vehicleId }) => vehicleId)).not.to.include(last);
  });

  it('names whoever denies a report that it gave a receipt for, without a cohort that cannot be summed', async () => {
    await driver.closed(heTask(), fleet);
    const { vehicleId } = fleet[0]!;
    await driver.coordinate('ShowReceipts', await driver.receipt(SUMMER, vehicleId));
    await expectRefusal(
      driver.coordinate('ShowReceipts', await driver.receipt(KEY_HOLDER, vehicleId)),
      'RECEIPT_INVALID',
    );
    const fixed = await driver.fix(ROUND_1, [vehicleId]);
    expect(fixed.he).to.deep.include({ cohortSize: 3, contradicted: [SUMMER] });
  });
});

describe('An aborted attempt in mode he', () => {
  beforeEach(() => fresh());

  it('names who was lost, and is followed by one with fresh keys', async () => {
    await driver.closed(heTask(), fleet);
    await driver.fix();
    const before = await driver.round();
    expect(await driver.abort()).to.include({ state: 'aborted', abortReason: 'KEY_HOLDER_LOST' });
    const opened = await driver.coordinate('OpenRound', driver.signedOpening(driver.newOpening(), SECOND));
    expect(opened.he!.shownAttempts).to.deep.equal([{ round: 1, attempt: 1 }]);
    expect(opened.he!.openingHash).to.not.equal(before.he!.openingHash);
  });

  it('that ends before its cohort is fixed burns nothing', async () => {
    await driver.closed(heTask(), fleet);
    await driver.abort();
    const opened = await driver.coordinate('OpenRound', driver.signedOpening(driver.newOpening(), SECOND));
    expect(opened.he!.shownAttempts).to.deep.equal([]);
  });

  it('whose sum two parties may have opened allows no cohort of nearly the same vehicles, and two burn the base', async () => {
    await driver.closed(heTask(), fleet);
    await driver.fix();
    await driver.abort();
    await driver.coordinate('OpenRound', driver.signedOpening(driver.newOpening(), SECOND));
    await driver.record(driver.envelopes(fleet, SECOND), SECOND);
    await driver.close(MAJORITY, SECOND);
    await expectRefusal(driver.fix(SECOND, [fleet[0]!.vehicleId]), 'COHORT_TOO_CLOSE');
    const both = [1, 2].map((attempt) => ({ round: 1, attempt }));
    expect((await driver.fix(SECOND)).he!.shownAttempts).to.deep.equal(both);
    expect(await driver.fix(SECOND)).to.include({ state: 'cohort' });
    await driver.abort(SECOND);
    const third = driver.signedOpening(driver.newOpening(), { ...ROUND_1, attempt: 3 });
    await expectRefusal(driver.coordinate('OpenRound', third), 'BASE_BURNED');
  });

  it('is counted by its base, in whatever round that is tried', async () => {
    await driver.closed(heTask(), fleet);
    await driver.fix();
    await driver.commit();
    const same = { ...(await driver.proposal()), modelHash: INITIAL_MODEL };
    expect(await driver.finalise(same, MAJORITY)).to.include({ state: 'finalised' });
    const next = { ...ROUND_1, round: 2 };
    const opened = await driver.coordinate('OpenRound', driver.signedOpening(driver.newOpening(), next));
    expect(opened.he!.shownAttempts).to.deep.equal([{ round: 1, attempt: 1 }]);
    await driver.record(driver.envelopes(fleet, next), next);
    await driver.close(MAJORITY, next);
    await expectRefusal(driver.fix(next, [fleet[0]!.vehicleId]), 'COHORT_TOO_CLOSE');
  });

  it('names somebody on a majority’s word only; alone, late, it names nobody', async () => {
    await driver.closed(heTask(), fleet);
    await driver.fix();
    const abort = { ...ROUND_1, reason: 'NO_MAJORITY', statements: [] };
    await expectRefusal(driver.coordinate('AbortRound', abort), 'ROUND_DEADLINE_NOT_REACHED');
    consortium.nowMs += ROUND_MS + TIME_MARGIN_MS + 1;
    for (const reason of ['KEY_HOLDER_LOST', 'SUMMER_LOST', 'MASK_HOLDER_LOST']) {
      await expectRefusal(driver.coordinate('AbortRound', { ...abort, reason }), 'STATEMENTS_INSUFFICIENT');
    }
    expect(await driver.coordinate('AbortRound', abort)).to.include({ abortReason: 'NO_MAJORITY' });
  });
});
