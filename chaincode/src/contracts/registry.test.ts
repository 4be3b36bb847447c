// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type {
  BatchResult,
  Change,
  Enrollment,
  ErrorCode,
  FreeSlots,
  HistoryEntry,
  Page,
  VehicleRecord,
  VehicleStatus,
} from '../api';
import { CITY, GRID, MAKER, START_MS, TestConsortium } from '../testing/consortium';
import { enroll, enrolledFleet, enrollmentOf, newVehicle, WINDOW, type Vehicle } from '../testing/fleet';
import { identity, randomHash, randomVehicleId, signingKey } from '../testing/identities';
import { expectRefusal } from '../testing/refusal';

describe('registry:EnrollVehicles', () => {
  let consortium: TestConsortium;
  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
  });

  const item = (vehicle: Vehicle, slot: number, change: Partial<Enrollment> = {}): Enrollment =>
    enrollmentOf(consortium, vehicle, { slot, change });
  const codes = (batch: BatchResult): (ErrorCode | 'accepted')[] =>
    batch.results.map(({ accepted, code }) => (accepted ? 'accepted' : code!));

  it('writes each vehicle, its result and one event', async () => {
    const fleet = [newVehicle(), newVehicle()];
    const argument = { domain: 'learning', window: WINDOW, vehicles: fleet.map((v, i) => item(v, i)) };
    const simulated = await consortium.simulate(
      'registry:EnrollVehicles',
      argument,
      await identity(MAKER, 'registrar'),
    );
    const { txId } = simulated.stub.proposal;
    expect(simulated.event).to.deep.equal({ type: 'VehiclesEnrolled', txId, accepted: 2, refused: 0 });
    expect(consortium.commit(simulated)).to.equal('VALID');
    expect(simulated.stub.writes.size, '5 records a vehicle and the batch').to.equal(11);
    for (const value of simulated.stub.writes.values()) {
      expect(JSON.parse(value!.toString())).to.include.keys('docType', 'schemaVersion');
    }
    const record = await consortium.evaluate<VehicleRecord>('registry:GetVehicle', { vehicleId: fleet[0]!.vehicleId });
    expect(record).to.include({ mspId: MAKER, domain: 'learning', status: 'active', enrolledAtMs: START_MS });
  });

  it('refuses a second identity for the same car, whoever asks and whatever became of the first', async () => {
    const [first] = await enrolledFleet(consortium, 1);
    const again = { ...newVehicle(), tag: first!.tag };
    expect(codes(await enroll(consortium, [item(again, 1)]))).to.deep.equal(['TAG_ALREADY_ENROLLED']);
    const elsewhere = enrollmentOf(consortium, again, { slot: 1, mspId: GRID });
    expect(codes(await enroll(consortium, [elsewhere], { mspId: GRID }))).to.deep.equal(['TAG_ALREADY_ENROLLED']);
    const revoke = { vehicleId: first!.vehicleId, status: 'revoked', reason: 'scrapped' };
    await consortium.submit('registry:SetVehicleStatus', revoke, MAKER, 'registrar');
    expect(codes(await enroll(consortium, [item(again, 1)]))).to.deep.equal(['TAG_ALREADY_ENROLLED']);
  });

  it("keeps the tags of makers apart, so that none can use up another's", async () => {
    const key = signingKey();
    const change: Change = {
      kind: 'put-maker',
      maker: { makerKeyId: 'maker-2', mspId: CITY, publicKey: key.publicKey },
    };
    await consortium.submit('governance:Propose', { proposalId: 'p-1', change }, GRID, 'operator');
    for (const mspId of [CITY, MAKER]) {
      await consortium.submit('governance:Vote', { proposalId: 'p-1', approve: true }, mspId, 'operator');
    }
    await consortium.submit('governance:Execute', { proposalId: 'p-1' }, GRID, 'operator');
    const thief = newVehicle();
    const maker = { makerKeyId: 'maker-2', key };
    const stolen = enrollmentOf(consortium, thief, { slot: 0, maker });
    const rightful = item({ ...newVehicle(), tag: thief.tag }, 1);
    const twice = enrollmentOf(consortium, { ...newVehicle(), tag: thief.tag }, { slot: 2, maker });
    const batch = await enroll(consortium, [stolen, rightful, twice]);
    expect(codes(batch)).to.deep.equal(['accepted', 'accepted', 'TAG_ALREADY_ENROLLED']);
    expect(codes(await enroll(consortium, [twice]))).to.deep.equal(['TAG_ALREADY_ENROLLED']);
    const record = await consortium.evaluate<VehicleRecord>('registry:GetVehicle', { vehicleId: thief.vehicleId });
    expect(record).to.include({ makerKeyId: 'maker-2', makerMspId: CITY });
  });

  it("refuses a maker's attestation for another network", async () => {
    const foreign = enrollmentOf(consortium, newVehicle(), { slot: 0, network: 'f'.repeat(64) });
    expect(codes(await enroll(consortium, [foreign]))).to.deep.equal(['ATTESTATION_INVALID']);
  });

  it('lets the same car hold an identity in another domain', async () => {
    const [first] = await enrolledFleet(consortium, 1);
    const vehicle = { ...newVehicle(), tag: first!.tag };
    const other = enrollmentOf(consortium, vehicle, { slot: 0, domain: 'energy', change: { rateSlot: 1 } });
    expect(codes(await enroll(consortium, [other], { domain: 'energy' }))).to.deep.equal(['accepted']);
  });

  it('accepts the same enrollment again without writing the vehicle anew, with other slots too', async () => {
    const vehicle = newVehicle();
    await enroll(consortium, [item(vehicle, 0)]);
    const argument = { domain: 'learning', window: WINDOW, vehicles: [item(vehicle, 5)] };
    const again = await consortium.simulate('registry:EnrollVehicles', argument, await identity(MAKER, 'registrar'));
    expect(codes(again.result as BatchResult)).to.deep.equal(['accepted']);
    expect(again.stub.writes.size, 'the result of the batch only').to.equal(1);
  });

  it('refuses by name and leaves the rest of the batch', async () => {
    const [enrolled] = await enrolledFleet(consortium, 1);
    const make = newVehicle;
    const cases: [Enrollment, ErrorCode | 'accepted'][] = [
      [item(make(), 1), 'accepted'],
      [item({ ...make(), vehicleId: enrolled!.vehicleId }, 2), 'VEHICLE_CONFLICT'],
      [item({ ...make(), tag: enrolled!.tag }, 2), 'TAG_ALREADY_ENROLLED'],
      [item({ ...make(), key: enrolled!.key }, 2), 'PUBLIC_KEY_ALREADY_ENROLLED'],
      [item(make(), 2, { makerKeyId: 'maker-9' }), 'MAKER_UNKNOWN'],
      [item(make(), 2, { tag: randomHash() }), 'ATTESTATION_INVALID'],
      [item(make(), 2, { publicKey: signingKey().publicKey }), 'ATTESTATION_INVALID'],
      [item(make(), 2, { attestation: 'A'.repeat(86) }), 'ATTESTATION_INVALID'],
      [item(make(), 2, { publicKey: 'A'.repeat(120) }), 'ARGUMENT_INVALID'],
      [item(make(), 2, { quotaSlot: 1_000 }), 'QUOTA_EXCEEDED'],
      [item(make(), 2, { rateSlot: 1_000 }), 'RATE_EXCEEDED'],
      [item(make(), 2, { quotaSlot: 0 }), 'SLOT_TAKEN'],
      [item(make(), 2, { rateSlot: 0 }), 'SLOT_TAKEN'],
      [item(make(), 2, { certificateNotAfterMs: START_MS }), 'VEHICLE_CERTIFICATE_EXPIRED'],
      [item(make(), 2), 'accepted'],
    ];
    const batch = await enroll(
      consortium,
      cases.map(([enrollment]) => enrollment),
    );
    expect(codes(batch)).to.deep.equal(cases.map(([, code]) => code));
    expect(batch.results.map(({ id }) => id)).to.deep.equal(cases.map(([{ vehicleId }]) => vehicleId));
  });

  it('finds duplicates inside one batch, but not of an item that was refused', async () => {
    const first = newVehicle();
    const refused = newVehicle();
    const cases: [Enrollment, ErrorCode | 'accepted'][] = [
      [item(first, 0), 'accepted'],
      [item({ ...newVehicle(), vehicleId: first.vehicleId }, 1), 'VEHICLE_CONFLICT'],
      [item({ ...newVehicle(), tag: first.tag }, 1), 'TAG_ALREADY_ENROLLED'],
      [item({ ...newVehicle(), key: first.key }, 1), 'PUBLIC_KEY_ALREADY_ENROLLED'],
      [item(newVehicle(), 1, { quotaSlot: 0 }), 'SLOT_TAKEN'],
      [item(newVehicle(), 1, { rateSlot: 0 }), 'SLOT_TAKEN'],
      [item(refused, 1, { attestation: 'A'.repeat(86) }), 'ATTESTATION_INVALID'],
      [item(refused, 1), 'accepted'],
    ];
    const batch = await enroll(
      consortium,
      cases.map(([enrollment]) => enrollment),
    );
    expect(codes(batch)).to.deep.equal(cases.map(([, code]) => code));
  });

  it('commits a batch of refusals only', async () => {
    const batch = await enroll(consortium, [item(newVehicle(), 0, { makerKeyId: 'maker-9' })]);
    expect(codes(batch)).to.deep.equal(['MAKER_UNKNOWN']);
  });

  it('holds an organisation to its quota and to its rate', async () => {
    const small = await TestConsortium.bootstrapped({ vehicleQuota: 3, enrollmentsPerWindow: 2 });
    await enrolledFleet(small, 2);
    const third = enrollmentOf(small, newVehicle(), { slot: 2 });
    expect(codes(await enroll(small, [third]))).to.deep.equal(['RATE_EXCEEDED']);
    small.nowMs += 3_600_000;
    const later = { window: WINDOW + 1 };
    expect(codes(await enroll(small, [{ ...third, rateSlot: 0 }], later))).to.deep.equal(['accepted']);
    const fourth = enrollmentOf(small, newVehicle(), { slot: 3, change: { rateSlot: 1 } });
    expect(codes(await enroll(small, [fourth], later))).to.deep.equal(['QUOTA_EXCEEDED']);
  });

  it('takes the rate window of the transaction, with a minute of margin', async () => {
    const at = async (nowMs: number, window: number): Promise<BatchResult> => {
      consortium.nowMs = nowMs;
      return enroll(consortium, [item(newVehicle(), 0, { makerKeyId: 'maker-9' })], { window });
    };
    const next = (WINDOW + 1) * 3_600_000;
    await at(next - 60_000, WINDOW + 1);
    await at(next + 59_999, WINDOW);
    await expectRefusal(at(next - 60_001, WINDOW + 1), 'WINDOW_INVALID');
    await expectRefusal(at(next + 60_000, WINDOW), 'WINDOW_INVALID');
  });

  it('refuses empty, oversized and malformed batches as a whole', async () => {
    await expectRefusal(enroll(consortium, []), 'ARGUMENT_INVALID');
    const many = Array.from({ length: 51 }, (_, i) => item(newVehicle(), i));
    await expectRefusal(enroll(consortium, many), 'BATCH_TOO_LARGE');
    const refusal = await expectRefusal(
      enroll(consortium, [item(newVehicle(), 0, { vehicleId: 'WBA12345678901234' })]),
      'ARGUMENT_INVALID',
    );
    expect(refusal.detail).to.include('vehicles.0.vehicleId').and.not.include('WBA');
  });

  it('conflicts when two registrars take the same slot at the same time', async () => {
    const registrar = await identity(MAKER, 'registrar');
    const batch = () => ({ domain: 'learning', window: WINDOW, vehicles: [item(newVehicle(), 0)] });
    const a = await consortium.simulate('registry:EnrollVehicles', batch(), registrar);
    const b = await consortium.simulate('registry:EnrollVehicles', batch(), registrar);
    expect(consortium.commit(a)).to.equal('VALID');
    expect(consortium.commit(b)).to.equal('MVCC_READ_CONFLICT');
  });
});

describe('registry:SetVehicleStatus', () => {
  let consortium: TestConsortium;
  let vehicleId: string;
  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
    [{ vehicleId }] = (await enrolledFleet(consortium, 1)) as [Vehicle];
  });
  const set = (status: VehicleStatus, mspId: string = MAKER, id = vehicleId) =>
    consortium.submit<VehicleRecord>(
      'registry:SetVehicleStatus',
      { vehicleId: id, status, reason: 'r' },
      mspId,
      'registrar',
    );

  it('goes between active and suspended and from either to revoked, which is final', async () => {
    for (const status of ['suspended', 'active', 'suspended', 'revoked'] as const) {
      expect(await set(status)).to.include({ status, statusReason: 'r' });
    }
    await expectRefusal(set('active'), 'VEHICLE_STATUS_TRANSITION');
    await expectRefusal(set('suspended'), 'VEHICLE_STATUS_TRANSITION');
  });

  it('returns the record when nothing changes and writes nothing', async () => {
    const argument = { vehicleId, status: 'active', reason: 'again' };
    const again = await consortium.simulate('registry:SetVehicleStatus', argument, await identity(MAKER, 'registrar'));
    expect(again.result).to.include({ status: 'active', statusReason: 'enrolled' });
    expect(again.stub.writes.size).to.equal(0);
  });

  it("is for the registrar of the vehicle's organisation", async () => {
    await expectRefusal(set('suspended', CITY), 'ACCESS_DENIED');
    await expectRefusal(set('suspended', MAKER, randomVehicleId()), 'VEHICLE_UNKNOWN');
  });

  it('leaves a history, newest first, in pages', async () => {
    await set('suspended');
    await set('active');
    const read = (bookmark: string) =>
      consortium.evaluate<Page<HistoryEntry<VehicleRecord>>>('registry:VehicleHistory', {
        vehicleId,
        pageSize: 2,
        bookmark,
      });
    const first = await read('');
    expect(first.items.map(({ value }) => value?.status)).to.deep.equal(['active', 'suspended']);
    const second = await read(first.bookmark);
    expect(second.items.map(({ value }) => value?.status)).to.deep.equal(['active']);
    expect(second.bookmark).to.equal('');
    expect(second.items[0]).to.include({ timestampMs: START_MS, deleted: false });
    await expectRefusal(read('-1'), 'ARGUMENT_INVALID');
  });
});

describe('registry queries', () => {
  it('offer the lowest free slots and never more than the bound', async () => {
    const consortium = await TestConsortium.bootstrapped({ vehicleQuota: 6, enrollmentsPerWindow: 4 });
    for (const slot of [0, 2]) {
      await enrolledFleet(consortium, 1, slot);
    }
    const ask = (count: number, mspId: string = MAKER) =>
      consortium.evaluate<FreeSlots>('registry:FreeSlots', { mspId, domain: 'learning', window: WINDOW, count });
    expect(await ask(2)).to.deep.equal({ quotaSlots: [1, 3], rateSlots: [1, 3] });
    expect(await ask(100)).to.deep.equal({ quotaSlots: [1, 3, 4, 5], rateSlots: [1, 3] });
    expect(await ask(1, GRID)).to.deep.equal({ quotaSlots: [0], rateSlots: [0] });
    await expectRefusal(ask(1, 'StrangerMSP'), 'ORGANISATION_UNKNOWN');
  });

  it('list all vehicles in pages and take no foreign bookmark', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const fleet = await enrolledFleet(consortium, 7);
    const seen: string[] = [];
    let bookmark = '';
    do {
      const page: Page<VehicleRecord> = await consortium.evaluate('registry:ListVehicles', { pageSize: 3, bookmark });
      expect(page.bookmark).to.match(/^[A-Za-z0-9_-]{0,512}$/);
      seen.push(...page.items.map(({ vehicleId }) => vehicleId));
      bookmark = page.bookmark;
    } while (bookmark !== '');
    expect(seen).to.deep.equal(fleet.map(({ vehicleId }) => vehicleId).sort());
    const foreign = Buffer.from('\0organisation\0').toString('base64url');
    const call = consortium.evaluate('registry:ListVehicles', { pageSize: 3, bookmark: foreign });
    await expectRefusal(call, 'ARGUMENT_INVALID');
  });

  it('find many vehicles at once, in the order in which they are named, leaving out those that there are not', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const ids = (await enrolledFleet(consortium, 3)).map(({ vehicleId }) => vehicleId);
    const find = (vehicleIds: unknown) => consortium.evaluate<VehicleRecord[]>('registry:FindVehicles', { vehicleIds });
    const [first, second, third] = ids;
    const found = await find([third, randomVehicleId(), first, second]);
    const one = (vehicleId: unknown) => consortium.evaluate<VehicleRecord>('registry:GetVehicle', { vehicleId });
    expect(found).to.deep.equal([await one(third), await one(first), await one(second)]);
    expect(await find(Array.from({ length: 100 }, randomVehicleId))).to.deep.equal([]);
    for (const refused of [[], [first, first], Array.from({ length: 101 }, randomVehicleId), ['v-short'], undefined]) {
      await expectRefusal(find(refused), 'ARGUMENT_INVALID');
    }
  });

  it('know no vehicle that is not enrolled', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const vehicleId = randomVehicleId();
    await expectRefusal(consortium.evaluate('registry:GetVehicle', { vehicleId }), 'VEHICLE_UNKNOWN');
    const history = consortium.evaluate('registry:VehicleHistory', { vehicleId, pageSize: 1, bookmark: '' });
    await expectRefusal(history, 'VEHICLE_UNKNOWN');
  });
});
