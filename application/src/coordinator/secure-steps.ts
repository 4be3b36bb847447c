// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  coveredUpdates,
  decodeBitmap,
  openingHash,
  type CohortRecord,
  type CommitSums,
  type FixCohort,
  type OpenRound,
  type RoundOpening,
  type RoundRecord,
  type ScoreRound,
  type SecureRound,
  type SignedBy,
  type Task,
} from '@sev/chaincode/api';
import type { AggregatorClient, Nonces } from '../aggregator/aggregator-client.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { collect, updatesOf, type LearningContract } from '../services/rounds.js';
import { computeScores, secureTermsOf } from '../services/secure-scores.js';
import {
  AggregatorPanel,
  contradictionIn,
  noncesOf,
  numbersOf,
  seedOf,
  type Contradiction,
} from './secure-evidence.js';
import type { StatementGatherer } from './statements.js';

export interface SecureStepsOptions {
  readonly learning: LearningContract;
  readonly aggregators: readonly AggregatorClient[];
  /** The organisation that settles disputes; without it rounds that come to one are given up. */
  readonly arbiter?: ArbiterClient;
  readonly log: ServiceLog;
}

/** What one attempt needs while it is driven. */
export interface SecureAttempt {
  readonly consortium: string;
  readonly task: Task;
  readonly round: RoundRecord;
  readonly gatherer: StatementGatherer;
}

/** Two aggregators contradict each other: nothing goes on before the arbiter has spoken. */
export class DisputeError extends SevError {
  readonly phase: 'projections' | 'sums';
  readonly contradiction: Contradiction;

  constructor(phase: 'projections' | 'sums', contradiction: Contradiction) {
    const [a, b] = contradiction.mspIds;
    super(
      'AGGREGATORS_DISAGREE',
      `${a} and ${b} signed different ${phase} of component ${String(contradiction.component)}`,
    );
    this.name = 'DisputeError';
    this.phase = phase;
    this.contradiction = contradiction;
  }
}

/**
 * The steps of a round in a secure mode that need the aggregators: what each transaction is made of. It decides nothing
 * that the contract does not check, and keeps nothing: another coordinator gathers the same again.
 */
export class SecureSteps {
  readonly #options: SecureStepsOptions;
  readonly #panel: AggregatorPanel;

  constructor(options: SecureStepsOptions) {
    this.#options = options;
    this.#panel = new AggregatorPanel(options.aggregators, options.log);
  }

  /**
   * Has the aggregators commit themselves to an attempt. Those that do not answer are left out.
   *
   * @throws SevError AGGREGATORS_MISSING where t or fewer answer.
   */
  async opening(
    task: Task,
    ref: AttemptRef,
    baseModelHash: string,
  ): Promise<Pick<OpenRound, 'opening' | 'statements'>> {
    const terms = secureTermsOf(task);
    const needed = terms.threshold + 1;
    let panel = new AggregatorPanel(
      this.#panel.clients.filter(({ mspId }) => terms.aggregators.includes(mspId)),
      this.#options.log,
    );
    const prepared = await panel.ask('preparing a round', needed, (client) => client.prepare(ref, baseModelHash));
    const parts = prepared.sort((a, b) => (a.part.mspId < b.part.mspId ? -1 : 1));
    const aggregators = parts.map(({ part }) => part);
    panel = panel.of({ aggregators });
    const deals = (await panel.ask('dealing nonces', parts.length, (client) => client.deal(ref, parts))).flat();
    const arbiter = await this.#arbiterKey(ref);
    const opening: RoundOpening = { aggregators, ...(arbiter === undefined ? {} : { arbiter }) };
    const statements = await panel.ask('signing an opening', parts.length, (client) =>
      client.accept(
        ref,
        opening,
        deals.filter(({ to }) => to === client.mspId),
      ),
    );
    const byArbiter = arbiter === undefined ? [] : [await this.#signedByArbiter(ref, baseModelHash, opening)];
    return { opening, statements: [...statements, ...byArbiter] };
  }

  /** Gathers holdings and, where vehicles or aggregators are left out, a majority's word for it. */
  async cohort({ round, gatherer, task }: SecureAttempt): Promise<FixCohort> {
    const ref = attemptOf(round);
    const { opening } = secureOf(round);
    const terms = secureTermsOf(task);
    const holdings = await this.#panel
      .of(opening)
      .ask('signing holdings', terms.threshold + 1, (client) => client.holdings(ref));
    const { learning } = this.#options;
    const updates = await updatesOf(learning, ref);
    updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
    const said = holdings.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, updates.length) ?? [] }));
    const isComplete = holdings.length === opening.aggregators.length;
    if (isComplete && coveredUpdates(updates, said, []).covered.length === updates.length) {
      return { ...ref, holdings, statements: [] };
    }
    const { covered } = coveredUpdates(updates, said, await collect(learning.receipts(ref)));
    const holders = holdings.map(({ mspId }) => mspId).sort();
    const content = { recordedHash: cohortHash(updates), cohortHash: cohortHash(covered), holders };
    return { ...ref, holdings, statements: [...(await gatherer.cohort({ ref, holdings, ...content }))] };
  }

  /** Has the nonces shown, the projections opened, the weights computed and attested. @throws DisputeError */
  async scores({ consortium, task, round, gatherer }: SecureAttempt): Promise<ScoreRound> {
    const ref = attemptOf(round);
    const secure = secureOf(round);
    const terms = secureTermsOf(task);
    const panel = this.#trusted(secure);
    const needed = terms.threshold + 1;
    const nonces = noncesOf(secure.opening, await panel.ask('showing nonces', needed, (client) => client.reveal(ref)));
    const seed = seedOf(consortium, ref, secure, nonces);
    const members = await this.#members(round);
    const opened =
      terms.projections === 0
        ? []
        : await panel.ask('opening projections', needed, (client) => client.projections(ref, nonces));
    const signed = opened.map((one) => one.signed);
    insistOnAgreement('projections', signed);
    const numbers = numbersOf(opened);
    const scores = computeScores({ task, ref, cohortHash: secure.cohortHash ?? '', members, seed, numbers });
    const noiseSeeds = terms.dp === undefined ? undefined : await this.#noiseSeeds(secure.opening, ref, nonces);
    const noise = noiseSeeds === undefined ? {} : { noiseSeeds };
    const attestations = await gatherer.scores({ scores, nonces, ...noise, projections: signed, numbers });
    return { nonces: [...nonces], ...noise, projections: signed, scores, attestations: [...attestations] };
  }

  /** @throws DisputeError */
  async sums({ task, round }: SecureAttempt): Promise<CommitSums> {
    const ref = attemptOf(round);
    const needed = secureTermsOf(task).threshold + 1;
    const sums = await this.#trusted(secureOf(round)).ask('signing sums', needed, (client) => client.sums(ref));
    insistOnAgreement('sums', sums);
    return { ...ref, sums };
  }

  /** Has the aggregators put their sums into the store. */
  async publish({ task, round }: SecureAttempt): Promise<void> {
    const needed = secureTermsOf(task).threshold + 1;
    await this.#trusted(secureOf(round)).ask('publishing sums', needed, (client) => client.publish(attemptOf(round)));
  }

  /** Shows a contradiction to the ledger, has the component released to the arbiter, and brings back its verdict. */
  async settle({ consortium, round }: SecureAttempt, { phase, contradiction }: DisputeError): Promise<RoundRecord> {
    const { learning, arbiter, log } = this.#options;
    const ref = attemptOf(round);
    const secure = secureOf(round);
    const { component, mspIds } = contradiction;
    const accused = new AggregatorPanel(
      this.#panel.clients.filter(({ mspId }) => mspIds.includes(mspId)),
      log,
    );
    let evidence: Pick<Parameters<LearningContract['openDispute']>[0], 'projections' | 'sums' | 'nonces'>;
    if (phase === 'sums') {
      evidence = { projections: [], sums: await accused.ask('signing sums', 2, (client) => client.sums(ref)) };
    } else {
      const nonces = noncesOf(
        secure.opening,
        await this.#trusted(secure).ask('showing nonces', 1, (client) => client.reveal(ref)),
      );
      const opened = await accused.ask('opening projections', 2, (client) => client.projections(ref, nonces));
      evidence = { nonces: [...nonces], projections: opened.map(({ signed }) => signed), sums: [] };
    }
    await learning.openDispute({ ...ref, phase, component, ...evidence });
    if (arbiter === undefined) {
      throw new SevError('ARBITER_MISSING', `a dispute about component ${String(component)} waits for an arbiter`);
    }
    const releases = await accused.ask('releasing a component', 1, async (client) => ({
      mspId: client.mspId,
      release: await client.release(ref, component),
    }));
    const { nonces } = evidence;
    const statements = phase === 'sums' ? evidence.sums : evidence.projections;
    const request = { ref, phase, component, releases, statements, ...(nonces === undefined ? {} : { nonces }) };
    const verdict = await arbiter.verdict(request);
    log.warn({ ...ref, component, phase, faulty: verdict.faulty, consortium }, 'the arbiter has settled a dispute');
    return (await learning.settleDispute({ ...ref, phase, component, ...verdict })).result;
  }

  /** The aggregators of the opening whose word still counts. */
  #trusted({ opening, faulty, holders }: SecureRound): AggregatorPanel {
    const { clients } = this.#panel.of(opening);
    const counts = ({ mspId }: AggregatorClient): boolean =>
      !faulty.includes(mspId) && (holders === undefined || holders.includes(mspId));
    return new AggregatorPanel(clients.filter(counts), this.#options.log);
  }

  async #members(round: RoundRecord): Promise<CohortRecord['members']> {
    const { members } = await this.#options.learning.cohort(attemptOf(round));
    if (cohortHash(members) !== round.secure?.cohortHash) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', 'the cohort that the gateway shows is not the one of its round');
    }
    return members;
  }

  async #noiseSeeds(opening: RoundOpening, ref: AttemptRef, nonces: Nonces): Promise<string[]> {
    const { clients } = this.#panel.of(opening);
    return Promise.all(
      opening.aggregators.map(async ({ mspId }) => {
        const shown = await clients.find((client) => client.mspId === mspId)?.reveal(ref, nonces);
        if (shown?.noiseSeed === undefined) {
          throw new SevError('AGGREGATORS_MISSING', `${mspId} does not show the seed of its noise`);
        }
        return shown.noiseSeed;
      }),
    );
  }

  async #arbiterKey(ref: AttemptRef): Promise<RoundOpening['arbiter']> {
    try {
      return await this.#options.arbiter?.prepare(ref);
    } catch (error) {
      this.#options.log.warn(failureFields(error), 'the round opens without an arbiter');
      return undefined;
    }
  }

  #signedByArbiter(ref: AttemptRef, baseModelHash: string, opening: RoundOpening): Promise<SignedBy> {
    const { arbiter } = this.#options;
    if (arbiter === undefined) {
      throw new SevError('ARBITER_MISSING', openingHash(opening));
    }
    return arbiter.accept(ref, baseModelHash, opening);
  }
}

/** @throws SevError MODE_NOT_SECURE. */
export function secureOf({ taskId, secure }: RoundRecord): SecureRound {
  if (secure === undefined) {
    throw new SevError('MODE_NOT_SECURE', `the round of task ${taskId} has no opening`);
  }
  return secure;
}

function insistOnAgreement(
  phase: 'projections' | 'sums',
  statements: readonly { readonly mspId: string; readonly components: Readonly<Record<string, unknown>> }[],
): void {
  const contradiction = contradictionIn(statements);
  if (contradiction !== undefined) {
    throw new DisputeError(phase, contradiction);
  }
}
