// SPDX-License-Identifier: Apache-2.0
import { aloneAfterMs, type AbortReason, type RoundRecord, type Task } from '@sev/chaincode/api';
import type { TooEarly } from './current-attempt.js';

/** All that decides what a coordinator does next. Everything but the clock and the waiting envelopes is ledger state. */
export interface RoundView {
  readonly task: Task;
  /** The round after which the coordinator is done. */
  readonly lastRound: number;
  /** Attempts at one round before the coordinator gives up. */
  readonly maxAttempts: number;
  /** The newest round on the ledger, undefined before the first. */
  readonly round: RoundRecord | undefined;
  /** Updates of the present attempt on the ledger. */
  readonly recorded: number;
  /** Envelopes this coordinator holds or is recording. */
  readonly waiting: number;
  /** When this coordinator first saw the attempt open, on its own clock. */
  readonly openSeenAtMs: number;
  /** Updates that can be averaged, once a closed attempt has been aggregated and found too small. */
  readonly usable?: number;
  /** Why the last try at the step that a closed attempt waits for failed, where that may end the attempt. */
  readonly stepFailed?: AbortReason;
  /** Why no further try can succeed. */
  readonly hopeless?: AbortReason;
  /** What attesters last found too early. */
  readonly tooEarly?: TooEarly;
  readonly nowMs: number;
}

/** What to do next. `alone`: the time for it has passed on every clock, so no statements of others are needed. */
export type CoordinatorAction =
  | { readonly kind: 'open'; readonly round: number; readonly attempt: number; readonly baseModelHash: string }
  | { readonly kind: 'wait'; readonly untilMs: number; readonly belowMinimum?: true }
  | { readonly kind: 'close'; readonly alone: boolean }
  | { readonly kind: 'abort'; readonly reason: AbortReason; readonly alone: boolean }
  | { readonly kind: SecureStep | 'finalise' }
  | { readonly kind: 'done' }
  | { readonly kind: 'give-up'; readonly reason: string };

/** Steps that a round in a secure mode takes between closing and finalising. */
export type SecureStep = 'fix-cohort' | 'score' | 'commit-sums';

const STEP_OF = {
  closed: 'fix-cohort',
  cohort: 'score',
  scored: 'commit-sums',
  aggregated: 'finalise',
} as const;

/** Attesters see a round open a little after the ledger's time of it; asking them this much later spares a refusal. */
export const ASK_LATER_MS = 250;

/**
 * The coordinator as a pure function of what the ledger shows: a coordinator that starts in the middle of a round, or
 * beside another one, takes the same decision as one that saw everything.
 */
export function nextAction(view: RoundView): CoordinatorAction {
  const { round, task } = view;
  if (round === undefined) {
    return { kind: 'open', round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
  }
  if (round.round > view.lastRound) {
    return { kind: 'done' }; // another coordinator goes on with the task
  }
  switch (round.state) {
    case 'open':
      return actionWhileOpen(view, round);
    case 'closed':
    case 'cohort':
    case 'scored':
    case 'aggregated':
      return actionAfterClosing(view, round, round.state);
    case 'finalised':
      return round.round >= view.lastRound
        ? { kind: 'done' }
        : {
            kind: 'open',
            round: round.round + 1,
            attempt: 1,
            baseModelHash: round.proposal?.modelHash ?? round.baseModelHash,
          };
    case 'aborted':
      return round.attempt >= view.maxAttempts
        ? {
            kind: 'give-up',
            reason: `round ${String(round.round)} was aborted ${String(round.attempt)} times, last: ${round.abortReason ?? 'no reason'}`,
          }
        : { kind: 'open', round: round.round, attempt: round.attempt + 1, baseModelHash: round.baseModelHash };
  }
}

function actionWhileOpen(view: RoundView, round: RoundRecord): CoordinatorAction {
  const { cohort, deadlines } = view.task;
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = view.nowMs >= aloneAfter;
  if (view.recorded >= cohort.target) {
    return { kind: 'close', alone };
  }
  const graceEndsMs = view.openSeenAtMs + deadlines.graceMs;
  if (!alone && view.nowMs < graceEndsMs) {
    return { kind: 'wait', untilMs: graceEndsMs };
  }
  if (!alone && view.waiting > 0) {
    return { kind: 'wait', untilMs: aloneAfter };
  }
  if (view.recorded >= cohort.minimum) {
    const askAtMs = earliestMs(view, 'close', aloneAfter);
    return !alone && view.nowMs < askAtMs ? { kind: 'wait', untilMs: askAtMs } : { kind: 'close', alone };
  }
  // A new attempt would find no more vehicles than this one, and cost two transactions: they have the whole round.
  const askAtMs = Math.max(round.deadlineMs + ASK_LATER_MS, earliestMs(view, 'abort', aloneAfter));
  return !alone && view.nowMs < askAtMs
    ? { kind: 'wait', untilMs: askAtMs, belowMinimum: true }
    : { kind: 'abort', reason: 'COHORT_TOO_SMALL', alone };
}

/** When attesters may be asked again; never later than the time from which nobody has to be asked. */
function earliestMs({ tooEarly }: RoundView, action: TooEarly['action'], aloneAfter: number): number {
  return tooEarly?.action === action ? Math.min(tooEarly.untilMs, aloneAfter) : 0;
}

function actionWhileClosed(view: RoundView, round: RoundRecord): CoordinatorAction {
  const alone = view.nowMs >= aloneAfterMs(round, view.task);
  if (view.usable !== undefined && view.usable < view.task.cohort.minimum) {
    return { kind: 'abort', reason: 'COHORT_TOO_SMALL', alone };
  }
  if (alone && view.stepFailed !== undefined) {
    return { kind: 'abort', reason: view.stepFailed, alone };
  }
  return { kind: 'finalise' };
}

function actionAfterClosing(view: RoundView, round: RoundRecord, state: keyof typeof STEP_OF): CoordinatorAction {
  return view.task.secure === undefined ? actionWhileClosed(view, round) : secureAction(view, round, STEP_OF[state]);
}

/** A step that was refused for good ends the attempt; one that cannot be taken in the time of a round does too. */
function secureAction(view: RoundView, round: RoundRecord, kind: SecureStep | 'finalise'): CoordinatorAction {
  const alone = view.nowMs >= aloneAfterMs(round, view.task);
  if (view.hopeless !== undefined) {
    const askAtMs = earliestMs(view, 'abort', aloneAfterMs(round, view.task));
    return !alone && view.nowMs < askAtMs
      ? { kind: 'wait', untilMs: askAtMs }
      : { kind: 'abort', reason: view.hopeless, alone };
  }
  return alone && view.stepFailed !== undefined ? { kind: 'abort', reason: view.stepFailed, alone } : { kind };
}
