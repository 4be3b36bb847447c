// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, RoundState, Task } from '@sev/chaincode/api';
import { attemptKey, isLater, type AttemptRef } from '../services/attempt.js';
import type { EventPlace, RoundEvent } from '../services/round-events.js';
import { latestRound, barredFrom, roundIfAny, updatesOf, type LearningContract } from '../services/rounds.js';
import type { ObjectStore } from '../store/object-store.js';
import { CurrentAttempt } from './current-attempt.js';
import { RoundClock } from './round-clock.js';

export interface RoundTrackerOptions {
  readonly taskId: string;
  readonly learning: LearningContract;
  readonly store: Pick<ObjectStore, 'get'>;
  /** Told when there is something to look at. */
  readonly onNews: () => void;
}

interface HeardEvent {
  readonly event: RoundEvent;
  readonly place: EventPlace;
}

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
  /** Updates were recorded that have not been looked up. */
  #hasNewUpdates = false;
  #heard: HeardEvent[] = [];

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

  hear(event: RoundEvent, place: EventPlace): void {
    if (event.taskId === this.#options.taskId) {
      this.#heard.push({ event, place });
      this.#options.onNews();
    }
  }

  /** Looks at the ledger where something may have happened there that is not known. @throws LedgerError */
  async refresh(task: Task): Promise<void> {
    this.#listen();
    if (!this.#isStale && !this.#hasNewUpdates) {
      return;
    }
    const isStale = this.#isStale;
    this.#isStale = false;
    this.#hasNewUpdates = false;
    try {
      if (isStale) {
        await this.#lookForRound(task);
      }
      await this.#lookForUpdates(task);
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
        current.see(record);
      }
      return;
    }
    if (current !== undefined && !isLater(record, current.ref)) {
      return;
    }
    const { store } = this.#options;
    this.#current = new CurrentAttempt({
      task,
      record,
      fetch: (hash) => store.get(hash),
      clock: clock ?? new RoundClock(true),
      seenAtMs: Date.now(),
    });
  }

  async #lookForRound(task: Task): Promise<void> {
    const { learning } = this.#options;
    const known = this.#current?.ref;
    const record = await (known === undefined ? latestRound(learning, task.taskId) : newestSince(learning, known));
    if (record !== undefined) {
      this.adopt(record, task);
    }
  }

  /** Reads which updates the ledger holds of an open attempt. */
  async #lookForUpdates(task: Task): Promise<void> {
    const current = this.#current;
    if (current?.record.state === 'open') {
      const { learning } = this.#options;
      const [updates, barred] = await Promise.all([
        updatesOf(learning, current.ref),
        current.barred ?? barredFrom(learning, task),
      ]);
      current.seeRecorded(updates);
      current.barred = barred;
    }
  }

  /** Goes through the events that came in. Of recorded updates only the list is read again, once for all that were heard. */
  #listen(): void {
    const current = this.#current;
    for (const { event, place } of this.#heard.splice(0)) {
      if (current === undefined || isLater(event, current.ref)) {
        this.#isStale = true;
      } else if (attemptKey(event) !== attemptKey(current.ref)) {
        continue; // An attempt that is over.
      } else if (event.type === 'UpdatesRecorded') {
        current.clock.recorded(place);
        this.#hasNewUpdates = true;
      } else if (!isEcho(event, current)) {
        this.#isStale = true;
      }
    }
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

/** True for an event of the present attempt that tells nothing new: this coordinator made the transition itself. */
function isEcho({ type }: RoundEvent, current: CurrentAttempt): boolean {
  switch (type) {
    case 'UpdatesRecorded':
    case 'ReceiptsShown':
    case 'DisputeOpened':
    case 'DisputeSettled':
      return false;
    default:
      return RANK[STATE_OF[type]] <= RANK[current.record.state];
  }
}
