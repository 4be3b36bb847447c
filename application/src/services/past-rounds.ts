// SPDX-License-Identifier: Apache-2.0
import { cohortHash, type CohortRecord, type RoundRecord, type SecureTerms, type Task } from '@sev/chaincode/api';
import { LRUCache } from 'lru-cache';
import { SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from './attempt.js';
import { numbersHash, readNumbers } from './opened-numbers.js';
import { roundIfAny, type LearningContract } from './rounds.js';

/** What was opened of an attempt: by component, base64; see `ScoringInput.numbers`. */
export type ComponentNumbers = Readonly<Record<string, string>>;

/** Projections of an earlier finalised round, by vehicle id: what vehicles are compared by from round to round. */
export interface PastRound {
  readonly round: number;
  readonly attempt: number;
  readonly projections: ReadonlyMap<string, Int32Array>;
}

/** A finalised round whose numbers the ledger holds the hashes of. */
export type FinalisedRound = Pick<RoundRecord, 'taskId' | 'round' | 'attempt' | 'secure' | 'finalisedAtMs'>;

/** Attempts whose numbers are kept in memory. */
const KEPT = 64;

/**
 * The numbers that earlier rounds opened, as far as this program has had them. The ledger holds their hashes: whoever gives
 * them, others are refused.
 */
export class PastRounds {
  readonly #learning: LearningContract;
  readonly #numbers = new LRUCache<string, ComponentNumbers>({ max: KEPT });
  readonly #finalised = new LRUCache<string, FinalisedRound>({ max: KEPT });
  readonly #checked = new LRUCache<string, PastRound>({ max: KEPT });

  constructor(learning: LearningContract) {
    this.#learning = learning;
  }

  /** Takes note of what was opened of an attempt, which may become final. */
  note(ref: AttemptRef, numbers: ComponentNumbers): void {
    this.#numbers.set(attemptKey(ref), numbers);
  }

  /** What was noted, or has been found right. */
  numbersOf(ref: AttemptRef): ComponentNumbers | undefined {
    return this.#numbers.get(attemptKey(ref));
  }

  /** The finalised rounds that a round is scored beside, ascending. */
  async before(task: Task, round: number): Promise<FinalisedRound[]> {
    const { pastRounds = 0 } = task.secure?.validation ?? {};
    const first = Math.max(1, round - pastRounds);
    const numbers = Array.from({ length: round - first }, (_, index) => first + index);
    const found = await Promise.all(numbers.map((one) => this.#finalisedRound(task.taskId, one)));
    return found.flatMap((one) => one ?? []);
  }

  /** Looks at the rounds that one is scored beside before anybody asks; what fails is looked at again when it is needed. */
  async ahead(task: Task, round: number): Promise<void> {
    for (const past of await this.before(task, round)) {
      await this.of(task, past);
    }
  }

  /**
   * The projections of one of them.
   *
   * @param numbers of all components; where none are given, those that were noted.
   * @returns undefined where there are none.
   * @throws SevError PROJECTIONS_INVALID where they are not those that the ledger holds the hashes of.
   */
  async of(task: Task, past: FinalisedRound, numbers?: ComponentNumbers): Promise<PastRound | undefined> {
    const key = attemptKey(past);
    const known = this.#checked.get(key);
    if (known !== undefined) {
      return known;
    }
    const given = numbers ?? this.#numbers.get(key);
    if (given === undefined || task.secure === undefined) {
      return undefined;
    }
    insistOnHashes(past, given);
    const checked = await this.#projections(task.secure, past, given);
    this.#numbers.set(key, given);
    this.#checked.set(key, checked);
    return checked;
  }

  async #projections(terms: SecureTerms, past: FinalisedRound, numbers: ComponentNumbers): Promise<PastRound> {
    const { members }: Pick<CohortRecord, 'members'> = await this.#learning.cohort(attemptOf(past));
    if (cohortHash(members) !== past.secure?.cohortHash) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
    }
    const { projections } = readNumbers(terms, members.length, numbers);
    const { round, attempt } = past;
    const none = new Int32Array();
    const entries = members.map(({ vehicleId }, i) => [vehicleId, projections[i] ?? none] as const);
    return { round, attempt, projections: new Map(entries) };
  }

  /** A finalised round never changes. */
  async #finalisedRound(taskId: string, round: number): Promise<FinalisedRound | undefined> {
    const key = `${taskId}/${String(round)}`;
    const known = this.#finalised.get(key);
    if (known !== undefined) {
      return known;
    }
    const record = await roundIfAny(this.#learning, { taskId, round });
    if (record?.state !== 'finalised' || record.secure?.projections === undefined) {
      return undefined;
    }
    this.#finalised.set(key, record);
    return record;
  }
}

function insistOnHashes(past: FinalisedRound, numbers: ComponentNumbers): void {
  const hashes = past.secure?.projections ?? [];
  const isRight = (hash: string, component: number): boolean => numbersHash(numbers[String(component)] ?? '') === hash;
  if (Object.keys(numbers).length !== hashes.length || !hashes.every(isRight)) {
    throw new SevError('PROJECTIONS_INVALID', `${attemptKey(past)}: the ledger holds the hashes of other numbers`);
  }
}
