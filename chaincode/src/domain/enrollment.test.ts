// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { signStatement, type Enrollment, type MakerAttestation, type MakerKey, type VehicleRecord } from '../api';
import { MAKER, START_MS } from '../testing/consortium';
import { signingKey } from '../testing/identities';
import { itemResult } from './batch';
import { EnrollmentBatch } from './enrollment';

const makerKey = signingKey();
const maker: MakerKey = { makerKeyId: 'maker-1', mspId: MAKER, publicKey: makerKey.publicKey };
const publicKeys = Array.from({ length: 6 }, () => signingKey().publicKey);
const policy = { vehicleQuota: 5, enrollmentsPerWindow: 4, enrollmentWindowMs: 60_000 };
const consortium = 'c'.repeat(64);
const none = {
  existing: undefined,
  tagTaken: false,
  publicKeyTaken: false,
  quotaSlotTaken: false,
  rateSlotTaken: false,
};

function enrollment([id, tag, key, quotaSlot, rateSlot]: readonly [
  number,
  number,
  number,
  number,
  number,
]): Enrollment {
  const content = { makerKeyId: 'maker-1', publicKey: publicKeys[key]!, tag: tag.toString().repeat(64) };
  const statement: MakerAttestation = {
    type: 'sev/maker-attestation/v1',
    consortium,
    mspId: MAKER,
    domain: 'learning',
    ...content,
  };
  return {
    vehicleId: `v-${id.toString().repeat(22)}`,
    certificateNotAfterMs: START_MS + 1,
    attestation: signStatement(statement, makerKey.privateKey),
    quotaSlot,
    rateSlot,
    ...content,
  };
}

describe('A batch of enrollments', () => {
  it('never gives one name to two vehicles and never leaves the bounds, whatever is asked for', () => {
    const name = fc.integer({ min: 0, max: 5 });
    const item = fc.tuple(name, name, name, name, name).map(enrollment);
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 20 }), (items) => {
        const batch = new EnrollmentBatch({ consortium, mspId: MAKER, domain: 'learning', policy, nowMs: START_MS });
        const vehicles: VehicleRecord[] = [];
        const rateSlots: number[] = [];
        const results = items.map((asked) =>
          itemResult(asked.vehicleId, () => {
            vehicles.push(batch.decide(asked, { ...none, maker }));
            rateSlots.push(asked.rateSlot);
          }),
        );
        expect(results.filter(({ accepted }) => accepted)).to.have.length(vehicles.length);
        for (const field of ['vehicleId', 'tag', 'publicKey', 'quotaSlot'] as const) {
          expect(new Set(vehicles.map((vehicle) => vehicle[field])).size, field).to.equal(vehicles.length);
        }
        expect(new Set(rateSlots).size).to.equal(rateSlots.length);
        expect(vehicles.every(({ quotaSlot }) => quotaSlot < policy.vehicleQuota)).to.equal(true);
        expect(rateSlots.every((slot) => slot < policy.enrollmentsPerWindow)).to.equal(true);
        const [first] = items;
        const inBounds = first!.quotaSlot < policy.vehicleQuota && first!.rateSlot < policy.enrollmentsPerWindow;
        expect(results[0]?.accepted, 'the first one has nothing before it').to.equal(inBounds);
      }),
      { numRuns: 60 },
    );
  });
});
