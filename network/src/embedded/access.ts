// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import type { Ledger } from './ledger/ledger.js';
import { implicitPolicyFailure, POLICY_MEMBERS, type ChannelPolicy } from './policies.js';
import { claimedMspId, computeTransactionId, type UnpackedProposal } from './protocol/proposal.js';
import { satisfies, type PolicyRule } from './signature-policy.js';
import { MspError, type Identity, type MembershipVerifier } from './types.js';

/** `peer.authentication.timewindow`: how far a proposal's time may be from the peer's. */
const TIME_WINDOW_MS = 60_000;

/** A proposal that a peer does not simulate; `filtered` where not even the endorser service sees it. */
export interface ProposalRefusal {
  readonly message: string;
  readonly filtered: boolean;
}

/** A request with the serialised identity that signed it. */
export interface SignedRequest {
  readonly data: Uint8Array;
  readonly identity: Uint8Array;
  readonly signature: Uint8Array;
}

/** Who may do what on the channel; the texts are those of a Fabric peer. */
export class ChannelAccess {
  readonly #channel: string;
  readonly #msp: MembershipVerifier;
  readonly #ledger: Ledger;

  constructor(channel: string, msp: MembershipVerifier, ledger: Ledger) {
    this.#channel = channel;
    this.#msp = msp;
    this.#ledger = ledger;
  }

  /** The authentication filters and the checks that an endorser makes before it simulates. */
  refusalOf(proposal: UnpackedProposal): ProposalRefusal | undefined {
    const refused = (message: string): ProposalRefusal => ({ message, filtered: false });
    const nowMs = Date.now();
    const identity = this.#tryIdentify(proposal.creator, nowMs);
    if (identity instanceof MspError && identity.reason === 'EXPIRED') {
      return { message: 'proposal client identity expired', filtered: true };
    }
    if (Math.abs(proposal.timestampMs - nowMs) > TIME_WINDOW_MS) {
      return {
        message:
          `request unauthorized due to incorrect timestamp ${rfc3339(proposal.timestampMs)}, ` +
          `peer time ${rfc3339(nowMs)}, peer.authentication.timewindow 1m0s`,
        filtered: true,
      };
    }
    const malformed = this.#malformation(proposal);
    if (malformed !== undefined) {
      return refused(`error validating proposal: ${malformed}`);
    }
    const denied = this.#authentication(proposal, identity);
    if (denied !== undefined) {
      return refused(`error validating proposal: ${denied}`);
    }
    if (this.#ledger.transaction(proposal.transactionId) !== undefined) {
      const creator = Buffer.from(proposal.creator).toString('hex');
      return refused(`duplicate transaction found [${proposal.transactionId}]. Creator [${creator}]`);
    }
    return identity instanceof MspError || POLICY_MEMBERS.Writers.includes(identity.ou)
      ? undefined
      : refused(this.#policyFailure('Writers'));
  }

  /**
   * Checks the signature on a request and that its signer satisfies a policy.
   * @throws Error with a peer's text.
   */
  check(policy: ChannelPolicy, channel: string, request: SignedRequest): void {
    if (channel !== this.#channel) {
      throw new Error(`Failed to get policy manager for channel [${channel}]`);
    }
    if (!this.satisfies(policy, request)) {
      throw new Error(this.#policyFailure(policy));
    }
  }

  /** Whether a signed message comes from someone who satisfies the policy. */
  satisfies(policy: ChannelPolicy, request: SignedRequest): boolean {
    const identity = this.#tryIdentify(request.identity, Date.now());
    return (
      !(identity instanceof MspError) &&
      POLICY_MEMBERS[policy].includes(identity.ou) &&
      this.#isSigned(identity, request.data, request.signature)
    );
  }

  /** Whether an identity satisfies a policy alone. */
  isIn(policy: PolicyRule, serializedIdentity: Uint8Array): boolean {
    const identity = this.#tryIdentify(serializedIdentity, Date.now());
    return !(identity instanceof MspError) && satisfies(policy, [identity]);
  }

  #policyFailure(policy: ChannelPolicy): string {
    return (
      `Failed evaluating policy on signed data during check policy on channel [${this.#channel}] ` +
      `with policy [/Channel/Application/${policy}]: [${implicitPolicyFailure(policy)}]`
    );
  }

  #malformation(proposal: UnpackedProposal): string | undefined {
    if (proposal.type !== common.HeaderType.ENDORSER_TRANSACTION) {
      return `invalid header type ${String(proposal.type)}`;
    }
    if (proposal.epoch !== 0) {
      return 'epoch is non-zero';
    }
    if (proposal.nonce.length === 0) {
      return 'nonce is empty';
    }
    if (proposal.creator.length === 0) {
      return 'creator is empty';
    }
    const expected = computeTransactionId(proposal.nonce, proposal.creator);
    return proposal.transactionId === expected
      ? undefined
      : `incorrectly computed txid '${proposal.transactionId}' -- expected '${expected}'`;
  }

  #authentication(proposal: UnpackedProposal, identity: Identity | MspError): string | undefined {
    if (identity instanceof MspError && ['MALFORMED', 'MSP_UNKNOWN', 'NOT_ISSUED'].includes(identity.reason)) {
      return `access denied: channel [${this.#channel}] creator org unknown, creator is malformed`;
    }
    const isAuthentic =
      !(identity instanceof MspError) &&
      this.#isSigned(
        identity,
        proposal.signedProposal.getProposalBytes_asU8(),
        proposal.signedProposal.getSignature_asU8(),
      );
    return isAuthentic
      ? undefined
      : `access denied: channel [${this.#channel}] creator org [${claimedMspId(proposal.creator)}]`;
  }

  #tryIdentify(serialized: Uint8Array, atMs: number): Identity | MspError {
    try {
      return this.#msp.identify(serialized, atMs);
    } catch (error) {
      if (error instanceof MspError) {
        return error;
      }
      throw error;
    }
  }

  #isSigned(identity: Identity, data: Uint8Array, signature: Uint8Array): boolean {
    try {
      this.#msp.verify(identity, data, signature);
      return true;
    } catch (error) {
      if (error instanceof MspError) {
        return false;
      }
      throw error;
    }
  }
}

function rfc3339(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
