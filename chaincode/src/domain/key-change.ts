// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  sha256Hex,
  verifyStatement,
  type KeyRecoveryAttestation,
  type KeyRotationStatement,
  type KeySetBy,
  type MakerKey,
  type RecoverKey,
  type RotateKey,
  type Signable,
  type VehicleRecord,
} from '../api';
import { publicKeyOf } from './public-keys';

/** What a change of key is judged by. */
export interface KeyChangeTerms {
  /** The network that statements are signed for. */
  readonly consortium: string;
  readonly nowMs: number;
  /** Whether any vehicle holds the new key, or ever held it. */
  readonly publicKeyTaken: boolean;
}

/** The key of the certificate that a transaction was submitted with, and when that certificate ends. */
export interface CertifiedKey {
  readonly publicKey: string;
  readonly notAfterMs: number;
}

type Asked = Pick<RotateKey, 'vehicleId' | 'rotation' | 'publicKey' | 'certificateNotAfterMs'>;

/**
 * The vehicle under a new key, by its own will: it holds the present key and the new one, and the CA has certified the
 * new one for it.
 *
 * @param certified - of the caller, who is the vehicle.
 * @returns the same object where the ledger has this key already.
 * @throws ContractError VEHICLE_NOT_ACTIVE, VEHICLE_CERTIFICATE_EXPIRED, KEY_ROTATION_STALE, ARGUMENT_INVALID,
 *   SIGNATURE_INVALID, PUBLIC_KEY_ALREADY_ENROLLED
 */
export function rotatedKey(
  vehicle: VehicleRecord,
  asked: RotateKey,
  certified: CertifiedKey,
  terms: KeyChangeTerms,
): VehicleRecord {
  if (certified.publicKey !== asked.publicKey || certified.notAfterMs !== asked.certificateNotAfterMs) {
    throw new ContractError('ARGUMENT_INVALID', 'publicKey: not that of the certificate which submits the change');
  }
  if (isDone(vehicle, asked)) {
    return vehicle;
  }
  // Whoever stole the key must not keep the vehicle by it: suspending it is enough.
  if (vehicle.status !== 'active') {
    throw new ContractError('VEHICLE_NOT_ACTIVE', `the vehicle is ${vehicle.status}`);
  }
  if (vehicle.certificateNotAfterMs <= terms.nowMs) {
    const detail = `ended at ${vehicle.certificateNotAfterMs}; its registrar can recover it`;
    throw new ContractError('VEHICLE_CERTIFICATE_EXPIRED', detail);
  }
  checkNewKey(vehicle, asked, terms);
  const { vehicleId, rotation, publicKey, certificateNotAfterMs } = asked;
  const content = { vehicleId, rotation, publicKey, certificateNotAfterMs };
  const statement: KeyRotationStatement = { type: 'sev/rotate-key/v1', consortium: terms.consortium, ...content };
  requireSignature(statement, asked.previousKeyProof, vehicle.publicKey, 'previousKeyProof');
  requireSignature(statement, asked.newKeyProof, publicKey, 'newKeyProof');
  return withKey(vehicle, asked, 'vehicle', terms);
}

/**
 * The vehicle under a new key although the present one is lost: the car that wants it is the one that was enrolled, says
 * its maker, and the vehicle's organisation, whose registrar asks, agrees.
 *
 * @param maker - the accredited key that the request names, if there is one.
 * @returns the same object where the ledger has this key already.
 * @throws ContractError VEHICLE_NOT_ACTIVE where it is revoked, MAKER_UNKNOWN, ATTESTATION_INVALID, KEY_ROTATION_STALE,
 *   ARGUMENT_INVALID, PUBLIC_KEY_ALREADY_ENROLLED, VEHICLE_CERTIFICATE_EXPIRED
 */
export function recoveredKey(
  vehicle: VehicleRecord,
  asked: RecoverKey,
  maker: MakerKey | undefined,
  terms: KeyChangeTerms,
): VehicleRecord {
  if (isDone(vehicle, asked)) {
    return vehicle;
  }
  if (vehicle.status === 'revoked') {
    throw new ContractError('VEHICLE_NOT_ACTIVE', 'the vehicle is revoked, which is final');
  }
  if (maker === undefined) {
    throw new ContractError('MAKER_UNKNOWN', asked.makerKeyId);
  }
  // Tags are the maker's own: another maker's word for the same tag would hand the vehicle to another car.
  if (maker.mspId !== vehicle.makerMspId) {
    throw new ContractError('ATTESTATION_INVALID', `${asked.makerKeyId} is not a key of ${vehicle.makerMspId}`);
  }
  checkNewKey(vehicle, asked, terms);
  const { vehicleId, mspId, domain, tag } = vehicle;
  const { makerKeyId, rotation, publicKey } = asked;
  const statement: KeyRecoveryAttestation = {
    type: 'sev/key-recovery/v1',
    consortium: terms.consortium,
    makerKeyId,
    vehicleId,
    rotation,
    publicKey,
    mspId,
    domain,
    tag,
  };
  const makerKey = publicKeyOf(maker.publicKey);
  if (makerKey === undefined || !verifyStatement(statement, asked.attestation, makerKey)) {
    throw new ContractError('ATTESTATION_INVALID', `maker key ${makerKeyId}`);
  }
  return withKey(vehicle, asked, 'maker', terms);
}

/** A change of key that was made before is not made again: its keys are never free, so it cannot be another one. */
function isDone(vehicle: VehicleRecord, { publicKey, rotation, certificateNotAfterMs }: Asked): boolean {
  return (
    vehicle.publicKey === publicKey &&
    vehicle.keyRotations === rotation &&
    vehicle.certificateNotAfterMs === certificateNotAfterMs
  );
}

function checkNewKey(vehicle: VehicleRecord, asked: Asked, terms: KeyChangeTerms): void {
  const next = vehicle.keyRotations + 1;
  if (asked.rotation !== next) {
    throw new ContractError('KEY_ROTATION_STALE', `rotation ${asked.rotation}; the next one is ${next}`);
  }
  if (asked.certificateNotAfterMs <= terms.nowMs) {
    throw new ContractError('VEHICLE_CERTIFICATE_EXPIRED', `the new one ended at ${asked.certificateNotAfterMs}`);
  }
  if (publicKeyOf(asked.publicKey) === undefined) {
    throw new ContractError('ARGUMENT_INVALID', 'publicKey: not a P-256 public key');
  }
  if (terms.publicKeyTaken) {
    throw new ContractError('PUBLIC_KEY_ALREADY_ENROLLED', 'a vehicle holds the new key, or held it once');
  }
}

function requireSignature(statement: Signable, signature: string, publicKey: string, name: string): void {
  const key = publicKeyOf(publicKey);
  if (key === undefined || !verifyStatement(statement, signature, key)) {
    throw new ContractError('SIGNATURE_INVALID', `${name}: not signed for this change of key`);
  }
}

function withKey(vehicle: VehicleRecord, asked: Asked, keySetBy: KeySetBy, { nowMs }: KeyChangeTerms): VehicleRecord {
  const { publicKey, rotation, certificateNotAfterMs } = asked;
  return {
    ...vehicle,
    publicKey,
    certificateNotAfterMs,
    keyRotations: rotation,
    previousKeyHash: sha256Hex(vehicle.publicKey),
    keySetAtMs: nowMs,
    keySetBy,
  };
}
