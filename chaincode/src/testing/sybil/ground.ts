// SPDX-License-Identifier: Apache-2.0
import type { Domain, Enrollment, ErrorCode, Policy, Role, VehicleRecord } from '../../api';
import { ERROR_CODES } from '../../api';
import type { SigningKey } from '../identities';

/** What is asked of a car's maker. */
export interface Wanted {
  readonly publicKey: string;
  readonly mspId: string;
  readonly domain: Domain;
  /** Default: the network under attack. */
  readonly consortium?: string;
}

/** A maker's word for a car. */
export interface AttestedCar {
  readonly makerKeyId: string;
  readonly tag: string;
  readonly attestation: string;
}

/**
 * A physical car as whoever has it can use it: its honest maker attests to it whatever it asks for, as often as it asks,
 * and always with the same tag in a domain.
 */
export interface Car {
  attest(wanted: Wanted): Promise<AttestedCar>;
  attestRecovery(
    vehicle: Pick<VehicleRecord, 'vehicleId' | 'mspId' | 'domain' | 'tag'>,
    change: { readonly rotation: number; readonly publicKey: string },
  ): Promise<Omit<AttestedCar, 'tag'>>;
}

/** Sends a transaction as one identity. @throws an error with the contract's code where it is refused. */
export type Submit = (transaction: string, argument: unknown) => Promise<unknown>;

/** A vehicle's certificate, as its organisation's CA gives it out. */
export interface CertifiedVehicle {
  readonly submit: Submit;
  readonly notAfterMs: number;
}

/** The network under attack: the contracts in memory, or a real one behind its gateways. */
export interface LedgerPort {
  /** What statements name the network by. */
  readonly consortium: string;
  /** Organisations that enrol vehicles, each of which may be the hostile one; the first two are not the same. */
  readonly organisations: readonly string[];
  readonly nowMs: () => number;
  /** A car that no registrar has seen. */
  newCar(): Car;
  as(mspId: string, role: Role): Promise<Submit>;
  /** Has the CA of an organisation, which may be hostile, certify a key for an id. */
  certify(mspId: string, vehicleId: string, key: SigningKey): Promise<CertifiedVehicle>;
  /** All vehicles on the ledger, once everything that was committed is in. */
  vehicles(): Promise<readonly VehicleRecord[]>;
}

export type Condition = 'active' | 'rotated' | 'recovered' | 'suspended' | 'revoked';

/** A car that holds its one identity, with all that whoever attacks with it may know. */
export interface EnrolledCar {
  readonly car: Car;
  readonly condition: Condition;
  readonly mspId: string;
  /** As it was enrolled; everybody on the channel can read it. */
  readonly enrollment: Enrollment;
  /** The key that it was enrolled with. */
  readonly firstKey: SigningKey;
  /** Its changes of key so far. */
  readonly rotations: number;
  /** Submits with a certificate for its present key. */
  readonly certified: CertifiedVehicle;
}

/** What the attempts of a campaign share. */
export interface SybilGround {
  readonly port: LedgerPort;
  readonly policy: Policy;
  readonly enrolled: readonly EnrolledCar[];
  /** A slot that nobody holds. */
  freeSlot(): number;
  /** The rate window of the present time. */
  window(): number;
}

/** The refusals, in order, that calls came to; what the contracts have no code for is thrown. */
export async function refusalsOf(...calls: readonly Promise<unknown>[]): Promise<string[]> {
  const codes = await Promise.all(calls.map((call) => call.then(codesOf, thrownCode)));
  return codes.flat();
}

function codesOf(result: unknown): string[] {
  const items = (result as { readonly results?: readonly { readonly code?: ErrorCode }[] }).results ?? [];
  return items.flatMap(({ code }) => (code === undefined ? [] : [code]));
}

function thrownCode(error: unknown): string[] {
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== 'string' || !(code in ERROR_CODES)) {
    throw error;
  }
  return [code];
}
