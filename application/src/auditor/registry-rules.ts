// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  enrollVehicles,
  setVehicleStatus,
  type Change,
  type MakerAttestation,
} from '@sev/chaincode/api';
import {
  consortiumOf,
  recordError,
  statementHolds,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import { checkKeyChange, isKeyChange } from './key-rules.js';
import type { Audited } from './records.js';

type Vehicle = Audited<'vehicle'>;
type VotedStatus = Extract<Change, { kind: 'vehicle-status' }>;

/** Which status may follow which; revoked is final. */
const NEXT_STATUS: Record<Vehicle['status'], readonly Vehicle['status'][]> = {
  active: ['suspended', 'revoked'],
  suspended: ['active', 'revoked'],
  revoked: [],
};

/** The change of status that a confirmed incident makes; undefined where there is none to make. */
export function revocationBy(
  { vehicles }: DomainState,
  decided: Audited<'incident'> | undefined,
): VotedStatus | undefined {
  const vehicle = vehicles.get(decided?.vehicleId ?? '');
  const isDone = vehicle?.status === 'revoked' && vehicle.statusSetBy === 'consortium';
  return decided?.state === 'confirmed' && !isDone
    ? { kind: 'vehicle-status', vehicleId: decided.vehicleId, status: 'revoked', reason: decided.incidentId }
    : undefined;
}

/** Checks every vehicle record that a transaction wrote, and that it wrote the one that an incident asks for. */
export function checkVehicleWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Vehicle>[],
  voted: VotedStatus | undefined,
): void {
  const isIncident = transaction.name === 'incidents:VoteIncident';
  if (isIncident && voted !== undefined && !writes.some(({ record }) => record.vehicleId === voted.vehicleId)) {
    throw recordError(transaction, 'VEHICLE_TRANSITION', `${voted.vehicleId} was not revoked by what was decided`);
  }
  for (const { record, before } of writes) {
    if (before === undefined) {
      checkEnrollment(state, transaction, record);
      state.counts.vehicles += 1;
    } else if (isKeyChange(transaction)) {
      checkKeyChange(state, transaction, record, before);
    } else {
      checkStatusChange(transaction, record, before, voted);
    }
    takeKey(state, transaction, record);
    state.vehicles.set(record.vehicleId, record);
  }
}

/** A key belongs to the vehicle that held it first, for good; a vehicle does not take up an old key of its own either. */
function takeKey(state: DomainState, transaction: DomainTransaction, { vehicleId, publicKey }: Vehicle): void {
  const holder = state.vehicleKeys.get(publicKey);
  const isPresent = state.vehicles.get(vehicleId)?.publicKey === publicKey;
  if (holder !== undefined && !isPresent) {
    throw recordError(transaction, 'KEY_REUSED', `vehicles ${holder} and ${vehicleId}`);
  }
  state.vehicleKeys.set(publicKey, vehicleId);
}

function checkEnrollment(state: DomainState, transaction: DomainTransaction, record: Vehicle): void {
  const { vehicleId } = record;
  if (transaction.name !== 'registry:EnrollVehicles') {
    throw recordError(transaction, 'RECORD_MALFORMED', `it wrote the new vehicle ${vehicleId}`);
  }
  const batch = enrollVehicles.parse(transaction.argument);
  const asked = batch.vehicles.find((v) => v.vehicleId === vehicleId && v.publicKey === record.publicKey);
  if (
    asked === undefined ||
    record.mspId !== transaction.creatorMspId ||
    record.domain !== batch.domain ||
    record.tag !== asked.tag ||
    record.makerKeyId !== asked.makerKeyId ||
    record.certificateNotAfterMs !== asked.certificateNotAfterMs ||
    record.status !== 'active' ||
    !hasFirstKey(record)
  ) {
    throw recordError(transaction, 'RECORD_MALFORMED', `vehicle ${vehicleId} is not what the registrar asked for`);
  }
  const { bootstrapHash: consortium, makers } = consortiumOf(state, transaction);
  const maker = makers.find((m) => m.makerKeyId === record.makerKeyId);
  const statement: MakerAttestation = {
    type: 'sev/maker-attestation/v1',
    consortium,
    makerKeyId: record.makerKeyId,
    publicKey: record.publicKey,
    mspId: record.mspId,
    domain: record.domain,
    tag: record.tag,
  };
  if (maker === undefined || !statementHolds(state, statement, asked.attestation, maker.publicKey)) {
    throw recordError(transaction, 'MAKER_ATTESTATION', `vehicle ${vehicleId}, maker's key ${record.makerKeyId}`);
  }
  if (record.makerMspId !== maker.mspId) {
    throw recordError(transaction, 'RECORD_MALFORMED', `vehicle ${vehicleId} names another organisation as its maker`);
  }
  takeTag(state, transaction, record, maker.publicKey);
}

/**
 * A car has one tag in a domain, among those of its maker's organisation and among those that its maker's key has
 * attested, wherever that key was accredited at the time.
 */
function takeTag(state: DomainState, transaction: DomainTransaction, record: Vehicle, makerKey: string): void {
  const { vehicleId, makerMspId, domain, tag } = record;
  for (const scope of [makerMspId, makerKey]) {
    const name = `${scope} ${domain} ${tag}`;
    const holder = state.tags.get(name);
    if (holder !== undefined) {
      throw recordError(transaction, 'TAG_REUSED', `vehicles ${holder} and ${vehicleId}`);
    }
    state.tags.set(name, vehicleId);
  }
}

function hasFirstKey({ keyRotations, previousKeyHash, keySetAtMs, enrolledAtMs, keySetBy }: Vehicle): boolean {
  return keyRotations === 0 && previousKeyHash === null && keySetAtMs === enrolledAtMs && keySetBy === 'enrollment';
}

function checkStatusChange(
  transaction: DomainTransaction,
  record: Vehicle,
  before: Vehicle,
  voted: VotedStatus | undefined,
): void {
  const { vehicleId, status } = record;
  const decided = voted ?? ownStatusChange(transaction, before);
  if (decided?.vehicleId !== vehicleId || decided.status !== status) {
    throw recordError(transaction, 'VEHICLE_TRANSITION', `nobody entitled to it made ${vehicleId} ${status}`);
  }
  if (status !== before.status && !NEXT_STATUS[before.status].includes(status)) {
    throw recordError(transaction, 'VEHICLE_TRANSITION', `${vehicleId} went from ${before.status} to ${status}`);
  }
  if (status === 'active' && before.status !== 'active' && before.statusSetBy === 'consortium' && voted === undefined) {
    throw recordError(transaction, 'VEHICLE_TRANSITION', `${vehicleId} was suspended by a vote`);
  }
  // A vote stays a vote until it is undone by one: what set the status is not the record's own word.
  const setBy = voted === undefined ? 'organisation' : 'consortium';
  if (record.statusSetBy !== setBy) {
    throw recordError(transaction, 'VEHICLE_TRANSITION', `${vehicleId} was made ${status} by its ${setBy}`);
  }
  const kept = { status: before.status, statusSetBy: before.statusSetBy };
  if (canonicalJson({ ...record, ...kept }) !== canonicalJson(before)) {
    throw recordError(transaction, 'RECORD_OVERWRITTEN', `vehicle ${vehicleId} changed more than its status`);
  }
}

function ownStatusChange(
  transaction: DomainTransaction,
  before: Vehicle,
): { readonly vehicleId: string; readonly status: Vehicle['status'] } | undefined {
  const isOwner = before.mspId === transaction.creatorMspId;
  return transaction.name === 'registry:SetVehicleStatus' && isOwner
    ? setVehicleStatus.parse(transaction.argument)
    : undefined;
}
