// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import {
  bookmark,
  durationMs,
  hash,
  identifier,
  mspId,
  pageSize,
  publicKey,
  timestampMs,
  vehicleId,
} from './primitives';
import { vehicleStatus } from './registry';

/** Roles that a certificate's `role` attribute may carry. Which MSP may hold which is decided by governance. */
export const role = z.enum(['operator', 'registrar', 'coordinator', 'attester', 'aggregator', 'vehicle', 'auditor']);
export type Role = z.infer<typeof role>;

export const organisation = z.strictObject({
  name: identifier,
  mspId,
  /** Verifies the organisation's signed statements (close, abort, attestation). */
  signingKey: publicKey,
  roles: z.array(role).min(1).max(16),
});
export type Organisation = z.infer<typeof organisation>;

export const makerKey = z.strictObject({ makerKeyId: identifier, mspId, publicKey });
export type MakerKey = z.infer<typeof makerKey>;

export const policy = z.strictObject({
  /** How many vehicles one organisation may hold enrolled in one domain. */
  vehicleQuota: z.int().min(1).max(1_000_000),
  /** How many enrollments one organisation may make in one rate window. */
  enrollmentsPerWindow: z.int().min(1).max(1_000_000),
  enrollmentWindowMs: durationMs,
});
export type Policy = z.infer<typeof policy>;

/** governance:Bootstrap — once a channel, by an operator of a listed organisation. */
export const bootstrap = z.strictObject({
  organisations: z.array(organisation).min(1).max(64),
  makers: z.array(makerKey).max(64),
  policy,
});
export type Bootstrap = z.infer<typeof bootstrap>;

/** What a majority of organisations may decide. */
export const change = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('set-policy'), policy }),
  /** A new member. */
  z.strictObject({ kind: z.literal('admit-organisation'), organisation }),
  /** Other roles, name or signing key for a member. */
  z.strictObject({ kind: z.literal('put-organisation'), organisation }),
  /** Refused while the member has rounds under way or open proposals. Its makers' keys leave with it. */
  z.strictObject({ kind: z.literal('remove-organisation'), mspId }),
  z.strictObject({ kind: z.literal('put-maker'), maker: makerKey }),
  z.strictObject({ kind: z.literal('remove-maker'), makerKeyId: identifier }),
  z.strictObject({ kind: z.literal('vehicle-status'), vehicleId, status: vehicleStatus, reason: z.string().max(200) }),
]);
export type Change = z.infer<typeof change>;

/** governance:Propose; the proposer's organisation votes for it by proposing. */
export const propose = z.strictObject({ proposalId: identifier, change });
export type Propose = z.infer<typeof propose>;

/** governance:Vote and governance:Execute */
export const vote = z.strictObject({ proposalId: identifier, approve: z.boolean() });
export type Vote = z.infer<typeof vote>;
export const execute = z.strictObject({ proposalId: identifier });
export type Execute = z.infer<typeof execute>;
/**
 * governance:Withdraw — closes a proposal without executing it: by the organisation that made it at any time, by any
 * other once a majority has voted against it.
 */
export const withdraw = z.strictObject({ proposalId: identifier });
export type Withdraw = z.infer<typeof withdraw>;

/**
 * Names one membership of an organisation: the transaction that admitted it, empty for members that an earlier version
 * of the contracts admitted. An organisation that left and came back is under another one, so that its votes from before
 * do not count again.
 */
export type Admission = string;

/** An organisation in one of its memberships. */
export interface Member extends Organisation {
  readonly admission: Admission;
}

export interface ProposalRecord {
  readonly docType: 'proposal';
  readonly schemaVersion: 2;
  readonly proposalId: string;
  readonly change: Change;
  readonly changeHash: z.infer<typeof hash>;
  readonly proposedBy: string;
  readonly proposedAtMs: z.infer<typeof timestampMs>;
  readonly state: 'open' | 'executed' | 'withdrawn';
}

/** governance:GetConsortium */
export interface ConsortiumRecord {
  readonly docType: 'consortium';
  readonly schemaVersion: 1;
  /** SHA-256 of the content that the channel was bootstrapped with: the network's name in every signed statement. */
  readonly bootstrapHash: string;
  readonly organisations: readonly Organisation[];
  readonly makers: readonly MakerKey[];
  readonly policy: Policy;
}

/** One organisation's vote on a proposal; it may be changed as long as the proposal is open. */
export interface VoteRecord {
  readonly docType: 'vote';
  readonly schemaVersion: 2;
  readonly proposalId: string;
  readonly mspId: string;
  readonly approve: boolean;
  /** The voter's membership when it voted; the vote counts as long as that lasts. */
  readonly admission: Admission;
  readonly votedAtMs: z.infer<typeof timestampMs>;
}

/** governance:GetProposal — the proposal and the votes that count: of present members in their present membership, sorted by MSP id. */
export interface ProposalView extends ProposalRecord {
  readonly votes: readonly VoteRecord[];
}

export const getConsortium = z.strictObject({});
export const getProposal = z.strictObject({ proposalId: identifier });
/** governance:ListProposals → Page<ProposalRecord> */
export const listProposals = z.strictObject({ pageSize, bookmark });
