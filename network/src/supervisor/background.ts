// SPDX-License-Identifier: Apache-2.0
import { rm } from 'node:fs/promises';
import { closeAll } from '../closing.js';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { loadTopology } from '../topology/load.js';
import { checkPortsFree } from '../topology/ports.js';
import { writeProcess } from './handshake.js';
import { formatJson } from './json.js';
import { tryLock } from './lock.js';
import type { NetworkPaths } from './paths.js';
import { identifyProcess } from './process.js';
import type { Log, RunningNetwork, StartContext } from './running.js';
import { checkStateFits, readState } from './state.js';
import { startStatusServer } from './status-server.js';

/** Each kind's programs are loaded when they are needed only. */
async function startKind(context: StartContext): Promise<RunningNetwork> {
  if (context.paths.kind === 'fabric') {
    return (await import('../fabric/run.js')).runFabric(context);
  }
  return (await import('./embedded.js')).runEmbedded(context);
}

/**
 * Runs a whole network from this process. When it resolves, the network is ready and has written what applications need.
 * @param onFailure told that nothing can be committed any longer
 * @returns what stops it, in order
 * @throws NetworkError and what the parts throw; everything that was started is stopped again
 */
export async function runNetwork(
  paths: NetworkPaths,
  topologyFile: string,
  log: Log,
  onFailure: (error: Error) => void,
): Promise<() => Promise<void>> {
  const started: (() => Promise<void>)[] = [];
  const stop = (): Promise<void> => closeAll(started.splice(0).reverse());
  const startedAtMs = Date.now();
  const self = identifyProcess(process.pid);
  const lock = await tryLock(paths.runLock);
  if (lock === undefined || self === undefined) {
    throw new NetworkError('ALREADY_RUNNING', `another process runs the network in ${paths.home}`);
  }
  started.push(() => lock.release());
  try {
    started.push(() => rm(paths.processFile, { force: true }));
    await writeProcess(paths, self);
    const topology = loadTopology(topologyFile, paths.kind);
    const state = await readState(paths);
    if (state === undefined) {
      throw new NetworkError(
        'NETWORK_START_FAILED',
        `${paths.state} holds no network; bring it up with \`network up\``,
      );
    }
    checkStateFits(paths, state, topology);
    await checkPortsFree(topology, state.portPlan, state.members);
    const onPhase = async (phase: string): Promise<void> => {
      log('info', phase);
      await writeProcess(paths, { ...self, phase });
    };
    const network = await startKind({ paths, topology, state, log, onPhase, onFailure, started });
    const statusServer = await startStatusServer({
      status: async () => ({ ...(await network.live()), startedAtMs }),
      control: (request) => network.control(request),
    });
    started.push(() => statusServer.close());
    if (network.profile !== undefined) {
      await writeFileAtomic(paths.profile, formatJson(network.profile));
    }
    await writeProcess(paths, { ...self, status: statusServer.address });
    // From here on it stops in the reverse order, and first of all says that it is no longer ready.
    started.push(() => writeProcess(paths, self));
    return stop;
  } catch (error) {
    await stop().catch((reason: unknown) => {
      log('error', 'a part of the network did not stop', { error: String(reason) });
    });
    throw error;
  }
}
