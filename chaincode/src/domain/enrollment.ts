// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  TIME_MARGIN_MS,
  verifyStatement,
  type Domain,
  type Enrollment,
  type MakerAttestation,
  type MakerKey,
  type Policy,
  type VehicleRecord,
} from '../api';
import { publicKeyOf } from './public-keys';

/** What the ledger holds of the names that an enrollment asks for, and the key its maker is accredited with. */
export interface EnrollmentFacts {
  readonly existing: VehicleRecord | undefined;
  readonly tagTaken: boolean;
  readonly publicKeyTaken: boolean;
  readonly quotaSlotTaken: boolean;
  readonly rateSlotTaken: boolean;
  readonly maker: MakerKey | undefined;
}

export interface EnrollmentTerms {
  /** The network that attestations are for. */
  readonly consortium: string;
  readonly mspId: string;
  readonly domain: Domain;
  readonly policy: Policy;
  readonly nowMs: number;
}

/** @throws ContractError WINDOW_INVALID unless some time within the margin of the transaction's lies in the window. */
export function checkWindow(window: number, policy: Policy, nowMs: number): void {
  const first = Math.floor((nowMs - TIME_MARGIN_MS) / policy.enrollmentWindowMs);
  const last = Math.floor((nowMs + TIME_MARGIN_MS) / policy.enrollmentWindowMs);
  if (window < first || window > last) {
    const present = Math.floor(nowMs / policy.enrollmentWindowMs);
    throw new ContractError('WINDOW_INVALID', `window ${window}; that of the transaction's time is ${present}`);
  }
}

/**
 * Decides the enrollments of one batch in order. Names that an accepted item took count as taken for the items after
 * it, because the ledger does not show a transaction its own writes.
 */
export class EnrollmentBatch {
  readonly #terms: EnrollmentTerms;
  readonly #taken = new Set<string>();

  constructor(terms: EnrollmentTerms) {
    this.#terms = terms;
  }

  /**
   * @returns the vehicle to write, or the record on the ledger where the same vehicle is enrolled already.
   * @throws ContractError with the code of the first rule that the item breaks.
   */
  decide(item: Enrollment, facts: EnrollmentFacts): VehicleRecord {
    if (facts.existing !== undefined) {
      this.#requireSame(item, facts.existing);
      return facts.existing;
    }
    this.#checkBounds(item);
    const makerMspId = this.#checkAttestation(item, facts.maker);
    this.#takeNames(item, makerMspId, facts);
    return this.#record(item, makerMspId);
  }

  #requireSame(item: Enrollment, existing: VehicleRecord): void {
    const { mspId, domain } = this.#terms;
    const same =
      existing.mspId === mspId &&
      existing.domain === domain &&
      existing.publicKey === item.publicKey &&
      existing.tag === item.tag &&
      existing.makerKeyId === item.makerKeyId &&
      existing.certificateNotAfterMs === item.certificateNotAfterMs;
    if (!same) {
      throw new ContractError('VEHICLE_CONFLICT', 'enrolled before with other content');
    }
  }

  #checkBounds(item: Enrollment): void {
    const { policy, nowMs } = this.#terms;
    if (item.quotaSlot >= policy.vehicleQuota) {
      throw new ContractError('QUOTA_EXCEEDED', `slot ${item.quotaSlot} of ${policy.vehicleQuota}`);
    }
    if (item.rateSlot >= policy.enrollmentsPerWindow) {
      throw new ContractError(
        'RATE_EXCEEDED',
        `slot ${item.rateSlot} of ${policy.enrollmentsPerWindow} in this window`,
      );
    }
    if (item.certificateNotAfterMs <= nowMs) {
      throw new ContractError('VEHICLE_CERTIFICATE_EXPIRED', `ended at ${item.certificateNotAfterMs}`);
    }
    if (publicKeyOf(item.publicKey) === undefined) {
      throw new ContractError('ARGUMENT_INVALID', 'publicKey: not a P-256 public key');
    }
  }

  /** @returns the maker's organisation. */
  #checkAttestation(item: Enrollment, maker: MakerKey | undefined): string {
    const makerKey = maker && publicKeyOf(maker.publicKey);
    if (maker === undefined || makerKey === undefined) {
      throw new ContractError('MAKER_UNKNOWN', item.makerKeyId);
    }
    const statement: MakerAttestation = {
      type: 'sev/maker-attestation/v1',
      consortium: this.#terms.consortium,
      makerKeyId: item.makerKeyId,
      publicKey: item.publicKey,
      mspId: this.#terms.mspId,
      domain: this.#terms.domain,
      tag: item.tag,
    };
    if (!verifyStatement(statement, item.attestation, makerKey)) {
      throw new ContractError('ATTESTATION_INVALID', `maker key ${item.makerKeyId}`);
    }
    return maker.mspId;
  }

  #takeNames(item: Enrollment, makerMspId: string, facts: EnrollmentFacts): void {
    const names = [
      { name: `tag ${item.tag} of ${makerMspId}`, taken: facts.tagTaken, code: 'TAG_ALREADY_ENROLLED' },
      { name: `key ${item.publicKey}`, taken: facts.publicKeyTaken, code: 'PUBLIC_KEY_ALREADY_ENROLLED' },
      { name: `id ${item.vehicleId}`, taken: false, code: 'VEHICLE_CONFLICT' },
      { name: `quota slot ${item.quotaSlot}`, taken: facts.quotaSlotTaken, code: 'SLOT_TAKEN' },
      { name: `rate slot ${item.rateSlot}`, taken: facts.rateSlotTaken, code: 'SLOT_TAKEN' },
    ] as const;
    for (const { name, taken, code } of names) {
      if (taken || this.#taken.has(name)) {
        throw new ContractError(code, taken ? `${name} is on the ledger` : `${name} occurs before in this batch`);
      }
    }
    names.forEach(({ name }) => this.#taken.add(name));
  }

  #record(item: Enrollment, makerMspId: string): VehicleRecord {
    const { mspId, domain, nowMs } = this.#terms;
    const { vehicleId, publicKey, certificateNotAfterMs, tag, makerKeyId, quotaSlot } = item;
    return {
      docType: 'vehicle',
      schemaVersion: 2,
      vehicleId,
      mspId,
      domain,
      publicKey,
      certificateNotAfterMs,
      tag,
      makerKeyId,
      makerMspId,
      quotaSlot,
      status: 'active',
      statusReason: 'enrolled',
      statusSetBy: 'organisation',
      enrolledAtMs: nowMs,
      keyRotations: 0,
      previousKeyHash: null,
      keySetAtMs: nowMs,
      keySetBy: 'enrollment',
    };
  }
}
