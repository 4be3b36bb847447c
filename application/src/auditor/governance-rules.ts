// SPDX-License-Identifier: Apache-2.0
import {
  bootstrap,
  execute,
  hashOf,
  majorityOf,
  propose,
  vote,
  type Change,
  type ConsortiumRecord,
} from '@sev/chaincode/api';
import { consortiumOf, recordError, type DomainState, type DomainTransaction } from './domain-context.js';

interface OpenProposal {
  readonly change: Change;
  readonly votes: Map<string, boolean>;
  executed: boolean;
}

type Members = Omit<ConsortiumRecord, 'docType' | 'schemaVersion'>;

/** Replays how the consortium came to be and changed: bootstrap, proposals, one vote an organisation, majority. */
export class GovernanceRules {
  readonly #proposals = new Map<string, OpenProposal>();

  constructor(readonly state: DomainState) {}

  /** @returns the status change of a vehicle that a majority has just decided, if that is what was executed. */
  apply(transaction: DomainTransaction): Extract<Change, { kind: 'vehicle-status' }> | undefined {
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
      case 'governance:Execute':
        return this.#execute(transaction);
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
      this.#proposals.set(proposalId, { change, votes: new Map([[transaction.creatorMspId, true]]), executed: false });
    }
  }

  #vote(transaction: DomainTransaction): void {
    const { proposalId, approve } = vote.parse(transaction.argument);
    const proposal = this.#proposals.get(proposalId);
    if (proposal === undefined) {
      throw recordError(transaction, 'RECORD_UNKNOWN', `a vote for the unknown proposal ${proposalId}`);
    }
    proposal.votes.set(transaction.creatorMspId, approve);
  }

  #execute(transaction: DomainTransaction): Extract<Change, { kind: 'vehicle-status' }> | undefined {
    const { proposalId } = execute.parse(transaction.argument);
    const proposal = this.#proposals.get(proposalId);
    if (proposal === undefined) {
      throw recordError(transaction, 'RECORD_UNKNOWN', `the unknown proposal ${proposalId} was executed`);
    }
    if (proposal.executed) {
      return undefined; // Executing again changes nothing.
    }
    const members = consortiumOf(this.state, transaction);
    const inFavour = members.organisations.filter((o) => proposal.votes.get(o.mspId) === true).length;
    if (inFavour < majorityOf(members.organisations.length)) {
      const detail = `proposal ${proposalId} had ${String(inFavour)} votes of ${String(members.organisations.length)}`;
      throw recordError(transaction, 'GOVERNANCE_INVALID', detail);
    }
    proposal.executed = true;
    this.state.consortium = changed(members, proposal.change);
    return proposal.change.kind === 'vehicle-status' ? proposal.change : undefined;
  }
}

function changed(members: Members, change: Change): Members {
  const { organisations, makers } = members;
  switch (change.kind) {
    case 'set-policy':
      return { ...members, policy: change.policy };
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
