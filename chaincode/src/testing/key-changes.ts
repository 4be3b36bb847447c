// SPDX-License-Identifier: Apache-2.0
import {
  signStatement,
  type Domain,
  type KeyRecoveryAttestation,
  type KeyRotationStatement,
  type RecoverKey,
  type RotateKey,
  type VehicleRecord,
} from '../api';
import { MAKER, START_MS, type TestConsortium } from './consortium';
import type { Vehicle } from './fleet';
import { identity, type Identity, type SigningKey } from './identities';

/** End of the certificates of new keys. */
export const NEW_END_MS = START_MS + 500 * 86_400_000;

export interface KeyChangeOptions {
  /** Default 1. */
  readonly rotation?: number;
  readonly certificateNotAfterMs?: number;
  /** The network that is signed for; default: the consortium's. */
  readonly network?: string;
}

function statementOf(
  consortium: TestConsortium,
  { vehicleId }: Vehicle,
  { publicKey }: SigningKey,
  options: KeyChangeOptions,
): KeyRotationStatement {
  const { rotation = 1, certificateNotAfterMs = NEW_END_MS, network = consortium.bootstrapHash } = options;
  return { type: 'sev/rotate-key/v1', consortium: network, vehicleId, rotation, publicKey, certificateNotAfterMs };
}

/** A change of key that the vehicle signs with its present key and the new one. */
export function rotationOf(
  consortium: TestConsortium,
  vehicle: Vehicle,
  newKey: SigningKey,
  options: KeyChangeOptions = {},
): RotateKey {
  const statement = statementOf(consortium, vehicle, newKey, options);
  const { vehicleId, rotation, publicKey, certificateNotAfterMs } = statement;
  return {
    vehicleId,
    rotation,
    publicKey,
    certificateNotAfterMs,
    newKeyProof: signStatement(statement, newKey.privateKey),
    previousKeyProof: signStatement(statement, vehicle.key.privateKey),
  };
}

/** The vehicle with the certificate of a key, as its CA would issue it. */
export function vehicleIdentity(
  { vehicleId }: Vehicle,
  key: SigningKey,
  { mspId = MAKER, notAfterMs = NEW_END_MS }: { mspId?: string; notAfterMs?: number } = {},
): Promise<Identity> {
  return identity(mspId, 'vehicle', { commonName: vehicleId, key, notAfterMs });
}

/** Rotates the vehicle's key as the vehicle would. */
export async function rotate(
  consortium: TestConsortium,
  vehicle: Vehicle,
  newKey: SigningKey,
  options: KeyChangeOptions = {},
): Promise<VehicleRecord> {
  const argument = rotationOf(consortium, vehicle, newKey, options);
  return consortium.submitAs('registry:RotateKey', argument, await vehicleIdentity(vehicle, newKey));
}

export interface RecoveryOptions extends KeyChangeOptions {
  /** Default: the consortium's first maker. */
  readonly maker?: { readonly makerKeyId: string; readonly key: SigningKey };
  /** What the maker signs, where it differs from what is asked for. */
  readonly attested?: Partial<KeyRecoveryAttestation>;
}

/** A change of key that the maker attests because the vehicle lost its present key. */
export function recoveryOf(
  consortium: TestConsortium,
  vehicle: Vehicle,
  newKey: SigningKey,
  options: RecoveryOptions = {},
): RecoverKey {
  const { type: _type, consortium: network, ...asked } = statementOf(consortium, vehicle, newKey, options);
  const { vehicleId, rotation, publicKey } = asked;
  const { makerKeyId, key } = options.maker ?? { makerKeyId: 'maker-1', key: consortium.makerKey };
  const domain: Domain = 'learning';
  const attestation: KeyRecoveryAttestation = {
    type: 'sev/key-recovery/v1',
    consortium: network,
    makerKeyId,
    vehicleId,
    rotation,
    publicKey,
    mspId: MAKER,
    domain,
    tag: vehicle.tag,
    ...options.attested,
  };
  return { ...asked, makerKeyId, attestation: signStatement(attestation, key.privateKey) };
}

export function recover(
  consortium: TestConsortium,
  argument: RecoverKey,
  mspId: string = MAKER,
): Promise<VehicleRecord> {
  return consortium.submit('registry:RecoverKey', argument, mspId, 'registrar');
}
