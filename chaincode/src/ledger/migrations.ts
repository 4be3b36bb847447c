// SPDX-License-Identifier: Apache-2.0
import { ContractError } from '../api';
import type { StoredRecord } from './records';

/** A record of some earlier version, as the ledger holds it. */
type Document = Readonly<Record<string, unknown>>;

/** Makes a record of version n into one of version n + 1; pure, so that all peers come to the same. */
type Upgrade = (record: Document) => Document;

/**
 * How records of earlier versions become those of the present one, by docType: the entry at index i leads from version
 * i + 1 to i + 2. What is not listed is at version 1. Entries are never changed once a version was in use, only added.
 */
const UPGRADES: Readonly<Record<string, readonly Upgrade[]>> = {
  vehicle: [
    (record) => ({
      ...record,
      keyRotations: 0,
      previousKeyHash: null,
      keySetAtMs: record['enrolledAtMs'],
      keySetBy: 'enrollment',
    }),
  ],
  organisation: [(record) => ({ ...record, admission: '' })],
  vote: [(record) => ({ ...record, admission: '' })],
  round: [
    (record) => (isDocument(record['secure']) ? { ...record, secure: secureFrom1(record, record['secure']) } : record),
  ],
  proposal: [({ executed, ...record }) => ({ ...record, state: executed === true ? 'executed' : 'open' })],
};

/** What a secure round of version 1 did not carry: its disputes' statements, and bases beyond its own round. */
function secureFrom1({ round }: Document, secure: Document): Document {
  const { disputes, shownAttempts } = secure as { disputes: readonly Document[]; shownAttempts: readonly number[] };
  return {
    ...secure,
    shownAttempts: shownAttempts.map((attempt) => ({ round, attempt })),
    disputes: disputes.map((dispute) => ({ ...dispute, said: [] })),
    accused: [],
  };
}

function isDocument(value: unknown): value is Document {
  return typeof value === 'object' && value !== null;
}

/** The version in which this version of the contracts writes a docType. */
export function schemaVersionOf(docType: string): number {
  return 1 + upgradesOf(docType).length;
}

/**
 * The record as this version of the contracts knows it. The ledger keeps what it holds until the record is next
 * written.
 *
 * @throws ContractError STATE_NEWER for a record that a newer version of the contracts wrote.
 */
export function upgraded(record: StoredRecord): StoredRecord {
  const { docType, schemaVersion } = record;
  const present = schemaVersionOf(docType);
  if (!Number.isSafeInteger(schemaVersion) || schemaVersion < 1) {
    throw new Error(`The ledger holds a ${docType} without a version`);
  }
  if (schemaVersion > present) {
    const detail = `a ${docType} of version ${schemaVersion}; this peer's contracts know up to ${present}`;
    throw new ContractError('STATE_NEWER', `${detail}: upgrade them`);
  }
  if (schemaVersion === present) {
    return record;
  }
  const missing = upgradesOf(docType).slice(schemaVersion - 1);
  const content = missing.reduce<Document>((document, upgrade) => upgrade(document), { ...record });
  return { ...content, docType, schemaVersion: present };
}

function upgradesOf(docType: string): readonly Upgrade[] {
  return Object.hasOwn(UPGRADES, docType) ? (UPGRADES[docType] ?? []) : [];
}
