// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, Task } from '@sev/chaincode/api';
import { evaluateBy, parametersFromBytes, type Dataset, type Target } from '@sev/fl';
import { timingPath, type RoundTiming } from '../coordinator/round-clock.js';
import { incidents, learning, type LedgerSession } from '../ledger/index.js';
import { judgedRound } from '../report/judged-round.js';
import type { RoundReport } from '../report/report.js';
import { engineOf, modelSpecOf } from '../services/model-spec.js';
import { roundIfAny } from '../services/rounds.js';
import { updateBytesOf } from '../services/update-bytes.js';
import { readJson } from '../store/files.js';
import type { ObjectStore } from '../store/object-store.js';

export interface FollowOptions {
  readonly session: LedgerSession;
  readonly store: ObjectStore;
  readonly task: Task;
  /** Rounds to wait for. */
  readonly rounds: number;
  /** Home of the coordinator, where it leaves the timing of each round. */
  readonly coordinatorHome: string;
  readonly test: Dataset;
  readonly target: Target;
  /** Ends early after so many rounds without a better R². */
  readonly patience?: number | undefined;
  readonly signal: AbortSignal;
  readonly onRound?: (round: RoundReport) => void;
}

/** How long the coordinator may take to write a round's timing after it finalised the round. */
const TIMING_MS = 2_000;
const LOOK_MS = 1_000;

/**
 * Waits for the rounds of a task one after the other and evaluates each one's model on the test rows, whoever drives
 * the rounds; rounds that were finalised before are read from the ledger.
 */
export async function followRounds(options: FollowOptions): Promise<RoundReport[]> {
  const { session, task, rounds, patience, signal, onRound } = options;
  const isOver = (): boolean => done.length >= rounds || hasStalled(done, patience);
  const contract = learning(session);
  const done: RoundReport[] = [];
  const news = new News(session, task.taskId, signal);
  try {
    while (!isOver() && !signal.aborted) {
      // The next round only: a long task's list of rounds is far more than what is new in it.
      const record = await roundIfAny(contract, { taskId: task.taskId, round: done.length + 1 });
      if (record?.state === 'finalised') {
        const report = await reportRound(options, record);
        done.push(report);
        onRound?.(report);
      } else {
        await news.wait();
      }
    }
    return done;
  } finally {
    news.close();
  }
}

/** What R² has to gain to count as better. */
const GAIN = 0.001;

/** Whether the last so many rounds brought no better R². */
export function hasStalled(rounds: readonly Pick<RoundReport, 'r2'>[], patience: number | undefined): boolean {
  let best = Number.NEGATIVE_INFINITY;
  let since = 0;
  for (const { r2 } of rounds) {
    const isBetter = r2 > best + GAIN;
    since = isBetter ? 0 : since + 1;
    best = isBetter ? r2 : best;
  }
  return patience !== undefined && since >= patience;
}

/** Wakes its reader when a round of the task ends, or after a while in any case. */
class News {
  readonly #closed = new AbortController();
  #wake: (() => void) | undefined;
  #unread = false;

  constructor(session: LedgerSession, taskId: string, signal: AbortSignal) {
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    ended.addEventListener('abort', () => {
      this.#notify();
    });
    this.#listen(session, taskId, ended).catch(() => {
      // Without events the ledger is looked at once a second; its own failures show there.
    });
  }

  async #listen(session: LedgerSession, taskId: string, signal: AbortSignal): Promise<void> {
    for await (const { event } of session.events({ signal })) {
      if (event.type === 'RoundFinalised' && event.taskId === taskId) {
        this.#notify();
      }
    }
  }

  #notify(): void {
    this.#unread = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#unread) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#unread = false;
  }

  close(): void {
    this.#closed.abort();
  }
}

async function reportRound(options: FollowOptions, record: RoundRecord): Promise<RoundReport> {
  const { store, task, test, target } = options;
  const modelHash = record.proposal?.modelHash ?? record.baseModelHash;
  const parameters = parametersFromBytes(await store.get(modelHash), task.model.parameters);
  const learner = { engine: await engineOf(task), spec: modelSpecOf(task.model), target };
  const { r2, mae } = await evaluateBy(learner, parameters, test);
  const timing = await timingOf(options, record);
  const judged = await judgedRound(
    { learning: learning(options.session), incidents: incidents(options.session) },
    record,
  );
  const { round, attempt } = record;
  return {
    ...(judged === undefined ? {} : { judged }),
    round,
    attempt,
    cohort: record.proposal?.cohortSize ?? 0,
    excluded: record.proposal?.excluded.length ?? 0,
    modelHash,
    r2,
    mae,
    ...timing,
  };
}

type Costs = Pick<RoundReport, 'transactions' | 'commits' | 'uploadBytesPerVehicle' | 'ms' | 'measured'>;

/** The coordinator's timing; where it left none (killed in between), what the ledger's own times say. */
async function timingOf(options: FollowOptions, record: RoundRecord): Promise<Costs> {
  const path = timingPath(options.coordinatorHome, record.taskId, record.round);
  const giveUpAt = performance.now() + TIMING_MS;
  do {
    const timing = (await readJson(path)) as RoundTiming | undefined;
    if (timing !== undefined && timing.attempt === record.attempt) {
      const { transactions, commits, uploadBytesPerVehicle, ms, resumed } = timing;
      return { transactions, commits, uploadBytesPerVehicle, ms, measured: resumed ? 'part' : 'whole' };
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (performance.now() < giveUpAt && !options.signal.aborted);
  const total = Math.max(0, (record.finalisedAtMs ?? record.openedAtMs) - record.openedAtMs);
  return {
    transactions: 0,
    commits: 0,
    uploadBytesPerVehicle: updateBytesOf(options.task),
    ms: { train: 0, record: 0, aggregate: 0, ledger: 0, total },
    measured: 'none',
  };
}
