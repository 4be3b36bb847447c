// SPDX-License-Identifier: Apache-2.0
import { TIME_MARGIN_MS } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { AuditCode } from './failure.js';
import { BASE, codeOf, FOREIGN, HASH, newKey, NOW, publicText, ready, Scenario, TASK } from './testing/scenario.js';

describe('audit rules', () => {
  it('accept a round from enrollment to its model', () => {
    const scenario = ready().update().close().finalise();
    const next = scenario.open({ round: 2, baseModelHash: HASH('e') });
    expect(next.replay.state.counts).to.deep.include({ vehicles: 1, updates: 1, rounds: 1, models: 2 });
    expect(next.replay.state.finalised).to.have.length(1);
  });

  it('count the parameters of an LSTM, too, and let dense train none', () => {
    const lstm = { steps: 24, features: 4, units: 16 };
    const model = { ...TASK.model, lstm, layers: [16, 1], parameters: 4 * 16 * (4 + 16 + 1) + 17 };
    const task = { ...TASK, engine: 'tfjs' as const, model };
    const made = (change: object) => codeOf(() => new Scenario().bootstrap().task({ ...task, ...change }));
    expect(made({})).to.equal(undefined);
    expect(made({ engine: 'dense' })).to.equal('RECORD_MALFORMED');
    expect(made({ model: { ...model, parameters: 17 } })).to.equal('RECORD_MALFORMED');
    expect(made({ model: { ...model, lstm: { ...lstm, units: 15 } } })).to.equal('RECORD_MALFORMED');
  });

  it('accept a round closed by one organisation after its deadline', () => {
    expect(
      codeOf(() =>
        ready()
          .update()
          .close([], NOW + 120_001),
      ),
    ).to.equal(undefined);
  });

  it('accept a round closed below its minimum cohort: it can only be aborted', () => {
    expect(codeOf(() => ready().close())).to.equal(undefined);
  });

  it('accept the abort of a closed round by a majority at once, by one organisation when attesters had their time', () => {
    const closed = (at: number): Scenario => ready().update().close([], at);
    const closedAtMs = NOW + 120_001;
    const aborted = { closedAtMs };
    const majority = ['AMSP', 'CMSP', 'DMSP'];
    expect(codeOf(() => closed(closedAtMs).abort(majority, closedAtMs, aborted))).to.equal(undefined);
    const aloneAt = closedAtMs + TASK.deadlines.roundMs + TIME_MARGIN_MS + 1;
    expect(codeOf(() => closed(closedAtMs).abort([], aloneAt, aborted))).to.equal(undefined);
    expect(codeOf(() => closed(closedAtMs).abort([], aloneAt - 1, aborted))).to.equal('STATEMENTS_INSUFFICIENT');
  });

  const elsewhere = { vehicleId: `v-${'B'.repeat(22)}`, key: newKey(), record: { makerMspId: 'CMSP' } };
  const accredited = (scenario: Scenario, key: ReturnType<typeof newKey>): Scenario => {
    const maker = { makerKeyId: 'maker-1', mspId: 'CMSP', publicKey: publicText(key) };
    return scenario.propose({ kind: 'put-maker', maker }).vote('BMSP').vote('CMSP').execute();
  };

  it("accept the same tag of another maker's organisation", () => {
    const signer = newKey();
    const scenario = accredited(new Scenario().bootstrap().enroll(), signer);
    const second = { ...elsewhere, signer };
    expect(codeOf(() => scenario.enroll(second))).to.equal(undefined);
    expect(codeOf(() => scenario.enroll({ ...second, vehicleId: `v-${'C'.repeat(22)}` }))).to.equal('TAG_REUSED');
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    [
      'a vehicle that no accredited maker attested',
      'MAKER_ATTESTATION',
      () => new Scenario().bootstrap().enroll({ signer: newKey() }),
    ],
    [
      "a second identity for the same car after its maker's key went to another organisation",
      'TAG_REUSED',
      () => {
        const scenario = new Scenario().bootstrap().enroll();
        return accredited(scenario, scenario.maker).enroll(elsewhere);
      },
    ],
    [
      'a second identity for the same car',
      'TAG_REUSED',
      () =>
        new Scenario()
          .bootstrap()
          .enroll()
          .enroll({ vehicleId: `v-${'B'.repeat(22)}` }),
    ],
    [
      'a vehicle record that differs from the request',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().enroll({ record: { mspId: 'BMSP' } }),
    ],
    [
      'a vehicle attested for another network',
      'MAKER_ATTESTATION',
      () => new Scenario().bootstrap().enroll({ consortium: FOREIGN }),
    ],
    [
      'a vehicle in the name of another maker',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().enroll({ record: { makerMspId: 'CMSP' } }),
    ],
    ['an update signed for another network', 'UPDATE_SIGNATURE', () => ready().update({ consortium: FOREIGN })],
    [
      'a round closed by statements for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'BMSP', 'CMSP'], NOW, {}, FOREIGN),
    ],
    [
      'a round aborted by statements for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().abort(['AMSP', 'BMSP', 'CMSP'], NOW, {}, FOREIGN),
    ],
    [
      'a model attested for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close().finalise({ consortium: FOREIGN }),
    ],
    [
      'a closed round that is aborted by one organisation after the deadline',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close()
          .abort([], NOW + 60_000 + TIME_MARGIN_MS, { closedAtMs: NOW }),
    ],
    [
      'a round aborted for another reason than was asked for',
      'RECORD_MALFORMED',
      () => ready().abort(['AMSP', 'BMSP', 'CMSP'], NOW, { abortReason: 'OPERATOR' }),
    ],
    [
      'a round closed at another time than its transaction',
      'RECORD_MALFORMED',
      () =>
        ready()
          .update()
          .close(['AMSP', 'BMSP', 'CMSP'], NOW, { closedAtMs: NOW - 1 }),
    ],
    [
      'a closed round that changes when it was closed',
      'RECORD_OVERWRITTEN',
      () =>
        ready()
          .update()
          .close()
          .finalise({ record: { closedAtMs: NOW - 1 } }),
    ],
    ['a round that the task does not plan', 'ROUND_TRANSITION', () => ready().open({ round: 4 })],
    [
      'a task whose grace time is longer than its rounds',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().task({ deadlines: { graceMs: 60_001, roundMs: 60_000 } }),
    ],
    ['a vehicle suspended by a stranger', 'VEHICLE_TRANSITION', () => ready().setStatus('suspended', { by: 'BMSP' })],
    ['a revoked vehicle that comes back', 'VEHICLE_TRANSITION', () => ready().setStatus('revoked').setStatus('active')],
    ['an update with a signature of another key', 'UPDATE_SIGNATURE', () => ready().update({ signer: newKey() })],
    [
      'an update with other content than was signed',
      'UPDATE_SIGNATURE',
      () => ready().update({ record: { updateHash: HASH('f') } }),
    ],
    ['an update of a suspended vehicle', 'UPDATE_INVALID', () => ready().setStatus('suspended').update()],
    [
      'an update for another base model',
      'UPDATE_INVALID',
      () => ready().update({ record: { baseModelHash: HASH('0') } }),
    ],
    ['two updates of one vehicle in a round', 'UPDATE_INVALID', () => ready().update().update({ key: 'update/2' })],
    ['an update that is written over', 'RECORD_OVERWRITTEN', () => ready().update().update()],
    [
      'an update after the round was closed',
      'UPDATE_INVALID',
      () => ready().update().close().update({ key: 'update/2' }),
    ],
    [
      'a round closed by two of four organisations',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'BMSP']),
    ],
    [
      'a round closed with the same statement three times',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'AMSP', 'AMSP']),
    ],
    [
      'a round closed by one organisation within the margin of its deadline',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close([], NOW + 120_000),
    ],
    [
      'a round whose deadline is brought forward as it is closed',
      'RECORD_OVERWRITTEN',
      () =>
        ready()
          .update()
          .close([], NOW + 60_001, { deadlineMs: NOW }),
    ],
    [
      'a round with a shorter deadline than its task gives',
      'RECORD_MALFORMED',
      () => ready().open({ round: 2, deadlineMs: NOW }),
    ],
    ['a round opened in the name of another', 'RECORD_MALFORMED', () => ready().open({ round: 2, openedBy: 'BMSP' })],
    ['an update that is dated back', 'UPDATE_INVALID', () => ready().update({ record: { recordedAtMs: NOW - 1 } })],
    [
      "an organisation's suspension in the name of all",
      'VEHICLE_TRANSITION',
      () => ready().setStatus('suspended', { record: { statusSetBy: 'consortium' } }),
    ],
    [
      'a suspension that prolongs the certificate',
      'RECORD_OVERWRITTEN',
      () => ready().setStatus('suspended', { record: { certificateNotAfterMs: NOW + 2e9 } }),
    ],
    [
      'a model final with fewer updates than the minimum cohort',
      'COHORT_MISMATCH',
      () => {
        const scenario = ready().update().close();
        const excluded = [{ vehicleId: scenario.vehicleId, reason: 'UPDATE_MISSING' as const }];
        return scenario.finalise({ proposal: { excluded } });
      },
    ],
    [
      'a model attested by two of four',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close()
          .finalise({ mspIds: ['AMSP', 'BMSP'] }),
    ],
    ['a round finalised before it was closed', 'ROUND_TRANSITION', () => ready().update().finalise()],
    [
      'a proposal that leaves an update out',
      'COHORT_MISMATCH',
      () =>
        ready()
          .update()
          .close()
          .finalise({ proposal: { cohortHash: HASH('1') } }),
    ],
    [
      'a model record of another hash',
      'MODEL_CHAIN',
      () =>
        ready()
          .update()
          .close()
          .finalise({ modelHash: HASH('2') }),
    ],
    [
      'a next round from another base model',
      'MODEL_CHAIN',
      () => ready().update().close().finalise().open({ round: 2, baseModelHash: BASE }),
    ],
    ['a round opened while the one before is open', 'MODEL_CHAIN', () => ready().open({ round: 2 })],
    ['an attempt that is skipped', 'ROUND_TRANSITION', () => new Scenario().bootstrap().task().open({ attempt: 2 })],
    [
      'a record that is not what is documented',
      'RECORD_MALFORMED',
      () => ready().update({ record: { updateHash: 'x' } }),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}: ${code}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }

  it('name a batch whose results do not match what it wrote', () => {
    const batch = {
      docType: 'updateBatch',
      schemaVersion: 1,
      results: [{ id: `v-${'C'.repeat(22)}`, accepted: true }],
    };
    expect(
      codeOf(() => {
        ready().submit('learning:RecordUpdates', {}, { 'batch/1': batch });
      }),
    ).to.equal('BATCH_RESULT');
  });
});
