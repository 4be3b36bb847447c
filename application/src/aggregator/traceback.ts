// SPDX-License-Identifier: Apache-2.0
import type { IncidentRecord, RoundRecord } from '@sev/chaincode/api';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import type { LedgerView } from './ledger-view.js';
import { overSinceMs } from './retention.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** How long an incident has for its first vote; until then one organisation alone has opened it. */
export const FIRST_VOTE_MS = 2 * DAY_MS;
/** Nothing is kept longer on account of rewards that have not vested, or of an incident that nobody decides. */
export const MOST_TRACEBACK_MS = 30 * DAY_MS;

type View = Pick<LedgerView, 'roundIfAny' | 'task' | 'incidents'>;

/**
 * Since when an attempt is out of reach of the traceback, in ms on the ledger's clock; undefined while it is not. While
 * rewards of its round may still be forfeited, and while an incident that a vote has opened disputes it or is not yet
 * corrected, its shares are evidence. What one organisation opens without a vote keeps them for a while only, however often it
 * does. One of these is read a look at the inbox: make another for the next.
 */
export class Traceback {
  readonly #view: View;
  readonly #nowMs: number;
  #disputed: Promise<ReadonlyMap<string, Dispute>> | undefined;

  constructor(view: View, nowMs: number) {
    this.#view = view;
    this.#nowMs = nowMs;
  }

  /** @param round the ledger's present record of the attempt's round. */
  async overSinceMs(ref: AttemptRef, round: RoundRecord | undefined): Promise<number | undefined> {
    const since = overSinceMs(ref, round);
    if (since === undefined) {
      return undefined;
    }
    const unneeded = await this.#vestedSinceMs(ref, round, since);
    const dispute = (await this.#disputedAttempts()).get(attemptKey(ref));
    if (unneeded === undefined || dispute === undefined) {
      return unneeded;
    }
    const untilMs = dispute.isVoted ? dispute.untilMs : Math.min(dispute.untilMs, unneeded + 2 * FIRST_VOTE_MS);
    return this.#nowMs < untilMs ? undefined : unneeded;
  }

  async #vestedSinceMs(ref: AttemptRef, round: RoundRecord | undefined, since: number): Promise<number | undefined> {
    if (round?.attempt !== ref.attempt || round.state !== 'finalised') {
      return since;
    }
    const { task } = await this.#view.task(ref.taskId);
    const last = Math.min(ref.round + (task.rewards?.vestingRounds ?? 0), task.plannedRounds);
    const vesting = last > ref.round ? await this.#view.roundIfAny({ taskId: ref.taskId, round: last }) : round;
    const vestedMs = vesting?.state === 'finalised' ? vesting.finalisedAtMs : undefined;
    return vestedMs ?? (this.#nowMs >= since + MOST_TRACEBACK_MS ? since : undefined);
  }

  #disputedAttempts(): Promise<ReadonlyMap<string, Dispute>> {
    this.#disputed ??= this.#read();
    return this.#disputed;
  }

  async #read(): Promise<ReadonlyMap<string, Dispute>> {
    const disputed = new Map<string, Dispute>();
    for await (const incident of this.#view.incidents()) {
      const dispute = disputeOf(incident);
      if (dispute !== undefined) {
        incident.disputed.forEach((at) => {
          const key = attemptKey({ taskId: incident.taskId, ...at });
          disputed.set(key, later(disputed.get(key), dispute));
        });
      }
    }
    return disputed;
  }
}

/** What an incident makes evidence of an attempt. */
interface Dispute {
  /** On the ledger's clock. */
  readonly untilMs: number;
  /** Whether a majority has voted to look at it. */
  readonly isVoted: boolean;
}

/** Until it is cleared, or its correction is made, everybody must be able to look at the disputed updates again. */
function disputeOf({ state, correctedWith, openedAtMs, decidedAtMs }: IncidentRecord): Dispute | undefined {
  if (state === 'cleared' || correctedWith !== undefined) {
    return undefined;
  }
  return state === 'open'
    ? { untilMs: openedAtMs + FIRST_VOTE_MS, isVoted: false }
    : { untilMs: (decidedAtMs ?? openedAtMs) + MOST_TRACEBACK_MS, isVoted: true };
}

/** Of two incidents about one attempt the one that keeps it longer. */
function later(before: Dispute | undefined, one: Dispute): Dispute {
  const isStronger =
    before === undefined || (one.isVoted === before.isVoted ? one.untilMs > before.untilMs : one.isVoted);
  return isStronger ? one : before;
}
