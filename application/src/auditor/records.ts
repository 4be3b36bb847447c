// SPDX-License-Identifier: Apache-2.0
import {
  abortReason,
  disputePhase,
  domain,
  hash,
  heOpening,
  identifier,
  incidentStep,
  mspId,
  openIncident,
  privacyMode,
  proposal,
  publicKey,
  roundOpening,
  SECURE_RULES,
  scoreRound,
  scores,
  signature,
  signedBy,
  task,
  timestampMs,
  vehicleId,
  vehicleStatus,
  vehicleValidation,
} from '@sev/chaincode/api';
import { z } from 'zod';

const round = { taskId: identifier, round: z.int().min(0), attempt: z.int().min(0) };

const aggregators = z.array(mspId);
const integer = z.int().min(0);
const shownAttempts = z.array(z.object({ round: integer, attempt: integer }));

const lastChange = z.object({ round: integer, attempt: integer, scoresHash: hash });

/** What a round in a secure mode carries. */
const secureRound = z.object({
  opening: roundOpening,
  openingHash: hash,
  validated: z.object({ heard: integer, medianLossMicro: integer, departed: z.array(mspId) }).exactOptional(),
  drawn: z.array(vehicleId).exactOptional(),
  drawnLosses: z.object({ heard: integer, medianLossMicro: integer, departed: z.array(vehicleId) }).exactOptional(),
  openedProjections: integer,
  chargedMicroRho: integer,
  shownAttempts,
  fixedCohorts: integer.exactOptional(),
  holders: aggregators.exactOptional(),
  contradicted: aggregators.exactOptional(),
  cohortHash: hash.exactOptional(),
  cohortSize: integer.exactOptional(),
  seed: hash.exactOptional(),
  references: z.array(mspId).exactOptional(),
  scoresHash: hash.exactOptional(),
  projections: z.array(hash).exactOptional(),
  projectedBy: z.array(aggregators).exactOptional(),
  sums: z.array(z.array(hash)).exactOptional(),
  answeredBy: z.array(aggregators).exactOptional(),
  unverified: z.array(integer).exactOptional(),
  disputes: z.array(
    z.object({
      component: integer,
      phase: disputePhase,
      openedAtMs: timestampMs,
      said: z.array(z.object({ mspId, about: z.enum(['projections', 'sums']), hashes: z.array(hash) })),
      seed: hash.exactOptional(),
      references: z.array(mspId).exactOptional(),
      faulty: aggregators.exactOptional(),
    }),
  ),
  faulty: aggregators,
  accused: aggregators,
  silent: aggregators.exactOptional(),
  rules: z.literal(SECURE_RULES).exactOptional(),
});

/** What a round in mode `he` carries. */
const heRound = z.object({
  opening: heOpening,
  openingHash: hash,
  shownAttempts,
  contradicted: aggregators.exactOptional(),
  cohortHash: hash.exactOptional(),
  cohortSize: integer.exactOptional(),
  sumHash: hash.exactOptional(),
  masksHash: hash.exactOptional(),
  maskedHash: hash.exactOptional(),
});

/** The records that an audit follows, in their present form; other documents (slots, indexes) only serve the contracts. */
export const auditedRecord = z.discriminatedUnion('docType', [
  z.object({
    docType: z.literal('vehicle'),
    schemaVersion: z.literal(2),
    vehicleId,
    mspId,
    domain,
    publicKey,
    certificateNotAfterMs: timestampMs,
    tag: hash,
    makerKeyId: identifier,
    makerMspId: mspId,
    status: vehicleStatus,
    statusSetBy: z.enum(['organisation', 'consortium']),
    enrolledAtMs: timestampMs,
    keyRotations: z.int().min(0),
    previousKeyHash: hash.nullable(),
    keySetAtMs: timestampMs,
    keySetBy: z.enum(['enrollment', 'vehicle', 'maker']),
  }),
  z.object({
    docType: z.literal('proposal'),
    schemaVersion: z.literal(2),
    /** The rules that a proposal was decided by are those of the version that wrote it. */
    writtenVersion: z.int().min(1).max(2),
    proposalId: identifier,
    changeHash: hash,
    proposedBy: mspId,
    state: z.enum(['open', 'executed', 'withdrawn']),
  }),
  z.object({ docType: z.literal('task'), schemaVersion: z.literal(1), task }),
  z.object({
    docType: z.literal('round'),
    schemaVersion: z.literal(2),
    ...round,
    state: z.enum(['open', 'closed', 'cohort', 'scored', 'aggregated', 'finalised', 'aborted']),
    privacy: privacyMode,
    baseModelHash: hash,
    deadlineMs: timestampMs,
    openedAtMs: timestampMs,
    openedBy: z.string(),
    closedAtMs: timestampMs.optional(),
    stateSinceMs: timestampMs.optional(),
    secure: secureRound.exactOptional(),
    he: heRound.exactOptional(),
    abortReason: abortReason.optional(),
    proposal: proposal.optional(),
    attestations: z.array(signedBy).optional(),
  }),
  z.object({
    docType: z.literal('update'),
    schemaVersion: z.literal(1),
    ...round,
    baseModelHash: hash,
    vehicleId,
    updateHash: hash,
    weightClass: z.int().min(0).max(3),
    validation: vehicleValidation.exactOptional(),
    signature,
    recordedAtMs: timestampMs,
  }),
  z.object({
    docType: z.literal('receipt'),
    schemaVersion: z.literal(1),
    ...round,
    vehicleId,
    mspId,
    signature,
  }),
  z.object({
    docType: z.literal('cohort'),
    schemaVersion: z.literal(1),
    ...round,
    members: z.array(z.object({ vehicleId, updateHash: hash, weightClass: z.int().min(0).max(3) })),
  }),
  z.object({
    docType: z.literal('scores'),
    schemaVersion: z.literal(1),
    scores,
    attestations: z.array(signedBy),
    projections: scoreRound.shape.projections,
    noiseSeeds: scoreRound.shape.noiseSeeds,
    seed: hash.exactOptional(),
  }),
  z.object({
    docType: z.literal('validator'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    mspId,
    dataHash: hash,
    departures: z.array(integer),
    setAsideFrom: integer.exactOptional(),
  }),
  z.object({
    docType: z.literal('vehicleData'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    vehicleId,
    dataHash: hash,
  }),
  z.object({
    docType: z.literal('standing'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    vehicleId,
    rounds: integer,
    suspicionMilli: integer,
    contributionMicro: z.int(),
    last: lastChange,
    quarantined: z.object({ round: integer, suspicionMilli: integer }).exactOptional(),
  }),
  z.object({
    docType: z.literal('incident'),
    schemaVersion: z.literal(1),
    ...openIncident.shape,
    state: z.enum(['open', 'projections', 'vectors', 'confirmed', 'cleared']),
    openedBy: z.string(),
    openedAtMs: timestampMs,
    suspicionMilli: integer,
    scoresHash: hash.exactOptional(),
    quarantinedIn: integer.exactOptional(),
    projectionsTxId: z.string().exactOptional(),
    decidedAtMs: timestampMs.exactOptional(),
    findingsHash: hash.exactOptional(),
    decidedBy: z.partialRecord(incidentStep, z.array(mspId)),
    correctedWith: hash.exactOptional(),
    correctedAfter: integer.exactOptional(),
  }),
  z.object({
    docType: z.literal('incidentVote'),
    schemaVersion: z.literal(1),
    incidentId: identifier,
    step: incidentStep,
    mspId,
    approve: z.boolean(),
    findingsHash: hash.exactOptional(),
    votedAtMs: timestampMs,
  }),
  z.object({
    docType: z.literal('culprit'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    vehicleId,
    incidentId: identifier,
    afterRound: integer,
    opened: z.boolean(),
  }),
  z.object({
    docType: z.literal('correction'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    afterRound: integer,
    incidentId: identifier,
    kept: z.enum(['rollback', 'candidate']),
    modelHash: hash,
    cleanRound: integer,
    rollbackHash: hash,
    candidateHash: hash,
    rollbackLossMicro: integer,
    candidateLossMicro: integer,
    attestedBy: z.array(mspId),
    correctedAtMs: timestampMs,
  }),
  z.object({
    docType: z.literal('journalEntry'),
    schemaVersion: z.literal(1),
    kind: z.enum(['reward', 'forfeit', 'compensation']),
    taskId: identifier,
    round: integer,
    vehicleId,
    from: z.string(),
    to: z.string(),
    amountMicro: integer,
    vestsAtRound: integer,
    because: z.string(),
  }),
  z.object({
    docType: z.literal('paidRound'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    round: integer,
    scoresHash: hash,
    paidMicro: integer,
    medianMicro: integer,
    vehicles: integer,
  }),
  z.object({
    docType: z.literal('shownSums'),
    schemaVersion: z.literal(1),
    taskId: identifier,
    baseModelHash: hash,
    attempts: shownAttempts,
  }),
  z.object({
    docType: z.literal('base'),
    schemaVersion: z.literal(1),
    baseModelHash: hash,
    taskId: identifier,
    begunAtMs: timestampMs.exactOptional(),
  }),
  z.object({
    docType: z.literal('model'),
    schemaVersion: z.literal(1),
    ...round,
    modelHash: hash,
    baseModelHash: hash.nullable(),
  }),
  z.object({
    docType: z.enum(['enrollmentBatch', 'updateBatch']),
    schemaVersion: z.literal(1),
    results: z.array(z.object({ id: z.string(), accepted: z.boolean() })),
  }),
]);
export type AuditedRecord = z.infer<typeof auditedRecord>;
export type Audited<T extends AuditedRecord['docType']> = Extract<AuditedRecord, { docType: T }>;

const AUDITED: ReadonlySet<string> = new Set([
  'vehicle',
  'proposal',
  'task',
  'round',
  'update',
  'receipt',
  'cohort',
  'scores',
  'validator',
  'vehicleData',
  'standing',
  'incident',
  'incidentVote',
  'culprit',
  'correction',
  'journalEntry',
  'paidRound',
  'shownSums',
  'base',
  'model',
  'enrollmentBatch',
  'updateBatch',
]);

type Document = Readonly<Record<string, unknown>>;

/** What earlier versions of the contracts wrote, in the form of the present one. */
const EARLIER: Readonly<Record<string, (document: Document) => Document>> = {
  'vehicle/1': (document) => ({
    ...document,
    schemaVersion: 2,
    keyRotations: 0,
    previousKeyHash: null,
    keySetAtMs: document['enrolledAtMs'],
    keySetBy: 'enrollment',
  }),
  // What secure rounds of version 1 lack is written as such: by the present rules they do not pass.
  'round/1': (document) => ({ ...document, schemaVersion: 2 }),
  'proposal/1': ({ executed, ...document }) => ({
    ...document,
    schemaVersion: 2,
    writtenVersion: 1,
    state: executed === true ? 'executed' : 'open',
  }),
  'proposal/2': (document) => ({ ...document, writtenVersion: 2 }),
};

/**
 * Reads a record of any version that the contracts have written.
 *
 * @returns the record in its present form; undefined for a document that no rule of the audit concerns.
 * @throws z.ZodError where an audited record does not have the documented form.
 */
export function readRecord(value: Uint8Array): AuditedRecord | undefined {
  const document = parseJson(value);
  if (typeof document !== 'object' || document === null || !('docType' in document)) {
    return undefined;
  }
  const { docType, schemaVersion } = document as Document;
  if (typeof docType !== 'string' || !AUDITED.has(docType)) {
    return undefined;
  }
  const earlier = EARLIER[`${docType}/${String(schemaVersion)}`];
  return auditedRecord.parse(earlier === undefined ? document : earlier(document));
}

function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8')) as unknown;
  } catch {
    return undefined; // Index entries hold single bytes, not documents.
  }
}
