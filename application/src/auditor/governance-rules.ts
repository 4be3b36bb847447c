// SPDX-License-Identifier: Apache-2.0
import {
  bootstrap,
  execute,
  hashOf,
  majorityOf,
  propose,
  vote,
  withdraw,
  type Change,
  type ConsortiumRecord,
} from '@sev/chaincode/api';
import {
  consortiumOf,
  recordError,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { AuditError } from './failure.js';
import type { Audited } from './records.js';

type ProposalRecord = Audited<'proposal'>;
type VotedStatus = Extract<Change, { kind: 'vehicle-status' }>;
type Members = Omit<ConsortiumRecord, 'docType' | 'schemaVersion'>;

interface Vote {
  readonly approve: boolean;
  /** The voter's membership when it voted. */
  readonly admission: string;
}

interface Proposal {
  readonly proposalId: string;
  readonly change: Change;
  readonly proposedBy: string;
  readonly votes: Map<string, Vote>;
  state: ProposalRecord['state'];
}

/**
 * Replays how the consortium came to be and changed: bootstrap, proposals, one vote an organisation, majority. A ledger
 * may have been written by several versions of the contracts; each execution is judged by the rules of its own.
 */
export class GovernanceRules {
  readonly #proposals = new Map<string, Proposal>();

  constructor(readonly state: DomainState) {}

  /**
   * @param writes - the proposals that the transaction wrote.
   * @returns the status change of a vehicle that a majority has just decided, if that is what was executed.
   */
  apply(transaction: DomainTransaction, writes: readonly RecordWrite<ProposalRecord>[]): VotedStatus | undefined {
    const executed = this.#follow(transaction, writes[0]?.record);
    for (const { record } of writes) {
      this.#checkRecord(transaction, record);
    }
    return executed?.kind === 'vehicle-status' ? executed : undefined;
  }

  #follow(transaction: DomainTransaction, written: ProposalRecord | undefined): Change | undefined {
    switch (transaction.name) {
      case 'governance:Bootstrap':
        this.#bootstrap(transaction);
        return undefined;
      case 'governance:Propose':
        this.#propose(transaction);
        return undefined;
      case 'governance:Vote':
        this.#vote(transaction);
        return undefined;
      case 'governance:Withdraw':
        this.#withdraw(transaction);
        return undefined;
      case 'governance:Execute':
        return this.#execute(transaction, written);
      default:
        return undefined;
    }
  }

  #bootstrap(transaction: DomainTransaction): void {
    // The first one counts, and names the network for good; a repetition changes nothing on the ledger.
    const content = bootstrap.parse(transaction.argument);
    this.state.consortium ??= { ...content, bootstrapHash: hashOf(content) };
  }

  #propose(transaction: DomainTransaction): void {
    const { proposalId, change } = propose.parse(transaction.argument);
    if (!this.#proposals.has(proposalId)) {
      const proposedBy = transaction.creatorMspId;
      const votes = new Map([[proposedBy, { approve: true, admission: this.#admissionOf(proposedBy) }]]);
      this.#proposals.set(proposalId, { proposalId, change, proposedBy, votes, state: 'open' });
    }
  }

  #vote(transaction: DomainTransaction): void {
    const { proposalId, approve } = vote.parse(transaction.argument);
    const { creatorMspId } = transaction;
    const proposal = this.#proposal(transaction, proposalId, 'a vote for');
    proposal.votes.set(creatorMspId, { approve, admission: this.#admissionOf(creatorMspId) });
  }

  #withdraw(transaction: DomainTransaction): void {
    const { proposalId } = withdraw.parse(transaction.argument);
    const proposal = this.#proposal(transaction, proposalId, 'a withdrawal of');
    const { organisations } = consortiumOf(this.state, transaction);
    const isOwn = transaction.creatorMspId === proposal.proposedBy;
    if (proposal.state === 'open' && !isOwn && this.#votes(proposal, false) < majorityOf(organisations.length)) {
      throw governanceError(transaction, proposal, 'was withdrawn by another without a majority against it');
    }
    if (proposal.state === 'executed') {
      throw governanceError(transaction, proposal, 'was withdrawn after it had been executed');
    }
    proposal.state = 'withdrawn';
  }

  #execute(transaction: DomainTransaction, written: ProposalRecord | undefined): Change | undefined {
    const { proposalId } = execute.parse(transaction.argument);
    const proposal = this.#proposal(transaction, proposalId, 'the execution of');
    if (proposal.state === 'executed') {
      return undefined; // Executing again changes nothing.
    }
    if (written === undefined || proposal.state !== 'open') {
      throw governanceError(transaction, proposal, `is ${proposal.state}, and was not recorded as executed`);
    }
    const members = consortiumOf(this.state, transaction);
    const inFavour = this.#votes(proposal, true);
    if (inFavour < majorityOf(members.organisations.length)) {
      const detail = `had ${String(inFavour)} votes of ${String(members.organisations.length)}`;
      throw governanceError(transaction, proposal, detail);
    }
    if (written.writtenVersion > 1) {
      this.#checkMembership(transaction, members, proposal);
    }
    proposal.state = 'executed';
    this.state.consortium = changed(members, proposal.change);
    this.#renewAdmission(transaction, proposal.change);
    return proposal.change;
  }

  /** Since the second version, members are admitted and changed by different proposals. */
  #checkMembership(transaction: DomainTransaction, { organisations }: Members, proposal: Proposal): void {
    const { change } = proposal;
    const isMember = (mspId: string): boolean => organisations.some((o) => o.mspId === mspId);
    if (change.kind === 'admit-organisation' && isMember(change.organisation.mspId)) {
      throw governanceError(transaction, proposal, `admits ${change.organisation.mspId}, a member`);
    }
    if (change.kind === 'put-organisation' && !isMember(change.organisation.mspId)) {
      throw governanceError(transaction, proposal, `changes ${change.organisation.mspId}, no member`);
    }
    if (change.kind === 'remove-organisation' && !isMember(change.mspId)) {
      throw governanceError(transaction, proposal, `removes ${change.mspId}, no member`);
    }
  }

  #renewAdmission(transaction: DomainTransaction, change: Change): void {
    if (change.kind === 'admit-organisation') {
      this.state.admissions.set(change.organisation.mspId, transaction.where);
    } else if (change.kind === 'remove-organisation') {
      this.state.admissions.delete(change.mspId);
    }
  }

  #admissionOf(mspId: string): string {
    return this.state.admissions.get(mspId) ?? '';
  }

  /** Votes of present members in their present membership. */
  #votes({ votes }: Proposal, approve: boolean): number {
    const organisations = this.state.consortium?.organisations ?? [];
    const counted = organisations.filter(({ mspId }) => {
      const cast = votes.get(mspId);
      return cast?.approve === approve && cast.admission === this.#admissionOf(mspId);
    });
    return counted.length;
  }

  #proposal(transaction: DomainTransaction, proposalId: string, what: string): Proposal {
    const proposal = this.#proposals.get(proposalId);
    if (proposal === undefined) {
      throw recordError(transaction, 'RECORD_UNKNOWN', `${what} the unknown proposal ${proposalId}`);
    }
    return proposal;
  }

  #checkRecord(transaction: DomainTransaction, record: ProposalRecord): void {
    const proposal = this.#proposal(transaction, record.proposalId, 'the record of');
    const { change, proposedBy, state } = proposal;
    if (record.state !== state || record.changeHash !== hashOf(change) || record.proposedBy !== proposedBy) {
      throw governanceError(transaction, proposal, 'is not recorded as it was made and decided');
    }
  }
}

function governanceError(transaction: DomainTransaction, { proposalId }: Proposal, detail: string): AuditError {
  return recordError(transaction, 'GOVERNANCE_INVALID', `proposal ${proposalId} ${detail}`);
}

function changed(members: Members, change: Change): Members {
  const { organisations, makers } = members;
  switch (change.kind) {
    case 'set-policy':
      return { ...members, policy: change.policy };
    case 'admit-organisation':
    case 'put-organisation': {
      const others = organisations.filter((o) => o.mspId !== change.organisation.mspId);
      return { ...members, organisations: [...others, change.organisation] };
    }
    case 'remove-organisation':
      // Its makers' keys leave with it.
      return {
        ...members,
        organisations: organisations.filter((o) => o.mspId !== change.mspId),
        makers: makers.filter((m) => m.mspId !== change.mspId),
      };
    case 'put-maker': {
      const others = makers.filter((m) => m.makerKeyId !== change.maker.makerKeyId);
      return { ...members, makers: [...others, change.maker] };
    }
    case 'remove-maker':
      return { ...members, makers: makers.filter((m) => m.makerKeyId !== change.makerKeyId) };
    case 'vehicle-status':
      return members;
  }
}
