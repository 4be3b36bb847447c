// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  namesHeParty,
  type AbortReason,
  type Proposal,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import type { AttemptRef } from '../services/attempt.js';
import type { RoundOutcome } from '../services/round-outcome.js';
import { completeCohort } from '../services/rounds.js';

/** Why an attester does not sign; undefined where it does. */
export interface Refusal {
  readonly code:
    | 'ROUND_STATE'
    | 'ROUND_STALE'
    | 'GRACE_NOT_OVER'
    | 'ROUND_DEADLINE_NOT_REACHED'
    | 'COHORT_TOO_SMALL'
    | 'COHORT_REACHED'
    | 'REASON_NOT_CONFIRMED'
    | 'COMPONENTS_UNVERIFIED'
    | 'ATTESTATION_REFUSED';
  readonly detail: string;
  /** Milliseconds after which the same request is welcome, where only time is wanting. */
  readonly leftMs?: number;
}

/** What an attester knows of an open attempt; `openForMs` is measured on its own clock, from when it first saw it. */
export interface OpenAttempt {
  readonly task: Task;
  readonly recorded: number;
  /** Vehicles whose updates the ledger refuses, and has not recorded before: they are not waited for. */
  readonly barred: number;
  readonly openForMs: number;
}

/** The round on this attester's ledger must be the attempt asked about, in this state. */
export function refuseState(
  ref: AttemptRef,
  round: RoundRecord | undefined,
  states: readonly RoundRecord['state'][],
): Refusal | undefined {
  if (round?.attempt !== ref.attempt) {
    const present = round === undefined ? 'not there' : `at attempt ${String(round.attempt)}`;
    return { code: 'ROUND_STALE', detail: `round ${String(ref.round)} is ${present}` };
  }
  return states.includes(round.state) ? undefined : { code: 'ROUND_STATE', detail: `the round is ${round.state}` };
}

/** A round may close with its complete cohort at once, with its minimum once the grace time is over. */
export function refuseClose({ task, recorded, barred, openForMs }: OpenAttempt): Refusal | undefined {
  const { minimum } = task.cohort;
  if (recorded >= completeCohort(task, barred)) {
    return undefined;
  }
  if (recorded < minimum) {
    return { code: 'COHORT_TOO_SMALL', detail: `${String(recorded)} of at least ${String(minimum)} updates` };
  }
  return refuseUntil('GRACE_NOT_OVER', task.deadlines.graceMs - openForMs);
}

/**
 * An open round may be given up once the time of a round is over and the minimum cohort is not there: before that
 * vehicles may still come, and one coordinator alone must not send them away.
 */
export function refuseAbort({ task, recorded, openForMs }: OpenAttempt): Refusal | undefined {
  const { minimum } = task.cohort;
  if (recorded >= minimum) {
    return { code: 'COHORT_REACHED', detail: `${String(recorded)} updates, the minimum is ${String(minimum)}` };
  }
  return refuseUntil('ROUND_DEADLINE_NOT_REACHED', task.deadlines.roundMs - openForMs);
}

/** A closed round may be given up where too few of its updates can be averaged. */
export function refuseAbortClosed(task: Task, outcome: RoundOutcome): Refusal | undefined {
  const { minimum } = task.cohort;
  return outcome.usable < minimum
    ? undefined
    : { code: 'COHORT_REACHED', detail: `${String(outcome.usable)} usable updates, the minimum is ${String(minimum)}` };
}

/**
 * A closed round may be given up for want of a majority when as long as a round takes has gone by without one.
 *
 * @param inStateMs - how long this attester has seen the round in its state, on its own clock.
 */
export function refuseNoMajority(task: Task, round: RoundRecord | undefined, inStateMs: number): Refusal | undefined {
  if (round === undefined || round.state === 'open') {
    return { code: 'REASON_NOT_CONFIRMED', detail: 'the round is not closed, and no majority was asked for yet' };
  }
  const left = Math.ceil(task.deadlines.roundMs - inStateMs);
  return left <= 0
    ? undefined
    : { code: 'REASON_NOT_CONFIRMED', detail: `attesters have ${String(left)} ms left to attest the model` };
}

/** Nothing that an attester could find out bears this reason out. */
export function refuseOperator(): Refusal {
  return { code: 'REASON_NOT_CONFIRMED', detail: 'an attester does not decide for its operator' };
}

/** A reason that only mode `he` knows ends no round of another. */
export function refuseOtherMode({ he }: Task, reason: AbortReason): Refusal | undefined {
  const isOfOther = he === undefined && (namesHeParty(reason) || reason === 'SUM_INVALID');
  return isOfOther ? { code: 'REASON_NOT_CONFIRMED', detail: `${reason} is a reason of mode he` } : undefined;
}

/** What one aggregator alone answers for goes into no model before the arbiter has audited it. */
export function refuseUnverified({ secure }: RoundRecord): Refusal | undefined {
  const unverified = secure?.unverified ?? [];
  return unverified.length === 0
    ? undefined
    : { code: 'COMPONENTS_UNVERIFIED', detail: `component ${unverified.join(', ')} is the word of one aggregator` };
}

/** Compares a proposal with what the attester has computed itself, and names what differs. */
export function refuseProposal(proposal: Proposal, outcome: RoundOutcome): Refusal | undefined {
  const own = outcome.model?.proposal;
  if (own === undefined) {
    return { code: 'ATTESTATION_REFUSED', detail: 'no recorded update is usable' };
  }
  const fields = Object.keys(own) as (keyof Proposal)[];
  const differing = fields.filter((field) => canonicalJson(own[field]) !== canonicalJson(proposal[field]));
  return differing.length === 0
    ? undefined
    : { code: 'ATTESTATION_REFUSED', detail: `the recomputation differs in ${differing.join(', ')}` };
}

export function refuseUntil(code: Refusal['code'], left: number): Refusal | undefined {
  const leftMs = Math.ceil(left);
  return leftMs <= 0 ? undefined : { code, detail: `${String(leftMs)} ms are left`, leftMs };
}
