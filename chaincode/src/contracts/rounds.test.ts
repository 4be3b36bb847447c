// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  TIME_MARGIN_MS,
  type ErrorCode,
  type HistoryEntry,
  type ModelRecord,
  type Page,
  type Proposal,
  type RoundRecord,
  type Task,
  type TaskRecord,
} from '../api';
import { CITY, GRID, MAKER, REGULATOR, START_MS, TestConsortium } from '../testing/consortium';
import { enrolledFleet, envelopeOf, type Vehicle } from '../testing/fleet';
import { identity, randomHash, randomVehicleId } from '../testing/identities';
import { INITIAL_MODEL, ROUND_1, ROUND_MS, RoundDriver, taskOf } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';

const MAJORITY = [GRID, CITY, REGULATOR];
const AFTER_DEADLINE = START_MS + ROUND_MS + TIME_MARGIN_MS + 1;

let consortium: TestConsortium;
let driver: RoundDriver;

async function fresh(): Promise<void> {
  consortium = await TestConsortium.bootstrapped();
  driver = new RoundDriver(consortium);
}

describe('learning:CreateTask', () => {
  beforeEach(fresh);
  const create = (task: unknown) => driver.coordinate<TaskRecord>('CreateTask', task);

  it('writes the task and the record of its initial model', async () => {
    const record = await create(taskOf());
    expect(record).to.deep.equal(await consortium.evaluate('learning:GetTask', { taskId: 'price-1' }));
    const reference = { taskId: 'price-1', modelHash: INITIAL_MODEL };
    const model = await consortium.evaluate<ModelRecord>('learning:GetModel', reference);
    expect(model).to.include({ round: 0, attempt: 0, baseModelHash: null });
  });

  it('returns the record when repeated and conflicts with other content', async () => {
    const record = await create(taskOf());
    consortium.nowMs += 5_000;
    expect(await create(taskOf())).to.deep.equal(record);
    await expectRefusal(create(taskOf({ plannedRounds: 11 })), 'TASK_CONFLICT');
  });

  const model = taskOf().model;
  const broken: [string, Partial<Record<keyof Task, unknown>>, string][] = [
    ['parameters that the layers do not have', { model: { ...model, parameters: 20 } }, 'model.parameters'],
    [
      'an LSTM that the layers do not follow',
      { engine: 'tfjs', model: { ...model, lstm: { steps: 5, features: 2, units: 3 }, parameters: 91 } },
      'model.layers',
    ],
    [
      'an LSTM that its engine cannot train',
      { model: { ...model, lstm: { steps: 5, features: 2, units: 4 }, parameters: 131 } },
      'engine',
    ],
    ['a minimum above the target', { cohort: { minimum: 4, target: 3 } }, 'cohort.minimum'],
    [
      'weight classes that do not ascend',
      {
        aggregation: {
          rule: 'fedavg',
          weightClasses: [
            { minSamples: 5, weight: 1 },
            { minSamples: 5, weight: 2 },
          ],
          maxAbsolute: 1,
        },
      },
      'aggregation.weightClasses',
    ],
    [
      'a learning rate that is a fraction',
      { training: { ...taskOf().training, learningRateMicro: 0.5 } },
      'learningRate',
    ],
    [
      'a grace time beyond the deadline',
      { deadlines: { graceMs: ROUND_MS + 1, roundMs: ROUND_MS } },
      'deadlines.graceMs',
    ],
    [
      'a bound on parameters that is not a positive integer',
      { aggregation: { ...taskOf().aggregation, maxAbsolute: 0.5 } },
      'aggregation.maxAbsolute',
    ],
    ['an unknown privacy mode', { privacy: 'secret' }, 'privacy'],
  ];
  for (const [what, change, path] of broken) {
    it(`refuses ${what}, naming the path`, async () => {
      const refusal = await expectRefusal(create({ ...taskOf(), ...change }), 'ARGUMENT_INVALID');
      expect(refusal.detail).to.include(path);
    });
  }

  it('lists tasks in pages and knows no others', async () => {
    await create(taskOf());
    await create(taskOf({ taskId: 'price-2' }));
    const read = (bookmark: string) =>
      consortium.evaluate<Page<TaskRecord>>('learning:ListTasks', { pageSize: 1, bookmark });
    const first = await read('');
    const second = await read(first.bookmark);
    expect([...first.items, ...second.items].map(({ task }) => task.taskId)).to.deep.equal(['price-1', 'price-2']);
    expect(second.bookmark).to.equal('');
    await expectRefusal(consortium.evaluate('learning:GetTask', { taskId: 'x' }), 'TASK_UNKNOWN');
    const unknown = { taskId: 'price-1', modelHash: 'b'.repeat(64) };
    await expectRefusal(consortium.evaluate('learning:GetModel', unknown), 'MODEL_UNKNOWN');
  });
});

describe('learning:OpenRound', () => {
  beforeEach(fresh);
  const open = (change: object = {}) =>
    driver.coordinate('OpenRound', { ...ROUND_1, baseModelHash: INITIAL_MODEL, ...change });

  it('opens round 1 on the initial model, says its mode and its deadline', async () => {
    expect(await driver.openFirst()).to.deep.equal({
      ...{ docType: 'round', schemaVersion: 2, ...ROUND_1, state: 'open', privacy: 'plain' },
      ...{ baseModelHash: INITIAL_MODEL, openedBy: GRID, openedAtMs: START_MS, deadlineMs: START_MS + ROUND_MS },
    });
  });

  it('returns the record when repeated, by any coordinator, and writes nothing', async () => {
    const record = await driver.openFirst();
    consortium.nowMs += 1_000;
    const argument = { ...ROUND_1, baseModelHash: INITIAL_MODEL };
    const again = await consortium.simulate('learning:OpenRound', argument, await identity(CITY, 'coordinator'));
    expect(again.result).to.deep.equal(record);
    expect(again.stub.writes.size).to.equal(0);
    await expectRefusal(open({ baseModelHash: 'b'.repeat(64) }), 'ROUND_CONFLICT');
  });

  it('goes one round and one attempt after the other', async () => {
    await expectRefusal(open(), 'TASK_UNKNOWN');
    await driver.coordinate('CreateTask', taskOf());
    await expectRefusal(open({ baseModelHash: 'b'.repeat(64) }), 'BASE_MODEL_MISMATCH');
    await expectRefusal(open({ attempt: 2 }), 'ROUND_OUT_OF_ORDER');
    await expectRefusal(open({ round: 2 }), 'ROUND_OUT_OF_ORDER');
    await open();
    await expectRefusal(open({ attempt: 2 }), 'ROUND_STATE');
    await expectRefusal(open({ attempt: 3 }), 'ROUND_OUT_OF_ORDER');
    await expectRefusal(open({ round: 2 }), 'ROUND_OUT_OF_ORDER');
  });

  it('opens no round beyond those that the task plans', async () => {
    const fleet = await enrolledFleet(consortium, 2);
    await driver.openFirst(taskOf({ plannedRounds: 1 }));
    await driver.record(driver.envelopes(fleet));
    await driver.close(MAJORITY);
    const proposal = await driver.proposal();
    await driver.finalise(proposal, MAJORITY);
    await expectRefusal(open({ round: 2, baseModelHash: proposal.modelHash }), 'ROUND_OUT_OF_ORDER');
  });

  it('takes a new attempt after an abort, and its record is a fresh one', async () => {
    await driver.openFirst();
    const statements = driver.abortStatements(MAJORITY, 'COHORT_TOO_SMALL');
    await driver.coordinate('AbortRound', { ...ROUND_1, reason: 'COHORT_TOO_SMALL', statements });
    const second = await open({ attempt: 2 });
    expect(second).to.include({ attempt: 2, state: 'open' }).and.not.have.property('abortReason');
  });
});

describe('learning:CloseRound', () => {
  beforeEach(async () => {
    await fresh();
    await driver.openFirst();
  });
  const close = (statements: readonly object[]) => driver.coordinate('CloseRound', { ...ROUND_1, statements });

  it('takes the statements of a majority before the deadline', async () => {
    const closed = await driver.close(MAJORITY);
    expect(closed).to.deep.include({ state: 'closed', closedAtMs: START_MS, closedBy: [CITY, GRID, REGULATOR] });
  });

  it('scans nothing', async () => {
    const argument = { ...ROUND_1, statements: driver.closeStatements(MAJORITY) };
    const simulated = await consortium.simulate('learning:CloseRound', argument, await identity(GRID, 'coordinator'));
    expect(simulated.stub.ranges.filter(({ start }) => start.includes('update'))).to.deep.equal([]);
  });

  it('refuses fewer, the same one twice, strangers and signatures of something else', async () => {
    const [grid, city, regulator] = driver.closeStatements(MAJORITY) as [object, object, { mspId: string }];
    const ofAttempt2 = driver.closeStatements([REGULATOR], { ...ROUND_1, attempt: 2 });
    const abort = driver.abortStatements([REGULATOR], 'OPERATOR');
    for (const third of [[], [city], [{ ...regulator, mspId: 'StrangerMSP' }], [{ ...regulator, mspId: MAKER }]]) {
      await expectRefusal(close([grid, city, ...third]), 'STATEMENTS_INSUFFICIENT');
    }
    await expectRefusal(close([grid, city, ...ofAttempt2]), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(close([grid, city, ...abort]), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(close([]), 'ROUND_DEADLINE_NOT_REACHED');
  });

  it('is not spoilt by one bad statement among a majority of good ones', async () => {
    const bad = { mspId: MAKER, signature: 'A'.repeat(86) };
    expect(await close([bad, ...driver.closeStatements(MAJORITY)])).to.have.property('state', 'closed');
  });

  it('needs nobody else after the deadline and its margin', async () => {
    consortium.nowMs = AFTER_DEADLINE - 1;
    await expectRefusal(close([]), 'ROUND_DEADLINE_NOT_REACHED');
    consortium.nowMs = AFTER_DEADLINE;
    expect(await close([])).to.deep.include({ state: 'closed', closedBy: [GRID] });
  });

  it('returns the record when repeated, and names a stale attempt', async () => {
    const closed = await driver.close(MAJORITY);
    consortium.nowMs += 1_000;
    expect(await close([])).to.deep.equal(closed);
    await expectRefusal(driver.close(MAJORITY, { ...ROUND_1, attempt: 2 }), 'ROUND_STALE');
    await expectRefusal(driver.close(MAJORITY, { ...ROUND_1, round: 2 }), 'ROUND_UNKNOWN');
  });
});

describe('learning:AbortRound', () => {
  beforeEach(async () => {
    await fresh();
    await driver.openFirst();
  });
  const reason = 'COHORT_TOO_SMALL';
  const abort = (statements: readonly object[], why: string = reason) =>
    driver.coordinate('AbortRound', { ...ROUND_1, reason: why, statements });

  it('takes the statements of a majority for the same reason', async () => {
    const otherReason = driver.abortStatements(MAJORITY, 'OPERATOR');
    await expectRefusal(abort(otherReason), 'STATEMENTS_INSUFFICIENT');
    await expectRefusal(abort([]), 'ROUND_DEADLINE_NOT_REACHED');
    const aborted = await abort(driver.abortStatements(MAJORITY, reason));
    expect(aborted).to.include({ state: 'aborted', abortReason: reason, abortedAtMs: START_MS });
  });

  it('returns the record when repeated and conflicts with another reason', async () => {
    const aborted = await abort(driver.abortStatements(MAJORITY, reason));
    expect(await abort([])).to.deep.equal(aborted);
    await expectRefusal(abort([], 'OPERATOR'), 'ROUND_CONFLICT');
    await expectRefusal(driver.close(MAJORITY), 'ROUND_STATE');
  });

  it('needs nobody else for an open round after the deadline and its margin', async () => {
    consortium.nowMs = AFTER_DEADLINE - 1;
    await expectRefusal(abort([]), 'ROUND_DEADLINE_NOT_REACHED');
    consortium.nowMs = AFTER_DEADLINE;
    expect(await abort([])).to.include({ state: 'aborted' });
  });

  it('ends a closed round by a majority at once, whatever the deadline', async () => {
    await driver.close(MAJORITY);
    expect(await abort(driver.abortStatements(MAJORITY, reason))).to.include({ state: 'aborted' });
  });

  it('leaves the attesters of a closed round as long as a round takes before one organisation may end it', async () => {
    consortium.nowMs = AFTER_DEADLINE;
    const closedAtMs = consortium.nowMs;
    await driver.coordinate('CloseRound', { ...ROUND_1, statements: [] });
    await expectRefusal(abort([], 'NO_MAJORITY'), 'ROUND_DEADLINE_NOT_REACHED');
    consortium.nowMs = closedAtMs + ROUND_MS + TIME_MARGIN_MS;
    await expectRefusal(abort([], 'NO_MAJORITY'), 'ROUND_DEADLINE_NOT_REACHED');
    consortium.nowMs += 1;
    expect(await abort([], 'NO_MAJORITY')).to.include({ state: 'aborted', abortReason: 'NO_MAJORITY' });
  });

  it('knows no reasons but its own', async () => {
    consortium.nowMs = AFTER_DEADLINE;
    await expectRefusal(abort([], 'because'), 'ARGUMENT_INVALID');
  });
});

describe('learning:FinaliseRound', () => {
  let fleet: Vehicle[];
  beforeEach(async () => {
    await fresh();
    fleet = await enrolledFleet(consortium, 3);
    await driver.openFirst();
    await driver.record(driver.envelopes(fleet));
    await driver.close(MAJORITY);
  });
  const changed = async (change: Partial<Proposal>, signers: readonly string[] = MAJORITY): Promise<RoundRecord> =>
    driver.finalise({ ...(await driver.proposal()), ...change }, signers);

  it('makes the model of a majority official and the base of the next round', async () => {
    const proposal = await driver.proposal();
    const simulated = await consortium.simulate(
      'learning:FinaliseRound',
      driver.attested(proposal, MAJORITY),
      await identity(CITY, 'coordinator'),
    );
    const { modelHash } = proposal;
    expect(simulated.event).to.deep.equal({ type: 'RoundFinalised', ...ROUND_1, modelHash });
    consortium.commit(simulated);
    const round = simulated.result as RoundRecord;
    expect(round).to.deep.include({ state: 'finalised', finalisedAtMs: START_MS, proposal });
    expect(round.attestations?.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, REGULATOR]);
    const model = await consortium.evaluate<ModelRecord>('learning:GetModel', { taskId: 'price-1', modelHash });
    expect(model).to.include({ round: 1, attempt: 1, baseModelHash: INITIAL_MODEL });
    const second = { ...ROUND_1, round: 2 };
    const stale = driver.coordinate('OpenRound', { ...second, baseModelHash: INITIAL_MODEL });
    await expectRefusal(stale, 'BASE_MODEL_MISMATCH');
    await driver.coordinate('OpenRound', { ...second, baseModelHash: modelHash });
  });

  it('needs the attestations of a majority, over this very proposal', async () => {
    await expectRefusal(changed({}, [GRID, CITY]), 'STATEMENTS_INSUFFICIENT');
    const proposal = await driver.proposal();
    const { attestations } = driver.attested(proposal, MAJORITY);
    const other = { ...proposal, modelHash: randomHash() };
    const call = driver.coordinate('FinaliseRound', { proposal: other, attestations });
    await expectRefusal(call, 'STATEMENTS_INSUFFICIENT');
  });

  it('needs a proposal that covers exactly what is recorded', async () => {
    const ids = fleet.map(({ vehicleId }) => vehicleId).sort() as [string, string, string];
    const out = (vehicleId: string) => ({ vehicleId, reason: 'UPDATE_MISSING' as const });
    const cases: [Partial<Proposal>, ErrorCode][] = [
      [{ cohortHash: randomHash() }, 'COHORT_MISMATCH'],
      [{ cohortSize: 2 }, 'COHORT_MISMATCH'],
      [{ excluded: [out(randomVehicleId())] }, 'COHORT_MISMATCH'],
      [{ excluded: [out(ids[0]), out(ids[0])] }, 'COHORT_MISMATCH'],
      [{ excluded: [out(ids[1]), out(ids[0])] }, 'COHORT_MISMATCH'],
      [{ excluded: [out(ids[0]), out(ids[1])] }, 'COHORT_TOO_SMALL'],
      [{ baseModelHash: randomHash() }, 'BASE_MODEL_MISMATCH'],
      [{ attempt: 2 }, 'ROUND_STALE'],
      [{ round: 2 }, 'ROUND_UNKNOWN'],
      [{ taskId: 'other' }, 'TASK_UNKNOWN'],
    ];
    for (const [change, code] of cases) {
      await expectRefusal(changed(change), code);
    }
    await changed({ excluded: [out(ids[0])] });
  });

  it('names the moments of the optimiser of the server where the task has one, and nowhere else', async () => {
    await expectRefusal(changed({ serverStateHash: randomHash() }), 'ARGUMENT_INVALID');
    const server = { kind: 'momentum', rateMicro: 1_000_000, beta1Micro: 900_000 } as const;
    const taskId = 'price-2';
    await driver.coordinate('CreateTask', taskOf({ taskId, aggregation: { ...taskOf().aggregation, server } }));
    const ref = { ...ROUND_1, taskId };
    await driver.coordinate('OpenRound', { ...ref, baseModelHash: INITIAL_MODEL });
    await driver.record(driver.envelopes(fleet, ref), ref);
    await driver.close(MAJORITY, ref);
    const proposal = await driver.proposal(ref);
    await expectRefusal(driver.finalise(proposal, MAJORITY), 'ARGUMENT_INVALID');
    const moved = { ...proposal, serverStateHash: randomHash() };
    expect(await driver.finalise(moved, MAJORITY)).to.deep.include({ state: 'finalised', proposal: moved });
  });

  it('returns the record when repeated and conflicts with another proposal', async () => {
    const proposal = await driver.proposal();
    const finalised = await driver.finalise(proposal, MAJORITY);
    expect(await driver.finalise(proposal, [GRID])).to.deep.equal(finalised);
    expect(await driver.close([]), 'it was closed, too').to.deep.equal(finalised);
    await expectRefusal(driver.finalise({ ...proposal, modelHash: randomHash() }, MAJORITY), 'ROUND_CONFLICT');
    const abort = { ...ROUND_1, reason: 'OPERATOR', statements: driver.abortStatements(MAJORITY, 'OPERATOR') };
    await expectRefusal(driver.coordinate('AbortRound', abort), 'ROUND_STATE');
  });

  it('leaves the record of a model that the task has seen before', async () => {
    await changed({ modelHash: INITIAL_MODEL });
    const reference = { taskId: 'price-1', modelHash: INITIAL_MODEL };
    expect(await consortium.evaluate<ModelRecord>('learning:GetModel', reference)).to.include({ round: 0 });
  });

  it('comes after closing only', async () => {
    const proposal = await driver.proposal();
    const { modelHash } = await driver.finalise(proposal, MAJORITY).then(() => proposal);
    const second = { ...ROUND_1, round: 2 };
    await driver.coordinate('OpenRound', { ...second, baseModelHash: modelHash });
    await expectRefusal(driver.finalise({ ...proposal, ...second }, MAJORITY), 'ROUND_STATE');
  });

  it('is refused for an empty cohort', async () => {
    const reason = 'OPERATOR';
    await driver.coordinate('AbortRound', { ...ROUND_1, reason, statements: driver.abortStatements(MAJORITY, reason) });
    const again = { ...ROUND_1, attempt: 2 };
    await driver.coordinate('OpenRound', { ...again, baseModelHash: INITIAL_MODEL });
    await driver.close(MAJORITY, again);
    const proposal = { ...(await driver.proposal(again)), cohortSize: 1 };
    await expectRefusal(driver.finalise(proposal, MAJORITY), 'COHORT_MISMATCH');
  });
});

describe('Signed statements of another network', () => {
  const FOREIGN = 'f'.repeat(64);
  beforeEach(async () => {
    await fresh();
    await driver.openFirst();
  });

  it('neither close nor abort a round here', async () => {
    const closing = driver.closeStatements(MAJORITY, ROUND_1, FOREIGN);
    await expectRefusal(
      driver.coordinate('CloseRound', { ...ROUND_1, statements: closing }),
      'STATEMENTS_INSUFFICIENT',
    );
    const reason = 'COHORT_TOO_SMALL';
    const statements = driver.abortStatements(MAJORITY, reason, ROUND_1, FOREIGN);
    await expectRefusal(driver.coordinate('AbortRound', { ...ROUND_1, reason, statements }), 'STATEMENTS_INSUFFICIENT');
  });

  it('neither record an update nor attest a model here', async () => {
    const [first, second, third] = (await enrolledFleet(consortium, 3)) as [Vehicle, Vehicle, Vehicle];
    const foreign = envelopeOf(third, driver.content(ROUND_1, { consortium: FOREIGN }));
    const { results } = await driver.record([...driver.envelopes([first, second]), foreign]);
    expect(results.map(({ code }) => code)).to.deep.equal([undefined, undefined, 'SIGNATURE_INVALID']);
    await driver.close(MAJORITY);
    const attested = driver.attested(await driver.proposal(), MAJORITY, FOREIGN);
    await expectRefusal(driver.coordinate('FinaliseRound', attested), 'STATEMENTS_INSUFFICIENT');
  });
});

describe('learning queries of rounds', () => {
  beforeEach(fresh);

  it('show every state a round was in, newest first, in pages', async () => {
    const fleet = await enrolledFleet(consortium, 2);
    await driver.openFirst();
    await driver.record(driver.envelopes(fleet));
    await driver.close(MAJORITY);
    await driver.finalise(await driver.proposal(), MAJORITY);
    const states: (string | undefined)[] = [];
    let bookmark = '';
    do {
      const page: Page<HistoryEntry<RoundRecord>> = await consortium.evaluate('learning:RoundHistory', {
        ...{ taskId: 'price-1', round: 1, pageSize: 2, bookmark },
      });
      states.push(...page.items.map(({ value }) => value?.state));
      bookmark = page.bookmark;
    } while (bookmark !== '');
    expect(states).to.deep.equal(['finalised', 'closed', 'open']);
    const rounds = { taskId: 'price-1', pageSize: 5, bookmark: '' };
    expect((await consortium.evaluate<Page<RoundRecord>>('learning:ListRounds', rounds)).items).to.have.length(1);
    await expectRefusal(consortium.evaluate('learning:GetRound', { taskId: 'price-1', round: 2 }), 'ROUND_UNKNOWN');
  });
});
