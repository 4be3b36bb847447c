// SPDX-License-Identifier: Apache-2.0
import { componentHolders } from './cohort';
import type { Organisation } from './governance';
import { TIME_MARGIN_MS, type RoundRecord, type Task } from './learning';
import { aloneAfterMs } from './rounds';
import type { Dispute, SecureRound, SecureTerms } from './secure';

/** Who may arbitrate: governance gives this role to whoever audits the aggregation and takes no part in it. */
const ARBITER_ROLE = 'auditor';

/** Share of a round's time that an organisation is given for one step. */
const PATIENCE_SHARE = 4;

/** What of a round says since when something is waited for. */
interface WaitingRound extends Pick<RoundRecord, 'state' | 'deadlineMs'> {
  readonly closedAtMs?: number | undefined;
  readonly stateSinceMs?: number | undefined;
  readonly secure?: SecureRound | undefined;
}

/** Members that may settle disputes of a task's aggregators, by MSP id. */
export function arbitersOf(
  { aggregators }: Pick<SecureTerms, 'aggregators'>,
  organisations: readonly Pick<Organisation, 'mspId' | 'roles'>[],
): readonly string[] {
  return organisations
    .filter(({ mspId, roles }) => roles.includes(ARBITER_ROLE) && !aggregators.includes(mspId))
    .map(({ mspId }) => mspId);
}

/** How long others wait for an aggregator, or the arbiter, before they go on without it; in milliseconds. */
export function stepPatienceMs({ deadlines, secure }: Task): number {
  return Math.max(secure?.receiptMs ?? 0, Math.ceil(deadlines.roundMs / PATIENCE_SHARE));
}

/**
 * The same where the wait is measured between times on the ledger's clock, that is between transactions whose submitters chose
 * their times within the margin: the first may be dated so much too early, the second so much too late.
 */
export function ledgerPatienceMs(task: Task): number {
  return stepPatienceMs(task) + 2 * TIME_MARGIN_MS;
}

/** The dispute that waits for a verdict, undefined where none does. */
export function openDisputeOf({ disputes }: Pick<SecureRound, 'disputes'>): Dispute | undefined {
  return disputes.find(({ faulty }) => faulty === undefined);
}

/**
 * Holders of a component that might still say what its sums are: they are in the cohort's making, no verdict named them,
 * and they are not among those who spoke. Whose projections the round was scored without is not waited for again: a
 * majority attested the weights, having waited for them.
 *
 * @param spoke - who has signed sums of the component.
 */
export function awaitedHolders(
  { holders = [], faulty, projectedBy }: Pick<SecureRound, 'holders' | 'faulty' | 'projectedBy'>,
  terms: Pick<SecureTerms, 'aggregators' | 'threshold'>,
  component: number,
  spoke: readonly string[],
): readonly string[] {
  const projected = projectedBy?.[component];
  return (componentHolders(terms)[component] ?? []).filter(
    (mspId) =>
      holders.includes(mspId) &&
      !faulty.includes(mspId) &&
      !spoke.includes(mspId) &&
      projected?.includes(mspId) !== false,
  );
}

/**
 * The time on the ledger's clock from which a scored round's component may be audited whose sums only some of its holders
 * have signed.
 */
export function auditableFromMs(
  { stateSinceMs = 0, secure }: Pick<WaitingRound, 'stateSinceMs' | 'secure'>,
  task: Task,
  component: number,
  spoke: readonly string[],
): number {
  const isAwaited =
    secure !== undefined &&
    task.secure !== undefined &&
    awaitedHolders(secure, task.secure, component, spoke).length > 0;
  return isAwaited ? stateSinceMs + ledgerPatienceMs(task) : stateSinceMs;
}

/**
 * Whose verdict was waited for in an attempt that is given up as `DISPUTE_UNSETTLED`: nobody's where no dispute is open, or
 * one organisation gives up alone before the arbiter had its time. Attesters see to that where a majority gives up.
 */
export function silentArbiter(round: WaitingRound, task: Task, nowMs: number): string[] {
  const { secure } = round;
  const open = secure && openDisputeOf(secure);
  const arbiter = secure?.opening.arbiter;
  if (open === undefined || arbiter === undefined) {
    return [];
  }
  const isMajority = nowMs <= aloneAfterMs(round, task);
  return isMajority || nowMs >= open.openedAtMs + ledgerPatienceMs(task) ? [arbiter.mspId] : [];
}
