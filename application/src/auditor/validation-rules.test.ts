// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { AuditCode } from './failure.js';
import { codeOf, HASH, MSPS, type Record_ } from './testing/scenario.js';
import { secureTask } from './testing/secure-scenario.js';
import { QUARANTINE_MILLI, ValidatedScenario, validatedTask } from './testing/validated-scenario.js';

const NOISY = { CMSP: { lossMicro: 9_000 } };

const begun = (): ValidatedScenario => new ValidatedScenario().begin();
const opened = (): ValidatedScenario => begun().openSecurely();
const fixed = (): ValidatedScenario => begun().closedRound().fix();
const summed = (suspicionMilli: readonly number[] = []): ValidatedScenario => {
  const scenario = begun();
  scenario.suspicionMilli = suspicionMilli;
  return scenario.scoredRound().commit();
};
/** After a round in which CMSP departed from the others, as it does in what follows. */
function departedOnce(): ValidatedScenario {
  const scenario = begun();
  scenario.words = NOISY;
  return scenario.runRound().nextRound();
}
const setAside = (): ValidatedScenario => departedOnce().runRound().nextRound();
/** After a round whose evidence put the first vehicle in quarantine. */
const quarantined = (): ValidatedScenario => summed([QUARANTINE_MILLI]).finaliseSecurely().nextRound();

const suspectIn = ({ reporters: [suspect] }: ValidatedScenario): string => `standing/${suspect!.vehicleId}`;

/** With another record than the one that follows, or without it, in the next writes. */
function withForged(
  scenario: ValidatedScenario,
  key: string,
  forge: (record: Record_) => Record_ | undefined,
): ValidatedScenario {
  scenario.forged = ({ [key]: record = {}, ...others }) => {
    const forged = forge(record);
    return { ...others, ...(forged === undefined ? {} : { [key]: forged }) };
  };
  return scenario;
}

/** An end of a round in which the first vehicle's standing is another than follows. */
function standingForged(forge: (record: Record_) => Record_ | undefined, scenario = summed()): unknown {
  return withForged(scenario, suspectIn(scenario), forge).finaliseSecurely();
}
/** The same for the record of a validator that departs for the second time. */
function departureForged(forge: (record: Record_) => Record_ | undefined): unknown {
  return withForged(departedOnce().scoredRound().commit(), 'validator/CMSP', forge).finaliseSecurely();
}

describe('audit rules of validators and standings', () => {
  it('accept rounds that validators open, and what they make of vehicles', () => {
    const scenario = summed([4_000, -9_000]).finaliseSecurely().nextRound().runRound();
    const { validators, standings, counts } = scenario.replay.state;
    expect(counts.rounds).to.equal(2);
    expect([...(validators.get('price-1')?.keys() ?? [])]).to.deep.equal([...MSPS]);
    const rows = scenario.reporters.map(({ vehicleId }) => standings.get(`price-1/${vehicleId}`));
    expect(rows.map((row) => [row?.rounds, row?.suspicionMilli])).to.deep.equal([
      [2, 8_000],
      [2, 0],
      [2, 0],
    ]);
  });

  it('accept that a validator is set aside, and rounds without it', () => {
    const scenario = setAside();
    expect(scenario.replay.state.validators.get('price-1')?.get('CMSP')).to.deep.include({
      departures: [1, 2],
      setAsideFrom: 3,
    });
    const opening = scenario.openingWith((s) => s.validations(['AMSP', 'BMSP']));
    scenario.openSecurely({ opening });
  });

  it('accept a validator whose direction points away as one that departs', () => {
    const scenario = begun();
    scenario.astray = ['BMSP'];
    scenario.runRound();
    expect(scenario.replay.state.validators.get('price-1')?.get('BMSP')).to.deep.include({ departures: [1] });
  });

  it('accept an attempt that was aborted, which says nothing of anybody', () => {
    const scenario = summed([QUARANTINE_MILLI]).abortSecurely();
    scenario.suspicionMilli = [1];
    scenario.runRound();
    const [suspect] = scenario.reporters;
    expect(scenario.replay.state.standings.get(`price-1/${suspect!.vehicleId}`)).to.include({ suspicionMilli: 1 });
  });

  it('accept a round of the others while a vehicle is in quarantine', () => {
    const scenario = quarantined();
    scenario.present = scenario.reporters.slice(1);
    scenario.suspicionMilli = [];
    scenario.runRound();
  });

  it('accept a dispute about projections with the references that they were signed with', () => {
    const scenario = fixed();
    const references = [...MSPS];
    const projections = scenario.projections(['AMSP', 'BMSP'], { BMSP: { '2': HASH('7') } }, references);
    scenario.dispute('cohort', 2, 'projections', { projections, nonces: scenario.nonces(), references });
    scenario.settle('cohort', 2, 'projections', ['BMSP']);
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    [
      'a task with a validator that is no member',
      'RECORD_UNKNOWN',
      () => new ValidatedScenario(validatedTask({ validators: ['AMSP', 'ZMSP'] })).begin(),
    ],
    [
      'a task whose rule needs a direction that nobody gives',
      'RECORD_MALFORMED',
      () => new ValidatedScenario(secureTask({ rule: 'trust' })).begin(),
    ],
    [
      'an opening without validations',
      'VALIDATION_INVALID',
      () => {
        const scenario = begun();
        return scenario.openSecurely({ opening: scenario.openingWith(() => undefined) });
      },
    ],
    [
      'an opening with those of too few validators',
      'VALIDATION_INVALID',
      () => {
        const scenario = begun();
        return scenario.openSecurely({ opening: scenario.openingWith((s) => s.validations(['AMSP', 'BMSP'])) });
      },
    ],
    [
      'a validation that its validator signed for another attempt',
      'STATEMENT_SIGNATURE',
      () => {
        const scenario = begun();
        const others = scenario.validations();
        return scenario.openSecurely({ opening: scenario.openingWith(() => others) });
      },
    ],
    [
      'a validator that changes its data',
      'VALIDATION_INVALID',
      () => {
        const scenario = summed().finaliseSecurely().nextRound();
        scenario.words = { BMSP: { dataHash: HASH('7') } };
        return scenario.openSecurely();
      },
    ],
    ['a validator that is heard though it was set aside', 'VALIDATION_INVALID', () => setAside().openSecurely()],
    [
      'an opening that hides whose loss departs',
      'RECORD_MALFORMED',
      () => {
        const scenario = begun();
        scenario.words = NOISY;
        return scenario.openSecurely({ secure: { validated: { medianLossMicro: 1_000, departed: [] } } });
      },
    ],
    [
      'a first word that binds nobody to its data',
      'VALIDATION_INVALID',
      () => withForged(begun(), 'validator/BMSP', () => undefined).openSecurely(),
    ],
    [
      'a first word that binds a validator to other data',
      'VALIDATION_INVALID',
      () => withForged(begun(), 'validator/BMSP', (record) => ({ ...record, dataHash: HASH('7') })).openSecurely(),
    ],
    [
      'a round that does not count the projection on the reference',
      'RECORD_MALFORMED',
      () =>
        begun()
          .closedRound()
          .fix({ secure: { openedProjections: 2 } }),
    ],
    [
      'scores by the direction of a validator whose loss departs',
      'SCORES_INVALID',
      () => {
        const scenario = begun();
        scenario.words = NOISY;
        scenario.closedRound().fix();
        const evidence = { suspicionMilli: [0, 0, 0], contributionMicro: [0, 0, 0] };
        return scenario.score({ judgement: { references: [...MSPS], evidence } });
      },
    ],
    ['scores without a reference', 'SCORES_INVALID', () => fixed().score({ judgement: {} })],
    [
      'scores without evidence about every member',
      'SCORES_INVALID',
      () => {
        const evidence = { suspicionMilli: [0, 0], contributionMicro: [0, 0, 0] };
        return fixed().score({ judgement: { references: [...MSPS], evidence } });
      },
    ],
    [
      'a round that names other references than its scores',
      'RECORD_MALFORMED',
      () => fixed().score({ secure: { references: ['AMSP'] } }),
    ],
    [
      'a dispute about projections with other references than they were signed with',
      'STATEMENT_SIGNATURE',
      () => {
        const scenario = fixed();
        const projections = scenario.projections(['AMSP', 'BMSP'], { BMSP: { '2': HASH('7') } }, [...MSPS]);
        const grounds = { projections, nonces: scenario.nonces(), references: MSPS.slice(1) };
        return scenario.dispute('cohort', 2, 'projections', grounds);
      },
    ],
    [
      'a dispute about projections without references',
      'DISPUTE_INVALID',
      () => {
        const scenario = fixed();
        const projections = scenario.projections(['AMSP', 'BMSP'], { BMSP: { '2': HASH('7') } }, [...MSPS]);
        return scenario.dispute('cohort', 2, 'projections', { projections, nonces: scenario.nonces() });
      },
    ],
    [
      'a standing with less suspicion than the evidence says',
      'STANDING_INVALID',
      () => standingForged((record) => ({ ...record, suspicionMilli: 1 }), summed([4_000])),
    ],
    [
      'a standing with more contribution',
      'STANDING_INVALID',
      () => standingForged((record) => ({ ...record, contributionMicro: 500 })),
    ],
    [
      'a standing that names other scores than it came from',
      'STANDING_INVALID',
      () => standingForged((record) => ({ ...record, last: { round: 1, attempt: 1, scoresHash: HASH('7') } })),
    ],
    [
      'a quarantine without the evidence for it',
      'STANDING_INVALID',
      () => standingForged((record) => ({ ...record, quarantined: { round: 1, suspicionMilli: QUARANTINE_MILLI } })),
    ],
    [
      'a vehicle that is spared its quarantine',
      'STANDING_INVALID',
      () => {
        const scenario = summed([QUARANTINE_MILLI]);
        return standingForged(({ quarantined: _quarantined, ...record }) => record, scenario);
      },
    ],
    ['an end of a round that leaves a standing out', 'STANDING_INVALID', () => standingForged(() => undefined)],
    [
      'a standing of a vehicle that was not in the cohort',
      'STANDING_INVALID',
      () => {
        const scenario = summed();
        scenario.forged = (writes) => {
          const record = { ...writes[suspectIn(scenario)], vehicleId: scenario.vehicleId };
          return { ...writes, 'standing/other': record };
        };
        return scenario.finaliseSecurely();
      },
    ],
    [
      'a standing that changes when no round ends',
      'STANDING_INVALID',
      () => {
        const scenario = quarantined();
        const { quarantined: _quarantined, ...freed } = scenario.standings.get(scenario.reporters[0]!.vehicleId)!;
        return scenario.openSecurely({ writes: { [suspectIn(scenario)]: freed } });
      },
    ],
    [
      'an end of a round that does not name who departed in it',
      'VALIDATION_INVALID',
      () => departureForged(() => undefined),
    ],
    [
      'a validator that is not set aside though it departed twice',
      'VALIDATION_INVALID',
      () => departureForged(({ setAsideFrom: _from, ...record }) => record),
    ],
    [
      'a validator that is named though it did not depart',
      'VALIDATION_INVALID',
      () => {
        const scenario = summed();
        const record = scenario.validators.find(({ mspId }) => mspId === 'BMSP');
        return scenario.finaliseSecurely({ writes: { 'validator/BMSP': { ...record, departures: [1] } } });
      },
    ],
    [
      'a validator that changes when no round begins or ends',
      'VALIDATION_INVALID',
      () => {
        const scenario = opened().recordUpdates();
        const record = scenario.validators.find(({ mspId }) => mspId === 'BMSP');
        return scenario.closeSecurely({ writes: { 'validator/BMSP': { ...record, dataHash: HASH('7') } } });
      },
    ],
    [
      'an update of a vehicle that is in quarantine',
      'UPDATE_INVALID',
      () => quarantined().openSecurely().recordUpdates(),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});
