// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  sha256Hex,
  signStatement,
  type Change,
  type HistoryEntry,
  type MakerAttestation,
  type Page,
  type VehicleRecord,
} from '../api';
import { CITY, GRID, MAKER, START_MS, TestConsortium } from '../testing/consortium';
import { enroll, enrolledFleet, enrollmentOf, envelopeOf, newVehicle, type Vehicle } from '../testing/fleet';
import { identity, randomVehicleId, signingKey } from '../testing/identities';
import { NEW_END_MS, recover, recoveryOf, rotate, rotationOf, vehicleIdentity } from '../testing/key-changes';
import { RoundDriver } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';

const DAY = 86_400_000;

let consortium: TestConsortium;
let vehicle: Vehicle;
beforeEach(async () => {
  consortium = await TestConsortium.bootstrapped();
  [vehicle] = (await enrolledFleet(consortium, 1)) as [Vehicle];
});

const recordOf = (): Promise<VehicleRecord> =>
  consortium.evaluate('registry:GetVehicle', { vehicleId: vehicle.vehicleId });
const setStatus = (status: string): Promise<unknown> => {
  const argument = { vehicleId: vehicle.vehicleId, status, reason: 'r' };
  return consortium.submit('registry:SetVehicleStatus', argument, MAKER, 'registrar');
};
async function decide(change: Change, proposalId = 'p-1'): Promise<void> {
  await consortium.submit('governance:Propose', { proposalId, change }, GRID, 'operator');
  for (const mspId of [CITY, MAKER]) {
    await consortium.submit('governance:Vote', { proposalId, approve: true }, mspId, 'operator');
  }
  await consortium.submit('governance:Execute', { proposalId }, GRID, 'operator');
}

describe('registry:RotateKey', () => {
  it('replaces key and end of certificate, counts, and keeps what was', async () => {
    const before = await recordOf();
    const next = signingKey();
    consortium.nowMs += 5_000;
    const after = await rotate(consortium, vehicle, next);
    expect(after).to.deep.equal({
      ...before,
      publicKey: next.publicKey,
      certificateNotAfterMs: NEW_END_MS,
      keyRotations: 1,
      previousKeyHash: sha256Hex(vehicle.key.publicKey),
      keySetAtMs: START_MS + 5_000,
      keySetBy: 'vehicle',
    });
    const third = signingKey();
    await rotate(consortium, { ...vehicle, key: next }, third, { rotation: 2 });
    const argument = { vehicleId: vehicle.vehicleId, pageSize: 10, bookmark: '' };
    const { items } = await consortium.evaluate<Page<HistoryEntry<VehicleRecord>>>('registry:VehicleHistory', argument);
    const keys = items.map(({ value }) => value?.publicKey);
    expect(keys).to.deep.equal([third.publicKey, next.publicKey, vehicle.key.publicKey]);
  });

  it('tells of it in an event and takes the new key for good', async () => {
    const next = signingKey();
    const caller = await vehicleIdentity(vehicle, next);
    const simulated = await consortium.simulate('registry:RotateKey', rotationOf(consortium, vehicle, next), caller);
    const { vehicleId } = vehicle;
    expect(simulated.event).to.deep.equal({ type: 'VehicleKeyChanged', vehicleId, rotation: 1 });
    expect(simulated.stub.writes.size, 'the vehicle and the name of its key').to.equal(2);
    expect(consortium.commit(simulated)).to.equal('VALID');
    const other = enrollmentOf(consortium, { ...newVehicle(), key: next }, { slot: 1 });
    const again = enrollmentOf(consortium, { ...newVehicle(), key: vehicle.key }, { slot: 2 });
    const { results } = await enroll(consortium, [other, again]);
    expect(results.map(({ code }) => code)).to.deep.equal([
      'PUBLIC_KEY_ALREADY_ENROLLED',
      'PUBLIC_KEY_ALREADY_ENROLLED',
    ]);
  });

  it('makes later envelopes hold with the new key only', async () => {
    const driver = new RoundDriver(consortium);
    await driver.openFirst();
    const next = signingKey();
    await rotate(consortium, vehicle, next);
    const content = driver.content();
    const { results } = await driver.record([envelopeOf(vehicle, content)]);
    expect(results[0]?.code).to.equal('SIGNATURE_INVALID');
    const second = await driver.record([envelopeOf({ ...vehicle, key: next }, content)]);
    expect(second.results[0]?.accepted).to.equal(true);
  });

  it('fences off envelopes that were endorsed before it', async () => {
    const driver = new RoundDriver(consortium);
    await driver.openFirst();
    const [envelope] = driver.envelopes([vehicle]);
    const argument = { ...driver.content(), envelopes: [envelope] };
    const { consortium: _network, updateHash: _hash, weightClass: _class, ...batch } = argument;
    const recorded = await consortium.simulate('learning:RecordUpdates', batch, await identity(GRID, 'coordinator'));
    expect(recorded.error).to.equal(undefined);
    await rotate(consortium, vehicle, signingKey());
    expect(consortium.commit(recorded)).to.equal('MVCC_READ_CONFLICT');
  });

  it('returns the record when repeated, though the key before signs no more, and writes nothing', async () => {
    const next = signingKey();
    const after = await rotate(consortium, vehicle, next);
    const argument = rotationOf(consortium, vehicle, next);
    const again = await consortium.simulate('registry:RotateKey', argument, await vehicleIdentity(vehicle, next));
    expect(again.result).to.deep.equal(after);
    expect(again.stub.writes.size).to.equal(0);
  });

  it('needs both keys, for this vehicle, this change and this network', async () => {
    const next = signingKey();
    const good = rotationOf(consortium, vehicle, next);
    const stranger = { ...vehicle, key: signingKey() };
    const stolen = rotationOf(consortium, stranger, next);
    const foreign = rotationOf(consortium, vehicle, next, { network: 'f'.repeat(64) });
    const otherCar = rotationOf(consortium, { ...vehicle, vehicleId: randomVehicleId() }, next);
    const later = rotationOf(consortium, vehicle, next, { rotation: 2 });
    const caller = await vehicleIdentity(vehicle, next);
    const submit = (change: Partial<typeof good>): Promise<unknown> =>
      consortium.submitAs('registry:RotateKey', { ...good, ...change }, caller);
    for (const { previousKeyProof, newKeyProof } of [foreign, otherCar, later]) {
      await expectRefusal(submit({ previousKeyProof }), 'SIGNATURE_INVALID');
      await expectRefusal(submit({ newKeyProof }), 'SIGNATURE_INVALID');
    }
    await expectRefusal(submit({ previousKeyProof: stolen.previousKeyProof }), 'SIGNATURE_INVALID');
    await expectRefusal(submit({ newKeyProof: good.previousKeyProof }), 'SIGNATURE_INVALID');
    await submit({});
  });

  it("is submitted with the certificate of the new key, which is the vehicle's own", async () => {
    const next = signingKey();
    const argument = rotationOf(consortium, vehicle, next);
    const submit = async (caller: ReturnType<typeof vehicleIdentity>): Promise<unknown> =>
      consortium.submitAs('registry:RotateKey', argument, await caller);
    await expectRefusal(submit(vehicleIdentity(vehicle, vehicle.key)), 'ARGUMENT_INVALID');
    await expectRefusal(submit(vehicleIdentity(vehicle, next, { notAfterMs: NEW_END_MS - DAY })), 'ARGUMENT_INVALID');
    await expectRefusal(submit(vehicleIdentity(vehicle, next, { mspId: CITY })), 'ACCESS_DENIED');
    const other = { ...vehicle, vehicleId: randomVehicleId() };
    await expectRefusal(submit(vehicleIdentity(other, next)), 'ACCESS_DENIED');
    await submit(vehicleIdentity(vehicle, next));
  });

  it('takes no key that a vehicle holds or held, and no change out of turn', async () => {
    const [other] = (await enrolledFleet(consortium, 1, 1)) as [Vehicle];
    await expectRefusal(rotate(consortium, vehicle, other.key), 'PUBLIC_KEY_ALREADY_ENROLLED');
    for (const rotation of [2, 7]) {
      await expectRefusal(rotate(consortium, vehicle, signingKey(), { rotation }), 'KEY_ROTATION_STALE');
    }
    const next = signingKey();
    await rotate(consortium, vehicle, next);
    const present = { ...vehicle, key: next };
    await expectRefusal(rotate(consortium, present, signingKey(), { rotation: 1 }), 'KEY_ROTATION_STALE');
    await expectRefusal(rotate(consortium, present, vehicle.key, { rotation: 2 }), 'PUBLIC_KEY_ALREADY_ENROLLED');
  });

  it('is for active vehicles whose certificate is in date', async () => {
    await setStatus('suspended');
    await expectRefusal(rotate(consortium, vehicle, signingKey()), 'VEHICLE_NOT_ACTIVE');
    await setStatus('active');
    consortium.nowMs += 365 * DAY;
    await expectRefusal(rotate(consortium, vehicle, signingKey()), 'VEHICLE_CERTIFICATE_EXPIRED');
    await setStatus('revoked');
    await expectRefusal(rotate(consortium, vehicle, signingKey()), 'VEHICLE_NOT_ACTIVE');
  });

  it('lets only one of two changes at the same time through', async () => {
    const [a, b] = await Promise.all(
      [signingKey(), signingKey()].map(async (key) => {
        const caller = await vehicleIdentity(vehicle, key);
        return consortium.simulate('registry:RotateKey', rotationOf(consortium, vehicle, key), caller);
      }),
    );
    expect(consortium.commit(a!)).to.equal('VALID');
    expect(consortium.commit(b!)).to.equal('MVCC_READ_CONFLICT');
  });
});

describe('registry:RecoverKey', () => {
  it('gives a car that lost its key another one, suspended or with its certificate ended too', async () => {
    await setStatus('suspended');
    consortium.nowMs += 400 * DAY;
    const next = signingKey();
    const after = await recover(consortium, recoveryOf(consortium, vehicle, next));
    expect(after).to.include({ status: 'suspended', publicKey: next.publicKey, keyRotations: 1, keySetBy: 'maker' });
    expect(after.previousKeyHash).to.equal(sha256Hex(vehicle.key.publicKey));
    const again = await recover(consortium, recoveryOf(consortium, vehicle, next));
    expect(again).to.deep.equal(after);
  });

  it('takes the vehicle back from whoever stole its key', async () => {
    const thief = signingKey();
    await rotate(consortium, vehicle, thief);
    const own = signingKey();
    await recover(consortium, recoveryOf(consortium, vehicle, own, { rotation: 2 }));
    const stolen = { ...vehicle, key: thief };
    await expectRefusal(rotate(consortium, stolen, signingKey(), { rotation: 3 }), 'SIGNATURE_INVALID');
  });

  it("is for the registrar of the vehicle's organisation, whatever a maker attests", async () => {
    const argument = recoveryOf(consortium, vehicle, signingKey(), { attested: { mspId: CITY } });
    await expectRefusal(recover(consortium, argument, CITY), 'ACCESS_DENIED');
    await expectRefusal(recover(consortium, argument), 'ATTESTATION_INVALID');
  });

  it('needs the word of the maker for this vehicle, key and change on this network', async () => {
    const next = signingKey();
    const forged: Parameters<typeof recoveryOf>[3][] = [
      { attested: { vehicleId: randomVehicleId() } },
      { attested: { publicKey: signingKey().publicKey } },
      { attested: { rotation: 2 } },
      { attested: { tag: 'e'.repeat(64) } },
      { attested: { domain: 'energy' } },
      { attested: { consortium: 'f'.repeat(64) } },
      { maker: { makerKeyId: 'maker-1', key: signingKey() } },
    ];
    for (const options of forged) {
      const argument = recoveryOf(consortium, vehicle, next, options);
      await expectRefusal(recover(consortium, argument), 'ATTESTATION_INVALID');
    }
    const unknown = recoveryOf(consortium, vehicle, next, { maker: { makerKeyId: 'maker-9', key: next } });
    await expectRefusal(recover(consortium, unknown), 'MAKER_UNKNOWN');
  });

  it('takes no attestation that was made for an enrollment', async () => {
    const next = signingKey();
    const statement: MakerAttestation = {
      type: 'sev/maker-attestation/v1',
      consortium: consortium.bootstrapHash,
      makerKeyId: 'maker-1',
      publicKey: next.publicKey,
      mspId: MAKER,
      domain: 'learning',
      tag: vehicle.tag,
    };
    const attestation = signStatement(statement, consortium.makerKey.privateKey);
    const argument = { ...recoveryOf(consortium, vehicle, next), attestation };
    await expectRefusal(recover(consortium, argument), 'ATTESTATION_INVALID');
  });

  it("takes no word of another organisation's maker for the same tag", async () => {
    const key = signingKey();
    await decide({ kind: 'put-maker', maker: { makerKeyId: 'maker-2', mspId: CITY, publicKey: key.publicKey } });
    const argument = recoveryOf(consortium, vehicle, signingKey(), { maker: { makerKeyId: 'maker-2', key } });
    await expectRefusal(recover(consortium, argument), 'ATTESTATION_INVALID');
  });

  it('takes a free key, in date, and the next number', async () => {
    const next = signingKey();
    const good = recoveryOf(consortium, vehicle, next);
    const [other] = (await enrolledFleet(consortium, 1, 1)) as [Vehicle];
    const taken = recoveryOf(consortium, vehicle, other.key);
    await expectRefusal(recover(consortium, taken), 'PUBLIC_KEY_ALREADY_ENROLLED');
    const ended = recoveryOf(consortium, vehicle, next, { certificateNotAfterMs: START_MS });
    await expectRefusal(recover(consortium, ended), 'VEHICLE_CERTIFICATE_EXPIRED');
    await expectRefusal(
      recover(consortium, recoveryOf(consortium, vehicle, next, { rotation: 2 })),
      'KEY_ROTATION_STALE',
    );
    await recover(consortium, good);
  });

  it('leaves revoked vehicles as they are', async () => {
    await setStatus('revoked');
    await expectRefusal(recover(consortium, recoveryOf(consortium, vehicle, signingKey())), 'VEHICLE_NOT_ACTIVE');
  });
});
