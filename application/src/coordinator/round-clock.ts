// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { canonicalJson, type Proposal, type UpdateRecord } from '@sev/chaincode/api';
import type { Submitted } from '../ledger/session.js';
import type { EventPlace } from '../services/round-events.js';
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
  /** Transactions of the round, whoever submitted them, and the distinct blocks that hold them. */
  readonly transactions: number;
  readonly commits: number;
  /** Bytes that a vehicle sends: its update, and its envelope (mean). */
  readonly uploadBytesPerVehicle: number;
  readonly ms: {
    /**
     * From the opened round until the last batch was sent to the ledger, by the batcher's clock: download, training and
     * upload of all vehicles, and what the batch waited for others.
     */
    readonly train: number;
    /** From then until the coordinator heard that it is committed. */
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
  #openedAtMs = Date.now();
  #sentAtMs = 0;
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
    this.#openedAtMs = Date.now();
    this.transition(submitted, sinceMs);
  }

  /** A transaction has recorded updates. */
  recorded(place: EventPlace): void {
    this.#recordedAt = performance.now();
    this.#count(place);
  }

  /** The ledger lists an update that was not known before. */
  saw({ vehicleId, updateHash, weightClass, signature, recordedAtMs }: UpdateRecord): void {
    this.#envelopes++;
    this.#envelopeBytes += Buffer.byteLength(canonicalJson({ vehicleId, updateHash, weightClass, signature }));
    this.#sentAtMs = Math.max(this.#sentAtMs, recordedAtMs);
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
    const recordedAfter = (this.#recordedAt ?? this.#openedAt) - this.#openedAt;
    // The batcher's clock may be another machine's.
    const sentAfter = Math.min(Math.max(0, this.#sentAtMs - this.#openedAtMs), recordedAfter);
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
        train: tenths(sentAfter),
        record: tenths(recordedAfter - sentAfter),
        aggregate: tenths(this.#aggregateMs),
        ledger: tenths(this.#ledgerMs),
        total: tenths(performance.now() - this.#startedAt),
      },
    };
  }

  #count({ transactionId, blockNumber }: EventPlace): void {
    this.#transactions.add(transactionId);
    this.#blocks.add(blockNumber);
  }
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
