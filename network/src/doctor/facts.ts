// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { organisationLayout, type OrganisationLayout } from '../fabric/layout.js';
import { programProblems, type ProgramProblem } from '../fabric/programs.js';
import {
  probe,
  readFailure,
  readProcess,
  type BackgroundProcess,
  type LiveStatus,
  type StartFailure,
} from '../supervisor/handshake.js';
import { topologyFile, type NetworkOptions } from '../supervisor/options.js';
import { networkPaths, type NetworkPaths } from '../supervisor/paths.js';
import { isAlive } from '../supervisor/process.js';
import { loadConnectionProfile, type ConnectionProfile } from '../supervisor/profile.js';
import { readState, type NetworkState } from '../supervisor/state.js';
import { loadTopology } from '../topology/load.js';
import type { NetworkKind, OrganisationPorts } from '../topology/ports.js';
import type { Topology } from '../topology/schema.js';
import { Proc } from './proc.js';

/** Something that may not be there, or not be readable. */
export interface Read<T> {
  readonly value?: T;
  readonly error?: Error;
}

/** Whether a network runs, as far as can be told from outside. */
export type Running =
  /** There is no state. */
  | 'never'
  /** It was stopped in order. */
  | 'down'
  /** Its process is gone without having stopped it. */
  | 'dead'
  | 'starting'
  /** Its process lives and does not answer. */
  | 'silent'
  | 'up';

/** An organisation whose nodes run from the home. */
export interface HomeMember {
  readonly name: string;
  readonly mspId: string;
  readonly ports: OrganisationPorts;
  /** Of native networks. */
  readonly layout: OrganisationLayout;
}

/** What doctor knows before it looks closer. Nothing here changes anything. */
export interface Facts {
  readonly kind: NetworkKind;
  readonly paths: NetworkPaths;
  /** NETWORK, as it is set. */
  readonly asked: string;
  /** Folder of the homes of organisations and programs. */
  readonly homes: string;
  /** What is wrong with Fabric's programs. */
  readonly programs: readonly ProgramProblem[];
  readonly nowMs: number;
  readonly proc: Proc;
  readonly state: Read<NetworkState>;
  readonly topology: Read<Topology>;
  readonly profile: Read<ConnectionProfile>;
  readonly background: Read<BackgroundProcess>;
  /** Why the last start failed. */
  readonly failure: Read<StartFailure>;
  readonly running: Running;
  readonly live: LiveStatus | undefined;
  /** Why a process that lives gave no status. */
  readonly problem: string | undefined;
  readonly members: readonly HomeMember[];
}

export interface DoctorOptions extends NetworkOptions {
  /** Folder of the homes of organisations and programs; default: SEV_HOMES, else `.sev` in the working directory. */
  readonly homes?: string;
  /** Where Fabric's programs are looked for; default: PATH. */
  readonly path?: string;
  /** The time; default: now. */
  readonly nowMs?: number;
}

async function attempt<T>(read: () => Promise<T | undefined> | T | undefined): Promise<Read<T>> {
  try {
    const value = await read();
    return value === undefined ? {} : { value };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}

function kindOf(home: string | undefined, asked: string, programs: readonly ProgramProblem[]): NetworkKind {
  const root = networkPaths(home).home;
  const existing = (['fabric', 'embedded'] as const).find((kind) => existsSync(join(root, kind)));
  if (existing !== undefined) {
    return existing;
  }
  if (asked === 'fabric' || asked === 'embedded') {
    return asked;
  }
  return programs.length === 0 ? 'fabric' : 'embedded';
}

function membersOf(paths: NetworkPaths, state: NetworkState | undefined): HomeMember[] {
  return (state?.organisations ?? []).flatMap(({ name, mspId }) => {
    const ports = state?.portPlan.ports[name];
    const isHere = state?.members?.includes(name) ?? true;
    return isHere && ports !== undefined ? [{ name, mspId, ports, layout: organisationLayout(paths.state, name) }] : [];
  });
}

function runningOf(
  state: Read<NetworkState>,
  background: BackgroundProcess | undefined,
  isAnswering: boolean,
): Running {
  if (background === undefined) {
    return state.value === undefined && state.error === undefined ? 'never' : 'down';
  }
  if (isAnswering) {
    return 'up';
  }
  if (!isAlive(background)) {
    return 'dead';
  }
  return background.status === undefined ? 'starting' : 'silent';
}

/** Looks at a home. Never throws for what it finds there. */
export async function gatherFacts(options: DoctorOptions = {}): Promise<Facts> {
  const asked = options.network ?? (process.env['NETWORK'] || 'auto');
  const programs = await programProblems(options.path);
  const kind = kindOf(options.home, asked, programs);
  const paths = networkPaths(options.home, kind);
  const proc = new Proc();
  const state = await attempt(() => readState(paths));
  const background = await attempt(() => readProcess(paths));
  const alive = background.value !== undefined && isAlive(background.value) ? background.value : undefined;
  const { live, problem } = await probe(alive);
  return {
    kind,
    paths,
    asked,
    homes: resolve(options.homes ?? (process.env['SEV_HOMES'] || '.sev')),
    programs,
    nowMs: options.nowMs ?? Date.now(),
    proc,
    state,
    topology: await attempt(() => loadTopology(topologyFile(options, state.value?.topologyFile), kind)),
    profile: existsSync(paths.profile) ? await attempt(() => loadConnectionProfile(paths.profile)) : {},
    background,
    failure: await attempt(() => readFailure(paths)),
    running: runningOf(state, background.value, live !== undefined),
    live,
    problem,
    members: membersOf(paths, state.value),
  };
}
