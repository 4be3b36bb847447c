// SPDX-License-Identifier: Apache-2.0
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A port that passes everything on to another one while it is open, and breaks every connection when it closes. */
export class TcpRelay {
  readonly #sockets = new Set<Socket>();
  readonly #target: { readonly host: string; readonly port: number };
  #server: Server | undefined;
  #port = 0;
  /** Connections accepted so far. */
  accepted = 0;

  /** @param target `host:port` */
  constructor(target: string) {
    const [host = '', port] = target.split(':');
    this.#target = { host, port: Number(port) };
  }

  get address(): string {
    return `localhost:${this.#port}`;
  }

  /** Listens, on the same port as before where there was one. */
  async open(): Promise<void> {
    const server = createServer((incoming) => {
      this.accepted += 1;
      const outgoing = connect(this.#target);
      this.#pass(incoming, outgoing);
      this.#pass(outgoing, incoming);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => {
      if (server === undefined) {
        resolve();
      } else {
        server.close(() => {
          resolve();
        });
      }
    });
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.pipe(to);
    // A broken side breaks the other one, which is what the test is about.
    from.on('error', () => to.destroy());
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
