// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, RoundState, Task } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptKey, isLater, type AttemptRef } from '../services/attempt.js';
import type { RoundEvent } from '../services/round-events.js';
import { latestRound, roundIfAny, updatesOf, type LearningContract } from '../services/rounds.js';
import { pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import { CurrentAttempt, type BatchOptions } from './current-attempt.js';
import { RoundClock } from './round-clock.js';

export interface RoundTrackerOptions {
  readonly taskId: string;
  readonly learning: LearningContract;
  readonly store: Pick<ObjectStore, 'get'>;
  readonly batch: BatchOptions;
  /** Told when there is something to look at. */
  readonly onNews: () => void;
}

interface HeardEvent {
  readonly event: RoundEvent;
  readonly transactionId: string;
}

/** How long an envelope waits for its round where the vehicle heard of the opening first. */
const AHEAD_MS = 2_000;
const RANK: Readonly<Record<RoundState, number>> = {
  open: 0,
  closed: 1,
  cohort: 2,
  scored: 3,
  aggregated: 4,
  finalised: 5,
  aborted: 5,
};
type Transition = Exclude<RoundEvent['type'], 'UpdatesRecorded' | 'ReceiptsShown' | 'DisputeOpened' | 'DisputeSettled'>;
const STATE_OF: Readonly<Record<Transition, RoundState>> = {
  RoundOpened: 'open',
  RoundClosed: 'closed',
  CohortFixed: 'cohort',
  RoundScored: 'scored',
  SumsCommitted: 'aggregated',
  RoundFinalised: 'finalised',
  RoundAborted: 'aborted',
};

/** What a coordinator knows of its task's newest round, and when that is worth another look at the ledger. */
export class RoundTracker {
  readonly #options: RoundTrackerOptions;
  #current: CurrentAttempt | undefined;
  #isStale = true;
  #heard: HeardEvent[] = [];
  readonly #aheadWaiters = new Set<() => void>();

  constructor(options: RoundTrackerOptions) {
    this.#options = options;
  }

  /** The newest attempt known, undefined before the first round. */
  get current(): CurrentAttempt | undefined {
    return this.#current;
  }

  /** Asks for a look at the ledger before the next decision. */
  distrust(): void {
    this.#isStale = true;
  }

  hear(event: RoundEvent, transactionId: string): void {
    if (event.taskId === this.#options.taskId) {
      this.#heard.push({ event, transactionId });
      this.#options.onNews();
    }
  }

  /** Looks at the ledger where something may have happened there that is not known. @throws LedgerError */
  async refresh(task: Task): Promise<void> {
    this.#listen();
    if (!this.#isStale) {
      return;
    }
    this.#isStale = false;
    try {
      const { learning } = this.#options;
      const known = this.#current?.ref;
      const record = await (known === undefined ? latestRound(learning, task.taskId) : newestSince(learning, known));
      if (record !== undefined) {
        this.adopt(record, task);
        await this.#lookForUpdates();
      }
    } catch (error) {
      this.#isStale = true;
      throw error;
    }
  }

  /** Takes a record over unless something later is known: answers may overtake one another. */
  adopt(record: RoundRecord, task: Task, clock?: RoundClock): void {
    const current = this.#current;
    if (current !== undefined && attemptKey(current.ref) === attemptKey(record)) {
      if (RANK[record.state] >= RANK[current.record.state]) {
        current.record = record;
      }
      return;
    }
    if (current !== undefined && !isLater(record, current.ref)) {
      return;
    }
    current?.close(new SevError('ROUND_STALE', `attempt ${attemptKey(current.ref)} is over`));
    const { learning, store, batch, onNews } = this.#options;
    this.#current = new CurrentAttempt({
      task,
      record,
      learning,
      fetch: (hash) => store.get(hash),
      clock: clock ?? new RoundClock(true),
      batch,
      seenAtMs: Date.now(),
      onRecorded: onNews,
    });
    this.#aheadWaiters.forEach((wake) => {
      wake();
    });
  }

  /**
   * The attempt that an envelope is for. A vehicle may hear of an opening before the coordinator that asked for it has
   * its answer, so an attempt ahead of the known one is waited for.
   *
   * @throws SevError ROUND_STALE, SERVICE_CLOSING.
   */
  async attemptFor(ref: AttemptRef & { readonly baseModelHash: string }, ending: AbortSignal): Promise<CurrentAttempt> {
    const giveUpAt = Date.now() + AHEAD_MS;
    while (Date.now() < giveUpAt && (this.#current === undefined || isLater(ref, this.#current.ref))) {
      if (ending.aborted) {
        throw new SevError('SERVICE_CLOSING', 'the coordinator is shutting down');
      }
      await this.#adoption(giveUpAt - Date.now(), ending);
    }
    const current = this.#current;
    if (
      current === undefined ||
      attemptKey(current.ref) !== attemptKey(ref) ||
      current.record.baseModelHash !== ref.baseModelHash
    ) {
      throw new SevError('ROUND_STALE', `attempt ${attemptKey(ref)} from this base model is not the present one`);
    }
    return current;
  }

  /** Waits until another attempt is adopted, or the time is over. */
  async #adoption(timeoutMs: number, ending: AbortSignal): Promise<void> {
    let wake = (): void => undefined;
    const adopted = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#aheadWaiters.add(wake);
    await Promise.race([adopted, pause(timeoutMs, ending)]);
    this.#aheadWaiters.delete(wake);
  }

  /** Reads which updates the ledger holds of an open attempt; others than this coordinator may have recorded some. */
  async #lookForUpdates(): Promise<void> {
    const current = this.#current;
    if (current?.record.state === 'open') {
      const updates = await updatesOf(this.#options.learning, current.ref);
      current.seeRecorded(updates.map((update) => update.vehicleId));
      this.#options.onNews();
    }
  }

  /**
   * Goes through the events that came in. Most are echoes of this coordinator's own transactions, and an echo may come
   * before the transaction's own answer, so an unknown recording is put aside while a batch is on its way.
   */
  #listen(): void {
    const current = this.#current;
    const later: HeardEvent[] = [];
    for (const heard of this.#heard) {
      if (current !== undefined && isEcho(heard, current)) {
        continue;
      }
      if (heard.event.type === 'UpdatesRecorded' && (current?.waiting ?? 0) > 0) {
        later.push(heard);
      } else {
        this.#isStale = true;
      }
    }
    this.#heard = later;
  }
}

/** The newest round from a known one on: another coordinator may have finalised it, and driven the next ones since. */
async function newestSince(learning: LearningContract, known: AttemptRef): Promise<RoundRecord | undefined> {
  let newest = await roundIfAny(learning, known);
  while (newest?.state === 'finalised') {
    const next = await roundIfAny(learning, { taskId: known.taskId, round: newest.round + 1 });
    if (next === undefined) {
      break;
    }
    newest = next;
  }
  return newest;
}

/** True for an event that tells nothing new about this attempt. */
function isEcho({ event, transactionId }: HeardEvent, current: CurrentAttempt): boolean {
  if (isLater(event, current.ref)) {
    return false;
  }
  if (attemptKey(event) !== attemptKey(current.ref)) {
    return true;
  }
  switch (event.type) {
    case 'UpdatesRecorded':
      return current.isOwn(transactionId);
    case 'ReceiptsShown':
    case 'DisputeOpened':
    case 'DisputeSettled':
      return false;
    default:
      return RANK[STATE_OF[event.type]] <= RANK[current.record.state];
  }
}
