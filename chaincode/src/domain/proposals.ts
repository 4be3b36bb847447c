// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  hashOf,
  majorityOf,
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
    schemaVersion: 1,
    proposalId: input.proposalId,
    change: input.change,
    changeHash,
    proposedBy,
    proposedAtMs: nowMs,
    executed: false,
  };
}

/**
 * An organisation's vote; it may be changed until the proposal is executed.
 *
 * @returns the vote to write, or the one on the ledger where it is the same.
 * @throws ContractError PROPOSAL_EXECUTED
 */
export function castVote(
  proposal: ProposalRecord,
  existing: VoteRecord | undefined,
  mspId: string,
  approve: boolean,
  nowMs: number,
): VoteRecord {
  if (existing?.approve === approve) {
    return existing;
  }
  if (proposal.executed) {
    throw new ContractError('PROPOSAL_EXECUTED', proposal.proposalId);
  }
  const { proposalId } = proposal;
  return { docType: 'vote', schemaVersion: 1, proposalId, mspId, approve, votedAtMs: nowMs };
}

/** @throws ContractError PROPOSAL_NOT_ACCEPTED unless a majority of the member organisations approves. */
export function requireAccepted(
  proposal: ProposalRecord,
  votes: readonly VoteRecord[],
  organisations: readonly Organisation[],
): void {
  const approving = votes.filter(({ approve }) => approve).length;
  const needed = majorityOf(organisations.length);
  if (approving < needed) {
    throw new ContractError(
      'PROPOSAL_NOT_ACCEPTED',
      `${proposal.proposalId}: ${approving} of ${organisations.length} approve, ${needed} are needed`,
    );
  }
}
