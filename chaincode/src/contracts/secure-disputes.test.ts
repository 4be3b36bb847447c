// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { TIME_MARGIN_MS, type DisputePhase, type RoundRecord, type SettleDispute } from '../api';
import { CITY, GRID, MAKER, MSPS, REGULATOR, START_MS, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { identity, randomHash } from '../testing/identities';
import { ROUND_1, ROUND_MS } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { AGGREGATORS, dpTask, SecureDriver, secureTask } from '../testing/secure-learning';

const MAJORITY = [GRID, CITY, REGULATOR];
/** From one time on the ledger to another; whoever submits chooses either within the margin. */
const PATIENCE_MS = Math.ceil(ROUND_MS / 4) + 2 * TIME_MARGIN_MS;

let consortium: TestConsortium;
let driver: SecureDriver;
let fleet: Vehicle[];

async function fresh(task = secureTask()): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new SecureDriver(consortium, task);
  fleet = await enrolledFleet(consortium, 4);
  await driver.closed(fleet);
}

// Component 0 is held by GRID and MAKER, 1 by CITY and MAKER, 2 by CITY and GRID.
const LIE = randomHash();
const dispute = (component: number, phase: DisputePhase, change: object = {}): Promise<RoundRecord> =>
  driver.coordinate('OpenDispute', { ...ROUND_1, component, phase, projections: [], sums: [], ...change });
const settle = (verdict: SettleDispute, mspId: string = REGULATOR, role = 'attester'): Promise<RoundRecord> =>
  consortium.submit('learning:SettleDispute', verdict, mspId, role);
const lyingProjections = (component: number, liar: string) =>
  driver.projections(AGGREGATORS, { [liar]: { [component]: LIE } });
const lyingSums = (component: number, liar: string) => driver.sums(AGGREGATORS, { [liar]: { [component]: [LIE] } });

describe('A dispute about projections', () => {
  beforeEach(async () => {
    await fresh();
    await driver.fix();
  });

  it('releases one component to the arbiter, whose verdict lets the round go on without the liar', async () => {
    const projections = await lyingProjections(2, GRID);
    const nonces = await driver.nonces();
    await expectRefusal(driver.score(ROUND_1, { projections }), 'PROJECTIONS_DISAGREE');
    const opened = await dispute(2, 'projections', { projections, nonces });
    const [city] = projections;
    expect(opened.secure?.disputes, 'with what each of them said').to.deep.equal([
      {
        ...{ component: 2, phase: 'projections', openedAtMs: START_MS, seed: await driver.seed() },
        said: [
          { mspId: CITY, about: 'projections', hashes: [city!.components['2']] },
          { mspId: GRID, about: 'projections', hashes: [LIE] },
        ],
      },
    ]);
    expect(opened).to.include({ state: 'cohort' });
    await expectRefusal(driver.score(), 'DISPUTE_OPEN');
    const settled = await settle(driver.verdict(2, 'projections', [GRID]));
    expect(settled.secure).to.deep.include({ faulty: [GRID] });
    expect(settled.secure?.disputes[0]).to.deep.include({ faulty: [GRID] });
    expect(await driver.score(ROUND_1, { projections }), 'the liar does not count').to.include({ state: 'scored' });
    const refusal = await expectRefusal(driver.commit(), 'COMPONENTS_UNVERIFIED');
    expect(refusal.detail, 'what is left is one word a component').to.include('0, 2');
    await driver.audit([0, 2]);
    const committed = await driver.commit(ROUND_1, AGGREGATORS, { [GRID]: { '0': [LIE], '2': [LIE] } });
    expect(committed.secure).to.deep.include({ answeredBy: [[MAKER], [CITY, MAKER], [CITY]], unverified: [] });
    expect(await driver.finalise(await driver.proposal(), MAJORITY)).to.include({ state: 'finalised' });
  });

  it('returns the record when repeated, by anyone', async () => {
    const projections = await lyingProjections(2, GRID);
    const argument = {
      ...ROUND_1,
      component: 2,
      phase: 'projections',
      projections,
      sums: [],
      nonces: await driver.nonces(),
    };
    const opened = await driver.coordinate('OpenDispute', argument);
    const again = await consortium.simulate('learning:OpenDispute', argument, await identity(CITY, 'coordinator'));
    expect(again.result).to.deep.equal(opened);
    expect(again.stub.writes.size).to.equal(0);
    const settled = await settle(driver.verdict(2, 'projections', [GRID]));
    expect(await settle(driver.verdict(2, 'projections', [GRID]), GRID, 'coordinator')).to.deep.equal(settled);
    await expectRefusal(settle(driver.verdict(2, 'projections', [CITY])), 'DISPUTE_CONFLICT');
    expect(await dispute(2, 'projections')).to.deep.equal(settled);
  });

  it('needs two statements that contradict each other about the component', async () => {
    const nonces = await driver.nonces();
    const honest = await driver.projections();
    const [, grid] = (await lyingProjections(2, GRID)) as [object, object];
    await expectRefusal(dispute(2, 'projections', { projections: honest, nonces }), 'DISPUTE_REFUSED');
    await expectRefusal(dispute(2, 'projections', { projections: [grid], nonces }), 'DISPUTE_REFUSED');
    await expectRefusal(
      dispute(1, 'projections', { projections: [honest[0], grid, honest[2]], nonces }),
      'DISPUTE_REFUSED',
    );
    await expectRefusal(dispute(9, 'projections', { projections: [honest[0], grid], nonces }), 'DISPUTE_REFUSED');
    const unsigned = { ...grid, signature: honest[1]!.signature };
    await expectRefusal(dispute(2, 'projections', { projections: [honest[0], unsigned], nonces }), 'SIGNATURE_INVALID');
    await expectRefusal(dispute(2, 'projections', { projections: [honest[0], grid] }), 'NONCE_INVALID');
  });

  it('is not opened by one aggregator that signed two things', async () => {
    const [, honest] = await driver.projections();
    const [, lying] = await lyingProjections(2, GRID);
    const equivocation = { projections: [honest, lying], nonces: await driver.nonces() };
    await expectRefusal(dispute(2, 'projections', equivocation), 'ARGUMENT_INVALID');
  });

  it('after the scores takes away what a liar alone had answered for', async () => {
    const projections = await lyingProjections(2, GRID);
    const [city, grid, maker] = projections;
    const partial = await driver.projections([MAKER]);
    expect(partial[0]).to.deep.include({ mspId: maker!.mspId });
    await driver.score(ROUND_1, { projections: [grid!, maker!] });
    await dispute(2, 'projections', { projections: [city, grid] });
    await settle(driver.verdict(2, 'projections', [GRID]));
    await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'VERDICT_AGAINST');
    expect(await driver.abort()).to.include({ state: 'aborted' });
  });
});

describe('A dispute about sums', () => {
  beforeEach(async () => {
    await fresh();
    await driver.fix();
    await driver.score();
  });

  it('keeps the round from going on until the verdict', async () => {
    const sums = await lyingSums(1, MAKER);
    await expectRefusal(driver.coordinate('CommitSums', { ...ROUND_1, sums }), 'SUMS_DISAGREE');
    await dispute(1, 'sums', { sums });
    await expectRefusal(driver.commit(), 'DISPUTE_OPEN');
    await settle(driver.verdict(1, 'sums', [MAKER]));
    const refusal = await expectRefusal(driver.coordinate('CommitSums', { ...ROUND_1, sums }), 'COMPONENTS_UNVERIFIED');
    expect(refusal.detail, 'the sums of component 1 were recomputed, its projections are CITY’s alone').to.include(
      'component 0, 1 rests',
    );
    await driver.audit([0, 1]);
    const committed = await driver.coordinate('CommitSums', { ...ROUND_1, sums });
    expect(committed.secure).to.deep.include({ unverified: [], faulty: [MAKER] });
  });

  it('is not taken once sums are committed, so that no second word spends the base', async () => {
    await driver.commit();
    const [city] = await driver.sums();
    const [, , maker] = await lyingSums(1, MAKER);
    await expectRefusal(dispute(1, 'sums', { sums: [city, maker] }), 'ROUND_STATE');
    const projections = await lyingProjections(2, GRID);
    await expectRefusal(dispute(2, 'projections', { projections }), 'ROUND_STATE');
    await expectRefusal(dispute(1, 'audit'), 'ROUND_STATE');
    expect(await driver.finalise(await driver.proposal(), MAJORITY)).to.include({ state: 'finalised' });
  });

  it('comes after the scores', async () => {
    await driver.abort();
    const second = { ...ROUND_1, attempt: 2 };
    await driver.closed(fleet, second);
    const closed = { ...second, component: 1, phase: 'audit', projections: [], sums: [] };
    await expectRefusal(driver.coordinate('OpenDispute', closed), 'ROUND_STATE');
    await driver.fix(second);
    await expectRefusal(driver.coordinate('OpenDispute', { ...closed, phase: 'sums' }), 'ROUND_STATE');
    await expectRefusal(driver.coordinate('OpenDispute', closed), 'ROUND_STATE');
    await expectRefusal(driver.coordinate('OpenDispute', { ...closed, ...ROUND_1 }), 'ROUND_STALE');
  });
});

describe('An audit', () => {
  beforeEach(async () => {
    await fresh();
    await driver.fix();
  });
  /** Scored without GRID, which a majority attested. */
  const scoredByTwo = async (): Promise<RoundRecord> =>
    driver.score(ROUND_1, { projections: await driver.projections([CITY, MAKER]) });

  it('comes before any sum is shown, and verifies what one aggregator answers for', async () => {
    await scoredByTwo();
    const sums = await driver.sums([CITY, MAKER]);
    for (const audited of [[], [0]]) {
      await driver.audit(audited, [CITY, MAKER]);
      await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'COMPONENTS_UNVERIFIED');
    }
    await expectRefusal(driver.openAudit(1, [CITY, MAKER]), 'DISPUTE_REFUSED');
    const opened = await driver.openAudit(2, [CITY, MAKER]);
    const { projections } = await driver.secure();
    expect(
      opened.secure?.disputes[1]?.said,
      'what the ledger took of the component, and what it is to take',
    ).to.deep.equal([
      { mspId: CITY, about: 'projections', hashes: [projections![2]] },
      { mspId: CITY, about: 'sums', hashes: sums[0]!.components['2'] },
    ]);
    await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'DISPUTE_OPEN');
    await settle(driver.verdict(2, 'audit', []));
    const committed = await driver.commit(ROUND_1, [CITY, MAKER]);
    expect(committed.secure).to.deep.include({ unverified: [], answeredBy: [[MAKER], [CITY, MAKER], [CITY]] });
    expect(await driver.finalise(await driver.proposal(), MAJORITY)).to.include({ state: 'finalised' });
    await expectRefusal(dispute(1, 'audit'), 'ROUND_STATE');
  });

  it('that names anybody ends the attempt without a sum shown, so that the base is not spent', async () => {
    await scoredByTwo();
    await driver.openAudit(0, [CITY, MAKER]);
    const settled = await settle(driver.verdict(0, 'audit', [MAKER]));
    expect(settled.secure).to.deep.include({ faulty: [MAKER], shownAttempts: [] });
    await expectRefusal(driver.commit(), 'VERDICT_AGAINST');
    await driver.abort();
    const second = { ...ROUND_1, attempt: 2 };
    expect((await driver.open(second)).secure).to.deep.include({ shownAttempts: [] });
  });

  it('bars nobody from the further attempts: the arbiter’s word stands alone', async () => {
    await scoredByTwo();
    await driver.openAudit(0, [CITY, MAKER]);
    await settle(driver.verdict(0, 'audit', [MAKER]));
    await driver.abort();
    const opened = await driver.open({ ...ROUND_1, attempt: 2 });
    expect(opened.secure).to.deep.include({ accused: [], faulty: [] });
  });

  it('of projections that one aggregator answers for is not spared by sums that two agree about', async () => {
    await scoredByTwo();
    const refusal = await expectRefusal(driver.commit(), 'COMPONENTS_UNVERIFIED');
    expect(refusal.detail).to.include('0, 2');
    await driver.audit([0, 2]);
    expect(await driver.commit()).to.include({ state: 'aggregated' });
  });

  it('of sums gives a holder its time that had spoken before, and none that had not', async () => {
    await driver.score();
    const refusal = await expectRefusal(driver.openAudit(0, [CITY, MAKER]), 'DISPUTE_REFUSED');
    expect(refusal.detail).to.include(GRID);
    consortium.nowMs += PATIENCE_MS - 1;
    await expectRefusal(driver.openAudit(0, [CITY, MAKER]), 'DISPUTE_REFUSED');
    consortium.nowMs += 1;
    await driver.audit([0, 2], [CITY, MAKER]);
    expect(await driver.commit(ROUND_1, [CITY, MAKER])).to.include({ state: 'aggregated' });
  });

  it('is of sums that are shown, and agree', async () => {
    await scoredByTwo();
    await expectRefusal(dispute(0, 'audit'), 'DISPUTE_REFUSED');
    const sums = await lyingSums(0, GRID);
    await expectRefusal(dispute(0, 'audit', { sums }), 'DISPUTE_REFUSED');
    const [, grid] = sums;
    const unsigned = [{ ...grid!, signature: sums[0]!.signature }];
    await expectRefusal(dispute(0, 'audit', { sums: unsigned }), 'SIGNATURE_INVALID');
  });

  it('does not cover other sums than it was on', async () => {
    await scoredByTwo();
    const lying = (await lyingSums(0, MAKER)).slice(2);
    await dispute(0, 'audit', { sums: lying });
    await settle(driver.verdict(0, 'audit', []));
    await driver.audit([2]);
    await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'VERDICT_AGAINST');
  });

  it('that finds what two agreed about wrong ends the round, too', async () => {
    await driver.score();
    consortium.nowMs += PATIENCE_MS;
    await driver.openAudit(0, [CITY, MAKER]);
    // Nobody but GRID is named, though MAKER said the same of the projections.
    const settled = await settle(driver.verdict(0, 'audit', [GRID]));
    expect(settled.secure).to.deep.include({ faulty: [GRID] });
    await driver.audit([2]);
    await expectRefusal(driver.commit(), 'VERDICT_AGAINST');
  });

  it('is refused where it would open the last component', async () => {
    await scoredByTwo();
    await driver.audit([0, 2], [CITY, MAKER]);
    // The word of the third comes late, and contradicts another.
    const sums = [...(await driver.sums([CITY])), ...(await lyingSums(1, MAKER)).slice(2)];
    const refusal = await expectRefusal(dispute(1, 'sums', { sums }), 'DISPUTE_REFUSED');
    expect(refusal.detail).to.include('closed');
  });

  it('of a component that was released before releases no more', async () => {
    await driver.score();
    const sums = await lyingSums(2, GRID);
    await dispute(2, 'sums', { sums });
    await settle(driver.verdict(2, 'sums', [GRID]));
    await driver.audit([0]);
    const again = await driver.openAudit(2);
    expect(again.secure?.disputes.map(({ component, phase }) => `${phase} ${component}`)).to.deep.equal([
      ...['sums 2', 'audit 0', 'audit 2'],
    ]);
  });
});

describe('An arbiter that is silent', () => {
  const unsettled = 'DISPUTE_UNSETTLED' as const;
  beforeEach(async () => {
    await fresh();
    await driver.fix();
    await driver.score(ROUND_1, { projections: await driver.projections([CITY, MAKER]) });
  });
  const abort = (signers: readonly string[]) =>
    driver.coordinate('AbortRound', {
      ...ROUND_1,
      reason: unsettled,
      statements: driver.abortStatements(signers, unsettled, ROUND_1),
    });

  it('is kept by name where a majority gives the attempt up for it, and the base is not spent', async () => {
    await driver.openAudit(0, [CITY, MAKER]);
    expect((await abort(MAJORITY)).secure).to.deep.include({ silent: [REGULATOR], shownAttempts: [], accused: [] });
    const second = await driver.open({ ...ROUND_1, attempt: 2 });
    expect(second.secure, 'of the next attempt nothing is known').not.to.have.property('silent');
  });

  it('is not where no dispute is open, or it had no time yet', async () => {
    expect((await abort(MAJORITY)).secure).not.to.have.property('silent');
    await fresh();
    await driver.fix();
    await driver.score(ROUND_1, { projections: await driver.projections([CITY, MAKER]) });
    consortium.nowMs += ROUND_MS + TIME_MARGIN_MS;
    await driver.openAudit(0, [CITY, MAKER]);
    consortium.nowMs += 1;
    expect((await abort([])).secure).not.to.have.property('silent');
  });
});

describe('A verdict', () => {
  beforeEach(async () => {
    await fresh();
    await driver.fix();
    await dispute(2, 'projections', {
      projections: await lyingProjections(2, GRID),
      nonces: await driver.nonces(),
    });
  });

  it('is the arbiter’s alone, about a dispute that there is', async () => {
    for (const signer of MSPS.filter((mspId) => mspId !== REGULATOR)) {
      await expectRefusal(settle(driver.verdict(2, 'projections', [GRID], ROUND_1, signer)), 'SIGNATURE_INVALID');
    }
    await expectRefusal(settle(driver.verdict(1, 'projections', [CITY])), 'DISPUTE_UNKNOWN');
    await expectRefusal(settle(driver.verdict(2, 'audit', [GRID])), 'DISPUTE_UNKNOWN');
    const other = { ...driver.verdict(2, 'projections', [GRID]), faulty: [CITY] };
    await expectRefusal(settle(other), 'SIGNATURE_INVALID');
    await expectRefusal(settle(driver.verdict(2, 'projections', [GRID], { ...ROUND_1, attempt: 2 })), 'ROUND_STALE');
  });

  it('names whoever said something of the component, sorted', async () => {
    for (const faulty of [[MAKER], [REGULATOR], [GRID, CITY], [GRID, GRID]]) {
      await expectRefusal(settle(driver.verdict(2, 'projections', faulty)), 'DISPUTE_REFUSED');
    }
    const settled = await settle(driver.verdict(2, 'projections', [CITY, GRID]), CITY, 'coordinator');
    expect(settled.secure?.faulty).to.deep.equal([CITY, GRID]);
    await expectRefusal(driver.score(), 'AGGREGATORS_MISSING');
  });

  it('does not find two right that contradict each other', async () => {
    const refusal = await expectRefusal(settle(driver.verdict(2, 'projections', [])), 'DISPUTE_REFUSED');
    expect(refusal.detail).to.include('contradict');
  });

  it('comes too late once the round is given up', async () => {
    await driver.abort();
    await expectRefusal(settle(driver.verdict(2, 'projections', [GRID])), 'ROUND_STATE');
  });
});

describe('Where nobody may be the arbiter', () => {
  beforeEach(async () => {
    consortium = await TestConsortium.withoutAuditor();
    driver = new SecureDriver(consortium, secureTask());
    fleet = await enrolledFleet(consortium, 4);
    await driver.coordinate('CreateTask', driver.task);
    await driver.coordinate('OpenRound', driver.signedOpening(driver.opening(ROUND_1, AGGREGATORS, false)));
    await driver.record(driver.envelopes(fleet));
    await driver.close(MAJORITY);
    await driver.fix();
  });

  it('no sum is shown that rests on one aggregator’s word', async () => {
    await driver.score();
    consortium.nowMs += PATIENCE_MS;
    const refusal = await expectRefusal(driver.commit(ROUND_1, [CITY, MAKER]), 'COMPONENTS_UNVERIFIED');
    expect(refusal.detail).to.include('0, 2');
    await expectRefusal(driver.openAudit(0, [CITY, MAKER]), 'DISPUTE_REFUSED');
    expect(await driver.commit()).to.include({ state: 'aggregated' });
  });

  it('there are no disputes', async () => {
    const grounds = { projections: await lyingProjections(2, GRID), nonces: await driver.nonces() };
    const refusal = await expectRefusal(dispute(2, 'projections', grounds), 'DISPUTE_REFUSED');
    expect(refusal.detail).to.include('arbiter');
    await expectRefusal(settle(driver.verdict(2, 'projections', [GRID])), 'DISPUTE_UNKNOWN');
  });
});

describe('Where no projections are opened', () => {
  it('there is no dispute about them', async () => {
    await fresh(dpTask());
    await driver.fix();
    const grounds = { projections: await lyingProjections(2, GRID), nonces: await driver.nonces() };
    await expectRefusal(dispute(2, 'projections', grounds), 'DISPUTE_REFUSED');
  });
});
