// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import {
  attemptNumber,
  bookmark,
  durationMs,
  hash,
  identifier,
  mspId,
  pageSize,
  roundNumber,
  signature,
  vehicleId,
} from './primitives';
import { heOpening, heTerms, type HeRound } from './he';
import { rewardTerms } from './rewards';
import { roundOpening, secureTerms, type SecureRound } from './secure';
import { signedBy, type NetworkBound, type SignedBy } from './signed';
import { vehicleValidation, type VehicleValidation } from './validation';

/** Envelopes in one transaction, at the most. */
export const MAX_ENVELOPES = 100;
/** Room for clocks: a transaction's time is the client's choice within this margin (peer.authentication.timewindow). */
export const TIME_MARGIN_MS = 60_000;

/**
 * Who sees an update. Every place that prints a round says which one it ran in.
 *
 * - `plain`: the store, the coordinator and the attesters.
 * - `secure`: no t aggregators together; K random projections of it are opened.
 * - `dp`: the same without projections, and the sum carries noise of a stated privacy.
 * - `he`: no organisation by itself, while all follow the protocol: a summer that lies in league with the mask holder has
 *   single updates decrypted. Nothing but the sum is opened.
 */
export const privacyMode = z.enum(['plain', 'secure', 'dp', 'he']);
export type PrivacyMode = z.infer<typeof privacyMode>;

/** Optimiser of the server (fl: `ServerOptimiser`), in millionths. */
const serverOptimiser = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('momentum'),
    rateMicro: z.int().min(1).max(1_000_000_000),
    beta1Micro: z.int().min(0).max(999_999),
  }),
  z.strictObject({
    kind: z.enum(['adam', 'yogi']),
    rateMicro: z.int().min(1).max(1_000_000_000),
    beta1Micro: z.int().min(0).max(999_999),
    beta2Micro: z.int().min(0).max(999_999),
    tauMicro: z.int().min(1).max(1_000_000_000),
  }),
]);

/**
 * A learning task. Everything that decides the outcome of a round is here, so that anyone can recompute it.
 * Learning rates and the like are integers in millionths: the ledger holds no float.
 */
export const task = z.strictObject({
  taskId: identifier,
  /**
   * `price`: used cars; `demand`: energy of charging; `table`: a CSV file by a declared schema. `statistics`: means over
   * vehicles of numbers that each computes from its rows by such a schema. Its model of d numbers is [d − 1, 1] in layers;
   * nothing is trained, so what `training` says but the seed is without effect.
   */
  kind: z.enum(['price', 'demand', 'table', 'statistics']),
  /** Named feature set, defined in fl (`price/cardekho-v1`); an update is only comparable within one. */
  features: z.string().min(1).max(100),
  model: z.strictObject({
    /** Layer widths, inputs first: [140, 64, 32, 1]. ReLU between, linear at the end. */
    layers: z.array(z.int().min(1).max(65_536)).min(2).max(16),
    /** An LSTM before the layers, whose last output of `units` numbers is their input; a row has steps · features numbers. */
    lstm: z
      .strictObject({
        steps: z.int().min(1).max(10_000),
        features: z.int().min(1).max(65_536),
        units: z.int().min(1).max(65_536),
      })
      .optional(),
    /** Number of parameters d; must equal {@link modelParameters}. */
    parameters: z.int().min(1).max(10_000_000),
    initialModelHash: hash,
  }),
  /** What vehicles train with; what organisations recompute does not depend on it. */
  engine: z.enum(['dense', 'tfjs']),
  training: z.strictObject({
    epochs: z.int().min(1).max(1_000),
    batchSize: z.int().min(1).max(100_000),
    learningRateMicro: z.int().min(1).max(1_000_000_000),
    /** δ of Huber's loss; absent: squared error. */
    huberMicro: z.int().min(1).max(1_000_000_000).optional(),
    /** μ of FedProx; absent: none. */
    proximalMicro: z.int().min(1).max(1_000_000_000).optional(),
    seed: z.int().min(0).max(0xffff_ffff),
  }),
  aggregation: z.strictObject({
    rule: z.enum(['fedavg']),
    /**
     * Public classes of sample counts, at most four, ascending: an update with n samples belongs to the last class
     * whose minSamples ≤ n and counts with that integer weight.
     */
    weightClasses: z
      .array(z.strictObject({ minSamples: z.int().min(1), weight: z.int().min(1).max(64) }))
      .min(1)
      .max(4),
    /** An update with a parameter of larger magnitude is excluded: no vehicle drags the model further than this. */
    maxAbsolute: z.int().min(1).max(1_000_000_000),
    /** What the average of a round does to the model; absent: it is the model. */
    server: serverOptimiser.optional(),
  }),
  privacy: privacyMode,
  /** Present in the secure modes. */
  secure: secureTerms.optional(),
  /** Present in mode `he`. */
  he: heTerms.optional(),
  /** What contributions are paid; with validators only. */
  rewards: rewardTerms.optional(),
  cohort: z.strictObject({
    /** Fewer updates than this and the round is aborted. */
    minimum: z.int().min(1).max(100_000),
    /** With this many recorded, attesters agree to close at once. */
    target: z.int().min(1).max(100_000),
  }),
  deadlines: z.strictObject({
    /**
     * After this time on an attester's clock it agrees to close a round that has its minimum cohort; at most `roundMs`.
     */
    graceMs: durationMs,
    /**
     * After this time on the ledger's clock (plus the margin) any single organisation may close or abort an open round,
     * and as long again after its closing it may abort a closed one.
     */
    roundMs: durationMs,
  }),
  plannedRounds: roundNumber,
});
export type Task = z.infer<typeof task>;

export interface TaskRecord {
  readonly docType: 'task';
  readonly schemaVersion: 1;
  readonly task: Task;
  readonly createdBy: string;
  readonly createdAtMs: number;
}

const roundRef = { taskId: identifier, round: roundNumber, attempt: attemptNumber };

/** learning:OpenRound — by a coordinator of any organisation, up to the task's planned rounds. */
export const openRound = z.strictObject({
  ...roundRef,
  baseModelHash: hash,
  /** In a secure mode: what the aggregators committed themselves to, signed by each of them and by the arbiter. */
  opening: roundOpening.optional(),
  /** In mode `he`: the keys of the attempt, signed by all three organisations. */
  he: heOpening.optional(),
  statements: z.array(signedBy).max(8).optional(),
});
export type OpenRound = z.infer<typeof openRound>;

/**
 * What a vehicle signs for its update. `updateHash` is the SHA-256 of the update's bytes as the store holds them
 * (little-endian float32, length 4·d); in a secure mode the root of the commitments to its shares.
 */
export interface UpdateStatement extends NetworkBound {
  readonly type: 'sev/update/v1';
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly baseModelHash: string;
  readonly vehicleId: string;
  readonly updateHash: string;
  readonly weightClass: number;
  /** Only of a vehicle that was drawn, and that says it. */
  readonly validation?: VehicleValidation;
}

/** One vehicle's envelope: at most 400 bytes of argument. */
export const envelope = z.strictObject({
  vehicleId,
  updateHash: hash,
  weightClass: z.int().min(0).max(3),
  /** Of a vehicle that was drawn; it takes part without, too. */
  validation: vehicleValidation.optional(),
  signature,
});
export type Envelope = z.infer<typeof envelope>;

/**
 * learning:RecordUpdates — a batch, by a coordinator; per-item results are committed, refusals included.
 * Items are parsed one by one, so that a malformed one does not spoil the batch.
 * learning:RecordUpdate — one envelope, by the vehicle itself; a refusal is thrown.
 */
export const recordUpdates = z.strictObject({
  ...roundRef,
  baseModelHash: hash,
  envelopes: z.array(z.unknown()).min(1).max(MAX_ENVELOPES),
});
export const recordUpdate = z.strictObject({ ...roundRef, baseModelHash: hash, envelope });
export type RecordUpdates = Omit<z.infer<typeof recordUpdates>, 'envelopes'> & {
  readonly envelopes: readonly Envelope[];
};
export type RecordUpdate = z.infer<typeof recordUpdate>;

export interface UpdateRecord {
  readonly docType: 'update';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly baseModelHash: string;
  readonly vehicleId: string;
  readonly updateHash: string;
  readonly weightClass: number;
  readonly validation?: VehicleValidation;
  readonly signature: string;
  readonly recordedAtMs: number;
}

/**
 * Why a round is given up.
 *
 * - `COHORT_TOO_SMALL`: open, with fewer updates than the minimum at the deadline; closed or scored, with fewer usable ones.
 * - `COHORT_TOO_CLOSE`: too few vehicles count alike in its sums and those of attempts on its base that were shown.
 * - `COHORT_TOO_LARGE`: closed, with more vehicles than the sums of this task can hold.
 * - `AGGREGATORS_MISSING`: too few aggregators, or none for some component, answered in time, or verdicts left too few
 *   whose word counts.
 * - `DISPUTE_UNSETTLED`: the arbiter gave no verdict in time, or its verdict would open the last component.
 * - `NOISE_FALSE`: the noise that the nonces opened is not what its seed gives; the abort names whose, by a majority.
 * - `KEY_HOLDER_LOST`, `SUMMER_LOST`, `MASK_HOLDER_LOST`: mode `he`, that organisation did not answer in the time of a round,
 *   or no longer has what it needs. Nothing was opened.
 * - `SUM_INVALID`: mode `he`, the two openings do not fit together; their checksum fails.
 * - `NO_MAJORITY`: not finalised within the time of a round although everything else was there.
 * - `OPERATOR`: somebody decided it. No program signs it for an organisation.
 */
export const abortReason = z.enum([
  'COHORT_TOO_SMALL',
  'COHORT_TOO_CLOSE',
  'COHORT_TOO_LARGE',
  'AGGREGATORS_MISSING',
  'DISPUTE_UNSETTLED',
  'NOISE_FALSE',
  'KEY_HOLDER_LOST',
  'SUMMER_LOST',
  'MASK_HOLDER_LOST',
  'SUM_INVALID',
  'NO_MAJORITY',
  'OPERATOR',
]);
export type AbortReason = z.infer<typeof abortReason>;

/** Reasons that say of an organisation of mode `he` that it failed: a majority's word, never one organisation's. */
export function namesHeParty(reason: AbortReason): boolean {
  return reason === 'KEY_HOLDER_LOST' || reason === 'SUMMER_LOST' || reason === 'MASK_HOLDER_LOST';
}

/** What organisations sign to close or abort a round before its deadline. */
export interface CloseStatement extends NetworkBound {
  readonly type: 'sev/close-round/v1';
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly mspId: string;
}
export interface AbortStatement extends NetworkBound {
  readonly type: 'sev/abort-round/v1';
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly reason: AbortReason;
  /** With `NOISE_FALSE` only: whose it is, sorted. */
  readonly accused?: readonly string[];
  readonly mspId: string;
}
/** What organisations sign after recomputing the aggregation. */
export interface AttestationStatement extends NetworkBound {
  readonly type: 'sev/attest-model/v1';
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly proposalHash: string;
  readonly mspId: string;
}

/** learning:CloseRound, learning:AbortRound; statements may be empty after the deadline. */
export const closeRound = z.strictObject({ ...roundRef, statements: z.array(signedBy).max(64) });
export type CloseRound = z.infer<typeof closeRound>;
export const abortRound = z.strictObject({
  ...roundRef,
  reason: abortReason,
  /** With `NOISE_FALSE`, and with nothing else. */
  accused: z.array(mspId).min(1).max(7).optional(),
  statements: z.array(signedBy).max(64),
});
export type AbortRound = z.infer<typeof abortRound>;

/** Why a recorded update did not enter the model; recomputed by every attester. */
export const exclusionReason = z.enum(['UPDATE_MISSING', 'UPDATE_LENGTH', 'UPDATE_NOT_FINITE', 'UPDATE_OUT_OF_RANGE']);
export const exclusion = z.strictObject({ vehicleId, reason: exclusionReason });
export type Exclusion = z.infer<typeof exclusion>;

/**
 * The outcome of a round as the coordinator proposes it.
 * `cohortHash` = {@link cohortHash} over all recorded updates of the attempt, excluded ones too, and `cohortSize` is
 * their number; `cohortSize` less the excluded must reach the task's minimum. `excluded` is sorted by vehicleId.
 * In a secure mode and in mode `he` hash and size are those of the cohort that was fixed, and `excluded` is empty.
 */
export const proposal = z.strictObject({
  ...roundRef,
  baseModelHash: hash,
  modelHash: hash,
  /** Where the task has an optimiser of the server: its moments after this round, little-endian float32. */
  serverStateHash: hash.optional(),
  cohortHash: hash,
  cohortSize: z.int().min(1),
  excluded: z.array(exclusion).max(100_000),
});
export type Proposal = z.infer<typeof proposal>;

/** learning:FinaliseRound — attestations are signatures over {@link AttestationStatement} by a majority. */
export const finaliseRound = z.strictObject({ proposal, attestations: z.array(signedBy).min(1).max(64) });
export type FinaliseRound = z.infer<typeof finaliseRound>;

/** `cohort`, `scored` and `aggregated` in the secure modes only; mode `he` has no `scored`. */
export type RoundState = 'open' | 'closed' | 'cohort' | 'scored' | 'aggregated' | 'finalised' | 'aborted';

/** One key a round; a further attempt after an abort overwrites it, and the ledger's history keeps what was. */
export interface RoundRecord {
  readonly docType: 'round';
  readonly schemaVersion: 2;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly state: RoundState;
  readonly privacy: PrivacyMode;
  readonly baseModelHash: string;
  readonly openedBy: string;
  readonly openedAtMs: number;
  readonly deadlineMs: number;
  readonly closedAtMs?: number;
  readonly closedBy?: readonly string[];
  readonly abortedAtMs?: number;
  readonly abortReason?: AbortReason;
  readonly finalisedAtMs?: number;
  /** When the present state of a secure round began, after `closed`. */
  readonly stateSinceMs?: number;
  readonly secure?: SecureRound;
  /** In mode `he`. */
  readonly he?: HeRound;
  readonly proposal?: Proposal;
  readonly attestations?: readonly SignedBy[];
}

/**
 * Which task works from a model, where updates are kept secret: the one that was made to begin with it, or whose round ended
 * with it. Earlier contracts wrote it only when a round was opened.
 */
export interface BaseRecord {
  readonly docType: 'base';
  readonly schemaVersion: 1;
  readonly baseModelHash: string;
  readonly taskId: string;
  /** When the task was made, where it begins with the model. */
  readonly begunAtMs?: number;
}

export interface ModelRecord {
  readonly docType: 'model';
  readonly schemaVersion: 1;
  readonly modelHash: string;
  readonly taskId: string;
  /** 0 for the initial model. */
  readonly round: number;
  readonly attempt: number;
  readonly baseModelHash: string | null;
}

/** learning:GetTask, GetRound, GetModel, ListTasks, ListRounds, ListUpdates, RoundHistory, VehicleUpdates */
export const getTask = z.strictObject({ taskId: identifier });
export const getRound = z.strictObject({ taskId: identifier, round: roundNumber });
export const getModel = z.strictObject({ taskId: identifier, modelHash: hash });
export const listTasks = z.strictObject({ pageSize, bookmark });
export const listRounds = z.strictObject({ taskId: identifier, pageSize, bookmark });
export const listUpdates = z.strictObject({ ...roundRef, pageSize, bookmark });
export const roundHistory = z.strictObject({ taskId: identifier, round: roundNumber, pageSize, bookmark });
/** Updates of one vehicle in a task, a page of rounds at a time. */
export const vehicleUpdates = z.strictObject({ vehicleId, taskId: identifier, pageSize, bookmark });
