// SPDX-License-Identifier: Apache-2.0
import { ledgerPatienceMs, TIME_MARGIN_MS } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { AuditCode } from './failure.js';
import { BASE, codeOf, HASH, NOW, TASK } from './testing/scenario.js';
import { dpTask, SecureScenario, secureTask } from './testing/secure-scenario.js';

// Component 0 is held by BMSP and CMSP, 1 by AMSP and CMSP, 2 by AMSP and BMSP; DMSP is the arbiter.
const LIE = HASH('7');
/** The model that a round ends with. */
const MADE = HASH('e');
/** Another task, which begins with that model. */
const TWIN = { ...secureTask(), taskId: 'price-2', model: { ...secureTask().model, initialModelHash: MADE } };
const LONG_BEFORE = NOW - 2 * TIME_MARGIN_MS - 1;
const begun = (task = secureTask()): SecureScenario => new SecureScenario(task).begin();
/** Two answer, and AMSP and CMSP are each alone with a component. */
const TWO = ['AMSP', 'CMSP'] as const;
const PATIENCE_MS = ledgerPatienceMs(TASK);
/** From now on the contracts write nothing of whose base a model is. */
function unclaimed(scenario: SecureScenario): SecureScenario {
  scenario.claimsBases = false;
  return scenario;
}
/** By contracts that wrote whose a base is when a round was opened on it. */
function begunEarlier(): SecureScenario {
  return unclaimed(new SecureScenario(secureTask())).begin();
}
const closed = (task = secureTask()): SecureScenario => begun(task).closedRound();
const fixed = (task = secureTask()): SecureScenario => closed(task).fix();
const scored = (task = secureTask()): SecureScenario => fixed(task).score();
/** By the rules of earlier contracts, which let sums rest on one word. */
const scoredUnderFirst = (): SecureScenario => SecureScenario.ofFirstRules().begin().closedRound().fix().score();
const summed = (task = secureTask()): SecureScenario => scored(task).commit();

/** The arbiter finds right what each of two alone says of a scored round's components. */
function audited(scenario: SecureScenario): SecureScenario {
  scenario.dispute('scored', 0, 'audit', { sums: scenario.sums(['CMSP']) }).settle('scored', 0, 'audit', []);
  return scenario.dispute('scored', 2, 'audit', { sums: scenario.sums(['AMSP']) }).settle('scored', 2, 'audit', []);
}

/** A round whose projections of component 2 two aggregators contradict each other about. */
function disputed(): SecureScenario {
  const scenario = fixed();
  const projections = scenario.projections(['AMSP', 'BMSP'], { BMSP: { '2': LIE } });
  return scenario.dispute('cohort', 2, 'projections', { projections, nonces: scenario.nonces() });
}

/** BMSP signs other sums after those that were committed. */
function contradicted(scenario: SecureScenario): SecureScenario {
  const sums = scenario.sums(['AMSP', 'BMSP'], { BMSP: { '2': [LIE] } });
  return scenario.dispute('aggregated', 2, 'sums', { sums });
}

describe('audit rules of secure rounds', () => {
  for (const task of [secureTask(), dpTask()]) {
    it(`accept a round in mode ${task.privacy} from its opening to its model`, () => {
      const { counts, finalised } = summed(task).finaliseSecurely().replay.state;
      expect(counts).to.deep.include({ updates: 3, rounds: 1, models: 2 });
      expect(finalised[0]?.scores?.scores.weights).to.have.length(3);
    });
  }

  it('accept rounds of contracts that kept no record of whose a base is, or kept it from the first round on', () => {
    for (const forgery of [{ writes: {} }, {}]) {
      const scenario = begunEarlier().openSecurely(forgery).recordUpdates().closeSecurely();
      scenario.fix().score().commit().finaliseSecurely();
    }
  });

  it('accept a model that becomes the base of the task that makes it, though another began with it meanwhile', () => {
    const scenario = summed().task(TWIN).finaliseSecurely();
    expect(scenario.replay.state.bases.get(MADE)).to.deep.equal({ baseModelHash: MADE, taskId: 'price-1' });
  });

  it('accept a model that stays with a task that began with it before the round that made it was closed', () => {
    const scenario = unclaimed(
      begun().task(TWIN, {}, LONG_BEFORE).closedRound().fix().score().commit(),
    ).finaliseSecurely();
    expect(scenario.replay.state.bases.get(MADE)).to.include({ taskId: 'price-2' });
  });

  it('accept a task in plain mode that begins with the model of another, whose updates are not shown', () => {
    begun().openSecurely().task({ taskId: 'price-2' });
  });

  it('accept vehicles left out by a majority, and one that its receipt keeps', () => {
    const leftOut = closed();
    const rest = leftOut.reporters.slice(1);
    leftOut
      .fix({ lacking: { CMSP: [0] }, cohort: rest, signers: ['AMSP', 'BMSP', 'DMSP'] })
      .score()
      .commit();
    const kept = closed();
    kept
      .receipt('CMSP', kept.reporters[0]!)
      .fix({ lacking: { CMSP: [0] }, contradicted: ['CMSP'] })
      .score();
  });

  it('accept a round without one aggregator, and what the arbiter makes of it', () => {
    const scenario = closed()
      .fix({ holders: ['AMSP', 'CMSP'], signers: ['AMSP', 'BMSP', 'DMSP'] })
      .score();
    expect(scenario.secure).to.deep.include({ projectedBy: [['CMSP'], ['AMSP', 'CMSP'], ['AMSP']] });
    audited(scenario).commit({ answering: TWO });
    expect(scenario.secure.unverified).to.deep.equal([]);
    scenario.finaliseSecurely();
  });

  it('accept sums that one aggregator answers for, audited once the others had their time', () => {
    const scenario = scored();
    const late = { at: NOW + PATIENCE_MS };
    for (const [component, mspId] of [
      [0, 'CMSP'],
      [2, 'AMSP'],
    ] as const) {
      scenario.dispute('scored', component, 'audit', { sums: scenario.sums([mspId]) }, late);
      scenario.settle('scored', component, 'audit', []);
    }
    scenario.commit({ answering: TWO }).finaliseSecurely();
  });

  it('accept an audit that ends an attempt, and whom it named in the next', () => {
    const scenario = fixed().score({ answering: TWO });
    scenario.dispute('scored', 0, 'audit', { sums: scenario.sums(['CMSP']) }).settle('scored', 0, 'audit', ['CMSP']);
    scenario.abortSecurely().closedRound().fix().score().commit().finaliseSecurely();
    expect(scenario.secure).to.deep.include({ accused: [], shownAttempts: [{ round: 1, attempt: 2 }] });
  });

  it('accept a second attempt without a vehicle that counted nothing in the sums that were shown', () => {
    const scenario = fixed();
    const [out, ...others] = scenario.reporters;
    const weights = [0, scenario.classWeight(), scenario.classWeight()];
    const reasons = [{ vehicleId: out!.vehicleId, reason: 'RANGE_EXCEEDED' as const }];
    scenario.score({ weights, reasons }).commit().abortSecurely();
    scenario.closedRound(others).fix({ reporters: others }).score().commit().finaliseSecurely();
  });

  it('accept an abort that keeps whose verdict was waited for', () => {
    const scenario = disputed().abortSecurely({ silent: ['DMSP'] });
    expect(scenario.secure.silent).to.deep.equal(['DMSP']);
    scenario.openSecurely();
  });

  it('accept what earlier contracts did: no arbiter, sums on one word, audits after them, and whom they barred', () => {
    const first = (): SecureScenario => SecureScenario.ofFirstRules().begin();
    const without = first();
    const { arbiter: _arbiter, ...opening } = without.nextOpening(['AMSP', 'BMSP', 'CMSP']);
    without.openSecurely({ opening }).recordUpdates().closeSecurely().fix().score().commit().finaliseSecurely();
    const scenario = first().closedRound().fix().score().commit({ answering: TWO });
    expect(scenario.secure.unverified).to.deep.equal([0, 2]);
    scenario.dispute('aggregated', 0, 'audit', {}).settle('aggregated', 0, 'audit', ['CMSP']).abortSecurely();
    scenario.openSecurely({ opening: scenario.nextOpening(['AMSP', 'BMSP']) });
    expect(scenario.secure.accused).to.deep.equal(['CMSP']);
    contradicted(first().closedRound().fix().score().commit()).settle('aggregated', 2, 'sums', ['BMSP']);
    scenario.abortSecurely().underPresentRules();
    scenario.openSecurely({ opening: scenario.nextOpening(['AMSP', 'BMSP']) });
  });

  it('accept an audit of projections that one aggregator answers for, whose sums two agree about', () => {
    const scenario = fixed().score({ answering: TWO });
    for (const [component, by] of [
      [0, ['BMSP', 'CMSP']],
      [2, ['AMSP', 'BMSP']],
    ] as const) {
      scenario
        .dispute('scored', component, 'audit', { sums: scenario.sums(by) })
        .settle('scored', component, 'audit', []);
    }
    scenario.commit().finaliseSecurely();
  });

  it('accept a dispute, its verdict and the round that goes on without the liar', () => {
    const scenario = disputed().settle('cohort', 2, 'projections', ['BMSP']);
    audited(scenario.score({ lies: { BMSP: { '2': LIE } } }))
      .commit()
      .finaliseSecurely();
  });

  it('accept a second attempt after an abort, over the same vehicles', () => {
    const scenario = summed().abortSecurely().closedRound().fix().score().commit().finaliseSecurely();
    const shownAttempts = [1, 2].map((attempt) => ({ round: 1, attempt }));
    expect(scenario.secure).to.deep.include({ shownAttempts, openedProjections: 4 });
  });

  it('accept an abort that names whose noise was false, and the attempt without them that follows', () => {
    const scenario = fixed(dpTask()).abortSecurely({ accused: ['BMSP'] });
    const opening = scenario.nextOpening(['AMSP', 'CMSP']);
    scenario.openSecurely({ opening });
    expect(scenario.secure.accused).to.deep.equal(['BMSP']);
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    ['a task whose sums could wrap around', 'RECORD_MALFORMED', () => begun(secureTask({ fractionBits: 24 }))],
    [
      'a task with an aggregator that is no member',
      'RECORD_UNKNOWN',
      () => begun(secureTask({ aggregators: ['AMSP', 'BMSP', 'ZMSP'] })),
    ],
    [
      'a secure round that is opened in plain mode',
      'RECORD_MALFORMED',
      () => begun().openSecurely({ record: { privacy: 'plain' } }),
    ],
    [
      'an opening that nobody asked for',
      'OPENING_INVALID',
      () => begun().openSecurely({ argument: { opening: undefined } }),
    ],
    [
      'an opening with an aggregator that did not sign it',
      'STATEMENT_SIGNATURE',
      () => begun().openSecurely({ signers: ['AMSP', 'BMSP', 'DMSP'] }),
    ],
    [
      'an opening that its arbiter did not sign',
      'STATEMENT_SIGNATURE',
      () => begun().openSecurely({ signers: ['AMSP', 'BMSP', 'CMSP'] }),
    ],
    [
      'an opening that names no arbiter although there is one',
      'OPENING_INVALID',
      () => {
        const scenario = begun();
        const { aggregators } = scenario.nextOpening(['AMSP', 'BMSP', 'CMSP']);
        return scenario.openSecurely({ opening: { aggregators } });
      },
    ],
    [
      'a round that goes back to the rules of earlier contracts',
      'RECORD_MALFORMED',
      () => {
        const { rules: _rules, ...secure } = closed().secure;
        return begun().openSecurely({ record: { secure } });
      },
    ],
    [
      'sums that one aggregator answers for, shown before an audit',
      'SUMS_INVALID',
      () => scored().commit({ answering: TWO }),
    ],
    [
      'an audit before those who had spoken had their time',
      'DISPUTE_INVALID',
      () => {
        const scenario = scored();
        return scenario.dispute('scored', 0, 'audit', { sums: scenario.sums(['CMSP']) }, { at: NOW + PATIENCE_MS - 1 });
      },
    ],
    [
      'an arbiter that is said to have been silent where no dispute is open',
      'RECORD_OVERWRITTEN',
      () => fixed().abortSecurely({ silent: ['DMSP'] }),
    ],
    [
      'an abort for want of a verdict that does not say whose',
      'RECORD_OVERWRITTEN',
      () => disputed().abortSecurely({ silent: ['DMSP'], secure: { silent: undefined as never } }),
    ],
    [
      'an opening whose arbiter is an aggregator',
      'OPENING_INVALID',
      () => {
        const scenario = begun();
        const opening = scenario.opening();
        return scenario.openSecurely({ opening: { ...opening, arbiter: { ...opening.arbiter!, mspId: 'AMSP' } } });
      },
    ],
    [
      'an opening without noise in mode dp',
      'OPENING_INVALID',
      () => {
        const scenario = begun(dpTask());
        const { aggregators } = scenario.opening();
        return scenario.openSecurely({
          opening: { aggregators: aggregators.map(({ noise: _noise, ...rest }) => rest) },
        });
      },
    ],
    [
      'another opening on the ledger than was asked for',
      'RECORD_MALFORMED',
      () => begun().openSecurely({ secure: { openingHash: HASH('1') } }),
    ],
    [
      'an attempt that forgets what was spent',
      'RECORD_MALFORMED',
      () =>
        summed()
          .abortSecurely()
          .openSecurely({ secure: { openedProjections: 0 } }),
    ],
    [
      'an abort that forgets what was shown',
      'RECORD_OVERWRITTEN',
      () => summed().abortSecurely({ secure: { shownAttempts: [] } }),
    ],
    [
      'a round opened beyond its budget of privacy',
      'BUDGET_EXCEEDED',
      () => {
        const { chargedMicroRho } = summed(dpTask()).secure;
        return summed(dpTask({ budgetMicroRho: chargedMicroRho }))
          .abortSecurely()
          .openSecurely();
      },
    ],
    [
      'a round opened beyond its budget of projections',
      'BUDGET_EXCEEDED',
      () =>
        fixed(secureTask({ projections: 64, openedShareMilli: 6 }))
          .abortSecurely()
          .openSecurely(),
    ],
    [
      'an attempt that takes back whom the one before was aborted for',
      'OPENING_INVALID',
      () =>
        fixed(dpTask())
          .abortSecurely({ accused: ['BMSP'] })
          .openSecurely(),
    ],
    [
      'an attempt that forgets whom the one before was aborted for',
      'RECORD_MALFORMED',
      () => {
        const scenario = fixed(dpTask()).abortSecurely({ accused: ['BMSP'] });
        return scenario.openSecurely({ opening: scenario.nextOpening(['AMSP', 'CMSP']), secure: { accused: [] } });
      },
    ],
    [
      'an accusation that no majority signed, whenever it was',
      'STATEMENTS_INSUFFICIENT',
      () => fixed(dpTask()).abortSecurely({ accused: ['BMSP'], signers: ['AMSP'], at: NOW + 100_000_000 }),
    ],
    [
      'an accusation of an organisation that made no noise',
      'ACCUSATION_INVALID',
      () => fixed(dpTask()).abortSecurely({ accused: ['DMSP'] }),
    ],
    [
      'an accusation before any noise was shown',
      'ACCUSATION_INVALID',
      () => closed(dpTask()).abortSecurely({ accused: ['BMSP'] }),
    ],
    [
      'an accusation that its round does not keep',
      'RECORD_OVERWRITTEN',
      () => fixed(dpTask()).abortSecurely({ accused: ['BMSP'], secure: { accused: [] } }),
    ],
    [
      'sums that the record of their base does not count',
      'RECORD_MALFORMED',
      () => {
        const record = { docType: 'shownSums', schemaVersion: 1, taskId: 'price-1', baseModelHash: BASE, attempts: [] };
        return scored().commit({ writes: { [`shownSums/${BASE}`]: record } });
      },
    ],
    [
      'a fourth attempt after three whose cohorts were fixed',
      'BUDGET_EXCEEDED',
      () => {
        const scenario = begun();
        for (let attempt = 1; attempt <= 3; attempt++) {
          scenario.closedRound().fix().abortSecurely();
        }
        return scenario.openSecurely();
      },
    ],
    [
      'an attempt that forgets how many cohorts were fixed before it',
      'RECORD_MALFORMED',
      () =>
        fixed()
          .abortSecurely()
          .openSecurely({ secure: { fixedCohorts: 0 } }),
    ],
    [
      'a cohort that nobody agreed to, however late and complete it is',
      'STATEMENTS_INSUFFICIENT',
      () => closed().fix({ signers: [], at: NOW + 10 * TASK.deadlines.roundMs }),
    ],
    ['a fixed cohort that is not counted', 'RECORD_MALFORMED', () => closed().fix({ secure: { fixedCohorts: 0 } })],
    [
      'a base that is kept as that of another task',
      'RECORD_MALFORMED',
      () => {
        const scenario = begunEarlier();
        return scenario.openSecurely({ writes: scenario.baseRecord('price-2', BASE) });
      },
    ],
    [
      'a base that changes its task',
      'RECORD_MALFORMED',
      () => {
        const scenario = begun().openSecurely().abortSecurely();
        return scenario.openSecurely({ writes: scenario.baseRecord('price-1', BASE) });
      },
    ],
    [
      'a task that is not kept as that of the model that it begins with, where another is',
      'RECORD_MALFORMED',
      () => unclaimed(begun()).task(TWIN),
    ],
    [
      'a model that is not kept as the base of the task that made it',
      'RECORD_MALFORMED',
      () => unclaimed(summed()).finaliseSecurely(),
    ],
    [
      'a model that is taken from a task that began with it before the round was closed',
      'RECORD_MALFORMED',
      () => begun().task(TWIN, {}, LONG_BEFORE).closedRound().fix().score().commit().finaliseSecurely(),
    ],
    [
      'a task that begins with a model that is the base of another',
      'BASE_TAKEN',
      () => begun().task({ ...secureTask(), taskId: 'price-2' }),
    ],
    [
      'the same where earlier contracts kept it from the first round on',
      'BASE_TAKEN',
      () =>
        begunEarlier()
          .openSecurely()
          .task({ ...secureTask(), taskId: 'price-2' }),
    ],
    [
      'a third attempt after two whose sums were shown',
      'SUMS_TOO_CLOSE',
      () => summed().abortSecurely().closedRound().fix().score().commit().abortSecurely().openSecurely(),
    ],
    [
      'a receipt that its aggregator did not sign',
      'RECEIPT_INVALID',
      () => {
        const scenario = closed();
        return scenario.receipt('CMSP', scenario.reporters[0]!, 'BMSP');
      },
    ],
    [
      'a receipt for another update than is recorded',
      'RECEIPT_INVALID',
      () => {
        const scenario = closed();
        return scenario.receipt('CMSP', { ...scenario.reporters[0]!, updateHash: HASH('1') });
      },
    ],
    [
      'a receipt of an organisation that is no aggregator',
      'RECEIPT_INVALID',
      () => {
        const scenario = closed();
        return scenario.receipt('DMSP', scenario.reporters[0]!);
      },
    ],
    [
      'a receipt after the cohort was fixed',
      'RECEIPT_INVALID',
      () => {
        const scenario = fixed();
        return scenario.receipt('CMSP', scenario.reporters[0]!);
      },
    ],
    [
      'a vehicle that is censored although all aggregators hold its share',
      'COHORT_MISMATCH',
      () => {
        const scenario = closed();
        return scenario.fix({ cohort: scenario.reporters.slice(1), signers: ['AMSP', 'BMSP', 'DMSP'] });
      },
    ],
    [
      'a vehicle that is censored in spite of its receipt',
      'COHORT_MISMATCH',
      () => {
        const scenario = closed();
        const forged = {
          lacking: { CMSP: [0] },
          cohort: scenario.reporters.slice(1),
          signers: ['AMSP', 'BMSP', 'DMSP'],
        };
        return scenario.receipt('CMSP', scenario.reporters[0]!).fix(forged);
      },
    ],
    [
      'an aggregator that contradicts its receipt and is not named',
      'RECORD_MALFORMED',
      () => {
        const scenario = closed();
        return scenario.receipt('CMSP', scenario.reporters[0]!).fix({ lacking: { CMSP: [0] } });
      },
    ],
    [
      'vehicles left out by two of four organisations',
      'STATEMENTS_INSUFFICIENT',
      () => {
        const scenario = closed();
        return scenario.fix({ lacking: { CMSP: [0] }, cohort: scenario.reporters.slice(1), signers: ['AMSP', 'BMSP'] });
      },
    ],
    [
      'an aggregator left out by one organisation before a round’s time',
      'STATEMENTS_INSUFFICIENT',
      () => closed().fix({ holders: ['AMSP', 'BMSP'], signers: [] }),
    ],
    [
      'a cohort of one aggregator’s word',
      'COHORT_MISMATCH',
      () =>
        closed().fix({
          holders: ['AMSP'],
          signers: ['AMSP', 'BMSP', 'DMSP'],
          argument: { holdings: forgedHoldings() },
        }),
    ],
    [
      'a cohort below the minimum',
      'COHORT_MISMATCH',
      () => {
        const scenario = closed();
        const cohort = scenario.reporters.slice(2);
        return scenario.fix({ lacking: { CMSP: [0, 1] }, cohort, signers: ['AMSP', 'BMSP', 'DMSP'] });
      },
    ],
    [
      'a cohort that is written over',
      'RECORD_OVERWRITTEN',
      () => fixed().score({ writes: { 'cohort/1/1': { docType: 'cohort', schemaVersion: 1, ...REF, members: [] } } }),
    ],
    [
      'a cohort too close to one whose sums were shown',
      'SUMS_TOO_CLOSE',
      () => {
        const scenario = summed().abortSecurely();
        const reporters = scenario.reporters.slice(1);
        return scenario.closedRound(reporters).fix({ reporters });
      },
    ],
    [
      'sums that only weights tell from those that were shown',
      'SUMS_TOO_CLOSE',
      () => {
        const scenario = summed().abortSecurely().closedRound().fix();
        const { vehicleId } = scenario.reporters[0]!;
        const weights = [0, scenario.classWeight(), scenario.classWeight()];
        return scenario.score({ weights, reasons: [{ vehicleId, reason: 'RANGE_EXCEEDED' }] }).commit();
      },
    ],
    [
      'nonces that the opening did not commit to',
      'NONCE_MISMATCH',
      () => fixed().score({ argument: { nonces: otherNonces() } }),
    ],
    [
      'noise that the nonces did not choose',
      'NONCE_MISMATCH',
      () =>
        fixed(dpTask()).score({
          argument: { noiseSeeds: ['1', '2', '3'].map((tag) => [HASH(tag), HASH(tag), HASH(tag)]) },
        }),
    ],
    [
      'a seed that does not follow from the nonces',
      'RECORD_MALFORMED',
      () => fixed().score({ secure: { seed: HASH('1') } }),
    ],
    [
      'projections that aggregators contradict each other about',
      'SCORES_INVALID',
      () => fixed().score({ lies: { BMSP: { '2': LIE } } }),
    ],
    ['projections of a component by nobody', 'SCORES_INVALID', () => fixed().score({ answering: ['AMSP'] })],
    [
      'projections of a component that the aggregator does not hold',
      'SUMS_INVALID',
      () => fixed().score({ lies: { AMSP: { '0': LIE } } }),
    ],
    [
      'projections that were not signed',
      'STATEMENT_SIGNATURE',
      () => {
        const scenario = fixed();
        const [first, ...others] = scenario.projections(['AMSP', 'BMSP', 'CMSP']);
        return scenario.score({ argument: { projections: [{ ...first, signature: 'A'.repeat(86) }, ...others] } });
      },
    ],
    ['a weight above that of its class', 'SCORES_INVALID', () => fixed().score({ weights: [64, 64, 64] })],
    [
      'a weight that is lowered without a reason',
      'SCORES_INVALID',
      () => {
        const scenario = fixed();
        return scenario.score({ weights: [0, scenario.classWeight(), scenario.classWeight()] });
      },
    ],
    [
      'a weight that one vehicle alone has',
      'SCORES_INVALID',
      () => {
        const scenario = fixed();
        const { vehicleId } = scenario.reporters[0]!;
        const weights = [1, scenario.classWeight(), scenario.classWeight()];
        return scenario.score({ weights, reasons: [{ vehicleId, reason: 'NORM_SCALED' }] });
      },
    ],
    [
      'sums over fewer vehicles with a weight than the minimum',
      'SCORES_INVALID',
      () => {
        const scenario = fixed();
        const [first, second] = scenario.reporters;
        const reasons = [first!, second!].map(({ vehicleId }) => ({ vehicleId, reason: 'NORM_EXCEEDED' as const }));
        return scenario.score({ weights: [0, 0, scenario.classWeight()], reasons });
      },
    ],
    [
      'weights attested over other numbers than the ledger shows',
      'STATEMENTS_INSUFFICIENT',
      () => {
        const scenario = fixed();
        const lie = { '2': LIE };
        const attested = scenario.projections(['AMSP', 'BMSP', 'CMSP'], { AMSP: lie, BMSP: lie });
        return scenario.score({ attested });
      },
    ],
    ['weights attested by two of four', 'STATEMENTS_INSUFFICIENT', () => fixed().score({ signers: ['AMSP', 'BMSP'] })],
    [
      'scores on the ledger that nobody asked for',
      'SCORES_INVALID',
      () => {
        const scenario = fixed();
        const scores = { ...REF, cohortHash: scenario.secure.cohortHash, weights: [0, 0, 0], reasons: [] };
        const record = { docType: 'scores', schemaVersion: 1, scores, attestations: [], projections: [] };
        return scenario.score({ writes: { 'scores/1/1': record } });
      },
    ],
    [
      'sums that aggregators contradict each other about',
      'SUMS_INVALID',
      () => scored().commit({ lies: { BMSP: { '2': [LIE] } } }),
    ],
    [
      'sums with more shards than the cohort has',
      'SUMS_INVALID',
      () => scored().commit({ lies: { BMSP: { '2': [LIE, LIE] } } }),
    ],
    [
      'other sums on the ledger than aggregators signed',
      'RECORD_MALFORMED',
      () => scored().commit({ secure: { sums: [[LIE], [LIE], [LIE]] } }),
    ],
    [
      'unverified sums that pass for verified ones',
      'RECORD_MALFORMED',
      () => scoredUnderFirst().commit({ answering: TWO, secure: { unverified: [] } }),
    ],
    [
      'a model that rests on the word of one aggregator',
      'SUMS_INVALID',
      () => scoredUnderFirst().commit({ answering: TWO }).finaliseSecurely(),
    ],
    [
      'sums that were not charged',
      'RECORD_MALFORMED',
      () => scored(dpTask()).commit({ secure: { chargedMicroRho: 0 } }),
    ],
    ['a state that is dated back', 'RECORD_MALFORMED', () => scored().commit({ record: { stateSinceMs: NOW - 1 } })],
    [
      'projections that pass for the word of more aggregators than opened them',
      'RECORD_MALFORMED',
      () => {
        const projectedBy = [['CMSP'], ['AMSP', 'CMSP'], ['AMSP', 'BMSP']];
        return fixed().score({ answering: ['AMSP', 'CMSP'], secure: { projectedBy } });
      },
    ],
    [
      'a dispute in which nobody said what the ledger shows',
      'RECORD_MALFORMED',
      () => {
        const scenario = fixed();
        const projections = scenario.projections(['AMSP', 'BMSP'], { BMSP: { '2': LIE } });
        const said = ['AMSP', 'BMSP'].map((mspId) => ({ mspId, about: 'projections' as const, hashes: [LIE] }));
        return scenario.dispute('cohort', 2, 'projections', { projections, nonces: scenario.nonces() }, { said });
      },
    ],
    [
      'a verdict that finds two right who contradict each other',
      'DISPUTE_INVALID',
      () => disputed().settle('cohort', 2, 'projections', []),
    ],
    [
      'a component released without a contradiction',
      'DISPUTE_INVALID',
      () => {
        const scenario = fixed();
        const grounds = { projections: scenario.projections(['AMSP', 'BMSP']), nonces: scenario.nonces() };
        return scenario.dispute('cohort', 2, 'projections', grounds);
      },
    ],
    [
      'an audit of what two aggregators answer for',
      'DISPUTE_INVALID',
      () => summed().dispute('aggregated', 0, 'audit', {}),
    ],
    ['a dispute once sums are shown, which could only spend the base', 'DISPUTE_INVALID', () => contradicted(summed())],
    [
      'the release of the last component',
      'DISPUTE_INVALID',
      () => {
        const scenario = scored();
        const lies = { AMSP: { '1': [LIE] }, BMSP: { '0': [LIE], '2': [LIE] } };
        const sums = scenario.sums(['AMSP', 'BMSP', 'CMSP'], lies);
        const opened = [0, 1].reduce((s, component) => s.dispute('scored', component, 'sums', { sums }), scenario);
        return opened.dispute('scored', 2, 'sums', { sums });
      },
    ],
    [
      'a verdict of another organisation than the arbiter',
      'STATEMENT_SIGNATURE',
      () => disputed().settle('cohort', 2, 'projections', ['BMSP'], { signer: 'AMSP' }),
    ],
    [
      'a verdict on an aggregator that does not hold the component',
      'DISPUTE_INVALID',
      () => disputed().settle('cohort', 2, 'projections', ['CMSP']),
    ],
    [
      'two verdicts on one dispute',
      'DISPUTE_INVALID',
      () => disputed().settle('cohort', 2, 'projections', ['BMSP']).settle('cohort', 2, 'projections', ['AMSP']),
    ],
    ['a round scored while a dispute is open', 'DISPUTE_INVALID', () => disputed().score()],
    [
      'a round final while an audit is open',
      'DISPUTE_INVALID',
      () => scoredUnderFirst().commit({ answering: TWO }).dispute('aggregated', 0, 'audit', {}).finaliseSecurely(),
    ],
    [
      'a round final on sums that a verdict went against',
      'DISPUTE_INVALID',
      () =>
        scoredUnderFirst()
          .commit({ answering: TWO })
          .dispute('aggregated', 0, 'audit', {})
          .settle('aggregated', 0, 'audit', ['CMSP'])
          .finaliseSecurely(),
    ],
    [
      'a secure round that is final once it is closed',
      'ROUND_TRANSITION',
      () => closed().finaliseSecurely({ proposal: { cohortHash: HASH('1'), cohortSize: 3 } }),
    ],
    ['a secure round that skips its scores', 'ROUND_TRANSITION', () => fixed().commit()],
    [
      'a model over another cohort',
      'COHORT_MISMATCH',
      () => summed().finaliseSecurely({ proposal: { cohortSize: 2 } }),
    ],
    [
      'a secure model that leaves a vehicle out',
      'COHORT_MISMATCH',
      () => {
        const scenario = summed();
        const { vehicleId } = scenario.reporters[0]!;
        return scenario.finaliseSecurely({ proposal: { excluded: [{ vehicleId, reason: 'UPDATE_MISSING' }] } });
      },
    ],
    [
      'a secure model attested by two of four',
      'STATEMENTS_INSUFFICIENT',
      () => summed().finaliseSecurely({ signers: ['AMSP', 'BMSP'] }),
    ],
    [
      'a final round that changes its sums',
      'RECORD_OVERWRITTEN',
      () => summed().finaliseSecurely({ secure: { sums: [[LIE], [LIE], [LIE]] } }),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}: ${code}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});

const REF = { taskId: 'price-1', round: 1, attempt: 1 };

function otherNonces(): string[][] {
  return ['1', '2', '3'].map((digit) => [HASH(digit), HASH(digit), HASH(digit)]);
}

function forgedHoldings(): object[] {
  return ['AMSP', 'BMSP'].map((mspId) => ({ mspId, held: 'Bw', signature: 'A'.repeat(86) }));
}
