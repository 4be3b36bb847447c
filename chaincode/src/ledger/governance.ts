// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  type Admission,
  type Bootstrap,
  type ConsortiumRecord,
  type MakerKey,
  type Member,
  type Organisation,
  type Page,
  type Policy,
  type ProposalRecord,
  type VoteRecord,
} from '../api';
import { keys } from './keys';
import type { BootstrapRecord, MakerRecord, OrganisationRecord, PolicyRecord } from './records';
import type { LedgerState } from './state';

/** Member organisations, makers, policy, proposals and votes. */
export class GovernanceRepository {
  readonly #state: LedgerState;

  constructor(state: LedgerState) {
    this.#state = state;
  }

  bootstrapRecord(): Promise<BootstrapRecord | undefined> {
    return this.#state.get(keys.bootstrap());
  }

  /**
   * The network's name in signed statements. Its record is never written again, so that reading it conflicts with
   * nothing.
   *
   * @throws ContractError GOVERNANCE_MISSING
   */
  async consortiumHash(): Promise<string> {
    const record = await this.bootstrapRecord();
    if (record === undefined) {
      throw new ContractError('GOVERNANCE_MISSING', 'run governance:Bootstrap first');
    }
    return record.contentHash;
  }

  async putBootstrap(content: Bootstrap, record: BootstrapRecord, admission: Admission): Promise<void> {
    await this.#state.put(keys.bootstrap(), record);
    await this.putPolicy(content.policy);
    await Promise.all(content.organisations.map((organisation) => this.putMember({ ...organisation, admission })));
    await Promise.all(content.makers.map((maker) => this.putMaker(maker)));
  }

  async policy(): Promise<Policy> {
    const record = await this.#state.get(keys.policy());
    if (record === undefined) {
      throw new ContractError('GOVERNANCE_MISSING', 'run governance:Bootstrap first');
    }
    return withoutTypeOf(record);
  }

  putPolicy(policy: Policy): Promise<void> {
    return this.#state.put<PolicyRecord>(keys.policy(), { docType: 'policy', schemaVersion: 1, ...policy });
  }

  async member(mspId: string): Promise<Member | undefined> {
    const record = await this.#state.get(keys.organisation(mspId));
    return record && withoutTypeOf(record);
  }

  /** Member organisations, sorted by MSP id. */
  async members(): Promise<Member[]> {
    return (await this.#state.scan(keys.organisations())).map(withoutTypeOf);
  }

  putMember(member: Member): Promise<void> {
    const record: OrganisationRecord = { docType: 'organisation', schemaVersion: 2, ...member };
    return this.#state.put(keys.organisation(member.mspId), record);
  }

  deleteOrganisation(mspId: string): Promise<void> {
    return this.#state.delete(keys.organisation(mspId));
  }

  async maker(makerKeyId: string): Promise<MakerKey | undefined> {
    const record = await this.#state.get(keys.maker(makerKeyId));
    return record && withoutTypeOf(record);
  }

  /** Accredited makers' keys, sorted by id. */
  async makers(): Promise<MakerKey[]> {
    return (await this.#state.scan(keys.makers())).map(withoutTypeOf);
  }

  putMaker(maker: MakerKey): Promise<void> {
    const record: MakerRecord = { docType: 'maker', schemaVersion: 1, ...maker };
    return this.#state.put(keys.maker(maker.makerKeyId), record);
  }

  deleteMaker(makerKeyId: string): Promise<void> {
    return this.#state.delete(keys.maker(makerKeyId));
  }

  async consortium(): Promise<ConsortiumRecord> {
    const [bootstrapHash, policy] = await Promise.all([this.consortiumHash(), this.policy()]);
    const [members, makers] = await Promise.all([this.members(), this.makers()]);
    const organisations = members.map(({ admission: _admission, ...organisation }): Organisation => organisation);
    return { docType: 'consortium', schemaVersion: 1, bootstrapHash, organisations, makers, policy };
  }

  findProposal(proposalId: string): Promise<ProposalRecord | undefined> {
    return this.#state.get(keys.proposal(proposalId));
  }

  /** @throws ContractError PROPOSAL_UNKNOWN */
  async proposal(proposalId: string): Promise<ProposalRecord> {
    const record = await this.findProposal(proposalId);
    if (record === undefined) {
      throw new ContractError('PROPOSAL_UNKNOWN', proposalId);
    }
    return record;
  }

  putProposal(record: ProposalRecord): Promise<void> {
    return this.#state.put(keys.proposal(record.proposalId), record);
  }

  proposals(pageSize: number, bookmark: string): Promise<Page<ProposalRecord>> {
    return this.#state.page(keys.proposals(), pageSize, bookmark);
  }

  vote(proposalId: string, mspId: string): Promise<VoteRecord | undefined> {
    return this.#state.get(keys.vote(proposalId, mspId));
  }

  /** The votes that these members cast in their present membership, one point read each. */
  async votes(proposalId: string, members: readonly Member[]): Promise<VoteRecord[]> {
    const votes = await Promise.all(
      members.map(async ({ mspId, admission }) => {
        const vote = await this.vote(proposalId, mspId);
        return vote?.admission === admission ? vote : undefined;
      }),
    );
    return votes.filter((vote) => vote !== undefined);
  }

  putVote(record: VoteRecord): Promise<void> {
    return this.#state.put(keys.vote(record.proposalId, record.mspId), record);
  }
}

function withoutTypeOf<T extends { docType: string; schemaVersion: number }>(
  record: T,
): Omit<T, 'docType' | 'schemaVersion'> {
  const { docType: _docType, schemaVersion: _schemaVersion, ...content } = record;
  return content;
}
