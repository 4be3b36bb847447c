// SPDX-License-Identifier: Apache-2.0
import type { DisputePhase, RoundOpening, SettleDispute, SignedBy } from '@sev/chaincode/api';
import type { Nonces, Release } from '../aggregator/aggregator-client.js';
import type { AttemptRef } from '../services/attempt.js';

export interface VerdictRequest {
  readonly ref: AttemptRef;
  readonly phase: DisputePhase;
  readonly component: number;
  /** What the component's holders put into the store for the arbiter alone. */
  readonly releases: readonly { readonly mspId: string; readonly release: Release }[];
  /** What holders signed about their components: hashes of projections, or of sums. */
  readonly statements: readonly {
    readonly mspId: string;
    readonly components: Readonly<Record<string, string | readonly string[]>>;
    readonly signature: string;
  }[];
  /** Phase `projections`, before the round is scored. */
  readonly nonces?: Nonces;
}

export type Verdict = Pick<SettleDispute, 'faulty' | 'signature'>;

/** The organisation that settles disputes: no aggregator, so that whoever audits the aggregation is not part of it. */
export interface ArbiterClient {
  readonly mspId: string;
  /** The key that components are released to in this attempt. */
  prepare(ref: AttemptRef): Promise<NonNullable<RoundOpening['arbiter']>>;
  /** Signs an opening that names its key. @throws SevError OPENING_INVALID. */
  accept(ref: AttemptRef, baseModelHash: string, opening: RoundOpening): Promise<SignedBy>;
  /**
   * Checks the released component of every vehicle against its commitment, computes again what the holders should have
   * said, and signs who was wrong.
   *
   * @throws SevError DISPUTE_UNKNOWN where its own ledger shows no such dispute, RELEASE_INVALID where no holder's
   *   release can be checked.
   */
  verdict(request: VerdictRequest): Promise<Verdict>;
}
