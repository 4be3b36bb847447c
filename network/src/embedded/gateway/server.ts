// SPDX-License-Identifier: Apache-2.0
import { on, once } from 'node:events';
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { common, gateway, peer } from '@hyperledger/fabric-protos';
import { NetworkError } from '../../errors.js';
import { LedgerError } from '../ledger/errors.js';
import type { KeyPairPem } from '../types.js';
import { blockAndPrivateData, filteredBlock, wholeBlock, type BlockView } from './blockviews.js';
import { deliverBlocks } from './deliver.js';
import type { Channel, EndorsementService } from './endorsement.js';
import { chaincodeEvents } from './events.js';
import { ConcurrencyLimiter } from './limiter.js';
import { GatewayFault, toServiceError } from './status.js';
import type { SubmissionService } from './submission.js';

/** Fabric's defaults of `peer.limits.concurrency`. */
const GATEWAY_CONCURRENCY = 500;
const DELIVER_CONCURRENCY = 2_500;
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;

/** The gRPC server of one organisation: the Gateway and Deliver services of its peer. */
export class GatewayServer {
  readonly #server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  });
  /** Ends calls that would otherwise go on. */
  readonly #interrupts = new Set<() => void>();
  #isStopping = false;
  readonly #gatewayLimiter = new ConcurrencyLimiter('/gateway.Gateway', GATEWAY_CONCURRENCY);
  readonly #deliverLimiter = new ConcurrencyLimiter('/protos.Deliver', DELIVER_CONCURRENCY);

  constructor(channel: Channel, mspId: string, endorsement: EndorsementService, submission: SubmissionService) {
    this.#server.addService(gateway.GatewayService, {
      evaluate: this.#unary((request: gateway.EvaluateRequest) => endorsement.evaluate(request)),
      endorse: this.#unary((request: gateway.EndorseRequest) => endorsement.endorse(request)),
      submit: this.#unary((request: gateway.SubmitRequest) => submission.submit(request)),
      commitStatus: this.#unary((request: gateway.SignedCommitStatusRequest, signal) =>
        submission.commitStatus(request, signal),
      ),
      chaincodeEvents: (
        call: ServerWritableStream<gateway.SignedChaincodeEventsRequest, gateway.ChaincodeEventsResponse>,
      ) => {
        void this.#stream(call, this.#gatewayLimiter, async (signal) => {
          for await (const response of chaincodeEvents(channel, call.request, signal)) {
            await write(call, response, signal);
          }
        });
      },
    });
    const deliver = (view: BlockView) => (call: ServerDuplexStream<common.Envelope, peer.DeliverResponse>) => {
      void this.#stream(call, this.#deliverLimiter, async (signal) => {
        // Not `for await (… of call)`: leaving that loop destroys the call, and no status could follow.
        const requests = on(call, 'data', { close: ['end'], signal });
        for await (const [envelope] of requests as AsyncIterable<[common.Envelope]>) {
          let last: peer.DeliverResponse | undefined;
          for await (const response of deliverBlocks(channel, envelope, view, signal)) {
            last = response;
            await write(call, response, signal);
          }
          if (last?.getStatus() !== common.Status.SUCCESS) {
            return;
          }
        }
      });
    };
    this.#server.addService(peer.DeliverService, {
      deliver: deliver(wholeBlock),
      deliverFiltered: deliver(filteredBlock),
      deliverWithPrivateData: deliver(blockAndPrivateData(channel, mspId)),
    });
  }

  /** Listens on loopback. @returns the port. @throws NetworkError PORT_IN_USE, or the system's error. */
  async listen(port: number, tls: KeyPairPem): Promise<number> {
    const credentials = ServerCredentials.createSsl(null, [
      { private_key: Buffer.from(tls.privateKeyPem), cert_chain: Buffer.from(tls.certificatePem) },
    ]);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${String(port)}`, credentials, (error, bound) => {
        if (error === null) {
          resolve(bound);
        } else if (error.message.includes('EADDRINUSE')) {
          reject(
            new NetworkError('PORT_IN_USE', `port ${port} of a gateway is in use by another program`, { cause: error }),
          );
        } else {
          reject(error);
        }
      });
    });
  }

  /** Ends streams and waiting calls; those that are being worked on finish. */
  async close(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const interrupt of this.#interrupts) {
      interrupt();
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #unary<Q, A>(
    handle: (request: Q, signal: AbortSignal) => A | undefined | Promise<A | undefined>,
  ): (call: ServerUnaryCall<Q, A>, callback: sendUnaryData<A>) => void {
    const answer = async (call: ServerUnaryCall<Q, A>): Promise<A> => {
      const release = this.#gatewayLimiter.acquire();
      const cancelled = new AbortController();
      const onCancelled = (): void => {
        cancelled.abort();
      };
      call.on('cancelled', onCancelled);
      this.#interrupts.add(onCancelled);
      try {
        const response = await handle(call.request, cancelled.signal);
        if (response === undefined) {
          throw this.#ended();
        }
        return response;
      } finally {
        this.#interrupts.delete(onCancelled);
        release();
      }
    };
    return (call, callback) => {
      answer(call).then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          callback(toServiceError(error));
        },
      );
    };
  }

  async #stream(
    call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
    limiter: ConcurrencyLimiter,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const cancelled = new AbortController();
    call.on('cancelled', () => {
      cancelled.abort();
    });
    let interrupt = (): void => undefined;
    const stopping = new Promise<never>((_resolve, reject) => {
      interrupt = () => {
        cancelled.abort();
        reject(this.#ended());
      };
    });
    this.#interrupts.add(interrupt);
    let release: (() => void) | undefined;
    try {
      release = limiter.acquire();
      await Promise.race([run(cancelled.signal), stopping]);
      call.end();
    } catch (error) {
      if (!call.cancelled) {
        call.emit('error', toServiceError(streamFailure(error)));
      }
    } finally {
      this.#interrupts.delete(interrupt);
      release?.();
    }
  }

  #ended(): GatewayFault {
    return this.#isStopping
      ? new GatewayFault(status.UNAVAILABLE, 'the network is stopping')
      : new GatewayFault(status.CANCELLED, 'context canceled');
  }
}

/** A damaged block ends a stream with DATA_LOSS, which says which block it is. */
function streamFailure(error: unknown): unknown {
  return error instanceof LedgerError && error.code === 'DATA_LOSS'
    ? new GatewayFault(status.DATA_LOSS, error.message)
    : error;
}

async function write(
  call: ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>,
  message: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (!call.write(message) && !signal.aborted) {
    await once(call, 'drain', { signal });
  }
}
