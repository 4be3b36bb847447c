// SPDX-License-Identifier: Apache-2.0
import type { HttpServer } from './http-server.js';

/** A long-running program inside this process. */
export interface RunningService {
  /** Where the service answers; absent for a service that only calls others. */
  readonly url?: string;
  /** Settles when the service has ended: by itself, by `close`, or (rejected) by a failure it cannot get over. */
  readonly done: Promise<void>;
  /** Why there is nothing for it to do: it has ended before it began. */
  readonly idle?: string;
  /** Stops taking work, ends what is under way, and resolves once everything is released. May be called twice. */
  close(): Promise<void>;
}

export interface ServiceParts {
  readonly server?: HttpServer;
  /** The service's own loop. */
  readonly running: Promise<void>;
  /** Makes the loop end. */
  readonly end: () => void;
  /** Releases what the service holds, after its loop and its server have ended. */
  readonly release: () => Promise<void> | void;
  readonly idle?: string;
}

/** Ties the parts of a service together, so that however it ends, everything is released once. */
export function newService({ server, running, end, release, idle }: ServiceParts): RunningService {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      end();
      await Promise.allSettled([server?.close(), running]);
      await release();
    })();
    return closing;
  };
  const done = running.finally(close);
  // Whoever waits for `done` sees the failure; nobody has to.
  done.catch(() => undefined);
  return { ...(idle === undefined ? {} : { idle }), ...(server === undefined ? {} : { url: server.url }), done, close };
}
