// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  recoverKey,
  rotateKey,
  sha256Hex,
  type KeyRecoveryAttestation,
  type KeyRotationStatement,
  type RecoverKey,
  type RotateKey,
} from '@sev/chaincode/api';
import {
  consortiumOf,
  recordError,
  statementHolds,
  type DomainState,
  type DomainTransaction,
} from './domain-context.js';
import type { AuditError } from './failure.js';
import type { Audited } from './records.js';

type Vehicle = Audited<'vehicle'>;

/** True for the transactions by which a vehicle gets another key. */
export function isKeyChange({ name }: DomainTransaction): boolean {
  return name === 'registry:RotateKey' || name === 'registry:RecoverKey';
}

/**
 * A vehicle's key is replaced by the vehicle, which holds both keys and shows the new certificate, or with the word of
 * the maker that attested the car; nothing else of the record changes.
 *
 * @throws AuditError VEHICLE_KEY, RECORD_OVERWRITTEN
 */
export function checkKeyChange(
  state: DomainState,
  transaction: DomainTransaction,
  record: Vehicle,
  before: Vehicle,
): void {
  const isOwn = transaction.name === 'registry:RotateKey';
  const asked = isOwn ? rotateKey.parse(transaction.argument) : recoverKey.parse(transaction.argument);
  checkChanged(transaction, record, before, asked, isOwn ? 'vehicle' : 'maker');
  if (before.mspId !== transaction.creatorMspId) {
    throw keyError(transaction, record, `it was asked for by ${transaction.creatorMspId}`);
  }
  if ('previousKeyProof' in asked) {
    checkRotation(state, transaction, before, asked);
  } else {
    checkRecovery(state, transaction, before, asked);
  }
}

function checkChanged(
  transaction: DomainTransaction,
  record: Vehicle,
  before: Vehicle,
  asked: RotateKey | RecoverKey,
  keySetBy: Vehicle['keySetBy'],
): void {
  const expected: Vehicle = {
    ...before,
    publicKey: asked.publicKey,
    certificateNotAfterMs: asked.certificateNotAfterMs,
    keyRotations: before.keyRotations + 1,
    previousKeyHash: sha256Hex(before.publicKey),
    keySetAtMs: transaction.timestampMs,
    keySetBy,
  };
  if (asked.vehicleId !== record.vehicleId || asked.rotation !== record.keyRotations) {
    throw keyError(transaction, record, 'the record is not what was asked for');
  }
  if (canonicalJson(record) !== canonicalJson(expected)) {
    const detail = `vehicle ${record.vehicleId} changed otherwise than by the key that was asked for`;
    throw recordError(transaction, 'RECORD_OVERWRITTEN', detail);
  }
  if (record.certificateNotAfterMs <= transaction.timestampMs) {
    throw keyError(transaction, record, 'the new certificate had ended');
  }
}

function checkRotation(state: DomainState, transaction: DomainTransaction, before: Vehicle, asked: RotateKey): void {
  if (before.status !== 'active' || before.certificateNotAfterMs <= transaction.timestampMs) {
    throw keyError(transaction, before, 'the vehicle was not active or its certificate had ended');
  }
  const { publicKey, notAfterMs } = transaction.creatorKey;
  if (publicKey !== asked.publicKey || notAfterMs !== asked.certificateNotAfterMs) {
    throw keyError(transaction, before, 'the transaction was not submitted with the certificate of the new key');
  }
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  const { vehicleId, rotation, certificateNotAfterMs } = asked;
  const content = { vehicleId, rotation, publicKey, certificateNotAfterMs };
  const statement: KeyRotationStatement = { type: 'sev/rotate-key/v1', consortium, ...content };
  if (
    !statementHolds(state, statement, asked.previousKeyProof, before.publicKey) ||
    !statementHolds(state, statement, asked.newKeyProof, publicKey)
  ) {
    throw keyError(transaction, before, 'the key before or the new one has not signed');
  }
}

function checkRecovery(state: DomainState, transaction: DomainTransaction, before: Vehicle, asked: RecoverKey): void {
  if (before.status === 'revoked') {
    throw keyError(transaction, before, 'the vehicle was revoked');
  }
  const { bootstrapHash: consortium, makers } = consortiumOf(state, transaction);
  const { vehicleId, mspId, domain, tag } = before;
  const { makerKeyId, rotation, publicKey } = asked;
  const maker = makers.find((m) => m.makerKeyId === makerKeyId);
  const statement: KeyRecoveryAttestation = {
    type: 'sev/key-recovery/v1',
    consortium,
    makerKeyId,
    vehicleId,
    rotation,
    publicKey,
    mspId,
    domain,
    tag,
  };
  const isOwnMaker = maker !== undefined && maker.mspId === before.makerMspId;
  if (!isOwnMaker || !statementHolds(state, statement, asked.attestation, maker.publicKey)) {
    throw recordError(transaction, 'MAKER_ATTESTATION', `new key of vehicle ${vehicleId}, maker's key ${makerKeyId}`);
  }
}

function keyError(transaction: DomainTransaction, { vehicleId }: Vehicle, why: string): AuditError {
  return recordError(transaction, 'VEHICLE_KEY', `vehicle ${vehicleId}: ${why}`);
}
