// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import {
  attemptNumber,
  bookmark,
  hash,
  identifier,
  mspId,
  pageSize,
  roundNumber,
  signature,
  vehicleId,
} from './primitives';
import type { Admission } from './governance';
import type { NetworkBound } from './signed';

/**
 * An incident: a vehicle is suspected, and organisations vote on what may be opened of its updates and on what they find.
 *
 *   open ──projections──▶ projections ──vectors──▶ vectors
 *     └──────────┴──────────────────────┴── confirm ▶ confirmed / clear ▶ cleared
 *
 * Each step needs a majority of the organisations, among them one with the role `auditor`. A further step opens more of the
 * disputed attempts of this one vehicle, and of nothing else.
 */

/** Rounds that one incident disputes, at the most. */
export const MAX_DISPUTED = 64;
/** Further random projections that the first vote opens of each disputed update. */
export const INCIDENT_PROJECTIONS = 64;

export const incidentStep = z.enum(['projections', 'vectors', 'confirm', 'clear']);
export type IncidentStep = z.infer<typeof incidentStep>;

export type IncidentState = 'open' | 'projections' | 'vectors' | 'confirmed' | 'cleared';

const disputedAttempt = z.strictObject({ round: roundNumber, attempt: attemptNumber });

/** incidents:OpenIncident — by an operator, a coordinator or an auditor. The vehicle is in the cohort of each attempt. */
export const openIncident = z.strictObject({
  incidentId: identifier,
  taskId: identifier,
  vehicleId,
  /** Ascending by round. */
  disputed: z.array(disputedAttempt).min(1).max(MAX_DISPUTED),
  reason: z.string().min(1).max(200),
});
export type OpenIncident = z.infer<typeof openIncident>;

/**
 * incidents:VoteIncident — one vote an organisation and step, by its operator or auditor; it may be changed until the step is
 * decided. The vote that makes a majority takes the step. `confirm` and `clear` name the hash of the findings that the
 * organisation verified; votes for other findings do not add up.
 */
export const voteIncident = z.strictObject({
  incidentId: identifier,
  step: incidentStep,
  approve: z.boolean(),
  findingsHash: hash.optional(),
});
export type VoteIncident = z.infer<typeof voteIncident>;

export interface IncidentVote {
  readonly docType: 'incidentVote';
  readonly schemaVersion: 1;
  readonly incidentId: string;
  readonly step: IncidentStep;
  readonly mspId: string;
  readonly approve: boolean;
  readonly findingsHash?: string;
  /** The voter's membership when it voted; the vote counts as long as that lasts. */
  readonly admission: Admission;
  readonly votedAtMs: number;
}

export interface IncidentRecord {
  readonly docType: 'incident';
  readonly schemaVersion: 1;
  readonly incidentId: string;
  readonly taskId: string;
  readonly vehicleId: string;
  readonly disputed: OpenIncident['disputed'];
  readonly reason: string;
  readonly state: IncidentState;
  readonly openedBy: string;
  readonly openedAtMs: number;
  /** Standing when it was opened: where it came from. */
  readonly suspicionMilli: number;
  readonly scoresHash?: string;
  /** Round since which the vehicle was in quarantine when it was opened; absent: it was in none. */
  readonly quarantinedIn?: number;
  /** Transaction that took the first step: the seed of the further projections follows from it. */
  readonly projectionsTxId?: string;
  readonly decidedAtMs?: number;
  readonly findingsHash?: string;
  /** Who voted for each step that was taken, sorted. */
  readonly decidedBy: Readonly<Partial<Record<IncidentStep, readonly string[]>>>;
  /** Once corrected: the model that was kept, and the round after which; see {@link CorrectionRecord}. */
  readonly correctedWith?: string;
  readonly correctedAfter?: number;
}

/** A vehicle that an incident of a task was confirmed about; written then. */
export interface CulpritRecord {
  readonly docType: 'culprit';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly vehicleId: string;
  /** The first incident that was confirmed. */
  readonly incidentId: string;
  /** Last finalised round of the task at that time: what had not vested by then is not the vehicle's. */
  readonly afterRound: number;
  /**
   * Whether its updates were opened by vote: then it hides nobody and nobody hides it, so it is left aside when sums on one
   * base are compared.
   */
  readonly opened: boolean;
}

/** Of the vehicles that incidents of a task were confirmed about, those whose updates were opened. */
export function openedAmong(culprits: readonly CulpritRecord[]): ReadonlySet<string> {
  return new Set(culprits.filter(({ opened }) => opened).map(({ vehicleId }) => vehicleId));
}

/**
 * Whether an incident that clears a vehicle speaks of its quarantine: it disputes the round that began it, or was opened since.
 * One about other rounds, opened before, leaves it as it is.
 */
export function answersQuarantine(
  {
    disputed,
    quarantinedIn,
  }: { readonly disputed: IncidentRecord['disputed']; readonly quarantinedIn?: number | undefined },
  { quarantined }: { readonly quarantined?: { readonly round: number } | undefined },
): boolean {
  return (
    quarantined === undefined ||
    quarantinedIn === quarantined.round ||
    disputed.some(({ round }) => round === quarantined.round)
  );
}

/** Steps that may be voted on in each state. */
export const STEPS_IN: Readonly<Record<IncidentState, readonly IncidentStep[]>> = {
  open: ['projections', 'clear'],
  projections: ['vectors', 'confirm', 'clear'],
  vectors: ['confirm', 'clear'],
  confirmed: [],
  cleared: [],
};

/** Whether who approves a step names what it found: to confirm, and to clear once something was opened. */
export function needsFindings(step: IncidentStep, state: IncidentState): boolean {
  return step === 'confirm' || (step === 'clear' && state !== 'open');
}

/**
 * Findings are kept off the ledger and named by their hash; canonical JSON. What was opened of one disputed update, and what it
 * comes to. Integers.
 */
export interface IncidentFindings {
  readonly type: 'sev/incident-findings/v1';
  readonly incidentId: string;
  readonly updates: readonly {
    readonly round: number;
    readonly attempt: number;
    /** SHA-256 of the opened, quantised update (little-endian int32); absent while only projections are opened. */
    readonly vectorHash?: string;
    /** Cosine to the round's reference direction, in thousandths. */
    readonly cosineMilli: number;
    /** Norm of the update, in thousandths. */
    readonly normMilli: number;
    /** The weight it entered the round's sum with. */
    readonly weight: number;
  }[];
}

/**
 * incidents:CorrectModel — after `confirmed`: what the task goes on from. `rollback` is the last model before the disputed
 * rounds; `candidate` the present one without the culprit's opened contributions. All validators measured both on their own
 * data, or a majority of the organisations once the others have had their time ({@link awaitedLosses}); the contract takes the
 * medians and keeps the better, the rollback where they are equal.
 */
export const correctModel = z.strictObject({
  incidentId: identifier,
  /** Last finalised round of the task. */
  afterRound: roundNumber,
  rollbackHash: hash,
  candidateHash: hash,
  losses: z
    .array(
      z.strictObject({
        mspId,
        rollbackLossMicro: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
        candidateLossMicro: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
        signature,
      }),
    )
    .min(1)
    .max(64),
});
export type CorrectModel = z.infer<typeof correctModel>;

/** How long after an incident is confirmed the losses of all validators are waited for. */
export const CORRECTION_PATIENCE_MS = 600_000;

/**
 * Validators whose losses a correction still has to wait for: who submits it does not choose whose count.
 *
 * @param heard - validators of the task that are members and not set aside; none where it has no validators.
 * @param losses - those that are signed.
 */
export function awaitedLosses(
  heard: readonly string[],
  losses: readonly { readonly mspId: string }[],
  { decidedAtMs = 0 }: { readonly decidedAtMs?: number | undefined },
  nowMs: number,
): readonly string[] {
  const isOver = nowMs >= decidedAtMs + CORRECTION_PATIENCE_MS;
  return isOver ? [] : heard.filter((mspId) => !losses.some((loss) => loss.mspId === mspId));
}

export interface CorrectionStatement extends NetworkBound {
  readonly type: 'sev/correct-model/v1';
  readonly incidentId: string;
  readonly taskId: string;
  readonly afterRound: number;
  readonly rollbackHash: string;
  readonly candidateHash: string;
  readonly mspId: string;
  readonly rollbackLossMicro: number;
  readonly candidateLossMicro: number;
}

/** The model that the round after `afterRound` starts from, in place of that round's. */
export interface CorrectionRecord {
  readonly docType: 'correction';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly afterRound: number;
  readonly incidentId: string;
  readonly kept: 'rollback' | 'candidate';
  readonly modelHash: string;
  /** Last finalised round before the disputed ones; 0: the initial model. The optimiser of the server goes on from there. */
  readonly cleanRound: number;
  readonly rollbackHash: string;
  readonly candidateHash: string;
  readonly rollbackLossMicro: number;
  readonly candidateLossMicro: number;
  readonly attestedBy: readonly string[];
  readonly correctedAtMs: number;
}

/** incidents:GetIncident, ListIncidents, GetCorrection */
export const getIncident = z.strictObject({ incidentId: identifier });
export const listIncidents = z.strictObject({ pageSize, bookmark });
/** incidents:ListCulprits → CulpritRecord[] */
export const listCulprits = z.strictObject({ taskId: identifier });
export const getCorrection = z.strictObject({ taskId: identifier, afterRound: roundNumber });

/** The incident with the votes that count, in the order of steps and MSP ids. */
export interface IncidentView extends IncidentRecord {
  readonly votes: readonly IncidentVote[];
}
