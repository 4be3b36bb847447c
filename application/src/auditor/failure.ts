// SPDX-License-Identifier: Apache-2.0

/** What an audit can find wrong. The codes are stable; `sev audit verify` prints them. */
export const AUDIT_CODES = {
  EXPORT_MALFORMED: 'The export file does not have the documented form.',
  EXPORT_INCOMPLETE: 'The export file ends before its last block.',
  EXPORT_CHECKSUM: 'The bytes of the export file do not match its closing checksum.',
  ROOT_CERTIFICATE: 'A root certificate that is to be trusted cannot be read.',
  LEDGER_EMPTY: 'There is no block to check.',
  GENESIS_MISMATCH: 'Block 0 is not the one that the connection profile names.',
  CHANNEL_ROOTS: 'The organisations or roots that are to be trusted are not those of the channel.',
  BLOCK_UNREADABLE: 'The peer that keeps the block says that its file has changed.',
  BLOCK_MALFORMED: 'The block is not a block of Fabric.',
  BLOCK_NUMBER: 'The blocks do not follow one another.',
  PREVIOUS_HASH: 'The block does not continue the chain: its previous hash is not the hash of the block before.',
  DATA_HASH: 'The transactions of the block do not match the data hash of its header.',
  ORDERER_SIGNATURE: 'A signature of the block is not that of an orderer of the channel.',
  ORDERER_QUORUM: 'Fewer orderers signed the block than the configuration in force demands.',
  COMMIT_HASH: "The peer's running hash over validation codes and writes is not the one that follows.",
  BLOCK_METADATA: 'The metadata of the block contradicts its content.',
  VALIDATION_FLAG: 'The validation code that the peer recorded is not the one that follows from the block.',
  CONFIG_TRANSACTION:
    'A configuration does not follow from the one in force, or was not signed by those who may change it.',
  KEY_POLICY_UNSUPPORTED: 'A key was given an endorsement policy of its own, which this version cannot check.',
  CREATOR_CERTIFICATE: "The creator's certificate was not valid at the time of the transaction.",
  RECORD_MALFORMED: 'A record on the ledger does not have the documented form.',
  RECORD_UNKNOWN: 'A record refers to something that is not on the ledger.',
  RECORD_OVERWRITTEN: 'A record that is written once was written again with other content.',
  GOVERNANCE_INVALID: 'The consortium was changed without a majority of its organisations.',
  MAKER_ATTESTATION: "A vehicle was enrolled without a valid attestation by an accredited maker's key.",
  TAG_REUSED: 'Two vehicles of a domain hold the same tag: one car, two identities.',
  CREATOR_NOT_MEMBER: 'The transaction comes from an organisation that was no member of the consortium.',
  VEHICLE_TRANSITION: 'The status of a vehicle changed against the rules.',
  VEHICLE_KEY: 'The key of a vehicle was replaced against the rules.',
  KEY_REUSED: 'Two vehicles hold, or held, the same key.',
  UPDATE_SIGNATURE: "The envelope's signature does not hold for the vehicle's enrolled key.",
  UPDATE_INVALID: 'An update was recorded that the open round could not accept.',
  BATCH_RESULT: 'The results that a batch recorded do not match the records it wrote.',
  ROUND_TRANSITION: 'The state of a round changed against the rules.',
  STATEMENTS_INSUFFICIENT: 'The signed statements do not come from a majority of organisations.',
  COHORT_MISMATCH: 'A cohort or a proposal does not cover the recorded updates.',
  OPENING_INVALID: 'A secure round was opened in a way that its task does not allow.',
  STATEMENT_SIGNATURE: 'A statement of the secure protocol was not signed by the organisation that it names.',
  RECEIPT_INVALID: "A receipt was taken that is not an aggregator's for a recorded update.",
  NONCE_MISMATCH: 'Nonces or noise were shown that the opening did not commit to.',
  ACCUSATION_INVALID: 'An abort accuses organisations of false noise that it cannot accuse.',
  VALIDATION_INVALID: 'Validators, or drawn vehicles, were heard, named, bound to data or set aside against the rules.',
  STANDING_INVALID: 'The standing of a vehicle does not follow from the evidence of its rounds.',
  INCIDENT_INVALID: 'An incident was opened, voted on or decided against the rules.',
  CORRECTION_INVALID: 'A model was corrected against the rules, or with another than the one that is kept.',
  REWARD_INVALID: 'Rewards moved that do not follow from scores and incidents, or did not move that do.',
  SCORES_INVALID: 'The weights of a round do not follow from its cohort and from what aggregators answered.',
  SUMS_INVALID:
    'The committed sums are not those that aggregators signed, these contradict each other, or one aggregator alone answers.',
  SUMS_TOO_CLOSE: 'Sums were, or could be, shown whose difference shows few vehicles.',
  BASE_TAKEN: 'A task begins with, or goes on from, a model that is the base of another task.',
  BUDGET_EXCEEDED: 'A round was opened, or went on, beyond a budget of its task.',
  DISPUTE_INVALID: 'A dispute was opened, settled or passed over against the rules.',
  MODEL_CHAIN: 'The base model of a round is not the model of the round before.',
  OBJECT_MISSING: 'The store lacks an object that the ledger refers to.',
  CONTENT_HASH_MISMATCH: 'The store holds other bytes under this name.',
  OBJECT_MALFORMED: 'The object is not a vector of the length that the task names.',
  AGGREGATION_MISMATCH: 'Aggregating the recorded updates, or the committed sums, again gives another model.',
  REPORT_MISMATCH: 'The report names another model than the blocks hold.',
} as const;

export type AuditCode = keyof typeof AUDIT_CODES;

/** What the reader of a finding can do next, where that is more than to distrust what was audited. */
export const AUDIT_HINTS: Readonly<Partial<Record<AuditCode, string>>> = {
  OBJECT_MISSING: 'is this the store of that task? Name further stores with --store',
};
export type AuditKind = 'export' | 'block' | 'transaction' | 'record' | 'object' | 'model';

/** The first thing that does not hold. */
export interface AuditFailure {
  readonly kind: AuditKind;
  /** Which one: `block 12, transaction 3 (1f0c…)`, `round price-1/4`, `object 9a3e…`. */
  readonly where: string;
  readonly code: AuditCode;
  readonly detail: string;
}

/** Ends a check at its first failure; {@link verifyLedger} turns it into its result. */
export class AuditError extends Error {
  readonly failure: AuditFailure;

  constructor(failure: AuditFailure) {
    super(`${failure.code}: ${failure.where}: ${failure.detail}`);
    this.name = 'AuditError';
    this.failure = failure;
  }
}

/** How much was checked. */
export interface AuditCounts {
  blocks: number;
  transactions: number;
  endorsements: number;
  signatures: number;
  vehicles: number;
  updates: number;
  rounds: number;
  models: number;
  objects: number;
  aggregations: number;
}

export function newAuditCounts(): AuditCounts {
  return {
    blocks: 0,
    transactions: 0,
    endorsements: 0,
    signatures: 0,
    vehicles: 0,
    updates: 0,
    rounds: 0,
    models: 0,
    objects: 0,
    aggregations: 0,
  };
}
