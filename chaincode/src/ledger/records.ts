// SPDX-License-Identifier: Apache-2.0
import type { MakerKey, Member, Policy } from '../api';

/** What every stored record carries, so that `migrations.ts` knows what it reads. */
export interface StoredRecord {
  readonly docType: string;
  readonly schemaVersion: number;
}

/** Marks a bootstrapped channel and binds the content it was bootstrapped with. */
export interface BootstrapRecord extends StoredRecord {
  readonly docType: 'bootstrap';
  readonly schemaVersion: 1;
  readonly contentHash: string;
  readonly bootstrappedBy: string;
  readonly bootstrappedAtMs: number;
}

export interface OrganisationRecord extends Member {
  readonly docType: 'organisation';
  readonly schemaVersion: 2;
}

export interface MakerRecord extends MakerKey {
  readonly docType: 'maker';
  readonly schemaVersion: 1;
}

export interface PolicyRecord extends Policy {
  readonly docType: 'policy';
  readonly schemaVersion: 1;
}

interface HeldByVehicle extends StoredRecord {
  readonly schemaVersion: 1;
  readonly vehicleId: string;
}

/** A physical vehicle's tag in a domain, among those of its maker's organisation; never released, so that a revoked car cannot come back under a new id. */
export interface TagRecord extends HeldByVehicle {
  readonly docType: 'tag';
}

export interface PublicKeyRecord extends HeldByVehicle {
  readonly docType: 'publicKey';
}

export interface QuotaSlotRecord extends HeldByVehicle {
  readonly docType: 'quotaSlot';
  readonly slot: number;
}

export interface RateSlotRecord extends HeldByVehicle {
  readonly docType: 'rateSlot';
  readonly slot: number;
}
