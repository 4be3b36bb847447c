// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { NetworkError } from '../errors.js';
import { readProcess } from './handshake.js';
import { asOnlyCommand, type NetworkOptions } from './options.js';
import type { NetworkPaths } from './paths.js';
import { poll } from './poll.js';
import { isAlive, killOrphans, sendSignal, type ProcessIdentity } from './process.js';
import { deleteState, readState } from './state.js';

const GRACE_MS = 20_000;
const KILL_DEADLINE_MS = 5_000;

async function awaitEnd(background: ProcessIdentity, deadlineMs: number): Promise<boolean> {
  return (await poll(() => !isAlive(background) || undefined, deadlineMs)) ?? false;
}

async function stop(paths: NetworkPaths, progress: (message: string) => void): Promise<void> {
  const background = await readProcess(paths);
  if (background === undefined) {
    return;
  }
  if (isAlive(background)) {
    progress('stopping the network');
    sendSignal(background.pid, 'SIGTERM');
    if (!(await awaitEnd(background, GRACE_MS))) {
      progress('the network does not stop by itself; ending it');
      sendSignal(background.pid, 'SIGKILL');
      if (!(await awaitEnd(background, KILL_DEADLINE_MS))) {
        throw new NetworkError('NETWORK_STOP_FAILED', `process ${background.pid.toString()} does not end`);
      }
    }
  }
  if (!(await killOrphans(background))) {
    throw new NetworkError('NETWORK_STOP_FAILED', `processes that ${background.pid.toString()} left do not end`);
  }
  await rm(paths.processFile, { force: true });
}

/** Stops the network: in order if it can, by force if it must. Harmless when it is not running. @throws NetworkError */
export async function networkDown(options: NetworkOptions = {}): Promise<void> {
  await asOnlyCommand(options, async (paths) => {
    await readState(paths);
    await stop(paths, options.onProgress ?? (() => undefined));
  });
}

/**
 * Stops the network and deletes its state: keys, registrations and ledger together.
 * @throws NetworkError STATE_FOREIGN when the state directory is not one of this program's
 */
export async function networkClean(options: NetworkOptions = {}): Promise<void> {
  const progress = options.onProgress ?? (() => undefined);
  await asOnlyCommand(options, async (paths) => {
    await readState(paths);
    await stop(paths, progress);
    progress('deleting keys, registrations and ledger');
    await deleteState(paths);
  });
}
