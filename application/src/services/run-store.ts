// SPDX-License-Identifier: Apache-2.0
import { startStoreServer } from '../store/server.js';
import { failureFields, silentLog } from './log.js';
import { listenAt, type ListenOptions } from './run-options.js';
import { newService, type RunningService } from './service.js';

export interface RunStoreOptions extends ListenOptions {
  /** Where the objects are kept. */
  readonly directory: string;
  readonly maxObjectBytes?: number | undefined;
}

/** Runs the content-addressed store. @throws SevError PORT_IN_USE. */
export async function runStore(options: RunStoreOptions): Promise<RunningService> {
  const { directory, maxObjectBytes, log = silentLog } = options;
  const server = await startStoreServer({
    dir: directory,
    ...listenAt(options),
    ...(maxObjectBytes === undefined ? {} : { maxObjectBytes }),
    onError: (error) => {
      log.error(failureFields(error), 'a request failed');
    },
  });
  let end = (): void => undefined;
  const running = new Promise<void>((resolve) => {
    end = resolve;
  });
  return newService({
    server,
    running,
    end: () => {
      end();
    },
    release: () => undefined,
  });
}
