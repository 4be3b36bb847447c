// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode } from '../../api';
import { randomVehicleId, signingKey } from '../identities';
import { enrolledCar, itemOf, kindsOf, oneBatch, type SybilKind } from './attempt';
import type { SybilGround } from './ground';
import type { SeededChoice } from './seeded';

const NO_SLOTS: readonly unknown[] = [-1, 0.5, '0', null, 2 ** 53, true];
/** Windows that are not the present one: far before, before, after, far after. */
const OTHER_WINDOWS: readonly number[] = [-1_000, -2, 2, 1_000_000];
const BATCH_LIMIT = 50;

/** What an organisation can try to get more identities than its quota and rate allow, with new cars that are truly attested. */
export const bySlots: readonly SybilKind[] = kindsOf('organisation', {
  'quota slot beyond the quota': slotted('QUOTA_EXCEEDED', ({ policy }, random) => ({
    quotaSlot: random.pick([policy.vehicleQuota, policy.vehicleQuota + 1, Number.MAX_SAFE_INTEGER]),
  })),
  'rate slot beyond the rate': slotted('RATE_EXCEEDED', ({ policy }, random) => ({
    rateSlot: random.pick([policy.enrollmentsPerWindow, policy.enrollmentsPerWindow + 1, Number.MAX_SAFE_INTEGER]),
  })),
  'quota slot that is no number': slotted('ARGUMENT_INVALID', (_, random) => ({ quotaSlot: random.pick(NO_SLOTS) })),
  'rate slot that is no number': slotted('ARGUMENT_INVALID', (_, random) => ({ rateSlot: random.pick(NO_SLOTS) })),
  'quota slot of another vehicle': {
    code: 'SLOT_TAKEN',
    make: async (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const item = await itemOf(ground, ground.port.newCar(), { mspId });
      return oneBatch(ground, mspId, [{ ...item, quotaSlot: enrollment.quotaSlot }]);
    },
  },
  'one quota slot for two': twoIn('SLOT_TAKEN', 'quotaSlot'),
  'one rate slot for two': twoIn('SLOT_TAKEN', 'rateSlot'),
  'one key for two cars': {
    code: 'PUBLIC_KEY_ALREADY_ENROLLED',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const key = signingKey();
      const items = await Promise.all([1, 2].map(() => itemOf(ground, ground.port.newCar(), { mspId, key })));
      return oneBatch(ground, mspId, items, { firsts: 1 });
    },
  },
  'one id for two cars': {
    code: 'VEHICLE_CONFLICT',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const vehicleId = randomVehicleId();
      const items = await Promise.all([1, 2].map(() => itemOf(ground, ground.port.newCar(), { mspId, vehicleId })));
      return oneBatch(ground, mspId, items, { firsts: 1 });
    },
  },
  'rate of another window': {
    code: 'WINDOW_INVALID',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const item = await itemOf(ground, ground.port.newCar(), { mspId });
      return oneBatch(ground, mspId, [item], { window: ground.window() + random.pick(OTHER_WINDOWS) });
    },
  },
  'batch beyond its limit': {
    code: 'BATCH_TOO_LARGE',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const item = await itemOf(ground, ground.port.newCar(), { mspId });
      const length = BATCH_LIMIT + 1 + random.integer(BATCH_LIMIT);
      const items = Array.from({ length }, () => ({ ...item, vehicleId: randomVehicleId() }));
      return oneBatch(ground, mspId, items);
    },
  },
});

function slotted(
  code: ErrorCode,
  slots: (ground: SybilGround, random: SeededChoice) => object,
): { readonly code: ErrorCode; readonly make: SybilKind['make'] } {
  const make: SybilKind['make'] = async (ground, random) => {
    const mspId = random.pick(ground.port.organisations);
    const item = await itemOf(ground, ground.port.newCar(), { mspId });
    return oneBatch(ground, mspId, [{ ...item, ...slots(ground, random) }]);
  };
  return { code, make };
}

/** Two new cars in one batch that name the same slot. */
function twoIn(
  code: ErrorCode,
  slot: 'quotaSlot' | 'rateSlot',
): { readonly code: ErrorCode; readonly make: SybilKind['make'] } {
  const make: SybilKind['make'] = async (ground, random) => {
    const mspId = random.pick(ground.port.organisations);
    const first = await itemOf(ground, ground.port.newCar(), { mspId });
    const second = await itemOf(ground, ground.port.newCar(), { mspId });
    return oneBatch(ground, mspId, [first, { ...second, [slot]: first[slot] }], { firsts: 1 });
  };
  return { code, make };
}
