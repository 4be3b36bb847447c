// SPDX-License-Identifier: Apache-2.0
import { signStatement, type KeyRotationStatement } from '../../api';
import { randomVehicleId, signingKey } from '../identities';
import {
  DOMAIN,
  enrolledCar,
  itemOf,
  kindsOf,
  oneBatch,
  otherThan,
  submitItems,
  withFreeSlots,
  type Attempt,
  type SybilKind,
} from './attempt';
import { refusalsOf, type Condition, type EnrolledCar, type SybilGround } from './ground';
import type { SeededChoice } from './seeded';

/** What a vehicle can try that has a car, its keys, its maker's ear, and registrars who submit whatever it hands in. */
export const byVehicle: readonly SybilKind[] = kindsOf('vehicle', {
  'new id and key': { code: 'TAG_ALREADY_ENROLLED', make: again() },
  'new id and key, of a suspended car': { code: 'TAG_ALREADY_ENROLLED', make: again('suspended') },
  'new id and key, of a revoked car': { code: 'TAG_ALREADY_ENROLLED', make: again('revoked') },
  'new id and key after a rotation': { code: 'TAG_ALREADY_ENROLLED', make: again('rotated') },
  'new id and key after a recovery': { code: 'TAG_ALREADY_ENROLLED', make: again('recovered') },
  'at another organisation': {
    code: 'TAG_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const other = otherThan(ground, random, mspId);
      return oneBatch(ground, other, [await itemOf(ground, car, { mspId: other })]);
    },
  },
  'new id, key kept': {
    code: 'TAG_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const { car, mspId, firstKey } = enrolledCar(ground, random, 'active');
      return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId, key: firstKey })]);
    },
  },
  'new id, key given up before': {
    code: 'TAG_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const { car, mspId, firstKey } = enrolledCar(ground, random, 'rotated', 'recovered');
      return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId, key: firstKey })]);
    },
  },
  'own enrollment replayed': {
    code: null,
    make: (ground, random) => Promise.resolve(replay(ground, enrolledCar(ground, random, 'active'))),
  },
  'own enrollment replayed after a change of key': {
    code: 'VEHICLE_CONFLICT',
    make: (ground, random) => Promise.resolve(replay(ground, enrolledCar(ground, random, 'rotated', 'recovered'))),
  },
  'own enrollment replayed under a new id': {
    code: 'TAG_ALREADY_ENROLLED',
    make: (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const item = withFreeSlots(ground, { ...enrollment, vehicleId: randomVehicleId() });
      return Promise.resolve(oneBatch(ground, mspId, [item]));
    },
  },
  'own id in other case': {
    code: 'TAG_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const { car, mspId, enrollment } = enrolledCar(ground, random);
      const vehicleId = `v-${otherCase(enrollment.vehicleId.slice(2))}`;
      return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId, vehicleId })]);
    },
  },
  'two organisations at the same time': { code: 'TAG_ALREADY_ENROLLED', make: race },
  'twice in one batch': {
    code: 'TAG_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const car = ground.port.newCar();
      const items = [await itemOf(ground, car, { mspId }), await itemOf(ground, car, { mspId })];
      return oneBatch(ground, mspId, items, { firsts: 1 });
    },
  },
  'by itself, without a registrar': {
    code: 'ACCESS_DENIED',
    make: async (ground, random) => {
      const { car, mspId, certified } = enrolledCar(ground, random, 'active');
      const item = await itemOf(ground, car, { mspId });
      const argument = { domain: DOMAIN, window: ground.window(), vehicles: [item] };
      const run = () => refusalsOf(certified.submit('registry:EnrollVehicles', argument));
      return { run, newIds: [item.vehicleId] };
    },
  },
  'attestation of another domain': {
    code: 'ATTESTATION_INVALID',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const domain = random.pick(['energy', 'sharing'] as const);
      return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId, domain })]);
    },
  },
  'attestation of a recovery': {
    code: 'ATTESTATION_INVALID',
    make: async (ground, random) => {
      const { car, mspId, enrollment, rotations } = enrolledCar(ground, random, 'active');
      const { publicKey } = signingKey();
      const vehicle = { ...enrollment, mspId, domain: DOMAIN };
      const attested = await car.attestRecovery(vehicle, { rotation: rotations + 1, publicKey });
      const item = { ...enrollment, vehicleId: randomVehicleId(), publicKey, ...attested };
      return oneBatch(ground, mspId, [withFreeSlots(ground, item)]);
    },
  },
  'rotation under a new id': { code: 'VEHICLE_UNKNOWN', make: rotateUnder(() => randomVehicleId()) },
  "rotation under another vehicle's id": {
    code: 'ACCESS_DENIED',
    make: (ground, random) => {
      const own = enrolledCar(ground, random, 'active');
      const others = ground.enrolled.filter((candidate) => candidate !== own);
      return rotation(ground, own, random.pick(others).enrollment.vehicleId);
    },
  },
});

/** The car asks once more, with all that is asked for. */
function again(...conditions: Condition[]): SybilKind['make'] {
  return async (ground, random) => {
    const { car, mspId } = enrolledCar(ground, random, ...conditions);
    return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId })]);
  };
}

function replay(ground: SybilGround, { mspId, enrollment }: EnrolledCar): Attempt {
  return oneBatch(ground, mspId, [enrollment], { victimId: enrollment.vehicleId });
}

function otherCase(text: string): string {
  return text.replace(/[a-z]/gi, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()));
}

/** A new car is handed in at two organisations, whose transactions may come to lie in one block. */
async function race(ground: SybilGround, random: SeededChoice): Promise<Attempt> {
  const mspId = random.pick(ground.port.organisations);
  const other = otherThan(ground, random, mspId);
  const car = ground.port.newCar();
  const items = [await itemOf(ground, car, { mspId }), await itemOf(ground, car, { mspId: other })] as const;
  return {
    run: () => refusalsOf(submitItems(ground, mspId, [items[0]]), submitItems(ground, other, [items[1]])),
    newIds: items.map(({ vehicleId }) => vehicleId),
    firsts: 1,
  };
}

function rotateUnder(id: () => string): SybilKind['make'] {
  return (ground, random) => rotation(ground, enrolledCar(ground, random, 'active'), id());
}

/** A change of key that both keys have signed, for an id that is not the vehicle's; the CA, in league, certifies it. */
function rotation(ground: SybilGround, own: EnrolledCar, vehicleId: string): Promise<Attempt> {
  const { certified, firstKey, enrollment, rotations } = own;
  const { consortium } = ground.port;
  const content = {
    vehicleId,
    rotation: rotations + 1,
    publicKey: enrollment.publicKey,
    certificateNotAfterMs: certified.notAfterMs,
  };
  const statement: KeyRotationStatement = { type: 'sev/rotate-key/v1', consortium, ...content };
  const proof = signStatement(statement, firstKey.privateKey);
  const argument = { ...content, previousKeyProof: proof, newKeyProof: proof };
  const isEnrolled = ground.enrolled.some((one) => one.enrollment.vehicleId === vehicleId);
  return Promise.resolve({
    run: () => refusalsOf(certified.submit('registry:RotateKey', argument)),
    newIds: isEnrolled ? [] : [vehicleId],
    ...(isEnrolled ? { victimId: vehicleId } : {}),
  });
}
