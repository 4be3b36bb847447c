// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  hashOf,
  majorityOf,
  type Change,
  type Member,
  type Organisation,
  type Propose,
  type ProposalRecord,
  type VoteRecord,
} from '../api';

/**
 * @returns the record to write, or the one on the ledger where the same was proposed before.
 * @throws ContractError PROPOSAL_CONFLICT
 */
export function propose(
  input: Propose,
  existing: ProposalRecord | undefined,
  proposedBy: string,
  nowMs: number,
): ProposalRecord {
  const changeHash = hashOf(input.change);
  if (existing !== undefined) {
    if (existing.changeHash !== changeHash) {
      throw new ContractError('PROPOSAL_CONFLICT', input.proposalId);
    }
    return existing;
  }
  return {
    docType: 'proposal',
    schemaVersion: 2,
    proposalId: input.proposalId,
    change: input.change,
    changeHash,
    proposedBy,
    proposedAtMs: nowMs,
    state: 'open',
  };
}

/**
 * An organisation's vote; it may be changed as long as the proposal is open.
 *
 * @returns the vote to write, or the one on the ledger where it is the same.
 * @throws ContractError PROPOSAL_EXECUTED, PROPOSAL_WITHDRAWN
 */
export function castVote(
  proposal: ProposalRecord,
  existing: VoteRecord | undefined,
  voter: Member,
  approve: boolean,
  nowMs: number,
): VoteRecord {
  const { mspId, admission } = voter;
  if (existing?.approve === approve && existing.admission === admission) {
    return existing;
  }
  requireOpen(proposal);
  const { proposalId } = proposal;
  return { docType: 'vote', schemaVersion: 2, proposalId, mspId, approve, admission, votedAtMs: nowMs };
}

/** @throws ContractError PROPOSAL_EXECUTED, PROPOSAL_WITHDRAWN */
export function requireOpen({ proposalId, state }: ProposalRecord): void {
  if (state === 'executed') {
    throw new ContractError('PROPOSAL_EXECUTED', proposalId);
  }
  if (state === 'withdrawn') {
    throw new ContractError('PROPOSAL_WITHDRAWN', proposalId);
  }
}

/**
 * The proposal once it is withdrawn: by its proposer, or by anybody once a majority has voted against it.
 *
 * @returns the same object where it is withdrawn already.
 * @throws ContractError PROPOSAL_EXECUTED, PROPOSAL_NOT_REJECTED
 */
export function withdrawn(
  proposal: ProposalRecord,
  caller: { readonly mspId: string },
  votes: readonly VoteRecord[],
  organisations: readonly Organisation[],
): ProposalRecord {
  const { proposalId, proposedBy } = proposal;
  if (proposal.state === 'withdrawn') {
    return proposal;
  }
  requireOpen(proposal);
  const against = votes.filter(({ approve }) => !approve).length;
  const needed = majorityOf(organisations.length);
  if (caller.mspId !== proposedBy && against < needed) {
    const tally = `${against} of ${organisations.length} are against it, ${needed} are needed`;
    throw new ContractError('PROPOSAL_NOT_REJECTED', `${proposalId} of ${proposedBy}: ${tally}`);
  }
  return { ...proposal, state: 'withdrawn' };
}

/** The member that a change is about. */
export function subjectOf(change: Change): string | undefined {
  switch (change.kind) {
    case 'put-organisation':
      return change.organisation.mspId;
    case 'remove-organisation':
      return change.mspId;
    default:
      return undefined;
  }
}

export function isAccepted(votes: readonly VoteRecord[], organisations: readonly Organisation[]): boolean {
  return votes.filter(({ approve }) => approve).length >= majorityOf(organisations.length);
}

/** @throws ContractError PROPOSAL_NOT_ACCEPTED unless a majority of the member organisations approves. */
export function requireAccepted(
  proposal: ProposalRecord,
  votes: readonly VoteRecord[],
  organisations: readonly Organisation[],
): void {
  if (!isAccepted(votes, organisations)) {
    const approving = votes.filter(({ approve }) => approve).length;
    const needed = majorityOf(organisations.length);
    throw new ContractError(
      'PROPOSAL_NOT_ACCEPTED',
      `${proposal.proposalId}: ${approving} of ${organisations.length} approve, ${needed} are needed`,
    );
  }
}
