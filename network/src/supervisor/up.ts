// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NetworkError } from '../errors.js';
import { LEAN_NODE_FLAGS, leanEnvironment } from '../lean-process.js';
import { loadTopology } from '../topology/load.js';
import { parsePortOffset } from '../topology/ports.js';
import type { Topology } from '../topology/schema.js';
import { livingProcess, probe, readFailure, readProcess } from './handshake.js';
import { chooseNetwork } from './kind.js';
import { asOnlyCommand, topologyFile, type NetworkOptions } from './options.js';
import { networkPaths, type NetworkPaths } from './paths.js';
import { poll } from './poll.js';
import { killOrphans, sendSignal } from './process.js';
import { checkStateFits, prepareState, readState, sweepDeleted } from './state.js';
import { statusOf, type NetworkStatus } from './status.js';

const READY_DEADLINE_MS = 180_000;
const LOG_ROTATE_BYTES = 16 * 1024 * 1024;
const LOG_TAIL_BYTES = 2_000;
const BACKGROUND_PROGRAM = fileURLToPath(new URL('./main.js', import.meta.url));

/** Starts the background process: its own session, its output in the log, nothing of its parent's kept open. */
async function spawnBackground(paths: NetworkPaths, topology: Topology): Promise<ChildProcess> {
  if (existsSync(paths.log) && (await stat(paths.log)).size > LOG_ROTATE_BYTES) {
    await rename(paths.log, `${paths.log}.1`);
  }
  const log = await open(paths.log, 'a', 0o600);
  try {
    const child = spawn(
      process.execPath,
      [...LEAN_NODE_FLAGS, BACKGROUND_PROGRAM, paths.home, topology.file, paths.kind],
      {
        cwd: paths.home,
        env: leanEnvironment(process.env),
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      },
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

async function logTail(paths: NetworkPaths): Promise<string> {
  const text = existsSync(paths.log) ? await readFile(paths.log, 'utf8') : '';
  return text.slice(-LOG_TAIL_BYTES).trim();
}

/** Ready is what answers: a process that was just killed may still look alive. */
async function isReady(paths: NetworkPaths): Promise<boolean> {
  return (await probe(await livingProcess(paths))).live !== undefined;
}

/**
 * Waits for a process that was started here.
 * @returns whether it is ready; if not, another process holds the state
 * @throws NetworkError with what the process gave as its reason, or with the end of its log
 */
async function awaitStarted(
  paths: NetworkPaths,
  child: ChildProcess,
  progress: (message: string) => void,
): Promise<boolean> {
  let phase: string | undefined;
  const outcome = await poll(async () => {
    if (await isReady(paths)) {
      return 'ready';
    }
    const now = (await readProcess(paths))?.phase;
    if (now !== undefined && now !== phase) {
      progress(now);
      phase = now;
    }
    return child.exitCode !== null || child.signalCode !== null ? 'ended' : undefined;
  }, READY_DEADLINE_MS);
  if (outcome === 'ready') {
    return true;
  }
  if (outcome === undefined && child.pid !== undefined) {
    sendSignal(-child.pid, 'SIGKILL');
  }
  const failure = await readFailure(paths);
  if (failure !== undefined && failure.pid === child.pid) {
    if (failure.code === 'ALREADY_RUNNING') {
      return false;
    }
    throw new NetworkError(failure.code, failure.message);
  }
  const what = outcome === undefined ? `was not ready after ${(READY_DEADLINE_MS / 1000).toString()} s` : 'ended';
  throw new NetworkError(
    'NETWORK_START_FAILED',
    `the network's process ${what}; the end of ${paths.log}:\n${await logTail(paths)}`,
  );
}

/** Waits for a process that somebody else started. @returns whether it is ready; if not, it has ended */
async function awaitOther(paths: NetworkPaths): Promise<boolean> {
  const outcome = await poll(async () => {
    if ((await livingProcess(paths)) === undefined) {
      return 'ended';
    }
    return (await isReady(paths)) ? 'ready' : undefined;
  }, READY_DEADLINE_MS);
  if (outcome === undefined) {
    throw new NetworkError('NETWORK_START_FAILED', `the network is not getting ready; see ${paths.log}, then run down`);
  }
  return outcome === 'ready';
}

async function start(paths: NetworkPaths, topology: Topology, progress: (message: string) => void): Promise<boolean> {
  const dead = await readProcess(paths);
  if (dead !== undefined) {
    progress('the network did not end in order; clearing up and starting it again');
    if (!(await killOrphans(dead))) {
      throw new NetworkError('NETWORK_STOP_FAILED', `processes that ${dead.pid.toString()} left do not end`);
    }
  }
  const state = await prepareState(paths, topology, parsePortOffset(process.env['SEV_PORT_OFFSET']));
  await rm(paths.failureFile, { force: true });
  await rm(paths.processFile, { force: true });
  const organisations = state.members?.join(', ') ?? `${topology.organisations.length.toString()} organisations`;
  progress(`starting the network "${topology.name}": ${organisations}`);
  return awaitStarted(paths, await spawnBackground(paths, topology), progress);
}

/** @returns whether the network is ready */
async function bringUp(paths: NetworkPaths, topology: Topology, progress: (message: string) => void): Promise<boolean> {
  if ((await livingProcess(paths)) === undefined) {
    return start(paths, topology, progress);
  }
  const state = await readState(paths);
  if (state !== undefined) {
    checkStateFits(paths, state, topology);
  }
  progress('the network is up already');
  return awaitOther(paths);
}

/**
 * Brings the network up and waits until it is ready. Harmless when it is up; repairs one whose process was killed.
 *
 * Environment: NETWORK, SEV_NETWORK_HOME, SEV_PORT_OFFSET, SEV_TOPOLOGY.
 * @throws NetworkError, TopologyError
 */
export async function networkUp(options: NetworkOptions = {}): Promise<NetworkStatus> {
  const progress = options.onProgress ?? (() => undefined);
  const choice = await chooseNetwork(options.network, undefined, options.home);
  progress(`network: ${choice.kind} (${choice.reason})`);
  const remembered = await readState(networkPaths(options.home, choice.kind));
  const topology = loadTopology(topologyFile(options, remembered?.topologyFile), choice.kind);
  await asOnlyCommand(
    options,
    async (paths) => {
      await sweepDeleted(paths);
      // A process may be on its way up or down that nobody here started (its command was killed, or it got a signal).
      const ready = await poll(
        async () => ((await bringUp(paths, topology, progress)) ? true : undefined),
        READY_DEADLINE_MS,
      );
      if (ready === undefined) {
        throw new NetworkError('NETWORK_START_FAILED', `another process holds ${paths.state}; run down, then up`);
      }
    },
    choice.kind,
  );
  if (choice.kind === 'fabric') {
    await (await import('../fabric/take-part.js')).takePart(options);
  }
  const status = await statusOf(networkPaths(options.home));
  if (!status.running) {
    const problem = status.problem ?? 'its process ended';
    throw new NetworkError('NETWORK_START_FAILED', `the network was ready, but now ${problem}; see ${status.log}`);
  }
  return { ...status, reason: choice.reason };
}
