// SPDX-License-Identifier: Apache-2.0
import {
  cohortDifferenceProblem,
  cohortHash,
  decodeBitmap,
  roundSeed,
  sizeProblem,
  type Basis,
  type CohortRecord,
  type CommitSums,
  type FixCohort,
  type RoundRecord,
  type ScoreRound,
  type SecureRound,
  type UpdateRecord,
  type ValidatorRecord,
} from '@sev/chaincode/api';
import type { AggregatorClient, Nonces } from '../aggregator/aggregator-client.js';
import { gatherNoiseSeeds } from '../aggregator/noise.js';
import { gatherNonces } from '../aggregator/nonces.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError } from '../errors.js';
import { AbortCause } from '../services/abort-evidence.js';
import { openDisputeOf } from '../services/audits.js';
import { attemptOf } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { checkOpenedNoise } from '../services/opened-noise.js';
import { PastRounds } from '../services/past-rounds.js';
import { collect, updatesOf, type LearningContract } from '../services/rounds.js';
import { computeScores, secureTermsOf, shownWeights, suspicionBefore } from '../services/secure-scores.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ReferenceDirection } from '../validation/directions.js';
import type { ValidatorClient } from '../validation/validator-client.js';
import { AggregatorPanel, PATIENCE, type Patience } from './aggregator-panel.js';
import { AnswerChecks } from './answer-checks.js';
import { pastEvidence } from './past-numbers.js';
import { RoundReferences } from './round-references.js';
import { secureOf, type SecureAttempt } from './secure-attempt.js';
import { insistOnSecondWord, insistOnVerified } from './second-word.js';
import { Disputes, insistOnAgreement, type AuditNeeded, type DisputeError } from './secure-disputes.js';
import { heldCohort, numbersOf } from './secure-evidence.js';
import { agreeOnOpening, type OpeningContent, type SignedOpening } from './secure-opening.js';

export interface SecureStepsOptions {
  readonly learning: LearningContract;
  readonly store: Pick<ObjectStore, 'has' | 'get'>;
  readonly aggregators: readonly AggregatorClient[];
  /** The organisation that settles disputes; where a member may, no round opens without it. */
  readonly arbiter?: ArbiterClient;
  /** Of tasks with a reference direction. */
  readonly validators?: readonly ValidatorClient[];
  readonly patience?: Patience;
  readonly log: ServiceLog;
}

/** Their word is prepared before they are asked; a dead one is not waited for in every round. */
const VALIDATORS_PATIENCE: Patience = { ...PATIENCE, stragglerMs: 2_000, slowMs: 250 };

/**
 * The steps of a round in a secure mode that need the aggregators: what each transaction is made of. It decides nothing
 * that the contract does not check, and keeps nothing but who was late: another coordinator gathers the same again.
 */
export class SecureSteps {
  readonly #options: SecureStepsOptions;
  readonly #panel: AggregatorPanel;
  readonly #validators: AggregatorPanel<ValidatorClient>;
  readonly #references: RoundReferences;
  readonly #past: PastRounds;
  readonly #disputes: Disputes;

  constructor(options: SecureStepsOptions) {
    const { learning, store, aggregators, arbiter, validators = [], patience = PATIENCE, log } = options;
    this.#options = options;
    this.#validators = new AggregatorPanel(validators, log, options.patience ?? VALIDATORS_PATIENCE);
    this.#references = new RoundReferences({ store, validators: this.#validators, log });
    this.#past = new PastRounds(learning);
    this.#panel = new AggregatorPanel(aggregators, log, patience);
    this.#disputes = new Disputes({ learning, arbiter, log });
  }

  /**
   * Has the aggregators commit themselves to an attempt.
   *
   * @throws SevError AGGREGATORS_MISSING where no t + 1 agree on an opening.
   */
  opening(content: OpeningContent): Promise<SignedOpening> {
    const { learning, arbiter, log } = this.#options;
    this.#past.ahead(content.task, content.ref.round).catch((error: unknown) => {
      log.debug(failureFields(error), 'looking at earlier rounds ahead failed');
    });
    const heardBefore = (taskId: string): Promise<readonly ValidatorRecord[]> => learning.validators(taskId);
    return agreeOnOpening(content, { panel: this.#panel, validators: this.#validators, heardBefore, arbiter, log });
  }

  /** Gathers holdings and a majority's word for the cohort that follows from them. */
  async cohort(attempt: SecureAttempt): Promise<FixCohort> {
    const { consortium, round, gatherer, task } = attempt;
    const { learning } = this.#options;
    const ref = attemptOf(round);
    const needed = secureTermsOf(task).threshold + 1;
    const updates = await updatesOf(learning, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const checks = new AnswerChecks(consortium, task, ref);
    const signed = await this.#panel.of(secureOf(round).opening).ask(
      'signing holdings',
      needed,
      (client) => client.holdings(ref),
      (answer, mspId) => {
        checks.holdings(answer, mspId, updates);
      },
    );
    const said = signed.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, updates.length) ?? [] }));
    const receipts = said.every(({ held }) => held.every(Boolean)) ? [] : await collect(learning.receipts(ref));
    const mayBeSummed = await this.#mayBeSummed(attempt);
    const { covered, holders } = heldCohort(updates, said, receipts, needed, mayBeSummed);
    const holdings = signed.filter(({ mspId }) => holders.includes(mspId));
    const content = { recordedHash: cohortHash(updates), cohortHash: cohortHash(covered), holders };
    return { ...ref, holdings, statements: [...(await gatherer.cohort({ ref, holdings, ...content }))] };
  }

  /** What aggregators sign that they hold, of all that answer. */
  async holdings({ consortium, round, task }: SecureAttempt): Promise<FixCohort['holdings']> {
    const ref = attemptOf(round);
    const updates = await updatesOf(this.#options.learning, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const checks = new AnswerChecks(consortium, task, ref);
    const { answers } = await this.#panel.of(secureOf(round).opening).gather(
      'signing holdings',
      secureTermsOf(task).threshold + 1,
      (client) => client.holdings(ref),
      (answer, mspId) => {
        checks.holdings(answer, mspId, updates);
      },
    );
    return answers.map(({ value }) => value);
  }

  /**
   * Has the nonces shown, the projections opened, the weights computed and attested.
   *
   * @throws DisputeError; AbortCause NOISE_FALSE.
   */
  async scores(attempt: SecureAttempt): Promise<ScoreRound> {
    const { consortium, task, round, gatherer } = attempt;
    const ref = attemptOf(round);
    const secure = secureOf(round);
    const [nonces, reference] = await Promise.all([this.#nonces(attempt), this.#references.of(attempt)]);
    const seed = roundSeed({ consortium: consortium.bootstrapHash, ...ref }, secure.cohortHash ?? '', nonces);
    const sources = { past: this.#past, panel: this.#panel, log: this.#options.log };
    const [members, opened, past, suspicion, shown] = await Promise.all([
      this.#members(round),
      this.#projections(attempt, nonces, { seed, ...referencesOf(reference) }),
      pastEvidence(sources, consortium, task, round.round),
      suspicionBefore(this.#options.learning, task),
      shownWeights(this.#options.learning, task, secure),
    ]);
    const projections = opened.map(({ signed }) => signed);
    insistOnAgreement('projections', { nonces: [...nonces], ...referencesOf(reference), projections, sums: [] });
    insistOnSecondWord(attempt, projections);
    const numbers = numbersOf(opened);
    this.#past.note(ref, numbers);
    const scores = computeScores({
      ...{
        task,
        ref,
        cohortHash: secure.cohortHash ?? '',
        members,
        seed,
        numbers,
        shown,
        past: past.rounds,
        suspicion,
      },
      ...(reference === undefined ? {} : { reference }),
    });
    const dp = secureTermsOf(task).dp;
    const noise = dp === undefined ? {} : { noiseSeeds: await this.#noiseSeeds(attempt, nonces, seed) };
    insistOnTrueNoise(attempt, { nonces, seed, noiseSeeds: noise.noiseSeeds ?? [] });
    const attested = { scores, nonces, ...noise, projections };
    const attestations = await gatherer.scores({
      ...{ ...attested, numbers },
      ...(past.numbers.length === 0 ? {} : { past: past.numbers }),
    });
    return { ...attested, nonces: [...nonces], attestations: [...attestations] };
  }

  /**
   * Has the sums signed.
   *
   * @throws DisputeError; AuditNeeded; SevError SECOND_WORD_AWAITED, AGGREGATORS_MISSING.
   */
  async sums(attempt: SecureAttempt): Promise<CommitSums> {
    const { consortium, task, round } = attempt;
    const ref = attemptOf(round);
    const secure = secureOf(round);
    const checks = new AnswerChecks(consortium, task, ref);
    const sums = await this.#heard(secure).ask(
      'signing sums',
      secureTermsOf(task).threshold + 1,
      (client) => client.sums(ref),
      (answer, mspId) => {
        checks.sums(answer, mspId, secure);
      },
    );
    insistOnAgreement('sums', { projections: [], sums });
    insistOnVerified(attempt, sums, Date.now());
    return { ...ref, sums };
  }

  /**
   * Has the aggregators put their sums into the store. What counts is that the store holds what the ledger names, whoever
   * put it there.
   *
   * @throws SevError AGGREGATORS_MISSING naming the components whose sums nobody published.
   */
  async publish({ task, round }: SecureAttempt): Promise<void> {
    const ref = attemptOf(round);
    const secure = secureOf(round);
    if ((await this.#unpublished(secure)).length === 0) {
      return;
    }
    const needed = secureTermsOf(task).threshold + 1;
    await this.#heard(secure).gather('publishing sums', needed, (client) => client.publish(ref));
    const missing = await this.#unpublished(secure);
    if (missing.length > 0) {
      const names = missing.map(
        (component) => `${String(component)} (${secure.answeredBy?.[component]?.join() ?? ''})`,
      );
      throw new SevError('AGGREGATORS_MISSING', `nobody publishes the sums of component ${names.join(', ')}`);
    }
  }

  /** See {@link Disputes.open}. */
  openDispute(attempt: SecureAttempt, error: DisputeError): Promise<RoundRecord> {
    return this.#disputes.open(attempt, error);
  }

  /** See {@link Disputes.audit}. */
  audit(attempt: SecureAttempt, component: number): Promise<RoundRecord | undefined> {
    return this.#disputes.audit(attempt, component);
  }

  /**
   * Has a component audited before its sums are shown.
   *
   * @throws SevError AGGREGATORS_MISSING where the contract does not release it: another word is needed then.
   */
  async auditSums(attempt: SecureAttempt, { component, sums, message }: AuditNeeded): Promise<RoundRecord> {
    const audited = await this.#disputes.audit(attempt, component, sums);
    if (audited === undefined) {
      throw new SevError('AGGREGATORS_MISSING', `${message}, and is not released to the arbiter`);
    }
    return audited;
  }

  /** Settles the dispute that the ledger shows to be open. @throws as {@link Disputes.settle}. */
  async settle(attempt: SecureAttempt): Promise<RoundRecord> {
    const secure = secureOf(attempt.round);
    const dispute = openDisputeOf(secure);
    return dispute === undefined ? attempt.round : this.#disputes.settle(attempt, dispute, this.#heard(secure));
  }

  /** As the contract decides about a cohort, beside those on the same base whose sums may have been shown. */
  async #mayBeSummed({ task, round }: SecureAttempt): Promise<(covered: readonly UpdateRecord[]) => boolean> {
    const shown = await shownWeights(this.#options.learning, task, secureOf(round));
    return (covered) =>
      sizeProblem(task, secureTermsOf(task), covered.length) === undefined &&
      cohortDifferenceProblem(shown, covered, task.cohort.minimum) === undefined;
  }

  /** The aggregators whose holdings made the cohort, without those that a verdict named. */
  #heard({ opening, faulty, holders }: SecureRound): AggregatorPanel {
    const names = holders ?? opening.aggregators.map(({ mspId }) => mspId);
    return this.#panel.only(names.filter((mspId) => !faulty.includes(mspId)));
  }

  /** Commitments show which component is right, so everybody of the opening is asked, and no one is needed. */
  async #nonces(attempt: SecureAttempt): Promise<Nonces> {
    const ref = attemptOf(attempt.round);
    const { opening } = secureOf(attempt.round);
    const shown = await this.#reveal('showing nonces', attempt);
    const place = { consortium: attempt.consortium.bootstrapHash, ...ref };
    const { nonces, missing, wrong } = gatherNonces(place, opening, shown);
    if (wrong.length > 0) {
      this.#options.log.warn({ ...ref, aggregators: wrong }, 'aggregators show nonces that were not committed to');
    }
    if (nonces === undefined) {
      throw new SevError('AGGREGATORS_MISSING', `nobody shows all of the nonces of ${missing.join(', ')}`);
    }
    return nonces;
  }

  /** Mode `dp`. Of an aggregator that is gone, from the parts that others hold. */
  async #noiseSeeds(attempt: SecureAttempt, nonces: Nonces, seed: string): Promise<string[][]> {
    const shown = await this.#reveal('showing noise seeds', attempt, nonces);
    const ref = attemptOf(attempt.round);
    const place = { consortium: attempt.consortium.bootstrapHash, ...ref };
    const { noiseSeeds, missing, wrong } = gatherNoiseSeeds(place, secureOf(attempt.round).opening, seed, shown);
    if (wrong.length > 0) {
      this.#options.log.warn({ ...ref, aggregators: wrong }, 'aggregators show seeds that were not committed to');
    }
    if (noiseSeeds === undefined) {
      throw new SevError('AGGREGATORS_MISSING', `nobody shows the seed of the noise of ${missing.join(', ')}`);
    }
    return noiseSeeds;
  }

  async #reveal(what: string, { consortium, task, round }: SecureAttempt, nonces?: Nonces) {
    const ref = attemptOf(round);
    const checks = new AnswerChecks(consortium, task, ref);
    const { answers } = await this.#panel.of(secureOf(round).opening).gather(
      what,
      secureTermsOf(task).threshold + 1,
      (client) => client.reveal(ref, nonces),
      (answer, mspId) => {
        checks.revealed(answer, mspId);
      },
    );
    return answers.map(({ mspId, value }) => ({ mspId, revealed: value }));
  }

  #projections({ consortium, task, round }: SecureAttempt, nonces: Nonces, basis: Basis) {
    const ref = attemptOf(round);
    const secure = secureOf(round);
    const terms = secureTermsOf(task);
    if (terms.projections === 0) {
      return [];
    }
    const checks = new AnswerChecks(consortium, task, ref);
    return this.#heard(secure).ask(
      'opening projections',
      terms.threshold + 1,
      (client) => client.projections(ref, nonces, basis.references),
      (answer, mspId) => {
        checks.projections(answer, mspId, secure, basis);
      },
    );
  }

  async #members(round: RoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#options.learning.cohort(attemptOf(round));
    if (cohortHash(members) !== round.secure?.cohortHash) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
    }
    return members;
  }

  /** Components of which the store lacks a sum. */
  async #unpublished({ sums = [] }: SecureRound): Promise<number[]> {
    const has = (hash: string): Promise<boolean> => this.#options.store.has(hash);
    const isThere = await Promise.all(
      sums.map(async (byShard) => (await Promise.all(byShard.map(has))).every(Boolean)),
    );
    return isThere.flatMap((there, component) => (there ? [] : [component]));
  }
}

function referencesOf(reference: ReferenceDirection | undefined): { references?: string[] } {
  return reference === undefined ? {} : { references: [...reference.references] };
}

interface OpenedSeeds {
  readonly nonces: Nonces;
  readonly seed: string;
  /** In the opening's order; none but in mode `dp`. */
  readonly noiseSeeds: readonly string[][];
}

/** @throws AbortCause NOISE_FALSE where the opened noise is not what its seed gives: the noise in use may be no better. */
function insistOnTrueNoise(
  { consortium, task, round }: SecureAttempt,
  { nonces, seed, noiseSeeds }: OpenedSeeds,
): void {
  const { opening } = secureOf(round);
  if (noiseSeeds.length === 0) {
    return;
  }
  const shown = Object.fromEntries(opening.aggregators.map(({ mspId }, index) => [mspId, noiseSeeds[index] ?? []]));
  const place = { consortium: consortium.bootstrapHash, ...attemptOf(round), baseModelHash: round.baseModelHash };
  const { false: accused } = checkOpenedNoise(place, task, opening, seed, shown);
  if (accused.length > 0) {
    const evidence = { accused: [...accused], nonces: [...nonces], noiseSeeds: shown };
    throw new AbortCause('NOISE_FALSE', `the noise of ${accused.join(', ')} is not what its seed gives`, evidence);
  }
}
