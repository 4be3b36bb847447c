// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import {
  MAX_VEHICLES_FOUND,
  parsePublicKey,
  updateStatement,
  verifyStatement,
  type Envelope,
  type ErrorCode,
  type ItemResult,
  type RoundRecord,
  type VehicleRecord,
} from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { registry } from '../ledger/contracts.js';
import { Collected } from './collected.js';
import { networkName, type NetworkName } from './network-name.js';
import type { ServiceSession } from './rounds.js';

export interface EnvelopeGateOptions {
  /** Vehicles whose keys are kept, at the most; default 20,000. */
  readonly maxVehicles?: number;
  /** Queries for vehicles, of up to 100 each, under way at a time; default 4. */
  readonly maxLookups?: number;
  /** Vehicles that are looked up or wait for it, at the most; default: any number. */
  readonly maxWaiting?: number;
  /** How long a key is trusted to be the present one where a signature does not hold with it; default 1 s. */
  readonly recheckMs?: number;
}

/** What keeps a vehicle's envelopes off the ledger. */
interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

interface KnownKey {
  readonly key: KeyObject;
  /** When the ledger was asked, on the process's own clock. */
  readonly readAt: number;
}

interface SeenVehicle {
  /** Undefined where there is none. */
  readonly vehicle: VehicleRecord | undefined;
  readonly readAt: number;
}

/**
 * Turns envelopes away that the ledger would refuse, before they cost a transaction or hold a round: anybody can send
 * one. The ledger decides about what passes. A key is looked up when its vehicle is first seen, and again where an
 * envelope does not hold with it: the vehicle may have changed its key. Vehicles that come at a time are looked up with
 * one query: the query itself is what costs a peer, not the records. A vehicle that was suspended since, or that still
 * signs with the key before, passes once, is refused by the ledger, and then is looked up again.
 */
export class EnvelopeGate {
  readonly #session: ServiceSession;
  readonly #maxVehicles: number;
  readonly #seen: Collected<string, SeenVehicle>;
  readonly #maxWaiting: number;
  readonly #recheckMs: number;
  /** Keys of active vehicles; the one used longest ago comes first. */
  readonly #keys = new Map<string, KnownKey>();
  readonly #lookups = new Map<string, Promise<KnownKey | Refusal>>();
  /** Forgotten while they are looked up: what is found may be older than what was heard. */
  readonly #stale = new Set<string>();
  readonly #network: NetworkName;

  constructor(session: ServiceSession, options: EnvelopeGateOptions = {}) {
    this.#session = session;
    this.#network = networkName(session);
    this.#maxVehicles = options.maxVehicles ?? 20_000;
    this.#maxWaiting = options.maxWaiting ?? Number.POSITIVE_INFINITY;
    this.#recheckMs = options.recheckMs ?? 1_000;
    this.#seen = new Collected((vehicleIds) => this.#query(vehicleIds), {
      maxItems: MAX_VEHICLES_FOUND,
      maxCalls: options.maxLookups ?? 4,
    });
  }

  /**
   * @returns undefined for an envelope that an active vehicle signed for this attempt, else what the ledger would answer.
   * @throws LedgerError where the vehicle could not be looked up; SevError SERVICE_BUSY where too many wait for that.
   */
  async refusalOf(
    round: Pick<RoundRecord, 'taskId' | 'round' | 'attempt' | 'baseModelHash'>,
    envelope: Envelope,
  ): Promise<ItemResult | undefined> {
    const { signature, ...said } = envelope;
    const { vehicleId } = said;
    const { taskId, attempt, baseModelHash } = round;
    const known = this.#known(vehicleId) ?? (await this.#lookUp(vehicleId));
    if ('code' in known) {
      return { id: vehicleId, accepted: false, ...known };
    }
    const content = { taskId, round: round.round, attempt, baseModelHash, ...said };
    const statement = updateStatement(await this.#network(), content);
    if (verifyStatement(statement, signature, known.key)) {
      return undefined;
    }
    // Not at once again, so that forged envelopes cost no more than a look now and then.
    if (performance.now() - known.readAt >= this.#recheckMs) {
      this.forget(vehicleId);
      return this.refusalOf(round, envelope);
    }
    const detail = 'not signed for this round with the key that the vehicle enrolled';
    return { id: vehicleId, accepted: false, code: 'SIGNATURE_INVALID', detail };
  }

  /** Has the vehicle looked up again when its next envelope comes. */
  forget(vehicleId: string): void {
    this.#keys.delete(vehicleId);
    if (this.#lookups.has(vehicleId)) {
      this.#stale.add(vehicleId);
    }
  }

  #known(vehicleId: string): KnownKey | undefined {
    const key = this.#keys.get(vehicleId);
    if (key !== undefined) {
      this.#keys.delete(vehicleId);
      this.#keys.set(vehicleId, key);
    }
    return key;
  }

  /** Looks a vehicle up, once however many envelopes in its name come at the same time. */
  async #lookUp(vehicleId: string): Promise<KnownKey | Refusal> {
    const underWay = this.#lookups.get(vehicleId);
    if (underWay !== undefined) {
      return underWay;
    }
    if (this.#lookups.size >= this.#maxWaiting) {
      throw new SevError('SERVICE_BUSY', `${String(this.#lookups.size)} vehicles are looked up`);
    }
    const lookup = this.#read(vehicleId).finally(() => {
      this.#lookups.delete(vehicleId);
      this.#stale.delete(vehicleId);
    });
    this.#lookups.set(vehicleId, lookup);
    return lookup;
  }

  async #read(vehicleId: string): Promise<KnownKey | Refusal> {
    const { vehicle, readAt } = await this.#seen.find(vehicleId);
    if (vehicle?.domain !== 'learning') {
      return { code: 'VEHICLE_UNKNOWN', detail: `${vehicleId} is not enrolled for learning` };
    }
    if (vehicle.status !== 'active') {
      return { code: 'VEHICLE_NOT_ACTIVE', detail: `the vehicle is ${vehicle.status}` };
    }
    const key = parsePublicKey(vehicle.publicKey);
    if (key === undefined) {
      return { code: 'SIGNATURE_INVALID', detail: 'the enrolled key is not one of P-256' };
    }
    const known = { key, readAt };
    if (!this.#stale.has(vehicleId)) {
      this.#keep(vehicleId, known);
    }
    return known;
  }

  async #query(vehicleIds: readonly string[]): Promise<SeenVehicle[]> {
    const readAt = performance.now();
    const found = await registry(this.#session).findVehicles(vehicleIds);
    const byId = new Map(found.map((vehicle) => [vehicle.vehicleId, vehicle]));
    return vehicleIds.map((vehicleId) => ({ vehicle: byId.get(vehicleId), readAt }));
  }

  #keep(vehicleId: string, known: KnownKey): void {
    this.#keys.set(vehicleId, known);
    const [oldest] = this.#keys.keys();
    if (this.#keys.size > this.#maxVehicles && oldest !== undefined) {
      this.#keys.delete(oldest);
    }
  }
}
