// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  decodeBitmap,
  heCohort,
  heParties,
  heReceivers,
  type CohortRecord,
  type CommitHeSum,
  type ConsortiumRecord,
  type FixCohort,
  type HeOpening,
  type OpenRound,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import { ciphertextsFor, ciphertextsFromBytes, HE_PARAMETERS, HeError } from '@sev/fl';
import type { StatementGatherer } from '../coordinator/statements.js';
import { hasCode, messageOf, SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { updatesOf, type LearningContract } from '../services/rounds.js';
import type { ObjectStore } from '../store/object-store.js';
import { HeAnswers, type Part } from './he-answers.js';
import { heLengthOf, heTermsOf } from './he-task.js';
import type { HePartyClient } from './party-client.js';

export interface HeStepsOptions {
  readonly learning: LearningContract;
  readonly store: Pick<ObjectStore, 'get' | 'has'>;
  readonly parties: readonly HePartyClient[];
  readonly log: ServiceLog;
}

/** What one attempt needs while it is driven. */
export interface DrivenHeAttempt {
  readonly task: Task;
  readonly round: RoundRecord;
  readonly gatherer: StatementGatherer;
}

/** An attempt that is about to be opened. */
export interface NextHeAttempt {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly ref: AttemptRef;
  readonly baseModelHash: string;
}

/** Whose answers are asked for, and what they are checked against. */
type Asked = Pick<NextHeAttempt, 'consortium' | 'task' | 'ref'>;

/** What a round is aborted with where that organisation does not give its part, or gives a false one. */
const LOST: Readonly<Record<Part, string>> = {
  keyHolder: 'KEY_HOLDER_LOST',
  summer: 'SUMMER_LOST',
  maskHolder: 'MASK_HOLDER_LOST',
};
const PARTS = Object.keys(LOST) as Part[];
/** Codes of a party whose own gateway does not show yet what this coordinator's does. */
const BEHIND: ReadonlySet<string> = new Set(['ROUND_STATE', 'ROUND_STALE']);
/** Codes that say more than that a party is lost. */
const TELLING: ReadonlySet<string> = new Set(['NOISE_EXHAUSTED', 'CIPHERTEXT_MALFORMED', 'SUM_INVALID']);

/**
 * The steps of a round in mode `he` that need its three organisations. Every answer is checked when it comes, so that a
 * false one is laid to whoever gave it. It decides nothing that the contract does not check, and keeps nothing: another
 * coordinator gathers the same again.
 */
export class HeSteps {
  readonly #options: HeStepsOptions;

  constructor(options: HeStepsOptions) {
    this.#options = options;
  }

  /** Fresh keys, and everybody's signature under them. @throws SevError named after who is missing. */
  async opening(next: NextHeAttempt): Promise<Pick<OpenRound, 'he' | 'statements'>> {
    const { ref, baseModelHash } = next;
    const parts = await Promise.all(
      PARTS.map((part) =>
        this.#ask(next, part, async (client, answers) =>
          answers.prepared(await client.prepare(ref, baseModelHash), part),
        ),
      ),
    );
    const { publicKeyHash = '', sealingKey = '' } = Object.assign({}, ...parts) as Partial<HeOpening>;
    const opening = { publicKeyHash, sealingKey };
    const statements = await Promise.all(
      PARTS.map((part) =>
        this.#ask(next, part, async (client, answers) =>
          answers.accepted(await client.accept(ref, opening), baseModelHash, opening),
        ),
      ),
    );
    return { he: opening, statements: statements.sort((a, b) => (a.mspId < b.mspId ? -1 : 1)) };
  }

  /**
   * Gathers both holdings and, where vehicles are left out, a majority's word for it.
   *
   * @param alone - the time for it has passed on every clock, so no majority is asked.
   */
  async cohort(attempt: DrivenHeAttempt, alone: boolean): Promise<FixCohort> {
    const { task, round, gatherer } = attempt;
    const asked = askedOf(attempt);
    const { ref } = asked;
    await this.#insistOnKey(attempt);
    const updates = await updatesOf(this.#options.learning, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const recorded = { hash: cohortHash(updates), count: updates.length };
    const holdings = await Promise.all(
      (['summer', 'maskHolder'] as const).map((part) =>
        this.#ask(asked, part, async (client, answers) => answers.holdings(await client.holdings(ref), recorded)),
      ),
    );
    const said = holdings.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, updates.length) ?? [] }));
    const covered = heCohort(heTermsOf(task), updates, said);
    if (alone || covered.length === updates.length) {
      return { ...attemptOf(round), holdings, statements: [] };
    }
    const content = { recordedHash: recorded.hash, cohortHash: cohortHash(covered) };
    const holders = heReceivers(heTermsOf(task));
    return { ...ref, holdings, statements: [...(await gatherer.cohort({ ref, holdings, ...content, holders }))] };
  }

  /** Has the cohort summed on both sides and the sum decrypted; nothing is shown yet. */
  async sums(attempt: DrivenHeAttempt): Promise<CommitHeSum> {
    const { round, task } = attempt;
    const asked = askedOf(attempt);
    const { ref } = asked;
    const [sum, masks] = await Promise.all([
      this.#ask(asked, 'summer', async (client, answers) => answers.sum(await client.sum(ref), round)),
      this.#ask(asked, 'maskHolder', async (client, answers) => answers.masks(await client.masks(ref), round)),
    ]);
    // Before the key holder is asked, so that it does not answer for a sum that is none.
    await this.#insistOnCiphertexts(task, sum.sumHash);
    const masked = await this.#ask(asked, 'keyHolder', async (client, answers) =>
      answers.masked(await client.decrypt(ref, sum), round, sum.sumHash),
    );
    return { ...ref, sum, masks, masked };
  }

  /** Has both openings put into the store: the masks first, since the key holder shows nothing that they do not fit. */
  async publish(attempt: DrivenHeAttempt): Promise<void> {
    const asked = askedOf(attempt);
    const { maskedHash = '', masksHash = '' } = attempt.round.he ?? {};
    for (const [part, hash] of [
      ['maskHolder', masksHash],
      ['keyHolder', maskedHash],
    ] as const) {
      await this.#ask(asked, part, (client) => client.publish(asked.ref));
      if (!(await this.#options.store.has(hash))) {
        throw new SevError(LOST[part], `${heTermsOf(attempt.task)[part]} did not put its opening into the store`);
      }
    }
  }

  /** The fixed cohort, checked against the round. */
  async members(round: RoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#options.learning.cohort(attemptOf(round));
    if (cohortHash(members) !== round.he?.cohortHash) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
    }
    return members;
  }

  /** An attempt whose key is gone is ended before its cohort is fixed, while that burns nothing. @throws KEY_HOLDER_LOST */
  async #insistOnKey(attempt: DrivenHeAttempt): Promise<void> {
    const { he, baseModelHash } = attempt.round;
    const asked = askedOf(attempt);
    if (he !== undefined) {
      await this.#ask(asked, 'keyHolder', async (client, answers) =>
        answers.accepted(await client.accept(asked.ref, he.opening), baseModelHash, he.opening),
      );
    }
  }

  /** What the summer signed for is in the store, and as many ciphertexts as a sum has. @throws SevError SUMMER_LOST */
  async #insistOnCiphertexts(task: Task, sumHash: string): Promise<void> {
    try {
      const bytes = await this.#options.store.get(sumHash);
      ciphertextsFromBytes(bytes, ciphertextsFor(heLengthOf(task), HE_PARAMETERS));
    } catch (cause) {
      const isSummers = cause instanceof HeError || hasCode(cause, 'OBJECT_MISSING');
      throw isSummers ? new SevError(LOST.summer, `the sum ${sumHash}: ${messageOf(cause)}`, { cause }) : cause;
    }
  }

  /** @throws SevError AGGREGATOR_BEHIND where it only lags; KEY_HOLDER_LOST and the like. */
  async #ask<T>(
    { consortium, task, ref }: Asked,
    part: Part,
    question: (client: HePartyClient, answers: HeAnswers) => Promise<T>,
  ): Promise<T> {
    const mspId = heTermsOf(task)[part];
    const client = this.#options.parties.find((party) => party.mspId === mspId);
    if (client === undefined) {
      throw new SevError(LOST[part], `no address of ${mspId} was given`, {
        hint: `Name its aggregator with --aggregator; the task needs ${heParties(heTermsOf(task)).join(', ')}.`,
      });
    }
    try {
      return await question(client, new HeAnswers(consortium, ref, mspId));
    } catch (error) {
      const code = errorCode(error) ?? '';
      if (BEHIND.has(code)) {
        throw new SevError('AGGREGATOR_BEHIND', `the gateway of ${mspId} lags behind`, { cause: error });
      }
      this.#options.log.warn({ party: mspId, ...failureFields(error) }, 'an organisation does not give its part');
      throw TELLING.has(code) ? error : new SevError(LOST[part], `${mspId}: ${code}`, { cause: error });
    }
  }
}

function askedOf({ gatherer: { consortium }, task, round }: DrivenHeAttempt): Asked {
  return { consortium, task, ref: attemptOf(round) };
}
