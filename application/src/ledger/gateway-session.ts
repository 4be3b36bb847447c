// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import type { ChaincodeEvent, Gateway, Signer } from '@hyperledger/fabric-gateway';
import { common, gateway as gatewayProtos, msp, orderer } from '@hyperledger/fabric-protos';
import { canonicalJson, type LedgerEvent } from '@sev/chaincode/api';
import type { ConnectionProfile } from '../config/profile.js';
import { EXIT, SevError, messageOf } from '../errors.js';
import type { StoredIdentity } from '../identity/stored-identity.js';
import { LedgerError } from './errors.js';
import { deadline, Gateways } from './gateways.js';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry.js';
import type {
  BlockOptions,
  ContractName,
  EventOptions,
  LedgerEventEnvelope,
  LedgerSession,
  SubmitOptions,
  Submitted,
} from './session.js';
import { newMessageSigner } from './signer.js';
import {
  DEFAULT_TIMEOUTS,
  evaluateTransaction,
  submitTransaction,
  type CallOptions,
  type SignedTransaction,
  type Timeouts,
} from './submit.js';

export interface SessionOptions {
  readonly profile: ConnectionProfile;
  readonly identity: StoredIdentity;
  /** Organisation that the identity claims to be of; default: the identity's own. */
  readonly mspId?: string;
  /** MSP id of the organisation whose gateway is preferred to the others'; default: the identity's own. */
  readonly gateway?: string;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: Partial<RetryPolicy>;
}

/**
 * Opens a session. Nothing is sent yet: whether the network is there shows with the first call.
 *
 * @throws SevError ORGANISATION_UNKNOWN, IDENTITY_INVALID.
 */
export function openSession(options: SessionOptions): Promise<LedgerSession> {
  return Promise.resolve().then(() => new GatewaySession(options));
}

class GatewaySession implements LedgerSession {
  readonly mspId: string;
  readonly label: string;
  readonly #profile: ConnectionProfile;
  readonly #signer: Signer;
  readonly #gateways: Gateways;
  readonly #creator: Uint8Array;
  readonly #timeouts: Timeouts;
  readonly #policy: RetryPolicy;
  readonly #closed = new AbortController();

  constructor({ profile, identity, mspId = identity.mspId, gateway = mspId, timeouts, retry }: SessionOptions) {
    this.mspId = mspId;
    this.label = identity.label;
    this.#profile = profile;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...timeouts };
    this.#policy = { ...DEFAULT_RETRY_POLICY, ...retry };
    const credentials = Buffer.from(identity.certificate);
    const creator = new msp.SerializedIdentity();
    creator.setMspid(mspId);
    creator.setIdBytes(credentials);
    this.#creator = creator.serializeBinary();
    this.#signer = newMessageSigner(privateKeyOf(identity));
    this.#gateways = new Gateways({
      profile,
      preferred: gateway,
      identity: { mspId, credentials },
      signer: this.#signer,
      timeouts: this.#timeouts,
    });
  }

  async evaluate(contract: ContractName, transaction: string, argument: unknown): Promise<unknown> {
    const request = { arguments: [canonicalJson(argument)] };
    const evaluate = () =>
      this.#gateways.call(({ network }) =>
        network.getContract(this.#profile.chaincode, contract).evaluate(transaction, request),
      );
    return parseResult(await this.#gateways.inFlight(() => evaluateTransaction(evaluate, this.#callOptions())));
  }

  async submit(
    contract: ContractName,
    transaction: string,
    argument: unknown,
    options: SubmitOptions = {},
  ): Promise<Submitted> {
    const request = { arguments: [canonicalJson(argument)] };
    const endorse = async (): Promise<SignedTransaction> => {
      // A new proposal each time: its id is bound to its nonce, and its time must be now.
      const endorsed = await this.#gateways.call(({ network }) =>
        network.getContract(this.#profile.chaincode, contract).newProposal(transaction, request).endorse(),
      );
      const transactionId = endorsed.getTransactionId();
      const bytes = endorsed.getBytes();
      // Signed once, so that whichever gateway sends it sends the same transaction.
      const signature = await this.#signer(endorsed.getDigest());
      return {
        transactionId,
        result: endorsed.getResult(),
        submit: async () => {
          await this.#gateways.call(({ gateway }) => gateway.newSignedTransaction(bytes, signature).submit());
        },
        status: (timeoutMs) =>
          this.#gateways.call(({ gateway }) => this.#commitStatus(gateway, transactionId, timeoutMs)),
      };
    };
    const done = await this.#gateways.inFlight(() => submitTransaction(endorse, this.#callOptions(options.signal)));
    this.#gateways.heardOf(done.blockNumber);
    return {
      result: parseResult(done.transaction.result),
      transactionId: done.transaction.transactionId,
      blockNumber: done.blockNumber,
      attempts: done.attempts,
    };
  }

  async *events(options: EventOptions = {}): AsyncGenerator<LedgerEventEnvelope, void, undefined> {
    const signal = this.#streamSignal(options.signal);
    // The start is fixed now: "the next block" would mean another one after a broken connection.
    const first = options.startBlock ?? (await this.#height(signal));
    if (first === undefined) {
      return;
    }
    let startBlock = first;
    let after = options.afterTransactionId;
    const events = this.#gateways.stream(
      ({ network }) => network.getChaincodeEvents(this.#profile.chaincode, eventPosition(startBlock, after)),
      signal,
    );
    for await (const event of events) {
      this.#gateways.heardOf(event.blockNumber);
      yield { event: parseEvent(event), transactionId: event.transactionId, blockNumber: event.blockNumber };
      startBlock = event.blockNumber;
      after = event.transactionId;
    }
  }

  async *blocks(options: BlockOptions = {}): AsyncGenerator<common.Block, void, undefined> {
    const signal = this.#streamSignal(options.signal);
    let next = options.startBlock ?? 0n;
    if (options.endBlock !== undefined && next > options.endBlock) {
      return;
    }
    for await (const block of this.#gateways.stream(
      ({ network }) => network.getBlockEvents({ startBlock: next }),
      signal,
    )) {
      const number = BigInt(block.getHeader()?.getNumber() ?? 0);
      this.#gateways.heardOf(number);
      yield block;
      if (number === options.endBlock) {
        return;
      }
      next = number + 1n;
    }
  }

  async height(): Promise<bigint> {
    const signal = this.#closed.signal;
    // Not AbortSignal.timeout: within AbortSignal.any, Node 20 may collect it before it fires.
    const tooLate = new AbortController();
    const timer = setTimeout(() => {
      tooLate.abort();
    }, this.#policy.reconnectMs);
    try {
      const height = await this.#height(AbortSignal.any([signal, tooLate.signal]));
      if (height === undefined) {
        throw signal.aborted
          ? new SevError('INTERRUPTED', 'The session was closed')
          : new LedgerError('LEDGER_UNREACHABLE', 'no gateway delivers the newest block');
      }
      return height;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#closed.abort();
    this.#gateways.close();
  }

  /** @returns undefined where the signal fires first. */
  async #height(signal: AbortSignal): Promise<bigint | undefined> {
    const newest = new orderer.SeekPosition();
    newest.setNewest(new orderer.SeekNewest());
    const seek = new orderer.SeekInfo();
    seek.setStart(newest);
    seek.setStop(newest);
    // The client has no request for the newest block: put the position into one that it makes.
    const template = this.#gateways.current().network.newBlockEventsRequest({ startBlock: 0n });
    const envelope = common.Envelope.deserializeBinary(template.getBytes());
    const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
    payload.setData(seek.serializeBinary());
    envelope.setPayload(payload.serializeBinary());
    const bytes = envelope.serializeBinary();
    const newestBlock = this.#gateways.stream(
      ({ gateway }) => gateway.newBlockEventsRequest(bytes).getEvents(),
      signal,
    );
    for await (const block of newestBlock) {
      return BigInt(block.getHeader()?.getNumber() ?? 0) + 1n;
    }
    return undefined;
  }

  async #commitStatus(gateway: Gateway, transactionId: string, timeoutMs: number) {
    const request = new gatewayProtos.CommitStatusRequest();
    request.setChannelId(this.#profile.channel);
    request.setTransactionId(transactionId);
    request.setIdentity(this.#creator);
    const signed = new gatewayProtos.SignedCommitStatusRequest();
    signed.setRequest(request.serializeBinary());
    return gateway.newCommit(signed.serializeBinary()).getStatus(deadline(timeoutMs));
  }

  #callOptions(signal?: AbortSignal): CallOptions {
    const signals = signal === undefined ? this.#closed.signal : AbortSignal.any([this.#closed.signal, signal]);
    return { policy: this.#policy, timeouts: this.#timeouts, signal: signals };
  }

  #streamSignal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closed.signal : AbortSignal.any([this.#closed.signal, signal]);
  }
}

function privateKeyOf(identity: StoredIdentity) {
  try {
    return createPrivateKey(identity.privateKey);
  } catch (error) {
    throw new SevError('IDENTITY_INVALID', `The private key of ${identity.label} cannot be read: ${messageOf(error)}`, {
      exitCode: EXIT.integrity,
    });
  }
}

function parseResult(bytes: Uint8Array): unknown {
  if (bytes.length === 0) {
    return null;
  }
  return parseJson(bytes, 'result');
}

function parseEvent(event: ChaincodeEvent): LedgerEvent {
  return parseJson(event.payload, `event ${event.eventName}`) as LedgerEvent;
}

function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch (error) {
    throw new LedgerError('LEDGER_FAILED', `the contract's ${what} is not JSON`, { cause: error });
  }
}

function eventPosition(startBlock: bigint, after: string | undefined) {
  return after === undefined
    ? { startBlock }
    : { checkpoint: { getBlockNumber: () => startBlock, getTransactionId: () => after } };
}
