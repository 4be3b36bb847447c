// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly request: Buffer;
  readonly status: number;
  readonly answer: Buffer;
}

export interface RelayOptions {
  /** Told of each request before it is passed on. */
  readonly onRequest?: (request: Pick<Exchange, 'method' | 'path' | 'request'>) => void;
  /** Told of each answer; what it returns is sent instead of the answer's body. */
  readonly onAnswer?: (exchange: Exchange) => Buffer | undefined;
}

/** Stands between a program and a service, and sees or changes what they say. */
export class Relay {
  /** Where the service is now; requests are refused with 503 while it is undefined. */
  target: string | undefined;
  readonly #server: Server;
  readonly #options: RelayOptions;

  private constructor(options: RelayOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      this.#pass(request, response).catch(() => {
        // The service died on the way; its client must see that as it would without the relay.
        response.destroy();
      });
    });
  }

  static async start(options: RelayOptions): Promise<Relay> {
    const relay = new Relay(options);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming;
    const parts: Buffer[] = [];
    for await (const part of incoming) {
      parts.push(part as Buffer);
    }
    const request = Buffer.concat(parts);
    this.#options.onRequest?.({ method, path, request });
    if (this.target === undefined) {
      outgoing.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"SERVICE_CLOSING","detail":"down"}');
      return;
    }
    const type = incoming.headers['content-type'];
    const answer = await fetch(`${this.target}${path}`, {
      method,
      ...(type === undefined ? {} : { headers: { 'content-type': type } }),
      ...(request.length === 0 ? {} : { body: request }),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    const exchange = { method, path, request, status: answer.status, answer: body };
    const sent = this.#options.onAnswer?.(exchange) ?? body;
    outgoing.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    outgoing.end(method === 'HEAD' ? undefined : sent);
  }
}
