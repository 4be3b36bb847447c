// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import {
  bookmark,
  hash,
  identifier,
  mspId,
  pageSize,
  publicKey,
  reason,
  signature,
  timestampMs,
  vehicleId,
} from './primitives';
import type { ErrorCode } from './errors';
import type { NetworkBound } from './signed';

export const domain = z.enum(['learning', 'energy', 'sharing']);
export type Domain = z.infer<typeof domain>;
export const vehicleStatus = z.enum(['active', 'suspended', 'revoked']);
export type VehicleStatus = z.infer<typeof vehicleStatus>;

/**
 * What an accredited maker signs (with {@link signStatement}) for a car that wants an identity.
 * `tag` = HMAC-SHA-256(maker's secret, provisioning certificate id ‖ 0x00 ‖ domain), hex: the same car always gets the
 * same tag in a domain, and nobody but the maker can compute it. Tags are unique within the maker's organisation, so
 * that no other maker can use one up.
 */
export interface MakerAttestation extends NetworkBound {
  readonly type: 'sev/maker-attestation/v1';
  readonly makerKeyId: string;
  readonly publicKey: string;
  readonly mspId: string;
  readonly domain: Domain;
  readonly tag: string;
}

/**
 * What a vehicle signs, with the key that it gives up and with the one that it takes up, to go on under another key.
 * `rotation` counts from 1, so that what is signed for one change of key holds for no other.
 */
export interface KeyRotationStatement extends NetworkBound {
  readonly type: 'sev/rotate-key/v1';
  readonly vehicleId: string;
  readonly rotation: number;
  /** The key that it takes up. */
  readonly publicKey: string;
  /** End of that key's certificate. */
  readonly certificateNotAfterMs: number;
}

/**
 * What the maker of a car signs so that its vehicle gets another key although the present one is lost: the car asks,
 * known by its tag and holding the new key, for this vehicle and this change of key only. A {@link MakerAttestation},
 * which is made for whoever wants to enrol, does not do.
 */
export interface KeyRecoveryAttestation extends NetworkBound {
  readonly type: 'sev/key-recovery/v1';
  readonly makerKeyId: string;
  readonly vehicleId: string;
  readonly rotation: number;
  readonly publicKey: string;
  readonly mspId: string;
  readonly domain: Domain;
  readonly tag: string;
}

export const enrollment = z.strictObject({
  vehicleId,
  publicKey,
  /** End of the vehicle's certificate. */
  certificateNotAfterMs: timestampMs,
  tag: hash,
  makerKeyId: identifier,
  /** The maker's signature over the {@link MakerAttestation}. */
  attestation: signature,
  /** A free slot below the organisation's quota. */
  quotaSlot: z.int().nonnegative(),
  /** A free slot of the rate window. */
  rateSlot: z.int().nonnegative(),
});
export type Enrollment = z.infer<typeof enrollment>;

/** registry:EnrollVehicles — by a registrar, for vehicles of its own organisation. */
export const enrollVehicles = z.strictObject({
  domain,
  /** floor(transaction time / enrollmentWindowMs) */
  window: z.int().nonnegative(),
  vehicles: z.array(enrollment).min(1).max(50),
});
export type EnrollVehicles = z.infer<typeof enrollVehicles>;

/** The outcome of one item of a batch; refusals are committed beside acceptances. */
export interface ItemResult {
  readonly id: string;
  readonly accepted: boolean;
  readonly code?: ErrorCode;
  readonly detail?: string;
}
export interface BatchResult {
  readonly docType: 'enrollmentBatch' | 'updateBatch';
  readonly schemaVersion: 1;
  readonly txId: string;
  readonly results: readonly ItemResult[];
}

/** Whose word put the present key on the ledger. */
export type KeySetBy = 'enrollment' | 'vehicle' | 'maker';

export interface VehicleRecord {
  readonly docType: 'vehicle';
  readonly schemaVersion: 2;
  readonly vehicleId: string;
  readonly mspId: string;
  readonly domain: Domain;
  readonly publicKey: string;
  readonly certificateNotAfterMs: number;
  readonly tag: string;
  readonly makerKeyId: string;
  /** The organisation that the maker's key was accredited for at enrollment; the tag is unique among its tags. */
  readonly makerMspId: string;
  readonly quotaSlot: number;
  readonly status: VehicleStatus;
  readonly statusReason: string;
  /** Who set the status: what a vote suspended, only a vote reinstates. */
  readonly statusSetBy: 'organisation' | 'consortium';
  readonly enrolledAtMs: number;
  /** How often the key was replaced; the ledger's history keeps the keys before. */
  readonly keyRotations: number;
  /** SHA-256 of the text of the key before; null where the key is the one that was enrolled. */
  readonly previousKeyHash: string | null;
  readonly keySetAtMs: number;
  readonly keySetBy: KeySetBy;
}

/** registry:SetVehicleStatus — by a registrar of the vehicle's organisation. Revoked is final. */
export const setVehicleStatus = z.strictObject({ vehicleId, status: vehicleStatus, reason });
export type SetVehicleStatus = z.infer<typeof setVehicleStatus>;

const newKey = {
  vehicleId,
  /** The number that this change of key has: one more than the record's `keyRotations`. */
  rotation: z.int().min(1).max(1_000_000),
  publicKey,
  /** End of the new key's certificate. */
  certificateNotAfterMs: timestampMs,
};

/**
 * registry:RotateKey — by the vehicle itself, active and with its enrolled certificate in date. It is submitted with the
 * new certificate, which shows that the CA certified the new key for this vehicle and until when.
 */
export const rotateKey = z.strictObject({
  ...newKey,
  /** Signatures over the {@link KeyRotationStatement}: with the key that the ledger holds, and with the new one. */
  previousKeyProof: signature,
  newKeyProof: signature,
});
export type RotateKey = z.infer<typeof rotateKey>;

/**
 * registry:RecoverKey — for a vehicle that lost its key or let its certificate end: by a registrar of the vehicle's
 * organisation, with the word of the maker that attested the car when it was enrolled. Revoked vehicles stay as they are.
 */
export const recoverKey = z.strictObject({
  ...newKey,
  /** A key of the organisation that made the car. */
  makerKeyId: identifier,
  /** That key's signature over the {@link KeyRecoveryAttestation}. */
  attestation: signature,
});
export type RecoverKey = z.infer<typeof recoverKey>;

/** registry:GetVehicle */
export const getVehicle = z.strictObject({ vehicleId });
/** Vehicles that one query asks for, at the most. */
export const MAX_VEHICLES_FOUND = 100;
/** registry:FindVehicles → VehicleRecord[]: of those that are enrolled, in the order in which they are named. */
export const findVehicles = z.strictObject({
  vehicleIds: z
    .array(vehicleId)
    .min(1)
    .max(MAX_VEHICLES_FOUND)
    .refine((ids) => new Set(ids).size === ids.length, 'names a vehicle twice'),
});
/** registry:FreeSlots → {@link FreeSlots} */
export const freeSlots = z.strictObject({
  mspId,
  domain,
  window: z.int().nonnegative(),
  count: z.int().min(1).max(1_000),
});
export interface FreeSlots {
  readonly quotaSlots: readonly number[];
  readonly rateSlots: readonly number[];
}
/** registry:ListVehicles → Page<VehicleRecord>; registry:VehicleHistory → Page<HistoryEntry<VehicleRecord>> */
export const listVehicles = z.strictObject({ pageSize, bookmark });
export const vehicleHistory = z.strictObject({ vehicleId, pageSize, bookmark });

/** One page of an evaluated query; an empty bookmark ends the list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly bookmark: string;
}
/** One version of a record; newest first. */
export interface HistoryEntry<T> {
  readonly txId: string;
  readonly timestampMs: number;
  readonly deleted: boolean;
  readonly value: T | null;
}
