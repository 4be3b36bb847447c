// SPDX-License-Identifier: Apache-2.0
import type { NetworkPaths } from './paths.js';
import type { ControlRequest } from './control.js';
import type { LiveStatus } from './handshake.js';
import type { ConnectionProfile } from './profile.js';
import type { NetworkState } from './state.js';
import type { Topology } from '../topology/schema.js';

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

/** What a network is started with. */
export interface StartContext {
  readonly paths: NetworkPaths;
  readonly topology: Topology;
  readonly state: NetworkState;
  readonly log: Log;
  /** Told what is being done, in words. */
  readonly onPhase: (phase: string) => Promise<void>;
  /** Told that nothing can be committed any longer. */
  readonly onFailure: (error: Error) => void;
  /** What was started, to be stopped in the reverse order. */
  readonly started: (() => Promise<void>)[];
}

/** A network that is ready. */
export interface RunningNetwork {
  /** What applications are told; nothing while the channel does not exist yet. */
  readonly profile: ConnectionProfile | undefined;
  live(): Promise<Omit<LiveStatus, 'startedAtMs'>>;
  /** @throws NetworkError NOT_SUPPORTED where this kind of network cannot do it */
  control(request: ControlRequest): Promise<void>;
}
