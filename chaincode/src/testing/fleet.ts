// SPDX-License-Identifier: Apache-2.0
import {
  signStatement,
  type BatchResult,
  type Domain,
  type Enrollment,
  type Envelope,
  type MakerAttestation,
  type UpdateStatement,
} from '../api';
import { MAKER, START_MS, type TestConsortium } from './consortium';
import { randomHash, randomVehicleId, signingKey, type SigningKey } from './identities';

/** Rate windows in the tests last an hour. */
export const WINDOW = Math.floor(START_MS / 3_600_000);

/** A vehicle as it is before it is enrolled. */
export interface Vehicle {
  readonly vehicleId: string;
  readonly key: SigningKey;
  readonly tag: string;
}

export function newVehicle(): Vehicle {
  return { vehicleId: randomVehicleId(), key: signingKey(), tag: randomHash() };
}

export interface EnrollmentOptions {
  readonly slot: number;
  readonly mspId?: string;
  readonly domain?: Domain;
  /** Default: the consortium's first maker. */
  readonly maker?: { readonly makerKeyId: string; readonly key: SigningKey };
  /** The network that the maker attests for; default: the consortium's. */
  readonly network?: string;
  readonly change?: Partial<Enrollment>;
}

/** An enrollment that the maker attests; `change` alters it after the maker signed. */
export function enrollmentOf(consortium: TestConsortium, vehicle: Vehicle, options: EnrollmentOptions): Enrollment {
  const { slot, mspId = MAKER, domain = 'learning', network = consortium.bootstrapHash, change = {} } = options;
  const { makerKeyId, key } = options.maker ?? { makerKeyId: 'maker-1', key: consortium.makerKey };
  const { publicKey } = vehicle.key;
  const statement: MakerAttestation = {
    type: 'sev/maker-attestation/v1',
    consortium: network,
    makerKeyId,
    publicKey,
    mspId,
    domain,
    tag: vehicle.tag,
  };
  return {
    vehicleId: vehicle.vehicleId,
    publicKey,
    certificateNotAfterMs: START_MS + 365 * 86_400_000,
    tag: vehicle.tag,
    makerKeyId,
    attestation: signStatement(statement, key.privateKey),
    quotaSlot: slot,
    rateSlot: slot,
    ...change,
  };
}

export function enroll(
  consortium: TestConsortium,
  vehicles: readonly Enrollment[],
  { mspId = MAKER, domain = 'learning', window = WINDOW }: { mspId?: string; domain?: Domain; window?: number } = {},
): Promise<BatchResult> {
  return consortium.submit('registry:EnrollVehicles', { domain, window, vehicles }, mspId, 'registrar');
}

/** Enrolls new vehicles of the maker in slots from `firstSlot` on. */
export async function enrolledFleet(
  consortium: TestConsortium,
  size: number,
  firstSlot = 0,
  maker?: EnrollmentOptions['maker'],
): Promise<Vehicle[]> {
  const fleet = Array.from({ length: size }, newVehicle);
  for (let start = 0; start < size; start += 50) {
    const part = fleet.slice(start, start + 50);
    const items = part.map((vehicle, i) => {
      const slot = firstSlot + start + i;
      return enrollmentOf(consortium, vehicle, { slot, ...(maker === undefined ? {} : { maker }) });
    });
    const { results } = await enroll(consortium, items);
    const refused = results.find((result) => !result.accepted);
    if (refused !== undefined) {
      throw new Error(`${refused.code ?? ''}: ${refused.detail ?? ''}`);
    }
  }
  return fleet;
}

export type SignedUpdate = Omit<UpdateStatement, 'type' | 'vehicleId'>;

export function envelopeOf(vehicle: Vehicle, content: SignedUpdate): Envelope {
  const { vehicleId, key } = vehicle;
  const { updateHash, weightClass, validation } = content;
  const statement: UpdateStatement = { type: 'sev/update/v1', vehicleId, ...content };
  const word = validation === undefined ? {} : { validation };
  return { vehicleId, updateHash, weightClass, ...word, signature: signStatement(statement, key.privateKey) };
}
