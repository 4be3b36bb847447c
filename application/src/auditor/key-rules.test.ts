// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { AuditCode } from './failure.js';
import { codeOf, FOREIGN, HASH, newKey, NOW, publicText, ready, type Scenario } from './testing/scenario.js';

/** What the record says after {@link Scenario.changeKey}, for writes that follow. */
const second = newKey();

describe('audit rules of keys', () => {
  const accepted: readonly (readonly [string, () => unknown])[] = [
    [
      'a key that the vehicle replaces, and an update signed with it',
      () => ready().changeKey(second).update({ signer: second }),
    ],
    [
      "a key that is replaced with the maker's word, though the certificate had ended",
      () => ready().changeKey(second, { recovery: {}, at: NOW + 1e9, record: { keySetAtMs: NOW + 1e9 } }),
    ],
    [
      'a vehicle of the first version whose key is replaced under the second',
      () => firstVersion().changeKey(second).update({ signer: second }),
    ],
    ['a vehicle of the first version that is suspended under the second', () => firstVersion().setStatus('suspended')],
    [
      'a vehicle that goes through the first version before it comes to the second',
      () => {
        const scenario = firstVersion();
        const write = { [`vehicle/${scenario.vehicleId}`]: scenario.firstVersionRecord({ status: 'suspended' }) };
        const argument = { vehicleId: scenario.vehicleId, status: 'suspended', reason: 'test' };
        scenario.submit('registry:SetVehicleStatus', argument, write);
        return scenario.setStatus('active').update();
      },
    ],
  ];
  for (const [what, run] of accepted) {
    it(`accept ${what}`, () => {
      expect(codeOf(run)).to.equal(undefined);
    });
  }

  const strangers = { publicKey: publicText(newKey()), notAfterMs: NOW + 2e9 };
  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    ['an update signed with the key before', 'UPDATE_SIGNATURE', () => ready().changeKey(second).update()],
    [
      'a key that the one before did not sign for',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { present: newKey() }),
    ],
    ['a key that did not sign itself', 'VEHICLE_KEY', () => ready().changeKey(second, { newSigner: newKey() })],
    [
      'a change signed for another network',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { statement: { consortium: FOREIGN } }),
    ],
    [
      'a change signed for another turn',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { statement: { rotation: 2 } }),
    ],
    [
      'a change submitted with the certificate of another key',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { creatorKey: strangers }),
    ],
    [
      'a change with a later end than the certificate has',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { creatorKey: { publicKey: publicText(second), notAfterMs: NOW + 1e9 } }),
    ],
    [
      "another organisation's change of a vehicle's key",
      'VEHICLE_KEY',
      () => ready().changeKey(second, { by: 'BMSP' }),
    ],
    [
      "another organisation's recovery of a vehicle",
      'VEHICLE_KEY',
      () => ready().changeKey(second, { by: 'CMSP', recovery: { attested: { mspId: 'CMSP' } } }),
    ],
    [
      "a recovery without the maker's word",
      'MAKER_ATTESTATION',
      () => ready().changeKey(second, { recovery: { signer: newKey() } }),
    ],
    [
      'a recovery with a word for another car',
      'MAKER_ATTESTATION',
      () => ready().changeKey(second, { recovery: { attested: { tag: HASH('b') } } }),
    ],
    [
      'a suspended vehicle that changes its key',
      'VEHICLE_KEY',
      () =>
        ready()
          .setStatus('suspended')
          .changeKey(second, { record: { status: 'suspended' } }),
    ],
    [
      'a revoked vehicle whose key is recovered',
      'VEHICLE_KEY',
      () =>
        ready()
          .setStatus('revoked')
          .changeKey(second, { recovery: {}, record: { status: 'revoked' } }),
    ],
    [
      'a change of key that changes the status as well',
      'RECORD_OVERWRITTEN',
      () => ready().changeKey(second, { record: { status: 'suspended' } }),
    ],
    [
      'a change of key that is not counted',
      'VEHICLE_KEY',
      () => ready().changeKey(second, { record: { keyRotations: 0 } }),
    ],
    [
      'a change of key that forgets the key before',
      'RECORD_OVERWRITTEN',
      () => ready().changeKey(second, { record: { previousKeyHash: HASH('0') } }),
    ],
    [
      'a key that another vehicle held',
      'KEY_REUSED',
      () =>
        ready()
          .enroll({ vehicleId: `v-${'B'.repeat(22)}`, tag: HASH('b'), key: second, record: { tag: HASH('b') } })
          .changeKey(second),
    ],
    [
      'a change of status that forgets a change of key',
      'RECORD_OVERWRITTEN',
      () => ready().changeKey(second).setStatus('suspended'),
    ],
    [
      'the first version writing over a change of key',
      'RECORD_OVERWRITTEN',
      () => {
        const scenario = ready().changeKey(second);
        const change = { status: 'suspended', publicKey: publicText(second), certificateNotAfterMs: NOW + 2e9 };
        const write = { [`vehicle/${scenario.vehicleId}`]: scenario.firstVersionRecord(change) };
        const argument = { vehicleId: scenario.vehicleId, status: 'suspended', reason: 'test' };
        scenario.submit('registry:SetVehicleStatus', argument, write);
      },
    ],
    [
      'a record of a version that there is none of',
      'RECORD_MALFORMED',
      () => ready().setStatus('suspended', { record: { schemaVersion: 3 } }),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}: ${code}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});

/** As {@link ready}, with the vehicle's record as the first version of the contracts wrote it. */
function firstVersion(): Scenario {
  return ready({
    schemaVersion: 1,
    keyRotations: undefined,
    previousKeyHash: undefined,
    keySetBy: undefined,
    keySetAtMs: undefined,
  });
}
