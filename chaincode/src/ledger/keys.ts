// SPDX-License-Identifier: Apache-2.0
import type { ChaincodeStub } from 'fabric-shim-api';
import {
  sha256Hex,
  type BaseRecord,
  type BatchResult,
  type CohortRecord,
  type CorrectionRecord,
  type CulpritRecord,
  type Domain,
  type IncidentRecord,
  type IncidentStep,
  type IncidentVote,
  type JournalEntry,
  type ModelRecord,
  type OpenedUpdateRecord,
  type PaidRoundRecord,
  type ProposalRecord,
  type ReceiptRecord,
  type RoundRecord,
  type ScoresRecord,
  type ShownSumsRecord,
  type StandingRecord,
  type TaskRecord,
  type UpdateRecord,
  type ValidatorRecord,
  type VehicleDataRecord,
  type VehicleRecord,
  type VoteRecord,
} from '../api';
import type {
  BootstrapRecord,
  MakerRecord,
  OrganisationRecord,
  PolicyRecord,
  PublicKeyRecord,
  QuotaSlotRecord,
  RateSlotRecord,
  StoredRecord,
  TagRecord,
} from './records';

/** The address of one record: a composite key whose object type is the record's docType. */
export interface Key<T extends StoredRecord> {
  readonly docType: T['docType'];
  readonly attributes: readonly string[];
}

/** The address of all records whose keys begin with these attributes. */
export interface Prefix<T extends StoredRecord> extends Key<T> {
  readonly prefix: true;
}

/** There is one policy and one bootstrap a channel; their keys need some attribute. */
const ONLY = 'consortium';

/** Digits of the largest safe integer: padded so that keys sort as the numbers do. */
const DIGITS = 16;

function padded(value: number): string {
  return value.toString().padStart(DIGITS, '0');
}

function key<T extends StoredRecord>(docType: T['docType'], ...attributes: readonly string[]): Key<T> {
  return { docType, attributes };
}

function prefix<T extends StoredRecord>(docType: T['docType'], ...attributes: readonly string[]): Prefix<T> {
  return { docType, attributes, prefix: true };
}

/** Every key of the ledger. */
export const keys = {
  bootstrap: () => key<BootstrapRecord>('bootstrap', ONLY),
  policy: () => key<PolicyRecord>('policy', ONLY),
  organisation: (mspId: string) => key<OrganisationRecord>('organisation', mspId),
  organisations: () => prefix<OrganisationRecord>('organisation'),
  maker: (makerKeyId: string) => key<MakerRecord>('maker', makerKeyId),
  makers: () => prefix<MakerRecord>('maker'),
  proposal: (proposalId: string) => key<ProposalRecord>('proposal', proposalId),
  proposals: () => prefix<ProposalRecord>('proposal'),
  vote: (proposalId: string, mspId: string) => key<VoteRecord>('vote', proposalId, mspId),

  vehicle: (vehicleId: string) => key<VehicleRecord>('vehicle', vehicleId),
  vehicles: () => prefix<VehicleRecord>('vehicle'),
  tag: (makerMspId: string, domain: Domain, tag: string) => key<TagRecord>('tag', makerMspId, domain, tag),
  publicKey: (publicKey: string) => key<PublicKeyRecord>('publicKey', sha256Hex(publicKey)),
  quotaSlot: (mspId: string, domain: Domain, slot: number) =>
    key<QuotaSlotRecord>('quotaSlot', mspId, domain, padded(slot)),
  quotaSlots: (mspId: string, domain: Domain) => prefix<QuotaSlotRecord>('quotaSlot', mspId, domain),
  rateSlot: (mspId: string, domain: Domain, window: number, slot: number) =>
    key<RateSlotRecord>('rateSlot', mspId, domain, padded(window), padded(slot)),
  rateSlots: (mspId: string, domain: Domain, window: number) =>
    prefix<RateSlotRecord>('rateSlot', mspId, domain, padded(window)),
  batch: (docType: BatchResult['docType'], txId: string) => key<BatchResult>(docType, txId),

  task: (taskId: string) => key<TaskRecord>('task', taskId),
  tasks: () => prefix<TaskRecord>('task'),
  round: (taskId: string, round: number) => key<RoundRecord>('round', taskId, padded(round)),
  rounds: (taskId: string) => prefix<RoundRecord>('round', taskId),
  update: (taskId: string, round: number, attempt: number, vehicleId: string) =>
    key<UpdateRecord>('update', taskId, padded(round), padded(attempt), vehicleId),
  updates: (taskId: string, round: number, attempt: number) =>
    prefix<UpdateRecord>('update', taskId, padded(round), padded(attempt)),
  receipt: (taskId: string, round: number, attempt: number, vehicleId: string, mspId: string) =>
    key<ReceiptRecord>('receipt', taskId, padded(round), padded(attempt), vehicleId, mspId),
  receipts: (taskId: string, round: number, attempt: number) =>
    prefix<ReceiptRecord>('receipt', taskId, padded(round), padded(attempt)),
  cohort: (taskId: string, round: number, attempt: number) =>
    key<CohortRecord>('cohort', taskId, padded(round), padded(attempt)),
  scores: (taskId: string, round: number, attempt: number) =>
    key<ScoresRecord>('scores', taskId, padded(round), padded(attempt)),
  validator: (taskId: string, mspId: string) => key<ValidatorRecord>('validator', taskId, mspId),
  validators: (taskId: string) => prefix<ValidatorRecord>('validator', taskId),
  vehicleData: (taskId: string, vehicleId: string) => key<VehicleDataRecord>('vehicleData', taskId, vehicleId),
  standing: (taskId: string, vehicleId: string) => key<StandingRecord>('standing', taskId, vehicleId),
  standings: (taskId: string) => prefix<StandingRecord>('standing', taskId),
  shownSums: (taskId: string, baseModelHash: string) => key<ShownSumsRecord>('shownSums', taskId, baseModelHash),
  base: (baseModelHash: string) => key<BaseRecord>('base', baseModelHash),
  model: (taskId: string, modelHash: string) => key<ModelRecord>('model', taskId, modelHash),

  incident: (incidentId: string) => key<IncidentRecord>('incident', incidentId),
  incidents: () => prefix<IncidentRecord>('incident'),
  incidentVote: (incidentId: string, step: IncidentStep, mspId: string) =>
    key<IncidentVote>('incidentVote', incidentId, step, mspId),
  culprit: (taskId: string, vehicleId: string) => key<CulpritRecord>('culprit', taskId, vehicleId),
  culprits: (taskId: string) => prefix<CulpritRecord>('culprit', taskId),
  openedUpdate: (taskId: string, round: number, attempt: number, vehicleId: string) =>
    key<OpenedUpdateRecord>('openedUpdate', taskId, padded(round), padded(attempt), vehicleId),
  openedUpdates: (taskId: string, round: number, attempt: number) =>
    prefix<OpenedUpdateRecord>('openedUpdate', taskId, padded(round), padded(attempt)),
  correction: (taskId: string, afterRound: number) => key<CorrectionRecord>('correction', taskId, padded(afterRound)),

  journalEntry: (taskId: string, round: number, vehicleId: string, kind: JournalEntry['kind']) =>
    key<JournalEntry>('journalEntry', taskId, padded(round), vehicleId, kind),
  journal: (taskId: string) => prefix<JournalEntry>('journalEntry', taskId),
  paidRound: (taskId: string, round: number) => key<PaidRoundRecord>('paidRound', taskId, padded(round)),
  paidRounds: (taskId: string) => prefix<PaidRoundRecord>('paidRound', taskId),
};

/** The composite key as Fabric stores it. */
export function compositeKey(stub: ChaincodeStub, address: Key<StoredRecord>): string {
  return stub.createCompositeKey(address.docType, [...address.attributes]);
}
