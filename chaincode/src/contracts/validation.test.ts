// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { majorityOf, sha256Hex, type ErrorCode, type Scores, type Validation } from '../api';
import { CITY, GRID, MAKER, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, type Vehicle } from '../testing/fleet';
import { INITIAL_MODEL, ROUND_1 } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { AGGREGATORS, SecureDriver, secureTask } from '../testing/secure-learning';
import { roundRef, ValidatedDriver, validatedTask, VALIDATION, VALIDATORS } from '../testing/validated-learning';

const FIRST = { round: 1, attempt: 1 };
const NOISY = { [MAKER]: { lossMicro: 3_000_001 } };

let consortium: TestConsortium;
let driver: ValidatedDriver;
let fleet: Vehicle[];

async function fresh(task = validatedTask()): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new ValidatedDriver(consortium, task);
  fleet = await enrolledFleet(consortium, 4);
}

describe('Validations of an opening', () => {
  before(() => fresh());

  it('bind each validator to its data and give the median of the losses', async () => {
    const losses = { [CITY]: { lossMicro: 900_000 }, [GRID]: { lossMicro: 1_100_000 } };
    const opened = await driver.openWith(driver.validations(ROUND_1, INITIAL_MODEL, losses));
    expect(opened.secure?.validated).to.deep.equal({ medianLossMicro: 1_000_000, departed: [] });
    expect(await driver.validators()).to.deep.equal(
      VALIDATORS.map((mspId) => ({
        ...{ docType: 'validator', schemaVersion: 1, taskId: 'price-1', mspId },
        ...{ dataHash: sha256Hex(`data of ${mspId}`), departures: [] },
      })),
    );
  });

  it('name a validator whose loss departs from that of the others', async () => {
    await driver.abort();
    const ref = roundRef(1, 2);
    const opened = await driver.openWith(driver.validations(ref, INITIAL_MODEL, NOISY), ref);
    expect(opened.secure?.validated).to.deep.equal({ medianLossMicro: 1_000_000, departed: [MAKER] });
    await driver.abort(ref);
  });

  const THREE = [CITY, GRID, MAKER];
  const refused: [string, ErrorCode, (signed: readonly Validation[]) => readonly Validation[] | undefined][] = [
    ['none', 'VALIDATION_INVALID', () => undefined],
    ['those of two of four', 'VALIDATION_INVALID', (signed) => signed.slice(0, majorityOf(4) - 1)],
    ['unsorted ones', 'VALIDATION_INVALID', (signed) => [...signed].reverse()],
    ['one twice', 'VALIDATION_INVALID', ([first, ...rest]) => [first!, first!, ...rest]],
    [
      'one of an organisation that is no validator',
      'VALIDATION_INVALID',
      (signed) => [...signed.slice(0, 3), { ...signed[3]!, mspId: 'OtherMSP' }],
    ],
    [
      'one on other data than before',
      'VALIDATION_DATA_CHANGED',
      () => driver.validations(roundRef(1, 3), INITIAL_MODEL, { [GRID]: { dataHash: sha256Hex('better data') } }),
    ],
    [
      'one with another loss than was signed',
      'SIGNATURE_INVALID',
      ([first, ...rest]) => [{ ...first!, lossMicro: 1 }, ...rest],
    ],
    ['those of another attempt', 'SIGNATURE_INVALID', () => driver.validations(ROUND_1)],
    ['those about another base', 'SIGNATURE_INVALID', () => driver.validations(roundRef(1, 3), 'b'.repeat(64))],
  ];
  for (const [what, code, change] of refused) {
    it(`refuse ${what}`, async () => {
      const ref = roundRef(1, 3);
      const words = change(driver.validations(ref));
      await expectRefusal(driver.openWith(words, ref), code);
    });
  }

  it('are refused where the task has no validators', async () => {
    const plain = new SecureDriver(consortium, secureTask({}, { taskId: 'price-2' }));
    await plain.coordinate('CreateTask', {
      ...plain.task,
      model: { ...plain.task.model, initialModelHash: 'b'.repeat(64) },
    });
    const ref = { ...ROUND_1, taskId: 'price-2' };
    const validations = driver.validations(ref, 'b'.repeat(64));
    const opening = { ...plain.opening(ref), validations };
    const input = plain.signedOpening(opening, ref, 'b'.repeat(64));
    await expectRefusal(plain.coordinate('OpenRound', input), 'VALIDATION_INVALID');
  });

  it('are signed over by aggregators and arbiter: others cannot be put in their place', async () => {
    const ref = roundRef(1, 3);
    const input = driver.signedOpening(driver.opening(ref), ref);
    const validations = driver.validations(ref, INITIAL_MODEL, NOISY);
    const other = { ...input, opening: { ...input.opening!, validations } };
    await expectRefusal(driver.coordinate('OpenRound', other), 'SIGNATURE_INVALID');
  });

  it('of a majority are enough', async () => {
    const ref = roundRef(1, 3);
    await driver.openWith(driver.validations(ref, INITIAL_MODEL, {}, THREE), ref);
    expect((await driver.round(ref)).state).to.equal('open');
  });
});

describe('A validator that departs from the others', () => {
  beforeEach(() => fresh());

  const run = async (round: number, base: string, departing: boolean): Promise<string> => {
    const ref = roundRef(round);
    const words = driver.validations(ref, base, departing ? NOISY : {});
    await driver.openWith(words, ref, base);
    await driver.record(driver.envelopes(fleet, ref, base), ref, base);
    await driver.close([GRID, CITY, REGULATOR], ref);
    return (await driver.finished(ref)).proposal?.modelHash ?? '';
  };
  const ofMaker = async () => (await driver.validators()).find(({ mspId }) => mspId === MAKER);

  it('is set aside after the second round, is refused then, and the others are enough', async () => {
    let base = await run(1, INITIAL_MODEL, true);
    expect(await ofMaker())
      .to.deep.include({ departures: [1] })
      .and.not.to.have.property('setAsideFrom');
    base = await run(2, base, false);
    expect(await ofMaker()).to.deep.include({ departures: [1] });
    base = await run(3, base, true);
    expect(await ofMaker()).to.deep.include({ departures: [1, 3], setAsideFrom: 4 });
    const ref = roundRef(4);
    await expectRefusal(driver.openWith(driver.validations(ref, base), ref, base), 'VALIDATOR_SET_ASIDE');
    // Two of the three that are heard make a majority.
    await driver.openWith(driver.validations(ref, base, {}, [CITY, GRID]), ref, base);
    expect(await driver.secure(ref)).to.deep.include({ validated: { medianLossMicro: 1_000_000, departed: [] } });
  });

  it('by its direction counts like one by its loss', async () => {
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, {}, { astray: [MAKER] });
    await driver.runRound(fleet, roundRef(2), base, {}, { astray: [MAKER] });
    expect(await ofMaker()).to.deep.include({ departures: [1, 2], setAsideFrom: 3 });
    expect((await driver.validators()).filter(({ departures }) => departures.length > 0)).to.have.length(1);
  });

  it('is not named where as many point away as do not, or where there are two', async () => {
    const base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, {}, { astray: [GRID, MAKER] });
    const ref = roundRef(2);
    await driver.openWith(driver.validations(ref, base, {}, [CITY, GRID, MAKER]), ref, base);
    await driver.record(driver.envelopes(fleet, ref, base), ref, base);
    await driver.close([GRID, CITY, REGULATOR], ref);
    await driver.fix(ref);
    const references = [CITY, GRID];
    const scores = { ...(await driver.judgedScores({}, ref)), references, astray: [GRID] };
    await driver.score(ref, { scores });
    await driver.commit(ref);
    await driver.finalise(await driver.proposal(ref), [GRID, CITY, REGULATOR]);
    expect((await driver.validators()).flatMap(({ departures }) => departures)).to.deep.equal([]);
  });

  it('in an attempt that is aborted has not departed', async () => {
    const ref = roundRef(1);
    await driver.openWith(driver.validations(ref, INITIAL_MODEL, NOISY), ref);
    await driver.record(driver.envelopes(fleet));
    await driver.close([GRID, CITY, REGULATOR]);
    await driver.fix();
    await driver.score();
    await driver.abort();
    expect(await ofMaker()).to.deep.include({ departures: [] });
  });
});

describe('References and evidence of scores', () => {
  before(async () => {
    await fresh();
    await driver.openWith(driver.validations(ROUND_1, INITIAL_MODEL, NOISY));
    await driver.record(driver.envelopes(fleet));
    await driver.close([GRID, CITY, REGULATOR]);
    await driver.fix();
  });

  const values = (length: number) => Array.from({ length }, () => 0);
  const evidenceOf = (suspicion: number, contribution: number) => ({
    evidence: { suspicionMilli: values(suspicion), contributionMicro: values(contribution) },
  });
  const withoutReferences = ({ references: _references, ...scores }: Scores): Scores => scores;
  const withoutEvidence = ({ evidence: _evidence, ...scores }: Scores): Scores => scores;
  const refused: [string, ErrorCode, (scores: Scores) => Scores][] = [
    ['a reference whose loss departed', 'REFERENCES_INVALID', (scores) => ({ ...scores, references: [CITY, MAKER] })],
    ['one that is not in the opening', 'REFERENCES_INVALID', (scores) => ({ ...scores, references: ['OtherMSP'] })],
    ['one of three references', 'REFERENCES_INVALID', (scores) => ({ ...scores, references: [CITY] })],
    ['references out of order', 'REFERENCES_INVALID', (scores) => ({ ...scores, references: [GRID, CITY] })],
    ['no references', 'REFERENCES_INVALID', withoutReferences],
    ['no evidence', 'EVIDENCE_INVALID', withoutEvidence],
    ['suspicion of three of four', 'EVIDENCE_INVALID', (scores) => ({ ...scores, ...evidenceOf(3, 4) })],
    ['contributions of five of four', 'EVIDENCE_INVALID', (scores) => ({ ...scores, ...evidenceOf(4, 5) })],
    ['one astray that is no reference', 'EVIDENCE_INVALID', (scores) => ({ ...scores, astray: [MAKER] })],
    ['this round among those before', 'EVIDENCE_INVALID', (scores) => ({ ...scores, past: [FIRST] })],
    ['one astray twice', 'EVIDENCE_INVALID', (scores) => ({ ...scores, astray: [CITY, CITY] })],
  ];
  for (const [what, code, change] of refused) {
    it(`refuse ${what}`, async () => {
      const scores = change(await driver.judgedScores({}));
      await expectRefusal(driver.score(ROUND_1, { scores }), code);
    });
  }

  it('refuse projections that were signed with other references', async () => {
    const projections = await driver.projections(AGGREGATORS);
    const scores = { ...(await driver.judgedScores({})), references: [CITY, GRID] };
    const input = await driver.scoring(ROUND_1, { scores, projections });
    await expectRefusal(driver.coordinate('ScoreRound', input), 'SIGNATURE_INVALID');
  });

  it('keep with which references the round was scored', async () => {
    await driver.score();
    expect(await driver.secure()).to.deep.include({ references: [CITY, GRID, REGULATOR] });
  });

  it('are refused where the task has no validators', async () => {
    const other = await TestConsortium.bootstrapped();
    const plain = new SecureDriver(other, secureTask());
    await plain.closed(await enrolledFleet(other, 4));
    await plain.fix();
    const scores = await plain.scores();
    const score = (change: Partial<Scores>) => plain.score(ROUND_1, { scores: { ...scores, ...change } });
    await expectRefusal(score({ references: [CITY], ...evidenceOf(4, 4) }), 'REFERENCES_INVALID');
    await expectRefusal(score(evidenceOf(4, 4)), 'EVIDENCE_INVALID');
    await expectRefusal(score({ astray: [CITY] }), 'EVIDENCE_INVALID');
    await expectRefusal(score({ past: [FIRST] }), 'EVIDENCE_INVALID');
  });

  it('compare vehicles over the rounds that the task allows, and no others', async () => {
    await fresh(validatedTask({ validation: { ...VALIDATION, pastRounds: 1 } }));
    let base = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL);
    base = await driver.runRound(fleet, roundRef(2), base, {}, { past: [FIRST] });
    const ref = roundRef(3);
    await driver.closed(fleet, ref, base);
    await driver.fix(ref);
    const scores = await driver.judgedScores({}, ref);
    const second = { round: 2, attempt: 1 };
    for (const past of [[FIRST], [FIRST, second], [second, second]]) {
      await expectRefusal(driver.score(ref, { scores: { ...scores, past } }), 'EVIDENCE_INVALID');
    }
    await driver.score(ref, { scores: { ...scores, past: [second] } });
  });

  it('are what a dispute about projections is judged by', async () => {
    await fresh();
    await driver.closed(fleet);
    await driver.fix();
    const lie = { [GRID]: { '2': 'd'.repeat(64) } };
    const projections = await driver.projections(AGGREGATORS, lie);
    const dispute = {
      ...ROUND_1,
      component: 2,
      phase: 'projections',
      projections,
      sums: [],
      nonces: await driver.nonces(),
    };
    const references = [...VALIDATORS];
    await expectRefusal(driver.coordinate('OpenDispute', dispute), 'REFERENCES_INVALID');
    await expectRefusal(
      driver.coordinate('OpenDispute', { ...dispute, references: ['OtherMSP'] }),
      'REFERENCES_INVALID',
    );
    await expectRefusal(
      driver.coordinate('OpenDispute', { ...dispute, references: [CITY, GRID, MAKER] }),
      'SIGNATURE_INVALID',
    );
    await driver.coordinate('OpenDispute', { ...dispute, references });
    expect((await driver.secure()).disputes[0]).to.deep.include({ references, seed: await driver.seed() });
  });
});
