// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  canonicalJson,
  MAX_ENVELOPES,
  TIME_MARGIN_MS,
  type BatchResult,
  type Change,
  type Envelope,
  type ErrorCode,
  type ItemResult,
  type Page,
  type UpdateRecord,
} from '../api';
import { CITY, GRID, MAKER, START_MS, TestConsortium } from '../testing/consortium';
import { enroll, enrolledFleet, enrollmentOf, envelopeOf, newVehicle, type Vehicle } from '../testing/fleet';
import { identity, randomHash } from '../testing/identities';
import { INITIAL_MODEL, ROUND_1, ROUND_MS, RoundDriver } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';

const codes = (results: readonly ItemResult[]): (ErrorCode | 'accepted')[] =>
  results.map(({ accepted, code }) => (accepted ? 'accepted' : code!));

describe('learning:RecordUpdates', () => {
  let consortium: TestConsortium;
  let driver: RoundDriver;
  let fleet: Vehicle[];
  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
    driver = new RoundDriver(consortium);
    fleet = await enrolledFleet(consortium, 4);
    await driver.openFirst();
  });
  const batchOf = (envelopes: readonly unknown[]) => ({ ...ROUND_1, baseModelHash: INITIAL_MODEL, envelopes });
  const simulate = async (envelopes: readonly unknown[]) =>
    consortium.simulate('learning:RecordUpdates', batchOf(envelopes), await identity(GRID, 'coordinator'));

  it('records every envelope, its result and one event, and never writes the round', async () => {
    const envelopes = driver.envelopes(fleet);
    const simulated = await simulate(envelopes);
    expect(codes((simulated.result as BatchResult).results)).to.deep.equal(fleet.map(() => 'accepted'));
    expect(simulated.event).to.deep.equal({ type: 'UpdatesRecorded', ...ROUND_1, accepted: 4, refused: 0 });
    const written = [...simulated.stub.writes.values()].map((v) => (JSON.parse(v!.toString()) as UpdateRecord).docType);
    expect(written.sort()).to.deep.equal(['update', 'update', 'update', 'update', 'updateBatch']);
    consortium.commit(simulated);
    const page = await consortium.evaluate<Page<UpdateRecord>>('learning:ListUpdates', {
      ...ROUND_1,
      pageSize: 10,
      bookmark: '',
    });
    expect(page.items.map(({ updateHash }) => updateHash).sort()).to.deep.equal(
      envelopes.map(({ updateHash }) => updateHash).sort(),
    );
  });

  it('costs at most 400 bytes of argument an envelope', () => {
    const [envelope] = driver.envelopes(fleet);
    const one = canonicalJson(batchOf([envelope]));
    const two = canonicalJson(batchOf([envelope, envelope]));
    expect(two.length - one.length).to.be.at.most(400);
  });

  it('takes a full batch of 100 and no more', async () => {
    const more = await enrolledFleet(consortium, MAX_ENVELOPES, 10);
    const { results } = await driver.record(driver.envelopes(more));
    expect(results.filter(({ accepted }) => accepted)).to.have.length(MAX_ENVELOPES);
    await expectRefusal(driver.record(driver.envelopes([...more, fleet[0]!])), 'BATCH_TOO_LARGE');
    await expectRefusal(driver.record([]), 'ARGUMENT_INVALID');
  });

  it('refuses bad envelopes by name and leaves the rest of the batch', async () => {
    const [honest, suspended, replayed, last] = fleet as [Vehicle, Vehicle, Vehicle, Vehicle];
    const suspend = { vehicleId: suspended.vehicleId, status: 'suspended', reason: 'r' };
    await consortium.submit('registry:SetVehicleStatus', suspend, MAKER, 'registrar');
    const energy = newVehicle();
    const slots = { slot: 0, change: { rateSlot: 50 }, domain: 'energy' as const };
    await enroll(consortium, [enrollmentOf(consortium, energy, slots)], { domain: 'energy' });
    const good = envelopeOf(honest, driver.content());
    const ofRound2 = envelopeOf(replayed, driver.content({ ...ROUND_1, round: 2 }));
    const ofAttempt2 = envelopeOf(replayed, driver.content({ ...ROUND_1, attempt: 2 }));
    const ofOtherBase = envelopeOf(replayed, driver.content(ROUND_1, { baseModelHash: randomHash() }));
    const ofOtherTask = envelopeOf(replayed, driver.content({ ...ROUND_1, taskId: 'price-2' }));
    const own = envelopeOf(replayed, driver.content());
    const cases: [unknown, ErrorCode | 'accepted'][] = [
      [good, 'accepted'],
      [good, 'UPDATE_DUPLICATE'],
      [envelopeOf(honest, driver.content()), 'UPDATE_DUPLICATE'],
      [envelopeOf(newVehicle(), driver.content()), 'VEHICLE_UNKNOWN'],
      [envelopeOf(energy, driver.content()), 'VEHICLE_UNKNOWN'],
      [envelopeOf(suspended, driver.content()), 'VEHICLE_NOT_ACTIVE'],
      [ofRound2, 'SIGNATURE_INVALID'],
      [ofAttempt2, 'SIGNATURE_INVALID'],
      [ofOtherBase, 'SIGNATURE_INVALID'],
      [ofOtherTask, 'SIGNATURE_INVALID'],
      [{ ...own, updateHash: randomHash() }, 'SIGNATURE_INVALID'],
      [{ ...own, weightClass: 1 }, 'SIGNATURE_INVALID'],
      [{ ...own, signature: 'A'.repeat(86) }, 'SIGNATURE_INVALID'],
      [{ ...envelopeOf(honest, driver.content()), vehicleId: last.vehicleId }, 'SIGNATURE_INVALID'],
      [envelopeOf(replayed, driver.content(ROUND_1, { weightClass: 2 })), 'ENVELOPE_MALFORMED'],
      [{ ...own, weightClass: 4 }, 'ENVELOPE_MALFORMED'],
      [{ ...own, weightClass: 0.5 }, 'ENVELOPE_MALFORMED'],
      [{ ...own, signature: 'short' }, 'ENVELOPE_MALFORMED'],
      [{ ...own, note: 'x'.repeat(10_000) }, 'ENVELOPE_MALFORMED'],
      [{ ...own, vehicleId: 'x'.repeat(10_000) }, 'ENVELOPE_MALFORMED'],
      [null, 'ENVELOPE_MALFORMED'],
      ['text', 'ENVELOPE_MALFORMED'],
      [own, 'accepted'],
      [envelopeOf(last, driver.content()), 'accepted'],
    ];
    const batch = await driver.record(cases.map(([envelope]) => envelope));
    expect(codes(batch.results)).to.deep.equal(cases.map(([, code]) => code));
    for (const { id, detail = '' } of batch.results) {
      expect(id.length, 'what is committed stays short').to.be.at.most(24);
      expect(detail.length).to.be.at.most(200);
    }
    expect(batch.results[20]?.id).to.equal('#20');
    expect(batch.results[18]?.id, 'the id is named where it can be read').to.equal(replayed.vehicleId);
  });

  it('refuses a vehicle whose certificate has ended', async () => {
    const late = newVehicle();
    const change = { certificateNotAfterMs: START_MS + 1_000 };
    await enroll(consortium, [enrollmentOf(consortium, late, { slot: 20, change })]);
    consortium.nowMs = START_MS + 1_000;
    const { results } = await driver.record([envelopeOf(late, driver.content())]);
    expect(codes(results)).to.deep.equal(['VEHICLE_CERTIFICATE_EXPIRED']);
  });

  const decide = async (change: Change): Promise<void> => {
    await consortium.submit('governance:Propose', { proposalId: 'p-1', change }, GRID, 'operator');
    for (const mspId of [CITY, MAKER]) {
      await consortium.submit('governance:Vote', { proposalId: 'p-1', approve: true }, mspId, 'operator');
    }
    await consortium.submit('governance:Execute', { proposalId: 'p-1' }, GRID, 'operator');
  };

  it('refuses a vehicle whose organisation has left', async () => {
    await decide({ kind: 'remove-organisation', mspId: MAKER });
    const { results } = await driver.record(driver.envelopes(fleet.slice(0, 1)));
    expect(codes(results)).to.deep.equal(['ORGANISATION_UNKNOWN']);
  });

  it('refuses a vehicle whose organisation may no longer hold vehicles, also through a coordinator', async () => {
    const organisation = { ...consortium.organisation(MAKER), roles: ['operator' as const] };
    await decide({ kind: 'put-organisation', organisation });
    const { results } = await driver.record(driver.envelopes(fleet.slice(0, 1)));
    expect(codes(results)).to.deep.equal(['ORGANISATION_UNKNOWN']);
  });

  it('accepts the same update again without writing it, and refuses another one of the same vehicle', async () => {
    const content = driver.content();
    await driver.record([envelopeOf(fleet[0]!, content)]);
    const signedAnew = envelopeOf(fleet[0]!, content);
    const again = await simulate([signedAnew]);
    expect(codes((again.result as BatchResult).results)).to.deep.equal(['accepted']);
    expect(again.stub.writes.size, 'the result of the batch only').to.equal(1);
    const { results } = await driver.record([
      envelopeOf(fleet[0]!, driver.content()),
      envelopeOf(fleet[0]!, { ...content, weightClass: 1 }),
    ]);
    expect(codes(results)).to.deep.equal(['UPDATE_DUPLICATE', 'UPDATE_DUPLICATE']);
  });

  it('commits a batch of refusals only', async () => {
    const { results } = await driver.record([null]);
    expect(codes(results)).to.deep.equal(['ENVELOPE_MALFORMED']);
  });

  it('refuses the whole call when it names no open round', async () => {
    const envelopes = driver.envelopes(fleet);
    await expectRefusal(driver.record(envelopes, { ...ROUND_1, taskId: 'other' }), 'TASK_UNKNOWN');
    await expectRefusal(driver.record(envelopes, { ...ROUND_1, round: 2 }), 'ROUND_UNKNOWN');
    await expectRefusal(driver.record(envelopes, { ...ROUND_1, attempt: 2 }), 'ROUND_STALE');
    await expectRefusal(driver.record(envelopes, ROUND_1, randomHash()), 'ROUND_STALE');
    await driver.close([GRID, MAKER, CITY]);
    await expectRefusal(driver.record(envelopes), 'ROUND_STATE');
  });

  it('takes updates until the deadline and its margin', async () => {
    consortium.nowMs = START_MS + ROUND_MS + TIME_MARGIN_MS;
    await driver.record(driver.envelopes(fleet.slice(0, 1)));
    consortium.nowMs += 1;
    await expectRefusal(driver.record(driver.envelopes(fleet.slice(1))), 'ROUND_DEADLINE_PASSED');
  });

  it('conflicts with a close that comes in between: closing is the fence', async () => {
    const recording = await simulate(driver.envelopes(fleet));
    await driver.close([GRID, MAKER, CITY]);
    expect(consortium.commit(recording)).to.equal('MVCC_READ_CONFLICT');
  });

  it('does not conflict with another batch of the same round', async () => {
    const a = await simulate(driver.envelopes(fleet.slice(0, 2)));
    const b = await simulate(driver.envelopes(fleet.slice(2)));
    expect(consortium.commit(a)).to.equal('VALID');
    expect(consortium.commit(b)).to.equal('VALID');
  });

  it('conflicts with a second record of the same vehicle that comes in between', async () => {
    const a = await simulate(driver.envelopes(fleet));
    const b = await simulate(driver.envelopes(fleet));
    expect(consortium.commit(a)).to.equal('VALID');
    expect(consortium.commit(b)).to.equal('MVCC_READ_CONFLICT');
  });

  it('conflicts with a suspension that comes in between', async () => {
    const recording = await simulate(driver.envelopes(fleet));
    const suspend = { vehicleId: fleet[0]!.vehicleId, status: 'suspended', reason: 'r' };
    await consortium.submit('registry:SetVehicleStatus', suspend, MAKER, 'registrar');
    expect(consortium.commit(recording)).to.equal('MVCC_READ_CONFLICT');
  });
});

describe('learning:RecordUpdate', () => {
  let consortium: TestConsortium;
  let driver: RoundDriver;
  let vehicle: Vehicle;
  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
    driver = new RoundDriver(consortium);
    [vehicle] = (await enrolledFleet(consortium, 1)) as [Vehicle];
    await driver.openFirst();
  });
  const record = async (
    envelope: Envelope,
    commonName = vehicle.vehicleId,
    attributes: Record<string, string> = { role: 'vehicle' },
  ): Promise<UpdateRecord> => {
    const caller = await identity(MAKER, 'vehicle', { commonName, attributes });
    return consortium.submitAs('learning:RecordUpdate', { ...ROUND_1, baseModelHash: INITIAL_MODEL, envelope }, caller);
  };

  it('records the own update of a vehicle, once', async () => {
    const content = driver.content();
    const first = await record(envelopeOf(vehicle, content));
    expect(first).to.include({ docType: 'update', vehicleId: vehicle.vehicleId, recordedAtMs: START_MS });
    expect(await record(envelopeOf(vehicle, content))).to.deep.equal(first);
    await expectRefusal(record(envelopeOf(vehicle, driver.content())), 'UPDATE_DUPLICATE');
  });

  it("knows the vehicle by the certificate's enrollment id", async () => {
    const attributes = { role: 'vehicle', 'hf.EnrollmentID': vehicle.vehicleId };
    await record(envelopeOf(vehicle, driver.content()), 'another-name', attributes);
  });

  it('is not for the envelope of another vehicle', async () => {
    await expectRefusal(record(envelopeOf(vehicle, driver.content()), 'v-other'), 'ACCESS_DENIED');
  });

  it('throws the refusals that a batch would commit', async () => {
    const envelope = envelopeOf(vehicle, driver.content());
    await expectRefusal(record({ ...envelope, updateHash: randomHash() }), 'SIGNATURE_INVALID');
    await expectRefusal(record({ ...envelope, signature: 'short' }), 'ARGUMENT_INVALID');
  });
});

describe('learning:VehicleUpdates', () => {
  it('shows the updates of one vehicle over rounds and attempts', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const driver = new RoundDriver(consortium);
    const fleet = await enrolledFleet(consortium, 2);
    await driver.openFirst();
    await driver.record(driver.envelopes(fleet));
    const reason = 'OPERATOR';
    const statements = driver.abortStatements([GRID, MAKER, CITY], reason);
    await driver.coordinate('AbortRound', { ...ROUND_1, reason, statements });
    const again = { ...ROUND_1, attempt: 2 };
    const { baseModelHash } = await driver.coordinate('OpenRound', {
      ...again,
      baseModelHash: INITIAL_MODEL,
    });
    await driver.record(driver.envelopes(fleet, again, baseModelHash), again);
    await driver.close([GRID, MAKER, CITY], again);
    const proposal = await driver.proposal(again);
    await driver.finalise(proposal, [GRID, MAKER, CITY]);
    const second = { ...ROUND_1, round: 2 };
    await driver.coordinate('OpenRound', { ...second, baseModelHash: proposal.modelHash });
    await driver.record(driver.envelopes(fleet, second, proposal.modelHash), second, proposal.modelHash);
    const read = (bookmark: string) =>
      consortium.evaluate<Page<UpdateRecord>>('learning:VehicleUpdates', {
        vehicleId: fleet[0]!.vehicleId,
        ...{ taskId: ROUND_1.taskId, pageSize: 1, bookmark },
      });
    const first = await read('');
    expect(first.items.map(({ round, attempt }) => [round, attempt])).to.deep.equal([
      [1, 1],
      [1, 2],
    ]);
    const next = await read(first.bookmark);
    expect(next.items.map(({ round, attempt }) => [round, attempt])).to.deep.equal([[2, 1]]);
    expect(next.bookmark).to.equal('');
  });
});
