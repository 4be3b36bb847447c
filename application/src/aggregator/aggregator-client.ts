// SPDX-License-Identifier: Apache-2.0
import type { AggregatorOpening, CommitSums, FixCohort, RoundOpening, ScoreRound, SignedBy } from '@sev/chaincode/api';
import type { AttemptRef } from '../services/attempt.js';

/** An aggregator's part of an opening, signed for the other aggregators (`sev/opening-part/v1`). */
export interface PreparedPart {
  readonly part: AggregatorOpening;
  readonly signature: string;
}

/** What one aggregator deals to another, sealed to the other's round key: whoever carries it learns nothing. */
export interface Deal {
  readonly from: string;
  readonly to: string;
  /** Base64. */
  readonly sealed: string;
}

/** A signed holdings statement as learning:FixCohort takes it. */
export type SignedHoldings = FixCohort['holdings'][number];

/** All nonces of an opening, in its order, each by its components: as learning:ScoreRound takes them. */
export type Nonces = ScoreRound['nonces'];

export interface Revealed {
  /** Nonce components that this aggregator holds, its own and those of others: by MSP id, then by component. */
  readonly nonces: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * Mode `dp`, where all nonces were given: parts of the seeds of the noise candidates that they open, as far as it holds them,
   * its own and those of others: by MSP id, then by component.
   */
  readonly noiseSeedParts?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Projections of all vehicles of the cohort, for each component that an aggregator holds. */
export interface OpenedProjections {
  /** The signed statement's hashes, as learning:ScoreRound takes them. */
  readonly signed: ScoreRound['projections'][number];
  readonly seed: string;
  readonly numbers: OpenedNumbers;
}

/**
 * By component, base64 of the little-endian uint32 that the hash is of: for each vehicle of the cohort, in the order of their
 * ids, K projections and, where the task has validators, the product with the reference direction.
 */
export type OpenedNumbers = Readonly<Record<string, string>>;

/** A signed statement of the hashes of component sums as learning:CommitSums takes it. */
export type SignedSums = CommitSums['sums'][number];

/** One component of every report of a cohort, sealed to the arbiter; see `release.ts` for the form of the objects. */
export interface Release {
  readonly component: number;
  /** Objects in the store, in order. */
  readonly objects: readonly string[];
}

/** What an aggregator opens of one disputed update, by the votes on an incident. */
export type IncidentDisclosure =
  | {
      readonly kind: 'projections';
      /** What the vectors follow from; see `incidentSeed`. */
      readonly seed: string;
      /** By component that it holds, base64 of `INCIDENT_PROJECTIONS` little-endian uint32. */
      readonly numbers: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'vectors';
      /** Commitments of all components: their root is in the vehicle's envelope. */
      readonly leaves: readonly string[];
      /** The components that it holds; salt in hex, content in base64. */
      readonly components: readonly { readonly component: number; readonly salt: string; readonly content: string }[];
    };

/**
 * One organisation's aggregator, in this process or over HTTPS. Everything may be asked again at any time: the answer is
 * the same. It believes its own view of the ledger and nothing that a caller says, so any of these fails with
 * `ROUND_STATE` or `ROUND_STALE` until its own gateway shows what it needs, which takes a moment after a commit.
 */
export interface AggregatorClient {
  readonly mspId: string;
  /**
   * Makes a round key, a nonce and in mode `dp` noise for the attempt that may be opened next.
   *
   * @throws SevError ROUND_OUT_OF_ORDER, BASE_MODEL_MISMATCH, MODE_NOT_SECURE, AGGREGATOR_NOT_NAMED, TASK_UNKNOWN.
   */
  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart>;
  /**
   * Deals its nonce components (and noise shares) to the other aggregators of these parts.
   *
   * @param parts of all aggregators that prepared, its own among them.
   * @throws SevError ATTEMPT_UNKNOWN, PART_INVALID naming whose part is not signed by it.
   */
  deal(ref: AttemptRef, parts: readonly PreparedPart[]): Promise<readonly Deal[]>;
  /**
   * Checks and keeps what others dealt to it, then signs the opening (`sev/round-opening/v1`). Until the ledger shows the
   * attempt it may sign another opening of it, with fewer aggregators: the ledger takes one.
   *
   * @param deals addressed to it, one of every other aggregator of the opening.
   * @throws SevError ATTEMPT_UNKNOWN, OPENING_INVALID, DEAL_MISSING, DEAL_INVALID naming whose, ROUND_CONFLICT.
   */
  accept(ref: AttemptRef, opening: RoundOpening, deals: readonly Deal[]): Promise<SignedBy>;
  /** Signs what it holds of the recorded updates. State `closed`. @throws SevError ATTEMPT_UNKNOWN, ROUND_STATE. */
  holdings(ref: AttemptRef): Promise<SignedHoldings>;
  /**
   * Shows nonce components. From `cohort` on.
   *
   * @param nonces all of them; in mode `dp` it then shows seeds of the opened noise candidates too.
   * @throws SevError ATTEMPT_UNKNOWN, ROUND_STATE, NONCES_INVALID.
   */
  reveal(ref: AttemptRef, nonces?: Nonces): Promise<Revealed>;
  /**
   * Opens K projections of every vehicle's components that it holds, along vectors that the nonces seed, and their products
   * with the median of the directions that the opening commits these validators to. From `cohort` on.
   *
   * @param references validators, sorted; undefined where the task has none.
   * @throws SevError ATTEMPT_UNKNOWN, ROUND_STATE, NONCES_INVALID, PROJECTIONS_NONE, SHARE_LOST; REFERENCES_INVALID,
   *   REFERENCES_INCOMPLETE where somebody is left out that still has time or has shown its direction, DIRECTION_MISMATCH, DIRECTION_INVALID.
   */
  projections(ref: AttemptRef, nonces: Nonces, references?: readonly string[]): Promise<OpenedProjections>;
  /**
   * The numbers that it opened of an attempt, again, once it is final: later rounds are scored beside it. Nothing that was
   * not opened then.
   *
   * @throws SevError ATTEMPT_UNKNOWN, ROUND_STATE, ROUND_STALE, SHARE_LOST, NUMBERS_MISMATCH where the ledger holds the hashes
   *   of others.
   */
  pastNumbers(ref: AttemptRef): Promise<OpenedNumbers>;
  /** Signs the hashes of its component sums, with the ledger's weights. From `scored` on. @throws as `projections`. */
  sums(ref: AttemptRef): Promise<SignedSums>;
  /**
   * Puts its component sums into the store. From `aggregated` on, where the ledger shows exactly its hashes.
   *
   * @throws SevError ATTEMPT_UNKNOWN, ROUND_STATE, SUMS_MISMATCH, SHARE_LOST, STORE_UNREACHABLE.
   */
  publish(ref: AttemptRef): Promise<SignedSums['components']>;
  /**
   * Seals a component of every report to the arbiter and puts it into the store, where the ledger shows a dispute about it.
   *
   * @throws SevError ATTEMPT_UNKNOWN, DISPUTE_UNKNOWN, COMPONENT_NOT_HELD, ARBITER_MISSING, SHARE_LOST.
   */
  release(ref: AttemptRef, component: number): Promise<Release>;
  /**
   * Opens of a disputed update what the votes on the incident allow: `INCIDENT_PROJECTIONS` further projections of the
   * components that it holds, or after the second vote the components. To organisations only; everything but the names of
   * incident and attempt it takes from its own ledger.
   *
   * @throws SevError INCIDENT_STATE, INCIDENT_INVALID, ROUND_STATE, ATTEMPT_UNKNOWN, SHARE_LOST.
   */
  disclose(incidentId: string, ref: AttemptRef): Promise<IncidentDisclosure>;
}
