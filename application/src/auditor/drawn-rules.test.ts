// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { drawnAmong, sha256Hex, type SecureRound, type VehicleValidation } from '@sev/chaincode/api';
import type { AuditCode } from './failure.js';
import { codeOf, HASH, type Record_ } from './testing/scenario.js';
import { AGGREGATORS } from './testing/secure-scenario.js';
import { ValidatedScenario, validatedTask } from './testing/validated-scenario.js';

const ALL = 3;

function wordOf(vehicleId: string, lossMicro = 1_000): VehicleValidation {
  return { lossMicro, dataHash: sha256Hex(`rows of ${vehicleId}`) };
}

/** At the second round of a task that draws all three of its vehicles; they are to say something. */
function second(losses: readonly number[] = [1_000, 1_000, 1_000]): ValidatedScenario {
  const scenario = new ValidatedScenario(validatedTask({ vehicles: ALL })).begin().runRound().nextRound();
  const ids = scenario.reporters.map(({ vehicleId }) => vehicleId);
  const place = { taskId: scenario.roundTask.taskId, round: 2, baseModelHash: scenario.base };
  drawnAmong(place, ids, ALL).forEach((vehicleId, index) => {
    scenario.vehicleWords.set(vehicleId, wordOf(vehicleId, losses[index]));
  });
  return scenario;
}

const closed = (losses?: readonly number[]): ValidatedScenario => second(losses).closedRound();

/** The cohort of {@link closed} with another summary of what vehicles said. */
function fixedWith(forge: (losses: SecureRound['drawnLosses']) => SecureRound['drawnLosses']): unknown {
  const honest = closed([1_000, 1_000, 9_000]);
  const ids = [...honest.vehicleWords.keys()];
  const forged = forge({ heard: 3, medianLossMicro: 1_000, departed: [ids[2]!] });
  return honest.fix({ secure: forged === undefined ? {} : { drawnLosses: forged } });
}

/** A cohort without one of the vehicles that said something: no aggregator holds its shares. */
function fixedWithoutFirst(secure?: Partial<SecureRound>): ValidatedScenario {
  const scenario = closed();
  const [, ...cohort] = scenario.reporters;
  const lacking = Object.fromEntries(AGGREGATORS.map((mspId) => [mspId, [0]]));
  return scenario.fix({ lacking, cohort, ...(secure === undefined ? {} : { secure }) });
}

/** An opening that names others than are drawn. */
function drawnInstead(change: (drawn: readonly string[]) => readonly string[]): unknown {
  const scenario = second();
  return scenario.openSecurely({ secure: { drawn: change([...scenario.vehicleWords.keys()]) } });
}

/** Updates with another record of a vehicle's data, or without it. */
function dataForged(forge: (record: Record_) => Record_ | undefined): unknown {
  const scenario = second().openSecurely();
  const vehicleId = [...scenario.vehicleWords.keys()][0]!;
  const key = `vehicleData/${vehicleId}`;
  scenario.forged = ({ [key]: record, ...others }) => {
    const forged = record === undefined ? undefined : forge(record);
    return { ...others, ...(forged === undefined ? {} : { [key]: forged }) };
  };
  return scenario.recordUpdates();
}

/** The first of the vehicles' updates with another record. */
function updateForged(forge: (record: Record_, vehicleId: string) => Record_): unknown {
  const scenario = second().openSecurely();
  const { vehicleId } = scenario.reporters[0]!;
  const key = `update/2/1/${vehicleId}`;
  scenario.forged = ({ [key]: record, ...others }) => ({
    ...others,
    ...(record === undefined ? {} : { [key]: forge(record, vehicleId) }),
  });
  return scenario.recordUpdates();
}

describe('audit rules of drawn vehicles', () => {
  it('accept what they say, and rounds in which they say it again', () => {
    const scenario = second().runRound().nextRound().scoredRound();
    const { rounds, vehicleData } = scenario.replay.state;
    expect(rounds.get('price-1/2')?.secure?.drawnLosses).to.deep.equal({
      heard: 3,
      medianLossMicro: 1_000,
      departed: [],
    });
    expect(rounds.get('price-1/1')?.secure?.drawn).to.deep.equal([]);
    expect(vehicleData.size).to.equal(3);
  });

  it('accept some that say nothing, and an attempt that draws the same again', () => {
    const scenario = second();
    const [first] = scenario.vehicleWords.keys();
    scenario.vehicleWords.delete(first!);
    scenario.closedRound().abortSecurely().runRound();
    expect(scenario.replay.state.rounds.get('price-1/2')?.secure?.drawnLosses?.heard).to.equal(2);
  });

  it('accept that a vehicle is heard whose shares no aggregator holds', () => {
    const { secure } = fixedWithoutFirst().replay.state.rounds.get('price-1/2')!;
    expect(secure?.cohortSize).to.equal(2);
    expect(secure?.drawnLosses?.heard).to.equal(3);
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    ['an opening that draws others', 'RECORD_MALFORMED', () => drawnInstead(([, ...rest]) => rest)],
    ['an opening that draws in another order', 'RECORD_MALFORMED', () => drawnInstead((drawn) => [...drawn].reverse())],
    ['an opening that draws nobody', 'RECORD_MALFORMED', () => drawnInstead(() => [])],
    [
      'an opening of a task that draws nobody, with some drawn',
      'RECORD_MALFORMED',
      () => {
        const scenario = new ValidatedScenario().begin().runRound().nextRound();
        return scenario.openSecurely({ secure: { drawn: [scenario.reporters[0]!.vehicleId] } });
      },
    ],
    [
      'a word of a vehicle that was not drawn',
      'UPDATE_INVALID',
      () => {
        const scenario = new ValidatedScenario(validatedTask({ vehicles: ALL })).begin();
        const [absent, ...present] = scenario.reporters;
        scenario.present = present;
        scenario.runRound().nextRound().openSecurely();
        scenario.vehicleWords.set(absent!.vehicleId, wordOf(absent!.vehicleId));
        return scenario.recordUpdates();
      },
    ],
    [
      'a word in the first round',
      'UPDATE_INVALID',
      () => {
        const scenario = new ValidatedScenario(validatedTask({ vehicles: ALL })).begin().openSecurely();
        const { vehicleId } = scenario.reporters[0]!;
        scenario.vehicleWords.set(vehicleId, wordOf(vehicleId));
        return scenario.recordUpdates();
      },
    ],
    [
      'a vehicle that changes its data',
      'UPDATE_INVALID',
      () => {
        const scenario = second().runRound().nextRound().openSecurely();
        const { vehicleId } = scenario.reporters[0]!;
        scenario.vehicleWords.set(vehicleId, { lossMicro: 1_000, dataHash: HASH('7') });
        return scenario.recordUpdates();
      },
    ],
    ['a first word that binds nobody to its data', 'VALIDATION_INVALID', () => dataForged(() => undefined)],
    [
      'a first word that binds its vehicle to other data',
      'VALIDATION_INVALID',
      () => dataForged((record) => ({ ...record, dataHash: HASH('7') })),
    ],
    [
      'a first word that binds another vehicle',
      'VALIDATION_INVALID',
      () => dataForged((record) => ({ ...record, vehicleId: `v-${'A'.repeat(22)}` })),
    ],
    [
      'a first word that binds its vehicle in another task',
      'VALIDATION_INVALID',
      () => dataForged((record) => ({ ...record, taskId: 'price-2' })),
    ],
    [
      'data of a vehicle that are written when no update is',
      'VALIDATION_INVALID',
      () => {
        const scenario = second().openSecurely().recordUpdates();
        const { vehicleId } = scenario.reporters[0]!;
        const record = { docType: 'vehicleData', schemaVersion: 1, taskId: 'price-1', vehicleId, dataHash: HASH('7') };
        return scenario.closeSecurely({ writes: { [`vehicleData/${vehicleId}`]: record } });
      },
    ],
    [
      'another median of what vehicles said',
      'RECORD_MALFORMED',
      () => fixedWith((losses) => ({ ...losses!, medianLossMicro: 9_000 })),
    ],
    ['another number of them', 'RECORD_MALFORMED', () => fixedWith((losses) => ({ ...losses!, heard: 2 }))],
    [
      'a median of those alone that are in the cohort',
      'RECORD_MALFORMED',
      () => {
        const drawnLosses = { heard: 2, medianLossMicro: 1_000, departed: [] };
        return fixedWithoutFirst({ drawnLosses });
      },
    ],
    ['others that depart', 'RECORD_MALFORMED', () => fixedWith((losses) => ({ ...losses!, departed: [] }))],
    [
      'another loss than was signed',
      'UPDATE_SIGNATURE',
      () => updateForged((record, vehicleId) => ({ ...record, validation: wordOf(vehicleId, 9) })),
    ],
    [
      'a loss that was signed and is left out',
      'UPDATE_SIGNATURE',
      () => updateForged(({ validation: _word, ...record }) => record),
    ],
    [
      'a summary where none said anything',
      'RECORD_MALFORMED',
      () => {
        const scenario = second();
        scenario.vehicleWords.clear();
        return scenario.closedRound().fix({ secure: { drawnLosses: { heard: 1, medianLossMicro: 0, departed: [] } } });
      },
    ],
    [
      'a summary that changes when no cohort is fixed',
      'RECORD_MALFORMED',
      () => {
        const scenario = closed().fix();
        return scenario.score({ secure: { drawnLosses: { heard: 3, medianLossMicro: 9, departed: [] } } });
      },
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});
