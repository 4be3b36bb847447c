// SPDX-License-Identifier: Apache-2.0
import type { ConnectOptions, Contract, Gateway, Network } from '@hyperledger/fabric-gateway';
import type { KeyPairPem } from '../embedded/types.js';
import type { Normaliser } from './normalise.js';

/** The channel and the chaincode that the scenarios run on. */
export const PARITY_CHANNEL = 'paritychannel';
export const PARITY_CHAINCODE = 'parity';

/** The organisations, by their position; private collections belong to the first two. */
export const PARITY_MSP_IDS = ['Org1MSP', 'Org2MSP', 'Org3MSP', 'Org4MSP'] as const;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [field: string]: Json };

/** What a scenario saw, by field; nothing in it differs from run to run. */
export type Observation = Readonly<Record<string, Json>>;

/** How a client differs from an honest member of the organisation whose gateway it uses. */
export interface ClientOptions {
  readonly mspId?: string;
  readonly identity?: KeyPairPem;
  /** Signs with this key instead of the identity's own. */
  readonly signingKeyPem?: string;
  /** Signs with the higher of the two values that S may have, which verifies as well. */
  readonly highS?: boolean;
  /** Deadlines in place of the generous ones. */
  readonly deadlines?: Pick<
    ConnectOptions,
    'evaluateOptions' | 'endorseOptions' | 'submitOptions' | 'commitStatusOptions'
  >;
}

/** The unmodified Gateway client of one organisation. */
export interface ParityClient {
  readonly gateway: Gateway;
  readonly network: Network;
  readonly contract: Contract;
  close(): void;
}

/** A running network of the organisations of `PARITY_MSP_IDS`. */
export interface ParityNetwork {
  readonly kind: 'embedded' | 'fabric';
  /** What was measured, for the record: versions, consensus. */
  readonly description: Readonly<Record<string, string>>;
  /** How long a chaincode call may take, in milliseconds (`chaincode.executetimeout`). */
  readonly executeTimeoutMs: number;
  /** Connects to an organisation's gateway; whoever asks closes the client. */
  connect(organisation: number, options?: ClientOptions): ParityClient;
  /** A client identity that every organisation has. */
  member(organisation: number): KeyPairPem;
  /** A new client identity of an organisation; with a negative validity, in milliseconds, one that has expired. */
  issue(organisation: number, validityMs?: number): Promise<KeyPairPem>;
  /** An identity of the organisation's peer. */
  peerIdentity(organisation: number): Promise<KeyPairPem>;
  /** Revokes an identity; in effect at every peer when it resolves. */
  revoke(organisation: number, identity: KeyPairPem): Promise<void>;
  /** Kills an organisation's peer. @returns what starts it again. */
  stopPeer(organisation: number): Promise<() => Promise<void>>;
  /** Kills that many orderers. @returns what starts them again. */
  stopOrderers(count: number): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** What a scenario works with. */
export interface ScenarioContext {
  readonly network: ParityNetwork;
  /** Replaces what differs from run to run. */
  readonly normaliser: Normaliser;
  /** A key of the ledger that no other scenario or run uses. */
  key(suffix?: string): string;
  /** A client that is closed when the scenario ends. */
  client(organisation?: number, options?: ClientOptions): ParityClient;
  /** Waits until transactions with endorsements of all organisations succeed again. */
  settle(): Promise<void>;
}

/** One thing that two networks must do alike. */
export interface Scenario {
  /** `theme/what happens`. */
  readonly name: string;
  run(context: ScenarioContext): Promise<Observation>;
}

/** Scenarios of a theme, by what happens. */
export function scenarios(
  theme: string,
  runs: Readonly<Record<string, (context: ScenarioContext) => Promise<Observation>>>,
): readonly Scenario[] {
  return Object.entries(runs).map(([name, run]) => ({ name: `${theme}/${name}`, run }));
}

/** An organisation's part of a list. @throws RangeError where there is none. */
export function at<T>(items: readonly T[], organisation: number): T {
  const found = items[organisation];
  if (found === undefined) {
    throw new RangeError(`there is no organisation ${String(organisation)}`);
  }
  return found;
}
