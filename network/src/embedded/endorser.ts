// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import type { ProposalRefusal } from './access.js';
import type { ChaincodeResult } from './chaincode/connection.js';
import type { ChaincodeProcess } from './chaincode/process.js';
import type { StateReader } from './ledger/state.js';
import { payloadWithoutTransient, proposalHash, type UnpackedProposal } from './protocol/proposal.js';
import { newResponsePayload } from './protocol/transaction.js';
import { TransactionSimulator } from './simulation/simulator.js';
import type { ChaincodeConfig, EmbeddedOrganisation } from './types.js';

/** Responses from this status on are the chaincode's errors; they are not endorsed. */
const ERROR_THRESHOLD = 400;

/** What one peer made of a proposal. */
export type EndorserReply =
  | {
      readonly kind: 'success';
      readonly response: peer.Response;
      readonly payload: Uint8Array;
      readonly endorsement: peer.Endorsement;
    }
  /** The contract refused: nothing another peer could do better. */
  | { readonly kind: 'contract-error'; readonly message: string }
  /** The client's fault: identity, signature, duplicate. */
  | { readonly kind: 'refused'; readonly message: string }
  /** This peer could not do it; another may. */
  | { readonly kind: 'failed'; readonly message: string }
  /** No answer from the endorser itself. */
  | { readonly kind: 'unavailable'; readonly message: string };

/** One organisation's endorsing peer. */
export class Endorser {
  readonly #address: () => string;
  readonly #organisation: EmbeddedOrganisation;
  readonly #chaincode: ChaincodeConfig;
  readonly #process: ChaincodeProcess;
  readonly #executeTimeoutMs: number;

  constructor(
    address: () => string,
    organisation: EmbeddedOrganisation,
    chaincode: ChaincodeConfig,
    process: ChaincodeProcess,
    executeTimeoutMs: number,
  ) {
    this.#address = address;
    this.#organisation = organisation;
    this.#chaincode = chaincode;
    this.#process = process;
    this.#executeTimeoutMs = executeTimeoutMs;
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
    const simulator = new TransactionSimulator(state, proposal.chaincodeName);
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
      return this.#endorse(proposal, result.response, result.event, await simulator.finish());
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
        this.#executeTimeoutMs,
      );
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`failed to execute transaction ${transactionId}: error sending: ${reason}`, {
        cause,
      });
    }
  }

  #endorse(
    proposal: UnpackedProposal,
    response: peer.Response,
    event: peer.ChaincodeEvent | undefined,
    results: Uint8Array,
  ): EndorserReply {
    event?.setChaincodeId(proposal.chaincodeName);
    event?.setTxId(proposal.transactionId);
    const hash = proposalHash(
      proposal.header.getChannelHeader_asU8(),
      proposal.header.getSignatureHeader_asU8(),
      payloadWithoutTransient(proposal.invocation),
    );
    const payload = newResponsePayload(hash, response, results, event, this.#chaincode);
    const identity = this.#organisation.peer.serialized;
    const endorsement = new peer.Endorsement();
    endorsement.setEndorser(identity);
    endorsement.setSignature(this.#organisation.peer.sign(Buffer.concat([payload, identity])));
    return { kind: 'success', response, payload, endorsement };
  }
}

function failed(message: string): EndorserReply {
  return { kind: 'failed', message: `error in simulation: ${message}` };
}
