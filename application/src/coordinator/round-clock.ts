// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Proposal } from '@sev/chaincode/api';
import type { Submitted } from '../ledger/session.js';
import { writeJson } from '../store/files.js';

/** What one finalised round cost, as its coordinator saw it. All times in milliseconds. */
export interface RoundTiming {
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  /** Recorded updates, and how many of them did not enter the model. */
  readonly cohort: number;
  readonly excluded: number;
  readonly modelHash: string;
  /** True where the coordinator came to the round after it was opened: times and counts then miss its beginning. */
  readonly resumed: boolean;
  /** Transactions that this coordinator had committed for the round, and the distinct blocks that hold them. */
  readonly transactions: number;
  readonly commits: number;
  /** Bytes that a vehicle sends: its update, and its envelope (mean). */
  readonly uploadBytesPerVehicle: number;
  readonly ms: {
    /** From the opened round to the last envelope's arrival: download, training and upload of all vehicles. */
    readonly train: number;
    /** From the last envelope's arrival until its batch is committed. */
    readonly record: number;
    /** Fetching and averaging the updates, storing the model, attestation by a majority. */
    readonly aggregate: number;
    /** Opening, closing (with the statements of a majority) and finalising on the ledger. */
    readonly ledger: number;
    readonly total: number;
  };
}

/** Where the timing of a round lies in a coordinator's home. */
export function timingPath(home: string, taskId: string, round: number): string {
  return join(home, 'rounds', taskId, `${String(round)}.json`);
}

/** Writes a round's timing, atomically. */
export async function writeTiming(home: string, timing: RoundTiming): Promise<void> {
  const path = timingPath(home, timing.taskId, timing.round);
  await mkdir(dirname(path), { recursive: true });
  await writeJson(path, timing);
}

/** Measures one attempt at a round. */
export class RoundClock {
  readonly #resumed: boolean;
  readonly #startedAt: number;
  readonly #transactions = new Set<string>();
  readonly #blocks = new Set<bigint>();
  #openedAt: number;
  #lastArrivalAt: number | undefined;
  #recordedAt: number | undefined;
  #envelopes = 0;
  #envelopeBytes = 0;
  #aggregateMs = 0;
  #ledgerMs = 0;

  constructor(resumed: boolean, startedAt = performance.now()) {
    this.#resumed = resumed;
    this.#startedAt = startedAt;
    this.#openedAt = performance.now();
  }

  opened(submitted: Submitted, sinceMs: number): void {
    this.#openedAt = performance.now();
    this.transition(submitted, sinceMs);
  }

  /** An envelope of this many bytes has arrived. */
  arrived(bytes: number): void {
    this.#lastArrivalAt = performance.now();
    this.#envelopes++;
    this.#envelopeBytes += bytes;
  }

  recorded(submitted: Submitted): void {
    this.#recordedAt = performance.now();
    this.#count(submitted);
  }

  /** A transition of the round is committed; the work for it began at `sinceMs`. */
  transition(submitted: Submitted, sinceMs: number): void {
    this.#ledgerMs += performance.now() - sinceMs;
    this.#count(submitted);
  }

  aggregated(sinceMs: number): void {
    this.#aggregateMs += performance.now() - sinceMs;
  }

  /** The timing once the round is final. @param updateBytes bytes of one update. */
  finish(proposal: Proposal, updateBytes: number): RoundTiming {
    const lastArrivalAt = this.#lastArrivalAt ?? this.#openedAt;
    const envelope = this.#envelopes === 0 ? 0 : this.#envelopeBytes / this.#envelopes;
    return {
      schemaVersion: 1,
      taskId: proposal.taskId,
      round: proposal.round,
      attempt: proposal.attempt,
      cohort: proposal.cohortSize,
      excluded: proposal.excluded.length,
      modelHash: proposal.modelHash,
      resumed: this.#resumed,
      transactions: this.#transactions.size,
      commits: this.#blocks.size,
      uploadBytesPerVehicle: Math.round(updateBytes + envelope),
      ms: {
        train: tenths(lastArrivalAt - this.#openedAt),
        record: tenths(Math.max(0, (this.#recordedAt ?? lastArrivalAt) - lastArrivalAt)),
        aggregate: tenths(this.#aggregateMs),
        ledger: tenths(this.#ledgerMs),
        total: tenths(performance.now() - this.#startedAt),
      },
    };
  }

  #count(submitted: Submitted): void {
    this.#transactions.add(submitted.transactionId);
    this.#blocks.add(submitted.blockNumber);
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
