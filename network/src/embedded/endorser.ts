// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import type { ChannelAccess, ProposalRefusal } from './access.js';
import type { ChaincodeDefinition, Collections } from './chaincode/collections.js';
import type { ChaincodeResult } from './chaincode/connection.js';
import type { ChaincodeProcess } from './chaincode/process.js';
import type { Ledger } from './ledger/ledger.js';
import type { StateReader } from './ledger/state.js';
import { payloadWithoutTransient, proposalHash, type UnpackedProposal } from './protocol/proposal.js';
import { newResponsePayload } from './protocol/transaction.js';
import { TransactionSimulator, type EndorsementInterest } from './simulation/simulator.js';
import type { EmbeddedOrganisation } from './types.js';

/** Responses from this status on are the chaincode's errors; they are not endorsed. */
const ERROR_THRESHOLD = 400;

/** What one peer made of a proposal. */
export type EndorserReply =
  | {
      readonly kind: 'success';
      readonly response: peer.Response;
      readonly payload: Uint8Array;
      readonly endorsement: peer.Endorsement;
      readonly interest: EndorsementInterest;
    }
  /** The contract refused: nothing another peer could do better. */
  | { readonly kind: 'contract-error'; readonly message: string }
  /** The client's fault: identity, signature, duplicate. */
  | { readonly kind: 'refused'; readonly message: string }
  /** This peer could not do it; another may. */
  | { readonly kind: 'failed'; readonly message: string }
  /** No answer from the endorser itself. */
  | { readonly kind: 'unavailable'; readonly message: string };

/** What the endorsing peers of all organisations share. */
export interface EndorserContext {
  readonly ledger: Ledger;
  readonly access: ChannelAccess;
  readonly chaincode: ChaincodeDefinition;
  readonly collections: Collections;
  /** Of one chaincode call, at the most. */
  readonly executeTimeoutMs: number;
}

/** One organisation's endorsing peer. */
export class Endorser {
  readonly #address: () => string;
  readonly #organisation: EmbeddedOrganisation;
  readonly #process: ChaincodeProcess;
  readonly #context: EndorserContext;

  constructor(
    address: () => string,
    organisation: EmbeddedOrganisation,
    process: ChaincodeProcess,
    context: EndorserContext,
  ) {
    this.#address = address;
    this.#organisation = organisation;
    this.#process = process;
    this.#context = context;
  }

  /** Where its gateway listens: how error details name it. */
  get address(): string {
    return this.#address();
  }

  get mspId(): string {
    return this.#organisation.mspId;
  }

  /**
   * Simulates a proposal and endorses its results.
   * @param refusal result of the checks before simulation, which are the same on every peer.
   * @param isLocal whether the gateway asks its own peer; another's errors arrive as gRPC errors.
   */
  async process(
    proposal: UnpackedProposal,
    refusal: ProposalRefusal | undefined,
    state: StateReader,
    isLocal: boolean,
  ): Promise<EndorserReply> {
    if (refusal !== undefined) {
      return isLocal
        ? { kind: refusal.filtered ? 'unavailable' : 'refused', message: refusal.message }
        : { kind: 'unavailable', message: `rpc error: code = Unknown desc = ${refusal.message}` };
    }
    const { access, collections } = this.#context;
    const simulator = new TransactionSimulator(state, {
      channel: proposal.channelId,
      chaincode: proposal.chaincodeName,
      transactionId: proposal.transactionId,
      mspId: this.mspId,
      collections,
      isCreatorIn: (policy) => access.isIn(policy, proposal.creator),
    });
    try {
      const result = await this.#execute(proposal, simulator);
      if ('failure' in result) {
        return failed(`transaction returned with failure: ${result.failure}`);
      }
      const status = result.response.getStatus();
      if (status >= ERROR_THRESHOLD) {
        const message = `chaincode response ${String(status)}, ${result.response.getMessage()}`;
        return { kind: 'contract-error', message };
      }
      return await this.#endorse(proposal, result.response, result.event, simulator);
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    } finally {
      await simulator.discard();
    }
  }

  async #execute(proposal: UnpackedProposal, simulator: TransactionSimulator): Promise<ChaincodeResult> {
    const { channelId, transactionId, input, signedProposal } = proposal;
    if (input.getIsInit()) {
      throw new Error(
        `failed to execute transaction ${transactionId}: invalid invocation: ` +
          `chaincode '${proposal.chaincodeName}' does not require initialization but called as init`,
      );
    }
    try {
      return await this.#process.execute(
        { channelId, transactionId, input, signedProposal },
        simulator,
        this.#context.executeTimeoutMs,
      );
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`failed to execute transaction ${transactionId}: error sending: ${reason}`, {
        cause,
      });
    }
  }

  async #endorse(
    proposal: UnpackedProposal,
    response: peer.Response,
    event: peer.ChaincodeEvent | undefined,
    simulator: TransactionSimulator,
  ): Promise<EndorserReply> {
    const { ledger, chaincode } = this.#context;
    const { results, privateSets, interest } = await simulator.finish();
    await this.#distribute(proposal, ledger, privateSets);
    event?.setChaincodeId(proposal.chaincodeName);
    event?.setTxId(proposal.transactionId);
    const hash = proposalHash(
      proposal.header.getChannelHeader_asU8(),
      proposal.header.getSignatureHeader_asU8(),
      payloadWithoutTransient(proposal.invocation),
    );
    const payload = newResponsePayload(hash, response, results, event, chaincode);
    const identity = this.#organisation.peer.serialized;
    const endorsement = new peer.Endorsement();
    endorsement.setEndorser(identity);
    endorsement.setSignature(this.#organisation.peer.sign(Buffer.concat([payload, identity])));
    return { kind: 'success', response, payload, endorsement, interest };
  }

  async #distribute(
    { channelId, transactionId, chaincodeName }: UnpackedProposal,
    { privateData, height }: Ledger,
    privateSets: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> {
    try {
      await privateData.distribute(this.mspId, transactionId, height, chaincodeName, privateSets);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const what = `failed to distribute private collection, txID ${transactionId}, channel ${channelId}`;
      throw new Error(`${what}: ${reason}`, { cause });
    }
  }
}

function failed(message: string): EndorserReply {
  return { kind: 'failed', message: `error in simulation: ${message}` };
}
