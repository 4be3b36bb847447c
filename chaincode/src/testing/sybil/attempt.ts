// SPDX-License-Identifier: Apache-2.0
import type { Domain, Enrollment, ErrorCode, Role } from '../../api';
import { randomVehicleId, signingKey, type SigningKey } from '../identities';
import { refusalsOf, type Car, type Condition, type EnrolledCar, type SybilGround } from './ground';
import type { SeededChoice } from './seeded';

/** One try at a second identity. */
export interface Attempt {
  /** Does it. @returns the codes of what was refused, in order; none where nothing was. */
  readonly run: () => Promise<readonly string[]>;
  /** Ids that it would bring onto the ledger. */
  readonly newIds: readonly string[];
  /** How many of them the rule allows, because the car has no identity before; default 0. */
  readonly firsts?: number;
  /** Enrolled, and to stay exactly as it is. */
  readonly victimId?: string;
}

/** One way of trying. */
export interface SybilKind {
  readonly name: string;
  readonly attacker: 'vehicle' | 'organisation';
  /** With which codes it is refused; none where the contract takes it as a repetition that changes nothing. */
  readonly refusals: readonly string[];
  readonly make: (ground: SybilGround, random: SeededChoice) => Promise<Attempt>;
}

/** Shapes the kinds of one attacker. */
export function kindsOf(
  attacker: SybilKind['attacker'],
  kinds: Readonly<Record<string, { readonly code: ErrorCode | null; readonly make: SybilKind['make'] }>>,
): SybilKind[] {
  return Object.entries(kinds).map(([name, { code, make }]) => ({
    name,
    attacker,
    refusals: code === null ? [] : [code],
    make,
  }));
}

export const DOMAIN: Domain = 'learning';
const YEAR_MS = 365 * 86_400_000;

export interface ItemOptions {
  readonly mspId: string;
  readonly domain?: Domain;
  readonly key?: SigningKey;
  readonly vehicleId?: string;
}

/** An enrollment that the car's maker has truly attested, in free slots. */
export async function itemOf(ground: SybilGround, car: Car, options: ItemOptions): Promise<Enrollment> {
  const { mspId, domain = DOMAIN, key = signingKey(), vehicleId = randomVehicleId() } = options;
  const { publicKey } = key;
  const attested = await car.attest({ publicKey, mspId, domain });
  return withFreeSlots(ground, {
    vehicleId,
    publicKey,
    certificateNotAfterMs: ground.port.nowMs() + YEAR_MS,
    ...attested,
  });
}

export function withFreeSlots<T extends object>(
  ground: SybilGround,
  item: T,
): T & { quotaSlot: number; rateSlot: number } {
  const slot = ground.freeSlot();
  return { ...item, quotaSlot: slot, rateSlot: slot };
}

export interface EnrolOptions {
  readonly domain?: string;
  readonly window?: number;
  readonly role?: Role;
}

/** Submits items, well-formed or not, as a registrar. */
export async function submitItems(
  ground: SybilGround,
  mspId: string,
  vehicles: readonly object[],
  { domain = DOMAIN, window = ground.window(), role = 'registrar' }: EnrolOptions = {},
): Promise<unknown> {
  const submit = await ground.port.as(mspId, role);
  return submit('registry:EnrollVehicles', { domain, window, vehicles });
}

/** An attempt that consists of one batch. */
export function oneBatch(
  ground: SybilGround,
  mspId: string,
  items: readonly Readonly<Record<string, unknown> & { vehicleId: string }>[],
  options: EnrolOptions & Pick<Attempt, 'firsts' | 'victimId'> = {},
): Attempt {
  const { firsts, victimId, ...enrol } = options;
  const ids = [...new Set(items.map(({ vehicleId }) => vehicleId))].filter((id) => id !== victimId);
  return {
    run: () => refusalsOf(submitItems(ground, mspId, items, enrol)),
    newIds: ids,
    ...(firsts === undefined ? {} : { firsts }),
    ...(victimId === undefined ? {} : { victimId }),
  };
}

/** One of the enrolled cars, in one of these conditions. */
export function enrolledCar(ground: SybilGround, random: SeededChoice, ...conditions: Condition[]): EnrolledCar {
  return random.pick(
    ground.enrolled.filter(({ condition }) => conditions.length === 0 || conditions.includes(condition)),
  );
}

/** An organisation other than this one. */
export function otherThan(ground: SybilGround, random: SeededChoice, mspId: string): string {
  return random.pick(ground.port.organisations.filter((candidate) => candidate !== mspId));
}
