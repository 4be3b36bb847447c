// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  coveredUpdates,
  decodeBitmap,
  heOpening,
  heParties,
  heReceivers,
  type CohortRecord,
  type CommitHeSum,
  type FixCohort,
  type OpenRound,
  type RoundRecord,
  type Task,
} from '@sev/chaincode/api';
import type { StatementGatherer } from '../coordinator/statements.js';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { updatesOf, type LearningContract } from '../services/rounds.js';
import { heTermsOf } from './he-task.js';
import type { HePartyClient } from './party-client.js';

export interface HeStepsOptions {
  readonly learning: LearningContract;
  readonly parties: readonly HePartyClient[];
  readonly log: ServiceLog;
}

/** What one attempt needs while it is driven. */
export interface DrivenHeAttempt {
  readonly task: Task;
  readonly round: RoundRecord;
  readonly gatherer: StatementGatherer;
}

type Part = 'keyHolder' | 'summer' | 'maskHolder';

/** What a round is aborted with where that organisation does not give its part. */
const LOST: Readonly<Record<Part, string>> = {
  keyHolder: 'KEY_HOLDER_LOST',
  summer: 'SUMMER_LOST',
  maskHolder: 'MASK_HOLDER_LOST',
};
/** Codes of a party whose own gateway does not show yet what this coordinator's does. */
const BEHIND: ReadonlySet<string> = new Set(['ROUND_STATE', 'ROUND_STALE']);
/** Codes that say more than that a party is lost. */
const TELLING: ReadonlySet<string> = new Set(['NOISE_EXHAUSTED', 'CIPHERTEXT_MALFORMED']);

/**
 * The steps of a round in mode `he` that need its three organisations. It decides nothing that the contract does not check,
 * and keeps nothing: another coordinator gathers the same again.
 */
export class HeSteps {
  readonly #options: HeStepsOptions;

  constructor(options: HeStepsOptions) {
    this.#options = options;
  }

  /** Fresh keys, and everybody's signature under them. @throws SevError named after who is missing. */
  async opening(task: Task, ref: AttemptRef, baseModelHash: string): Promise<Pick<OpenRound, 'he' | 'statements'>> {
    const parts = await Promise.all(
      (Object.keys(LOST) as Part[]).map((part) =>
        this.#ask(task, part, (client) => client.prepare(ref, baseModelHash)),
      ),
    );
    const opening = heOpening.parse(Object.assign({}, ...parts));
    const statements = await Promise.all(
      (Object.keys(LOST) as Part[]).map((part) => this.#ask(task, part, (client) => client.accept(ref, opening))),
    );
    return { he: opening, statements: statements.sort((a, b) => (a.mspId < b.mspId ? -1 : 1)) };
  }

  /** Gathers both holdings and, where vehicles are left out, a majority's word for it. */
  async cohort({ task, round, gatherer }: DrivenHeAttempt): Promise<FixCohort> {
    const ref = attemptOf(round);
    const holdings = await Promise.all(
      (['summer', 'maskHolder'] as const).map((part) => this.#ask(task, part, (client) => client.holdings(ref))),
    );
    const updates = await updatesOf(this.#options.learning, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const said = holdings.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, updates.length) ?? [] }));
    const { covered } = coveredUpdates(updates, said, []);
    if (covered.length === updates.length) {
      return { ...ref, holdings, statements: [] };
    }
    const content = { recordedHash: cohortHash(updates), cohortHash: cohortHash(covered) };
    const holders = heReceivers(heTermsOf(task));
    return { ...ref, holdings, statements: [...(await gatherer.cohort({ ref, holdings, ...content, holders }))] };
  }

  /** Has the cohort summed on both sides and the sum decrypted; nothing is shown yet. */
  async sums({ task, round }: DrivenHeAttempt): Promise<CommitHeSum> {
    const ref = attemptOf(round);
    const [sum, masks] = await Promise.all([
      this.#ask(task, 'summer', (client) => client.sum(ref)),
      this.#ask(task, 'maskHolder', (client) => client.masks(ref)),
    ]);
    const masked = await this.#ask(task, 'keyHolder', (client) => client.decrypt(ref, sum));
    return { ...ref, sum, masks, masked };
  }

  /** Has both openings put into the store. */
  async publish({ task, round }: DrivenHeAttempt): Promise<void> {
    await Promise.all(
      (['keyHolder', 'maskHolder'] as const).map((part) =>
        this.#ask(task, part, (client) => client.publish(attemptOf(round))),
      ),
    );
  }

  /** The fixed cohort, checked against the round. */
  async members(round: RoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#options.learning.cohort(attemptOf(round));
    if (cohortHash(members) !== round.he?.cohortHash) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
    }
    return members;
  }

  /** @throws SevError AGGREGATOR_BEHIND where it only lags; KEY_HOLDER_LOST and the like. */
  async #ask<T>(task: Task, part: Part, question: (client: HePartyClient) => Promise<T>): Promise<T> {
    const mspId = heTermsOf(task)[part];
    const client = this.#options.parties.find((party) => party.mspId === mspId);
    if (client === undefined) {
      throw new SevError(LOST[part], `no address of ${mspId} was given`, {
        hint: `Name its aggregator with --aggregator; the task needs ${heParties(heTermsOf(task)).join(', ')}.`,
      });
    }
    try {
      return await question(client);
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
