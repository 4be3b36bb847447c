// SPDX-License-Identifier: Apache-2.0
import type { IncidentRecord, RoundRecord } from '@sev/chaincode/api';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import type { LedgerView } from './ledger-view.js';
import { overSinceMs } from './retention.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Nothing is kept longer on account of rewards that have not vested, or of an incident that nobody decides. */
export const MOST_TRACEBACK_MS = 30 * DAY_MS;

type View = Pick<LedgerView, 'roundIfAny' | 'task' | 'incidents'>;

/**
 * Since when an attempt is out of reach of the traceback, in ms on the ledger's clock; undefined while it is not. While
 * rewards of its round may still be forfeited, and while an incident disputes it or is not yet corrected, its shares are
 * evidence. One of these is read a look at the inbox: make another for the next.
 */
export class Traceback {
  readonly #view: View;
  readonly #nowMs: number;
  #disputed: Promise<ReadonlySet<string>> | undefined;

  constructor(view: View, nowMs: number) {
    this.#view = view;
    this.#nowMs = nowMs;
  }

  /** @param round the ledger's present record of the attempt's round. */
  async overSinceMs(ref: AttemptRef, round: RoundRecord | undefined): Promise<number | undefined> {
    const since = overSinceMs(ref, round);
    if (since === undefined || (await this.#disputedAttempts()).has(attemptKey(ref))) {
      return undefined;
    }
    if (round?.attempt !== ref.attempt || round.state !== 'finalised') {
      return since;
    }
    const { task } = await this.#view.task(ref.taskId);
    const last = Math.min(ref.round + (task.rewards?.vestingRounds ?? 0), task.plannedRounds);
    const vesting = last > ref.round ? await this.#view.roundIfAny({ taskId: ref.taskId, round: last }) : round;
    const vestedMs = vesting?.state === 'finalised' ? vesting.finalisedAtMs : undefined;
    return vestedMs ?? (this.#nowMs >= since + MOST_TRACEBACK_MS ? since : undefined);
  }

  #disputedAttempts(): Promise<ReadonlySet<string>> {
    this.#disputed ??= this.#read();
    return this.#disputed;
  }

  async #read(): Promise<ReadonlySet<string>> {
    const disputed = new Set<string>();
    for await (const incident of this.#view.incidents()) {
      if (needsEvidence(incident, this.#nowMs)) {
        incident.disputed.forEach((at) => disputed.add(attemptKey({ taskId: incident.taskId, ...at })));
      }
    }
    return disputed;
  }
}

/** Until it is cleared, or its correction is made, everybody must be able to look at the disputed updates again. */
function needsEvidence({ state, correctedWith, openedAtMs, decidedAtMs }: IncidentRecord, nowMs: number): boolean {
  const isDone = state === 'cleared' || correctedWith !== undefined;
  return !isDone && nowMs < (decidedAtMs ?? openedAtMs) + MOST_TRACEBACK_MS;
}
