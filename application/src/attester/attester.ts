// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  sha256Hex,
  type AbortReason,
  type Proposal,
  type RoundRecord,
  type SignedBy,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import type { CohortRequest, ScoresRequest } from '../coordinator/statements.js';
import { refuseHeCohort } from '../homomorphic/he-decisions.js';
import { computeHeOutcome } from '../homomorphic/he-outcome.js';
import { governance, learning } from '../ledger/contracts.js';
import type { AbortEvidence } from '../services/abort-evidence.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { ObjectCache } from '../services/object-cache.js';
import { followRounds, type RoundEvent } from '../services/round-events.js';
import { computeOutcome, isAbsent, type RoundOutcome } from '../services/round-outcome.js';
import {
  collect,
  barredFrom,
  barredWithout,
  latestRound,
  roundIfAny,
  updatesOf,
  type LearningContract,
  type ServiceSession,
} from '../services/rounds.js';
import { secureTermsOf, shownWeights, suspicionBefore, weightsOf } from '../services/secure-scores.js';
import { computeSecureOutcome } from '../services/secure-outcome.js';
import { correctionsOf } from '../services/corrections.js';
import { outcomeMovedByServer, stateBefore } from '../services/server-step.js';
import { PastRounds } from '../services/past-rounds.js';
import type { StatementSigner } from '../services/statement-signer.js';
import { TooEarlyError } from '../services/too-early.js';
import type { ObjectStore } from '../store/object-store.js';
import { namedReference } from '../validation/directions.js';
import type { Validator } from '../validation/validator.js';
import {
  isCohortReason,
  refuseAccusation,
  refuseCohortAbort,
  refuseScoredAbort,
  refuseSilence,
  type CohortView,
} from './abort-decisions.js';
import {
  refuseAbort,
  refuseAbortClosed,
  refuseClose,
  refuseNoMajority,
  refuseOperator,
  refuseOtherMode,
  refuseProposal,
  refuseState,
  refuseUnverified,
  type OpenAttempt,
  type Refusal,
} from './decisions.js';
import { FirstSeen } from '../services/first-seen.js';
import { namedRounds } from './score-evidence.js';
import { drawnFacts, refuseDrawn } from './drawn-decisions.js';
import { refuseCohort, refuseScores, type SecureView } from './secure-decisions.js';

export interface AttesterOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly signer: StatementSigner;
  /** Where the organisation validates. */
  readonly validator?: Validator;
  /** Bytes of models and updates kept in memory; default 256 MiB. */
  readonly cacheBytes?: number;
  /** A monotonic clock in milliseconds; default that of the process. */
  readonly nowMs?: () => number;
  readonly log: ServiceLog;
}

type ClosedRound = Parameters<typeof computeOutcome>[1];

/** What a round is in once its event was heard. */
const STATE_AFTER: Partial<Record<RoundEvent['type'], RoundRecord['state']>> = {
  RoundOpened: 'open',
  RoundClosed: 'closed',
  CohortFixed: 'cohort',
  RoundScored: 'scored',
  SumsCommitted: 'aggregated',
};

/**
 * Speaks for one organisation about rounds, believing only its own view of the ledger, its own clock and its own
 * computation. It drives nothing and keeps nothing: after a restart the times that it gives others begin anew.
 */
export class Attester {
  readonly #options: AttesterOptions;
  readonly #learning: LearningContract;
  readonly #objects: ObjectCache;
  readonly #ending = new AbortController();
  readonly #tasks = new Map<string, Promise<Task>>();
  readonly #seen: FirstSeen;
  readonly #past: PastRounds;
  /** The attempt closed last, computed ahead of the request. */
  #ahead: { readonly key: string; readonly computation: Promise<RoundOutcome | undefined> } | undefined;

  constructor(options: AttesterOptions) {
    this.#options = options;
    this.#learning = learning(options.session);
    this.#past = new PastRounds(this.#learning);
    this.#objects = new ObjectCache(options.store, options.cacheBytes ?? 256 * 1024 * 1024);
    this.#seen = new FirstSeen(options.nowMs ?? (() => performance.now()));
  }

  /** Watches rounds go on, until {@link end} is called. */
  async run(): Promise<void> {
    const { session, log } = this.#options;
    const events = followRounds(session, this.#ending.signal, log, (event) => {
      this.#hear(event);
    });
    this.#seeRounds().catch((error: unknown) => {
      log.warn(failureFields(error), 'looking for rounds failed; they are noticed when first asked about');
    });
    await events;
  }

  end(): void {
    this.#ending.abort();
  }

  /** @throws SevError with the code of the {@link Refusal}; LedgerError. */
  async close(ref: AttemptRef): Promise<SignedBy> {
    const { round, updates, task } = await this.#read(ref);
    insist(refuseState(ref, round, ['open', 'closed']));
    if (round?.state === 'open') {
      insist(refuseClose(await this.#openAttempt(ref, task, updates)));
    }
    if (task.privacy === 'plain') {
      this.#prefetch(updates);
    }
    return this.#options.signer.close(ref);
  }

  /**
   * Agrees to a cohort: at once where it is complete, later where it leaves vehicles or aggregators out.
   *
   * @throws SevError with the code of the {@link Refusal}; LedgerError.
   */
  async cohort(request: CohortRequest): Promise<SignedBy> {
    const { ref } = request;
    const task = await this.#task(ref.taskId);
    if (task.he !== undefined) {
      return this.#heCohort(task, request);
    }
    const view = await this.#secureView(ref, ['closed']);
    const [updates, receipts] = await Promise.all([
      updatesOf(this.#learning, ref),
      collect(this.#learning.receipts(ref)),
    ]);
    insist(refuseCohort(view, request, updates, receipts));
    return this.#options.signer.cohort(ref, request);
  }

  /**
   * Attests weights that it has computed itself from what aggregators signed, of all that made the cohort unless they had
   * their time.
   *
   * @throws SevError ATTESTATION_REFUSED naming what differs, ROUND_STATE, ROUND_STALE, GRACE_NOT_OVER; with validators
   *   REFERENCES_INVALID, REFERENCES_INCOMPLETE, DIRECTION_MISMATCH, DIRECTION_INVALID, PAST_NUMBERS_MISSING where earlier
   *   rounds are named that this attester has not seen opened, PROJECTIONS_INVALID; LedgerError.
   */
  async scores(request: ScoresRequest): Promise<SignedBy> {
    const ref = attemptOf(request.scores);
    const view = await this.#secureView(ref, ['cohort']);
    const { task, secure, inStateMs } = view;
    const fetch = (hash: string): Promise<Uint8Array> => this.#objects.get(hash);
    const seen = { inStateMs, length: task.model.parameters, fetch };
    const [{ members }, shown, reference, past, suspicion, drawn] = await Promise.all([
      this.#learning.cohort(ref),
      shownWeights(this.#learning, task, secure),
      namedReference(secureTermsOf(task), secure, request.scores.references, seen),
      namedRounds(this.#past, view, request, Date.now()),
      suspicionBefore(this.#learning, task),
      drawnFacts(this.#learning, view),
    ]);
    insist(refuseDrawn(view, drawn));
    const vehicles = { members, shown, suspicion, ...past, ...(reference === undefined ? {} : { reference }) };
    insist(refuseScores(view, request, vehicles));
    this.#past.note(ref, request.numbers);
    return this.#options.signer.scores(request);
  }

  /**
   * Signs for no reason but one that it finds true itself.
   *
   * @throws SevError with the code of the {@link Refusal}; LedgerError.
   */
  async abort(ref: AttemptRef, reason: AbortReason, evidence: AbortEvidence = {}): Promise<SignedBy> {
    const { round, updates, task } = await this.#read(ref);
    const later = task.privacy === 'plain' ? [] : (['cohort', 'scored', 'aggregated'] as const);
    insist(refuseState(ref, round, ['open', 'closed', ...later]));
    insist(refuseOtherMode(task, reason));
    if (reason === 'OPERATOR') {
      insist(refuseOperator());
    } else if (reason === 'NO_MAJORITY' || round === undefined) {
      insist(refuseNoMajority(task, round, this.#inStateMs(round)));
    } else if (round.state === 'open') {
      insist(
        reason === 'COHORT_TOO_SMALL'
          ? refuseAbort(await this.#openAttempt(ref, task, updates))
          : refuseNoMajority(task, round, this.#inStateMs(round)),
      );
    } else if (round.secure !== undefined) {
      await this.#insistOnSecureReason(ref, reason, evidence);
    } else {
      insist(
        reason === 'COHORT_TOO_SMALL' && task.privacy === 'plain'
          ? refuseAbortClosed(task, await this.#compute(task, round, updates))
          : refuseNoMajority(task, round, this.#inStateMs(round)),
      );
    }
    return this.#options.signer.abort(ref, reason, reason === 'NOISE_FALSE' ? evidence.accused : undefined);
  }

  /**
   * Signs the proposal where recomputing the round gives the same, and the store holds the model.
   *
   * @throws SevError ATTESTATION_REFUSED naming what differs, COMPONENTS_UNVERIFIED, ROUND_STATE, ROUND_STALE, STORE_UNREACHABLE; LedgerError.
   */
  async attest(proposal: Proposal): Promise<SignedBy> {
    const ahead = this.#ahead?.key === attemptKey(proposal) ? await this.#ahead.computation : undefined;
    if (ahead === undefined || refuseProposal(proposal, ahead) !== undefined) {
      // Not computed, or the store held something else then.
      const [round, task] = await Promise.all([roundIfAny(this.#learning, proposal), this.#task(proposal.taskId)]);
      insist(refuseState(proposal, round, [task.privacy === 'plain' ? 'closed' : 'aggregated']));
      if (round !== undefined) {
        insist(refuseUnverified(round));
        insist(refuseProposal(proposal, await this.#outcome(task, round)));
      }
    }
    await this.#insistOnObject(proposal.modelHash, 'the model');
    if (proposal.serverStateHash !== undefined) {
      await this.#insistOnObject(proposal.serverStateHash, "the moments of the server's optimiser");
    }
    this.#options.log.info(
      { ...attemptOf(proposal), cohort: proposal.cohortSize, modelHash: proposal.modelHash },
      'attested',
    );
    const next = { taskId: proposal.taskId, round: proposal.round + 1, attempt: 1 };
    this.#options.validator?.prepareAhead(next, proposal.modelHash);
    return this.#options.signer.attest(proposal);
  }

  async #read(ref: AttemptRef): Promise<{ round: RoundRecord | undefined; updates: UpdateRecord[]; task: Task }> {
    const [round, updates, task] = await Promise.all([
      roundIfAny(this.#learning, ref),
      updatesOf(this.#learning, ref),
      this.#task(ref.taskId),
    ]);
    return { round, updates, task };
  }

  /** After closing, a secure round ends for what its ledger and the evidence show, or for what does not come in time. */
  async #insistOnSecureReason(ref: AttemptRef, reason: AbortReason, evidence: AbortEvidence): Promise<void> {
    const view = await this.#secureView(ref, ['closed', 'cohort', 'scored', 'aggregated']);
    const { state } = view.round;
    if (reason === 'NOISE_FALSE') {
      insist(refuseState(ref, view.round, ['cohort']));
      insist(refuseAccusation(view, evidence));
    } else if (isCohortReason(reason) && state === 'closed') {
      insist(refuseCohortAbort(await this.#cohortView(view), reason, evidence));
    } else if (reason === 'COHORT_TOO_CLOSE' && state === 'scored') {
      const shown = await shownWeights(this.#learning, view.task, view.secure);
      insist(refuseScoredAbort(view, shown, await weightsOf(this.#learning, view.task, ref)));
    } else {
      insist(refuseSilence(view, reason));
    }
  }

  async #cohortView(view: SecureView): Promise<CohortView> {
    const ref = attemptOf(view.round);
    const [updates, receipts, shown] = await Promise.all([
      updatesOf(this.#learning, ref),
      collect(this.#learning.receipts(ref)),
      shownWeights(this.#learning, view.task, view.secure),
    ]);
    const sorted = [...updates].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    return { ...view, updates: sorted, receipts, shown };
  }

  /** What a round that waits for its model comes to, in any mode. */
  async #outcome(task: Task, round: RoundRecord): Promise<RoundOutcome> {
    return this.#moved(task, round, await this.#average(task, round));
  }

  async #moved(task: Task, round: Pick<RoundRecord, 'round'>, average: RoundOutcome): Promise<RoundOutcome> {
    const before = await stateBefore(task, round, this.#learning, correctionsOf(this.#options.session));
    return outcomeMovedByServer(task, average, before, (hash) => this.#objects.get(hash));
  }

  async #average(task: Task, round: RoundRecord): Promise<RoundOutcome> {
    const fetch = (hash: string): Promise<Uint8Array> => this.#objects.get(hash);
    if (task.he !== undefined) {
      const { members } = await this.#learning.cohort(attemptOf(round));
      if (cohortHash(members) !== round.he?.cohortHash) {
        throw new SevError('ATTESTATION_REFUSED', 'the cohort that the gateway shows is not the one of its round');
      }
      return computeHeOutcome(task, round, members, fetch);
    }
    return task.secure === undefined
      ? this.#compute(task, round, await updatesOf(this.#learning, round))
      : computeSecureOutcome(task, round, this.#learning, fetch);
  }

  /** As `cohort`, in mode `he`. */
  async #heCohort(task: Task, request: CohortRequest): Promise<SignedBy> {
    const { ref, recordedHash, cohortHash: fixed, holders } = request;
    const [{ round, updates }, consortium] = await Promise.all([
      this.#read(ref),
      governance(this.#options.session).consortium(),
    ]);
    insist(refuseState(ref, round, ['closed']));
    if (round !== undefined) {
      insist(refuseHeCohort({ consortium, task, round, updates, inStateMs: this.#inStateMs(round) }, request));
    }
    return this.#options.signer.cohort(ref, { recordedHash, cohortHash: fixed, holders });
  }

  async #secureView(ref: AttemptRef, states: readonly RoundRecord['state'][]): Promise<SecureView> {
    const [round, task, consortium] = await Promise.all([
      roundIfAny(this.#learning, ref),
      this.#task(ref.taskId),
      governance(this.#options.session).consortium(),
    ]);
    insist(refuseState(ref, round, states));
    if (round?.secure === undefined) {
      throw new SevError('MODE_NOT_SECURE', `task ${ref.taskId} runs in mode ${task.privacy}`);
    }
    const disputedMs = this.#seen.disputedMs(round);
    const waited = { inStateMs: this.#inStateMs(round), ...(disputedMs === undefined ? {} : { disputedMs }) };
    return { round, task, consortium, secure: round.secure, ...waited };
  }

  #task(taskId: string): Promise<Task> {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) {
      return known;
    }
    const reading = this.#learning.task(taskId).then((record) => record.task);
    this.#tasks.set(taskId, reading);
    reading.catch(() => this.#tasks.delete(taskId));
    return reading;
  }

  async #openAttempt(ref: AttemptRef, task: Task, updates: readonly UpdateRecord[]): Promise<OpenAttempt> {
    const recorded = new Set(updates.map(({ vehicleId }) => vehicleId));
    const barred = recorded.size < task.cohort.target ? await barredFrom(this.#learning, task) : undefined;
    return {
      task,
      recorded: recorded.size,
      barred: barredWithout(barred, recorded),
      openForMs: this.#seen.inStateMs(ref, 'open'),
    };
  }

  #compute(task: Task, round: ClosedRound, updates: readonly UpdateRecord[]): Promise<RoundOutcome> {
    return computeOutcome(task, round, updates, (hash) => this.#objects.get(hash));
  }

  /** Reading an object, not only asking for it, makes sure that the bytes under the hash are the right ones. */
  async #insistOnObject(hash: string, what: string): Promise<void> {
    try {
      const bytes = await this.#objects.get(hash);
      if (sha256Hex(bytes) === hash) {
        return;
      }
    } catch (error) {
      if (!isAbsent(error)) {
        throw error;
      }
    }
    insist({ code: 'ATTESTATION_REFUSED', detail: `the store does not hold ${what}` });
  }

  /** The updates of a round that closes are needed next; reading them overlaps with the closing transaction. */
  #prefetch(updates: readonly UpdateRecord[]): void {
    for (const { updateHash } of updates) {
      this.#objects.get(updateHash).catch((error: unknown) => {
        this.#options.log.debug(failureFields(error), 'reading an update ahead of time failed');
      });
    }
  }

  #hear(event: RoundEvent): void {
    this.#options.validator?.hear(event);
    const state = STATE_AFTER[event.type];
    if (state !== undefined) {
      this.#seen.inStateMs(event, state);
    }
    if (event.type === 'RoundClosed') {
      this.#ahead = { key: attemptKey(event), computation: this.#computeAhead({ ...event, type: event.type }) };
    } else if (event.type === 'RoundFinalised') {
      this.#lookBack(event.taskId, event.round + 1);
    } else if (event.type === 'DisputeOpened') {
      this.#seeRound(event).catch((error: unknown) => {
        this.#options.log.debug(failureFields(error), 'a dispute is noticed when first asked about its round');
      });
    }
  }

  /** What the next scores are computed beside is read before they are asked for. */
  #lookBack(taskId: string, round: number): void {
    this.#task(taskId)
      .then((task) => this.#past.ahead(task, round))
      .catch((error: unknown) => {
        this.#options.log.debug(failureFields(error), 'looking at earlier rounds ahead failed');
      });
  }

  /** Closing is the fence: what a closed attempt comes to can be computed before anybody asks. */
  async #computeAhead(event: RoundEvent & { readonly type: 'RoundClosed' }): Promise<RoundOutcome | undefined> {
    try {
      const task = await this.#task(event.taskId);
      if (task.privacy !== 'plain') {
        return undefined; // What the aggregators will open is not there yet.
      }
      const updates = await updatesOf(this.#learning, event);
      const round = { ...attemptOf(event), baseModelHash: event.modelHash };
      return await this.#moved(task, round, await this.#compute(task, round, updates));
    } catch (error) {
      this.#options.log.debug(failureFields(error), 'computing a round ahead of the request failed');
      return undefined;
    }
  }

  /** How long this attester has seen the round in its state, on its monotonic clock. */
  #inStateMs(round: RoundRecord | undefined): number {
    return round === undefined ? 0 : this.#seen.inStateMs(round, round.state);
  }

  async #seeRound(ref: AttemptRef): Promise<void> {
    const round = await roundIfAny(this.#learning, ref);
    if (round !== undefined) {
      this.#seen.see(round);
    }
  }

  async #seeRounds(): Promise<void> {
    for (const { task } of await collect(this.#learning.tasks())) {
      const round = await latestRound(this.#learning, task.taskId);
      if (round !== undefined) {
        this.#seen.see(round);
      }
    }
  }
}

function insist(refusal: Refusal | undefined): void {
  if (refusal !== undefined) {
    const { code, detail, leftMs } = refusal;
    throw leftMs === undefined ? new SevError(code, detail) : new TooEarlyError(code, detail, leftMs);
  }
}
