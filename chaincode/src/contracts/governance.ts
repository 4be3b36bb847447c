// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import {
  bootstrap,
  ContractError,
  execute,
  getConsortium,
  getProposal,
  hashOf,
  listProposals,
  propose,
  vote,
  withdraw,
  type Member,
  type ProposalRecord,
  type ProposalView,
  type VoteRecord,
} from '../api';
import { encodeResult, parseArgument } from '../codec';
import {
  admittedMember,
  changedMember,
  checkBootstrap,
  checkBootstrapCaller,
  checkChange,
  checkMaker,
  checkRemoval,
} from '../domain/consortium';
import * as rules from '../domain/proposals';
import { changeStatus } from '../domain/vehicle';
import { ConsortiumContract, LedgerContext } from './context';

/** Who is a member, who may hold which role, whose keys count, and what a majority changes about it. */
@Info({ title: 'governance', description: 'Members, roles, makers and policy of the consortium' })
export class GovernanceContract extends ConsortiumContract {
  constructor() {
    super('governance');
  }

  @Transaction()
  async Bootstrap(ctx: LedgerContext, argument: string): Promise<string> {
    const content = parseArgument(bootstrap, argument);
    checkBootstrap(content);
    checkBootstrapCaller(content, ctx.caller.mspId);
    const contentHash = hashOf(content);
    const existing = await ctx.governance.bootstrapRecord();
    if (existing !== undefined) {
      if (existing.contentHash !== contentHash) {
        throw new ContractError('GOVERNANCE_CONFLICT', 'bootstrapped before; propose a change instead');
      }
      return encodeResult(await ctx.governance.consortium());
    }
    const { nowMs, txId } = ctx.state;
    await ctx.governance.putBootstrap(
      content,
      {
        docType: 'bootstrap',
        schemaVersion: 1,
        contentHash,
        bootstrappedBy: ctx.caller.mspId,
        bootstrappedAtMs: nowMs,
      },
      txId,
    );
    ctx.state.emit({ type: 'ConsortiumChanged', hash: contentHash });
    return encodeResult({ docType: 'consortium', schemaVersion: 1, bootstrapHash: contentHash, ...content });
  }

  /** The proposer's organisation votes for the change by proposing it. */
  @Transaction()
  async Propose(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(propose, argument);
    checkChange(input.change);
    const existing = await ctx.governance.findProposal(input.proposalId);
    const proposal = rules.propose(input, existing, ctx.caller.mspId, ctx.state.nowMs);
    if (proposal !== existing) {
      await ctx.governance.putProposal(proposal);
      await this.#vote(ctx, proposal, true);
    }
    return encodeResult(proposal);
  }

  @Transaction()
  async Vote(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(vote, argument);
    const proposal = await ctx.governance.proposal(input.proposalId);
    await this.#vote(ctx, proposal, input.approve);
    return encodeResult(proposal);
  }

  @Transaction()
  async Withdraw(ctx: LedgerContext, argument: string): Promise<string> {
    const { proposalId } = parseArgument(withdraw, argument);
    const proposal = await ctx.governance.proposal(proposalId);
    const members = await ctx.governance.members();
    const votes = await ctx.governance.votes(proposalId, members);
    const withdrawn = rules.withdrawn(proposal, ctx.caller, votes, members);
    if (withdrawn !== proposal) {
      await ctx.governance.putProposal(withdrawn);
    }
    return encodeResult(withdrawn);
  }

  @Transaction()
  async Execute(ctx: LedgerContext, argument: string): Promise<string> {
    const { proposalId } = parseArgument(execute, argument);
    const proposal = await ctx.governance.proposal(proposalId);
    if (proposal.state === 'executed') {
      return encodeResult(proposal);
    }
    const members = await ctx.governance.members();
    rules.requireOpen(proposal);
    rules.requireAccepted(proposal, await this.#decidingVotes(ctx, proposal, members), members);
    await this.#apply(ctx, proposal, members);
    const executed: ProposalRecord = { ...proposal, state: 'executed' };
    await ctx.governance.putProposal(executed);
    if (proposal.change.kind === 'vehicle-status') {
      const { vehicleId, status } = proposal.change;
      ctx.state.emit({ type: 'VehicleStatusChanged', vehicleId, status });
    } else {
      ctx.state.emit({ type: 'ConsortiumChanged', hash: proposal.changeHash });
    }
    return encodeResult(executed);
  }

  @Transaction(false)
  async GetConsortium(ctx: LedgerContext, argument: string): Promise<string> {
    parseArgument(getConsortium, argument);
    return encodeResult(await ctx.governance.consortium());
  }

  @Transaction(false)
  async GetProposal(ctx: LedgerContext, argument: string): Promise<string> {
    const { proposalId } = parseArgument(getProposal, argument);
    const proposal = await ctx.governance.proposal(proposalId);
    const votes = await ctx.governance.votes(proposalId, await ctx.governance.members());
    const view: ProposalView = { ...proposal, votes };
    return encodeResult(view);
  }

  @Transaction(false)
  async ListProposals(ctx: LedgerContext, argument: string): Promise<string> {
    const { pageSize, bookmark } = parseArgument(listProposals, argument);
    return encodeResult(await ctx.governance.proposals(pageSize, bookmark));
  }

  async #vote({ governance, caller, state }: LedgerContext, proposal: ProposalRecord, approve: boolean): Promise<void> {
    const [voter, existing] = await Promise.all([
      governance.member(caller.mspId),
      governance.vote(proposal.proposalId, caller.mspId),
    ]);
    if (voter === undefined) {
      throw new ContractError('ORGANISATION_UNKNOWN', caller.mspId);
    }
    const cast = rules.castVote(proposal, existing, voter, approve, state.nowMs);
    if (cast !== existing) {
      await governance.putVote(cast);
    }
  }

  /**
   * Of a change to a member, the others' votes where they are enough: who could change what is read here again and again
   * could make every execution against it conflict.
   */
  async #decidingVotes(
    { governance }: LedgerContext,
    { proposalId, change }: ProposalRecord,
    members: readonly Member[],
  ): Promise<VoteRecord[]> {
    const subject = rules.subjectOf(change);
    const isSubject = ({ mspId }: Member): boolean => mspId === subject;
    const others = await governance.votes(
      proposalId,
      members.filter((member) => !isSubject(member)),
    );
    return rules.isAccepted(others, members)
      ? others
      : [...others, ...(await governance.votes(proposalId, members.filter(isSubject)))];
  }

  async #apply(ctx: LedgerContext, { change }: ProposalRecord, members: readonly Member[]): Promise<void> {
    const { governance, registry } = ctx;
    switch (change.kind) {
      case 'set-policy':
        await governance.putPolicy(change.policy);
        break;
      case 'admit-organisation':
        await governance.putMember(admittedMember(members, change.organisation, ctx.state.txId));
        break;
      case 'put-organisation':
        await governance.putMember(changedMember(members, change.organisation));
        break;
      case 'remove-organisation':
        checkRemoval(members, change.mspId);
        await this.#remove(ctx, change.mspId);
        break;
      case 'put-maker':
        checkMaker(change.maker, members, await governance.makers());
        await governance.putMaker(change.maker);
        break;
      case 'remove-maker':
        if ((await governance.maker(change.makerKeyId)) === undefined) {
          throw new ContractError('MAKER_UNKNOWN', change.makerKeyId);
        }
        await governance.deleteMaker(change.makerKeyId);
        break;
      case 'vehicle-status': {
        const vehicle = await registry.vehicle(change.vehicleId);
        const { status, reason } = change;
        const changed = changeStatus(vehicle, { status, reason, setBy: 'consortium' });
        if (changed !== vehicle) {
          await registry.putVehicle(changed);
        }
      }
    }
  }

  /** A member's makers leave with it. */
  async #remove({ governance }: LedgerContext, mspId: string): Promise<void> {
    await governance.deleteOrganisation(mspId);
    const makers = (await governance.makers()).filter((maker) => maker.mspId === mspId);
    await Promise.all(makers.map(({ makerKeyId }) => governance.deleteMaker(makerKeyId)));
  }
}
