// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type BatchResult,
  type Domain,
  type Enrollment,
  type HistoryEntry,
  type Page,
  type VehicleRecord,
} from '../api';
import { keys, type Prefix } from './keys';
import type { StoredRecord } from './records';
import type { LedgerState } from './state';

/** Records read at a time while looking for free slots. */
const SLOT_PAGE = 1_000;

/** What the ledger already holds of the names that an enrollment wants to take. */
export interface TakenNames {
  readonly existing: VehicleRecord | undefined;
  readonly tagTaken: boolean;
  readonly publicKeyTaken: boolean;
  readonly quotaSlotTaken: boolean;
  readonly rateSlotTaken: boolean;
}

/** Vehicles and the indexes that keep tags, public keys and slots unique. */
export class RegistryRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  findVehicle(vehicleId: string): Promise<VehicleRecord | undefined> {
    return this.#state.get(keys.vehicle(vehicleId));
  }

  /** Those of the vehicles that there are, in the same order. */
  async findVehicles(vehicleIds: readonly string[]): Promise<VehicleRecord[]> {
    const found = await Promise.all(vehicleIds.map((vehicleId) => this.findVehicle(vehicleId)));
    return found.filter((vehicle) => vehicle !== undefined);
  }

  /** @throws ContractError VEHICLE_UNKNOWN */
  async vehicle(vehicleId: string): Promise<VehicleRecord> {
    const record = await this.findVehicle(vehicleId);
    if (record === undefined) {
      throw new ContractError('VEHICLE_UNKNOWN', vehicleId);
    }
    return record;
  }

  putVehicle(record: VehicleRecord): Promise<void> {
    return this.#state.put(keys.vehicle(record.vehicleId), record);
  }

  vehicles(pageSize: number, bookmark: string): Promise<Page<VehicleRecord>> {
    return this.#state.page(keys.vehicles(), pageSize, bookmark);
  }

  vehicleHistory(vehicleId: string, pageSize: number, bookmark: string): Promise<Page<HistoryEntry<VehicleRecord>>> {
    return this.#state.history(keys.vehicle(vehicleId), pageSize, bookmark);
  }

  /** @param makerMspId - the organisation of the item's maker; undefined where its key is not accredited. */
  async takenNames(
    mspId: string,
    makerMspId: string | undefined,
    domain: Domain,
    window: number,
    item: Enrollment,
  ): Promise<TakenNames> {
    const [existing, tagTaken, publicKeyTaken, quotaSlotTaken, rateSlotTaken] = await Promise.all([
      this.findVehicle(item.vehicleId),
      makerMspId !== undefined && this.#state.has(keys.tag(makerMspId, domain, item.tag)),
      this.publicKeyTaken(item.publicKey),
      this.#state.has(keys.quotaSlot(mspId, domain, item.quotaSlot)),
      this.#state.has(keys.rateSlot(mspId, domain, window, item.rateSlot)),
    ]);
    return { existing, tagTaken, publicKeyTaken, quotaSlotTaken, rateSlotTaken };
  }

  /** Writes a new vehicle and everything that keeps its names unique. */
  async enroll(vehicle: VehicleRecord, window: number, rateSlot: number): Promise<void> {
    const { vehicleId, mspId, domain, tag, makerMspId, publicKey, quotaSlot } = vehicle;
    const schemaVersion = 1;
    await Promise.all([
      this.putVehicle(vehicle),
      this.#state.put(keys.tag(makerMspId, domain, tag), { docType: 'tag', schemaVersion, vehicleId }),
      this.#state.put(keys.publicKey(publicKey), { docType: 'publicKey', schemaVersion, vehicleId }),
      this.#state.put(keys.quotaSlot(mspId, domain, quotaSlot), {
        docType: 'quotaSlot',
        schemaVersion,
        vehicleId,
        slot: quotaSlot,
      }),
      this.#state.put(keys.rateSlot(mspId, domain, window, rateSlot), {
        docType: 'rateSlot',
        schemaVersion,
        vehicleId,
        slot: rateSlot,
      }),
    ]);
  }

  publicKeyTaken(publicKey: string): Promise<boolean> {
    return this.#state.has(keys.publicKey(publicKey));
  }

  /** Writes a vehicle under a new key; the key before stays taken for good. */
  async putNewKey(vehicle: VehicleRecord): Promise<void> {
    const { vehicleId, publicKey } = vehicle;
    await this.putVehicle(vehicle);
    await this.#state.put(keys.publicKey(publicKey), { docType: 'publicKey', schemaVersion: 1, vehicleId });
  }

  putBatch(result: BatchResult): Promise<void> {
    return this.#state.put(keys.batch(result.docType, result.txId), result);
  }

  freeQuotaSlots(mspId: string, domain: Domain, bound: number, count: number): Promise<number[]> {
    return this.#freeSlots(keys.quotaSlots(mspId, domain), bound, count);
  }

  freeRateSlots(mspId: string, domain: Domain, window: number, bound: number, count: number): Promise<number[]> {
    return this.#freeSlots(keys.rateSlots(mspId, domain, window), bound, count);
  }

  /** The lowest `count` slots below `bound` that no record under the prefix holds; fewer where there are not so many. */
  async #freeSlots(
    range: Prefix<StoredRecord & { readonly slot: number }>,
    bound: number,
    count: number,
  ): Promise<number[]> {
    const free: number[] = [];
    let next = 0;
    const offerUpTo = (end: number): void => {
      for (; next < end && free.length < count; next += 1) {
        free.push(next);
      }
    };
    let bookmark = '';
    do {
      const page = await this.#state.page(range, SLOT_PAGE, bookmark);
      for (const { slot } of page.items) {
        offerUpTo(Math.min(slot, bound));
        next = Math.max(next, slot + 1);
      }
      bookmark = page.bookmark;
    } while (bookmark !== '' && free.length < count);
    offerUpTo(bound);
    return free;
  }
}
