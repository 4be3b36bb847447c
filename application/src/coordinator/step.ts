// SPDX-License-Identifier: Apache-2.0
import {
  aloneAfterMs,
  ledgerPatienceMs,
  refutedComponents,
  type AbortReason,
  type CorrectionRecord,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import { heAction } from '../homomorphic/he-action.js';
import { componentToAudit, isBeyondAudit, openDisputeOf } from '../services/audits.js';
import type { TooEarly } from './current-attempt.js';
import { completeCohort } from '../services/rounds.js';

/** All that decides what a coordinator does next. Everything but the clock is ledger state. */
export interface RoundView {
  readonly task: Task;
  /** The round after which the coordinator is done. */
  readonly lastRound: number;
  /** Attempts at one round before the coordinator gives up. */
  readonly maxAttempts: number;
  /** The newest round on the ledger, undefined before the first. */
  readonly round: RoundRecord | undefined;
  /** Where the round is final, what was made of its model; where it is aborted, of the one before. */
  readonly correction?: Pick<CorrectionRecord, 'modelHash'>;
  /** Updates of the present attempt on the ledger. */
  readonly recorded: number;
  /** Vehicles whose updates the ledger refuses, and has not recorded before: they are not waited for. */
  readonly barred?: number;
  /** When this coordinator first saw the attempt open, on its own clock. */
  readonly openSeenAtMs: number;
  /** Updates that can be averaged, once a closed attempt has been aggregated and found too small. */
  readonly usable?: number;
  /** Why the last try at the step that a closed attempt waits for failed, where that may end the attempt. */
  readonly stepFailed?: AbortReason;
  /** How often it failed since the attempt is in its state. */
  readonly stepFailures?: number;
  /** Why no further try can succeed. */
  readonly hopeless?: AbortReason;
  /** What attesters last found too early. */
  readonly tooEarly?: TooEarly;
  /** Components that the contract does not release to be audited. */
  readonly notAudited?: ReadonlySet<number>;
  readonly nowMs: number;
}

/**
 * What to do next. `alone`: the time for it has passed on every clock, so no statements of others are needed. Of the modes with
 * aggregators no cohort is fixed alone.
 */
export type CoordinatorAction =
  | { readonly kind: 'open'; readonly round: number; readonly attempt: number; readonly baseModelHash: string }
  | { readonly kind: 'wait'; readonly untilMs: number; readonly belowMinimum?: true }
  | { readonly kind: 'close'; readonly alone: boolean }
  | { readonly kind: 'abort'; readonly reason: AbortReason; readonly alone: boolean }
  | { readonly kind: 'fix-cohort'; readonly alone: boolean }
  | { readonly kind: 'audit'; readonly component: number }
  | { readonly kind: 'score' | 'commit-sums' | 'settle' }
  | { readonly kind: 'finalise' }
  | { readonly kind: 'done' }
  | { readonly kind: 'give-up'; readonly reason: string };

/** Steps that a round in a secure mode takes between closing and finalising. */
export type SecureAction = Extract<
  CoordinatorAction,
  { kind: 'fix-cohort' | 'score' | 'commit-sums' | 'settle' | 'audit' }
>;

const STEP_OF = {
  closed: 'fix-cohort',
  cohort: 'score',
  scored: 'commit-sums',
  aggregated: 'finalise',
} as const;
type NextStep = (typeof STEP_OF)[keyof typeof STEP_OF];

/** Attesters see a round open a little after the ledger's time of it; asking them this much later spares a refusal. */
export const ASK_LATER_MS = 250;

/** Tries at a step before attesters are asked whether they still have patience. */
const FAILURES_BEFORE_ABORT = 3;

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
        : openNext(view, { round: round.round + 1, attempt: 1 }, round.proposal?.modelHash ?? round.baseModelHash);
    case 'aborted':
      return round.attempt >= view.maxAttempts
        ? {
            kind: 'give-up',
            reason: `round ${String(round.round)} was aborted ${String(round.attempt)} times, last: ${round.abortReason ?? 'no reason'}`,
          }
        : openNext(view, { round: round.round, attempt: round.attempt + 1 }, round.baseModelHash);
  }
}

/** @param base what the attempt starts from unless an incident has changed it. */
function openNext(
  { correction }: RoundView,
  next: { readonly round: number; readonly attempt: number },
  base: string,
): CoordinatorAction {
  return { kind: 'open', ...next, baseModelHash: correction?.modelHash ?? base };
}

function actionWhileOpen(view: RoundView, round: RoundRecord): CoordinatorAction {
  const { cohort, deadlines } = view.task;
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = view.nowMs >= aloneAfter;
  if (view.recorded >= completeCohort(view.task, view.barred ?? 0)) {
    return { kind: 'close', alone };
  }
  const graceEndsMs = view.openSeenAtMs + deadlines.graceMs;
  if (!alone && view.nowMs < graceEndsMs) {
    return { kind: 'wait', untilMs: graceEndsMs };
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
  if (view.task.he !== undefined && state !== 'scored') {
    return heAction(view, round, state);
  }
  return view.task.secure === undefined ? actionWhileClosed(view, round) : secureAction(view, round, STEP_OF[state]);
}

/** A step that was refused for good ends the attempt; one that cannot be taken in the time of a round does too. */
function secureAction(view: RoundView, round: RoundRecord, kind: NextStep): CoordinatorAction {
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = view.nowMs >= aloneAfter;
  const askedFrom = (action: TooEarly['action'], asked: CoordinatorAction): CoordinatorAction => {
    const askAtMs = earliestMs(view, action, aloneAfter);
    return !alone && view.nowMs < askAtMs ? { kind: 'wait', untilMs: askAtMs } : asked;
  };
  const hopeless = hopelessOf(view, round);
  if (hopeless !== undefined) {
    // An accusation needs a majority; where none has come to it in all the time, the attempt ends without one.
    const reason = alone && hopeless === 'NOISE_FALSE' ? (view.stepFailed ?? hopeless) : hopeless;
    return askedFrom('abort', { kind: 'abort', reason, alone });
  }
  const reason = givenUpFor(view, round);
  if (reason !== undefined) {
    return { kind: 'abort', reason, alone };
  }
  if (kind === 'fix-cohort') {
    return askedFrom('fix-cohort', { kind, alone: false });
  }
  return arbitration(view, round, kind) ?? (kind === 'score' ? askedFrom('score', { kind }) : { kind });
}

/**
 * Why the attempt is given up for a step that failed: for good once the time for it is over, before that where attesters may
 * agree; undefined where it is not. An open dispute is settled first.
 */
function givenUpFor(view: RoundView, round: RoundRecord): AbortReason | undefined {
  const { stepFailed, nowMs } = view;
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = nowMs >= aloneAfter;
  const overAtMs = arbiterHasUntilMs(view, round);
  const isOver = alone && (overAtMs === undefined || nowMs >= overAtMs);
  if (isOver && stepFailed !== undefined) {
    return stepFailed;
  }
  const isArbitersTurn = overAtMs !== undefined && (alone || stepFailed !== 'DISPUTE_UNSETTLED');
  const isAsked = !isArbitersTurn && isGivenUp(view) && nowMs >= earliestMs(view, 'abort', aloneAfter);
  return isAsked ? (stepFailed ?? 'AGGREGATORS_MISSING') : undefined;
}

/** Until when the arbiter of an open dispute has time before anybody alone gives the attempt up; undefined where none is open. */
function arbiterHasUntilMs({ task }: RoundView, { secure }: RoundRecord): number | undefined {
  const open = secure && openDisputeOf(secure);
  return open && open.openedAtMs + ledgerPatienceMs(task);
}

/** A step is tried on while attesters have patience with it; who is missing may come back meanwhile. */
function isGivenUp({ stepFailed, stepFailures = 0 }: RoundView): boolean {
  const isOften = stepFailures >= FAILURES_BEFORE_ABORT;
  return isOften && (stepFailed === 'AGGREGATORS_MISSING' || stepFailed === 'DISPUTE_UNSETTLED');
}

/** What the ledger itself shows to be in vain counts, too. */
function hopelessOf({ hopeless, notAudited, task }: RoundView, { secure }: RoundRecord): AbortReason | undefined {
  if (secure === undefined || task.secure === undefined) {
    return hopeless;
  }
  if (hopeless !== undefined) {
    // Where the ledger shows no dispute that waits, no attester could find that one does.
    const isUnshown = hopeless === 'DISPUTE_UNSETTLED' && openDisputeOf(secure) === undefined;
    return isUnshown ? 'AGGREGATORS_MISSING' : hopeless;
  }
  const isInVain = refutedComponents(secure).length > 0 || isBeyondAudit(secure, task.secure, notAudited);
  return isInVain ? 'AGGREGATORS_MISSING' : undefined;
}

/** What the arbiter has to do first: a model that rests on one aggregator's word is audited where it can be. */
function arbitration(view: RoundView, { secure }: RoundRecord, kind: NextStep): CoordinatorAction | undefined {
  const { secure: terms } = view.task;
  if (secure === undefined) {
    return undefined;
  }
  if (openDisputeOf(secure) !== undefined) {
    return { kind: 'settle' };
  }
  const isLast = kind === 'finalise' && terms !== undefined;
  const component = isLast ? componentToAudit(secure, terms, view.notAudited) : undefined;
  return component === undefined ? undefined : { kind: 'audit', component };
}
