// SPDX-License-Identifier: Apache-2.0
import type { RoundOpening, Envelope, RecordUpdate, Task } from '@sev/chaincode/api';
import type { AttackOrder } from '../attack/attack-order.js';
import type { EarlierRounds } from '../attack/earlier-rounds.js';
import type { ConnectionProfile } from '../config/profile.js';
import type { HeKeys } from '../homomorphic/vehicle-report.js';
import type { AttemptRef } from '../services/attempt.js';
import type { DataPlan } from './data.js';

/** One vehicle of a pool: its enrollment id, and which client of the data plan it is. */
export interface PooledVehicle {
  readonly vehicleId: string;
  readonly client: number;
}

/** What a worker is started with. No key is among it: the worker reads its vehicles' keys from the home itself. */
export interface WorkerStart {
  readonly home: string;
  readonly profile: ConnectionProfile;
  readonly vehicles: readonly PooledVehicle[];
  readonly plan: DataPlan;
  /** Whether vehicles say how well a base model fits their rows when they are drawn; default true. */
  readonly validates?: boolean | undefined;
  /** Where some of the vehicles attack on purpose. */
  readonly attack?: AttackOrder | undefined;
}

/** An open attempt, as a vehicle sees it. */
export interface OpenRoundRef extends AttemptRef {
  readonly baseModelHash: string;
  /** In a secure mode: whom shares are sealed to. */
  readonly opening?: RoundOpening;
  /** Where the task draws vehicles to validate: who is. */
  readonly drawn?: readonly string[];
  /** In mode `he`: the keys of the attempt. */
  readonly he?: HeKeys;
}

/** What vehicles train in an attempt, and what they sign for it. */
export interface TrainingOrder {
  /** The network's name in signed statements. */
  readonly consortium: string;
  readonly task: Task;
  readonly round: OpenRoundRef;
  /** Base parameters, length d. */
  readonly parameters: Float32Array;
  /** What vehicles that attack go by; honest ones need none of it. */
  readonly earlier?: EarlierRounds;
}

export interface TrainRequest {
  readonly type: 'train';
  readonly job: number;
  readonly order: TrainingOrder;
  readonly vehicleIds: readonly string[];
}
/** Has a vehicle record its own update, with its own identity. */
export interface RecordRequest {
  readonly type: 'record';
  readonly job: number;
  readonly argument: RecordUpdate;
}
/** Makes a running training stop before its next vehicle. */
export interface CancelRequest {
  readonly type: 'cancel';
  readonly job: number;
}
export type WorkerRequest = TrainRequest | RecordRequest | CancelRequest;

/** A failure on its way out of a worker. */
export interface WorkerFailure {
  readonly code: string;
  readonly message: string;
}
export type SharePath = '/shares' | '/he/shares';
/** Shares of one vehicle's update. */
export interface SealedShares {
  /** Where they go: `/shares` of aggregators, `/he/shares` in mode `he`. */
  readonly path: SharePath;
  /** Aggregators without whose receipts the update cannot be summed: t + 1, in mode `he` both. */
  readonly needed: number;
  /** Base64 of the sealed share of each aggregator of the opening, in mode `he` of the report's messages, by MSP id. */
  readonly sealed: Readonly<Record<string, string>>;
}

/** A trained vehicle's update, and the envelope that it signed. */
export interface TrainedUpdate {
  readonly vehicleId: string;
  /** For the store: 4·d bytes; in a secure mode the encrypted component of its shares, in mode `he` nothing. */
  readonly bytes: Uint8Array;
  /** In a secure mode. */
  readonly shares?: SealedShares;
  readonly envelope: Envelope;
  /** Where the envelope says something of the base: one for the same update that does not, should the ledger refuse the word. */
  readonly silent?: Envelope;
  /** Why the vehicle, though it was drawn, says nothing of the base. */
  readonly unsaid?: WorkerFailure;
}
export interface LoadedVehicle {
  readonly vehicleId: string;
  /** Organisation that enrolled it. */
  readonly mspId: string;
  readonly samples: number;
  /** Name of the feature set of its data. */
  readonly features: string;
}

export type WorkerMessage =
  | { readonly type: 'ready'; readonly vehicles: readonly LoadedVehicle[] }
  | { readonly type: 'failed'; readonly failure: WorkerFailure }
  | { readonly type: 'update'; readonly job: number; readonly update: TrainedUpdate }
  | { readonly type: 'skipped'; readonly job: number; readonly vehicleId: string; readonly failure: WorkerFailure }
  | { readonly type: 'done'; readonly job: number; readonly failure?: WorkerFailure };
