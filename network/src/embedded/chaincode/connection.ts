// SPDX-License-Identifier: Apache-2.0
import { credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { peer } from '@hyperledger/fabric-protos';
import type { TransactionSimulator } from '../simulation/simulator.js';
import { handleStateRequest } from './requests.js';

type Message = peer.ChaincodeMessage;
const MESSAGE = peer.ChaincodeMessage.Type;

/** Worded as a Fabric peer words it. */
export const EXECUTION_TIMEOUT = 'timeout expired while executing transaction';
export const STREAM_TERMINATED = 'chaincode stream terminated';

/** Mutual TLS to a chaincode process. */
export interface ChaincodeTls {
  readonly rootCertPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** What the chaincode answered: its response, or the text of an ERROR message. */
export type ChaincodeResult =
  { readonly response: peer.Response; readonly event: peer.ChaincodeEvent | undefined } | { readonly failure: string };

interface RunningTransaction {
  readonly simulator: TransactionSimulator;
  readonly finish: (message: Message | Error) => void;
}

/** A chaincode call. */
export interface ChaincodeCall {
  readonly channelId: string;
  readonly transactionId: string;
  readonly input: peer.ChaincodeInput;
  readonly signedProposal: peer.SignedProposal;
}

/**
 * The peer's end of one chaincode stream (`Chaincode.Connect`). Calls run concurrently; each is told apart by channel
 * and transaction id.
 */
export class ChaincodeConnection {
  readonly #client: peer.ChaincodeClient;
  readonly #stream: ClientDuplexStream<Message, Message>;
  readonly #running = new Map<string, RunningTransaction>();
  readonly #onClosed: () => void;
  #closed = false;

  private constructor(
    client: peer.ChaincodeClient,
    stream: ClientDuplexStream<Message, Message>,
    onClosed: () => void,
  ) {
    this.#client = client;
    this.#stream = stream;
    this.#onClosed = onClosed;
  }

  /**
   * Connects, and resolves once the chaincode has registered under the expected id.
   * @param abandoned ends the attempt; without effect afterwards
   * @throws Error where it does not within the deadline.
   */
  static async open(
    address: string,
    tls: ChaincodeTls,
    chaincodeId: string,
    deadlineMs: number,
    onClosed: () => void,
    abandoned: AbortSignal,
  ): Promise<ChaincodeConnection> {
    const client = new peer.ChaincodeClient(
      address,
      credentials.createSsl(
        Buffer.from(tls.rootCertPem),
        Buffer.from(tls.privateKeyPem),
        Buffer.from(tls.certificatePem),
      ),
      {
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        // A contract that blocks its process is found out by these pings.
        'grpc.keepalive_time_ms': 20_000,
        'grpc.keepalive_timeout_ms': 20_000,
        'grpc.use_local_subchannel_pool': 1,
      },
    );
    const abandon = (): void => {
      client.close();
    };
    abandoned.addEventListener('abort', abandon);
    try {
      await new Promise<void>((resolve, reject) => {
        client.waitForReady(Date.now() + deadlineMs, (error) => {
          if (error === undefined) {
            resolve();
          } else {
            reject(error);
          }
        });
      });
      const connection = new ChaincodeConnection(client, client.connect(), onClosed);
      await connection.#register(chaincodeId, deadlineMs);
      return connection;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      abandoned.removeEventListener('abort', abandon);
    }
  }

  /**
   * Calls the chaincode.
   * @throws Error with Fabric's text where it takes too long, or where the chaincode process ends meanwhile.
   */
  async execute(call: ChaincodeCall, simulator: TransactionSimulator, timeoutMs: number): Promise<ChaincodeResult> {
    const id = contextId(call.channelId, call.transactionId);
    if (this.#closed) {
      throw new Error(STREAM_TERMINATED);
    }
    if (this.#running.has(id)) {
      throw new Error(`txid: ${call.transactionId}(${call.channelId}) exists`);
    }
    const message = newMessage(MESSAGE.TRANSACTION, call.channelId, call.transactionId);
    message.setPayload(call.input.serializeBinary());
    message.setProposal(call.signedProposal);
    const answer = await new Promise<Message>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(EXECUTION_TIMEOUT));
      }, timeoutMs);
      this.#running.set(id, {
        simulator,
        finish: (result) => {
          clearTimeout(timer);
          if (result instanceof Error) {
            reject(result);
          } else {
            resolve(result);
          }
        },
      });
      this.#stream.write(message);
    }).finally(() => this.#running.delete(id));
    if (answer.getType() === MESSAGE.ERROR) {
      return { failure: Buffer.from(answer.getPayload_asU8()).toString('utf8') };
    }
    return {
      response: peer.Response.deserializeBinary(answer.getPayload_asU8()),
      event: answer.getChaincodeEvent(),
    };
  }

  close(): void {
    this.#end();
    this.#stream.cancel();
    this.#client.close();
  }

  #register(chaincodeId: string, deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error('the chaincode did not register in time'));
      }, deadlineMs);
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.#end();
        reject(error);
      };
      this.#stream.on('error', fail);
      this.#stream.on('end', () => {
        fail(new Error(STREAM_TERMINATED));
      });
      this.#stream.once('data', (message: Message) => {
        const name = peer.ChaincodeID.deserializeBinary(message.getPayload_asU8()).getName();
        if (message.getType() !== MESSAGE.REGISTER || name !== chaincodeId) {
          fail(new Error(`expected chaincode ${chaincodeId} to register, got ${name}`));
          return;
        }
        clearTimeout(timer);
        this.#stream.write(newMessage(MESSAGE.REGISTERED, '', ''));
        this.#stream.write(newMessage(MESSAGE.READY, '', ''));
        this.#stream.on('data', (next: Message) => {
          this.#receive(next);
        });
        resolve();
      });
    });
  }

  #receive(message: Message): void {
    const running = this.#running.get(contextId(message.getChannelId(), message.getTxid()));
    const type = message.getType();
    if (type === MESSAGE.COMPLETED || type === MESSAGE.ERROR) {
      running?.finish(message);
    } else if (type !== MESSAGE.KEEPALIVE) {
      void this.#respond(message, running?.simulator);
    }
  }

  async #respond(request: Message, simulator: TransactionSimulator | undefined): Promise<void> {
    const answer = newMessage(MESSAGE.RESPONSE, request.getChannelId(), request.getTxid());
    try {
      if (simulator === undefined) {
        throw new Error('no ledger context');
      }
      answer.setPayload((await handleStateRequest(request, simulator)) ?? new Uint8Array());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      answer.setType(MESSAGE.ERROR);
      answer.setPayload(Buffer.from(`${typeName(request)} failed: transaction ID: ${request.getTxid()}: ${reason}`));
    }
    if (!this.#closed) {
      this.#stream.write(answer);
    }
  }

  #end(): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    for (const { finish } of this.#running.values()) {
      finish(new Error(STREAM_TERMINATED));
    }
    this.#onClosed();
  }
}

function contextId(channelId: string, transactionId: string): string {
  return `${channelId}\u0000${transactionId}`;
}

function newMessage(
  type: peer.ChaincodeMessage.TypeMap[keyof peer.ChaincodeMessage.TypeMap],
  channelId: string,
  transactionId: string,
): Message {
  const message = new peer.ChaincodeMessage();
  message.setType(type);
  message.setChannelId(channelId);
  message.setTxid(transactionId);
  return message;
}

function typeName(message: Message): string {
  const found = Object.entries(MESSAGE).find(([, value]) => value === message.getType());
  return found?.[0] ?? String(message.getType());
}
