// SPDX-License-Identifier: Apache-2.0
import type { DisputePhase, RoundOpening, SettleDispute, SignedBy } from '@sev/chaincode/api';
import type { Release } from '../aggregator/aggregator-client.js';
import type { AttemptRef } from '../services/attempt.js';

/** What to judge. What was said of it, the arbiter reads from its own ledger. */
export interface VerdictRequest {
  readonly ref: AttemptRef;
  readonly phase: DisputePhase;
  readonly component: number;
  /** What the component's holders put into the store for the arbiter alone. */
  readonly releases: readonly { readonly mspId: string; readonly release: Release }[];
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
   * Checks the released component of every vehicle against its commitment, computes again what its holders should have
   * said, and signs who of those that the ledger shows to have said something was wrong.
   *
   * @throws SevError DISPUTE_UNKNOWN where its own ledger shows no such dispute, RELEASE_INVALID where no holder's
   *   release can be checked.
   */
  verdict(request: VerdictRequest): Promise<Verdict>;
}
