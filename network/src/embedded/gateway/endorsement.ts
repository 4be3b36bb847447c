// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import { gateway, peer } from '@hyperledger/fabric-protos';
import type { ChannelAccess, ProposalRefusal } from '../access.js';
import type { Endorser, EndorserReply } from '../endorser.js';
import type { Ledger } from '../ledger/ledger.js';
import type { StateReader } from '../ledger/state.js';
import type { ChaincodeDefinition, Collections } from '../chaincode/collections.js';
import { unpackProposal, type UnpackedProposal } from '../protocol/proposal.js';
import { prepareTransaction } from '../protocol/transaction.js';
import { peersOf } from '../signature-policy.js';
import { layoutOf, planFor, type Plan } from './plan.js';
import { GatewayFault, type NodeError } from './status.js';

/** What the gateways of all organisations share. */
export interface Channel {
  readonly name: string;
  readonly chaincode: ChaincodeDefinition;
  readonly collections: Collections;
  readonly ledger: Ledger;
  readonly access: ChannelAccess;
  /** One endorser an organisation, as far as its peer can be reached. */
  readonly endorsers: readonly Endorser[];
}

type Success = Extract<EndorserReply, { kind: 'success' }>;

interface Collected {
  readonly endorser: Endorser;
  readonly reply: Success;
}

/** A Fabric peer's own chaincodes. */
const SYSTEM_CHAINCODES = ['_lifecycle', 'cscc', 'lscc', 'qscc'];

/** One request: the proposal, the result of the checks on it, and the state that every peer simulates on. */
interface Request {
  readonly proposal: UnpackedProposal;
  readonly refusal: ProposalRefusal | undefined;
  readonly state: StateReader;
}

/** Evaluate and Endorse of one organisation's gateway. */
export class EndorsementService {
  readonly #channel: Channel;
  readonly #localMspId: string;

  constructor(channel: Channel, localMspId: string) {
    this.#channel = channel;
    this.#localMspId = localMspId;
  }

  /** Runs a query on one peer, the gateway's own if it may; the next one is asked where a peer itself fails. */
  async evaluate(request: gateway.EvaluateRequest): Promise<gateway.EvaluateResponse> {
    const proposal = unpack(request.getProposedTransaction(), 'failed to unpack transaction proposal: ');
    if (proposal.channelId !== this.#channel.name) {
      throw new GatewayFault(status.UNAVAILABLE, unknownChannel(proposal.channelId));
    }
    refuseSystemChaincode(proposal.chaincodeName);
    const endorsers = this.#evaluators(proposal, request.getTargetOrganizationsList());
    return this.#withState(proposal, async (current) => {
      const errors: NodeError[] = [];
      let code = status.UNAVAILABLE;
      for (const endorser of endorsers) {
        const reply = await this.#ask(endorser, current);
        if (reply.kind === 'success') {
          const response = new gateway.EvaluateResponse();
          response.setResult(reply.response);
          return response;
        }
        errors.push(nodeError(endorser, reply));
        code = statusOf(reply);
        if (reply.kind === 'contract-error' || reply.kind === 'refused') {
          const message = `evaluate call to endorser returned error: ${reply.message}`;
          throw new GatewayFault(code, message, errors);
        }
      }
      throw new GatewayFault(code, 'failed to evaluate transaction, see attached details for more info', errors);
    });
  }

  /**
   * Collects endorsements: of the organisations that the client names, or of the gateway's own first and then of others
   * up to a majority of all. All must agree on the results to the last byte.
   */
  async endorse(request: gateway.EndorseRequest): Promise<gateway.EndorseResponse> {
    const proposal = unpack(request.getProposedTransaction(), '');
    refuseSystemChaincode(proposal.chaincodeName);
    const named = request.getEndorsingOrganizationsList();
    const isServed =
      proposal.channelId === this.#channel.name && proposal.chaincodeName === this.#channel.chaincode.name;
    if (named.length > 0) {
      const endorsers = isServed ? this.#endorsersOf(named) : [];
      const missing = named.filter((mspId) => !endorsers.some((one) => one.mspId === mspId));
      if (missing.length > 0) {
        throw new GatewayFault(
          status.UNAVAILABLE,
          `failed to find any endorsing peers for org(s): ${missing.join(', ')}`,
        );
      }
      const plan = { policies: [peersOf(named, endorsers.length)], eligible: endorsers };
      return this.#withState(proposal, (current) => this.#collect(current, undefined, plan));
    }
    if (!isServed) {
      throw new GatewayFault(
        status.FAILED_PRECONDITION,
        proposal.hasTransientData
          ? "no endorsers found in the gateway's organization; retry specifying endorsing organization(s) to protect transient data"
          : 'no combination of peers can be derived which satisfy the endorsement policy: ' +
              `No metadata was found for chaincode ${proposal.chaincodeName} in channel ${proposal.channelId}`,
      );
    }
    return this.#withState(proposal, (current) => this.#endorseByPolicy(current));
  }

  async #endorseByPolicy(request: Request): Promise<gateway.EndorseResponse> {
    const [local] = this.#endorsersOf([this.#localMspId]);
    if (local === undefined) {
      throw new GatewayFault(status.UNAVAILABLE, "no endorsers found in the gateway's organization");
    }
    const reply = await this.#ask(local, request);
    if (reply.kind !== 'success') {
      throw new GatewayFault(status.ABORTED, 'failed to endorse transaction, see attached details for more info', [
        nodeError(local, reply),
      ]);
    }
    const plan = planFor(this.#channel, reply.interest, request.proposal.hasTransientData);
    return this.#collect(request, { endorser: local, reply }, plan);
  }

  /** Asks a smallest set of endorsers, and another one where some of them fail, until one has endorsed as a whole. */
  async #collect(request: Request, first: Collected | undefined, plan: Plan): Promise<gateway.EndorseResponse> {
    const collected = new Map<Endorser, Success>(first === undefined ? [] : [[first.endorser, first.reply]]);
    let agreed = first?.reply;
    let eligible = plan.eligible;
    const errors: NodeError[] = [];
    for (;;) {
      const layout = layoutOf({ ...plan, eligible }, [...collected.keys()]);
      if (layout === undefined) {
        throw new GatewayFault(
          status.ABORTED,
          'failed to collect enough transaction endorsements, see attached details for more info',
          errors,
        );
      }
      const endorsements = layout.flatMap((endorser) => collected.get(endorser)?.endorsement ?? []);
      if (agreed !== undefined && endorsements.length === layout.length) {
        const response = new gateway.EndorseResponse();
        response.setPreparedTransaction(prepareTransaction(request.proposal, agreed.payload, endorsements));
        return response;
      }
      const asked = layout.filter((endorser) => !collected.has(endorser));
      const replies = await Promise.all(
        asked.map(async (endorser) => ({ endorser, reply: await this.#ask(endorser, request) })),
      );
      for (const { endorser, reply } of replies) {
        if (reply.kind !== 'success') {
          errors.push(nodeError(endorser, reply));
        } else if (agreed !== undefined && !sameBytes(agreed.payload, reply.payload)) {
          const { address, mspId } = endorser;
          errors.push({ address, mspId, message: 'ProposalResponsePayloads do not match' });
        } else {
          agreed ??= reply;
          collected.set(endorser, reply);
        }
      }
      eligible = eligible.filter((endorser) => collected.has(endorser) || !asked.includes(endorser));
    }
  }

  #evaluators(proposal: UnpackedProposal, targets: readonly string[]): Endorser[] {
    const isProtected = proposal.hasTransientData && targets.length === 0;
    const wanted = isProtected ? [this.#localMspId] : targets;
    const isServed = proposal.chaincodeName === this.#channel.chaincode.name;
    const candidates = wanted.length === 0 ? [...this.#channel.endorsers] : this.#endorsersOf(wanted);
    if (!isServed || candidates.length === 0) {
      const reason = `no peers available to evaluate chaincode ${proposal.chaincodeName} in channel ${proposal.channelId}`;
      throw new GatewayFault(
        status.FAILED_PRECONDITION,
        isProtected
          ? `no endorsers found in the gateway's organization; retry specifying target organization(s) to protect transient data: ${reason}`
          : reason,
      );
    }
    const isLocal = (one: Endorser): number => (one.mspId === this.#localMspId ? 0 : 1);
    return candidates.sort((a, b) => isLocal(a) - isLocal(b));
  }

  #endorsersOf(mspIds: readonly string[]): Endorser[] {
    return this.#channel.endorsers.filter(({ mspId }) => mspIds.includes(mspId));
  }

  #ask(endorser: Endorser, request: Request): Promise<EndorserReply> {
    const isLocal = endorser.mspId === this.#localMspId;
    return endorser.process(request.proposal, request.refusal, request.state, isLocal);
  }

  /** One snapshot for all peers of a request: peers at the same height. */
  async #withState<T>(proposal: UnpackedProposal, use: (request: Request) => Promise<T>): Promise<T> {
    const refusal = this.#channel.access.refusalOf(proposal);
    const state = this.#channel.ledger.snapshot();
    try {
      return await use({ proposal, refusal, state });
    } finally {
      await state.close();
    }
  }
}

/** Text for a channel that the network does not have. */
export function unknownChannel(channel: string): string {
  return `failed to get config for channel [${channel}]: could not get last config for channel ${channel}`;
}

function refuseSystemChaincode(name: string): void {
  if (SYSTEM_CHAINCODES.includes(name)) {
    throw new GatewayFault(status.UNIMPLEMENTED, `chaincode ${name} is not supported by the embedded network`);
  }
}

function unpack(proposal: peer.SignedProposal | undefined, prefix: string): UnpackedProposal {
  try {
    return unpackProposal(proposal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new GatewayFault(status.INVALID_ARGUMENT, `${prefix}${reason}`);
  }
}

function statusOf(reply: EndorserReply): status {
  switch (reply.kind) {
    case 'success':
      return status.OK;
    case 'contract-error':
      return status.UNKNOWN;
    case 'refused':
      return status.FAILED_PRECONDITION;
    case 'failed':
      return status.ABORTED;
    case 'unavailable':
      return status.UNAVAILABLE;
  }
}

function nodeError(endorser: Endorser, reply: Exclude<EndorserReply, Success>): NodeError {
  return { address: endorser.address, mspId: endorser.mspId, message: reply.message };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
