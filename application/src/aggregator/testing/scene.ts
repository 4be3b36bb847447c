// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import {
  cohortHash,
  componentsOf,
  reportContext,
  ringBitsOfTerms,
  roundSeed,
  scoresHash,
  type RoundOpening,
  type RoundRecord,
  type Scores,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { createReport, ringZeros, systemRandom, type Report, type RingVector } from '@sev/fl';
import { attemptKey, attemptOf, type AttemptRef } from '../../services/attempt.js';
import { silentLog } from '../../services/log.js';
import { Federation, type FederationOptions } from '../../testing/federation.js';
import { Aggregator, type AggregatorOptions } from '../aggregator.js';
import type { Nonces } from '../aggregator-client.js';
import { Inbox, type Disk } from '../inbox.js';
import { gatherNonces } from '../nonces.js';
import type { ShareSubmission } from '../share-submission.js';

export interface SceneOptions extends FederationOptions {
  /** Where the aggregators' homes lie. */
  readonly directory: string;
}

/** What a vehicle would hand in. */
export interface PreparedShare {
  readonly vector: RingVector;
  readonly report: Report;
  readonly submissionFor: (mspId: string) => ShareSubmission;
}

/** Three organisations' aggregators and their vehicles around a ledger in memory, whose rounds the tests take on. */
export class Scene {
  readonly federation: Federation;
  readonly aggregators = new Map<string, Aggregator>();
  readonly ref: AttemptRef;
  readonly base: string;
  readonly #directory: string;

  constructor(options: SceneOptions) {
    this.federation = new Federation({ secure: {}, vehicles: 4, ...options });
    this.#directory = options.directory;
    this.ref = { taskId: this.federation.task.taskId, round: 1, attempt: 1 };
    this.base = this.federation.task.model.initialModelHash;
  }

  static async start(options: SceneOptions): Promise<Scene> {
    const scene = new Scene(options);
    await Promise.all(scene.terms.aggregators.map((mspId) => scene.restart(mspId)));
    return scene;
  }

  get terms() {
    return this.federation.task.secure!;
  }

  get round(): RoundRecord {
    return this.federation.ledger.rounds.get(this.ref.round)!;
  }

  homeOf(mspId: string): string {
    return join(this.#directory, mspId);
  }

  at(mspId: string): Aggregator {
    return this.aggregators.get(mspId)!;
  }

  /** A new process of the aggregator, with what the one before left on the disk. */
  async restart(
    mspId: string,
    options: Partial<AggregatorOptions> & { disk?: Partial<Disk> } = {},
  ): Promise<Aggregator> {
    const { disk, ...others } = options;
    const aggregator = new Aggregator({
      session: this.federation.ledger.session(mspId),
      store: this.federation.store,
      inbox: await Inbox.open(this.homeOf(mspId), disk),
      signingKey: this.federation.organisationKey(mspId),
      limits: { viewMs: 0 },
      log: silentLog,
      ...others,
    });
    this.aggregators.set(mspId, aggregator);
    return aggregator;
  }

  /** Has these aggregators prepare, deal and accept. */
  async opening(mspIds: readonly string[] = this.terms.aggregators, arbiterKey?: string): Promise<RoundOpening> {
    const { ref, base } = this;
    const parts = await Promise.all(mspIds.map((mspId) => this.at(mspId).prepare(ref, base)));
    const deals = (await Promise.all(mspIds.map((mspId) => this.at(mspId).deal(ref, parts)))).flat();
    const arbiter = arbiterKey === undefined ? {} : { arbiter: { mspId: 'RegulatorMSP', sealingKey: arbiterKey } };
    const opening = { aggregators: parts.map(({ part }) => part), ...arbiter };
    await Promise.all(
      mspIds.map((mspId) => {
        const mine = deals.filter(({ to }) => to === mspId);
        return this.at(mspId).accept(ref, opening, mine);
      }),
    );
    return opening;
  }

  /** Opens the round on the ledger. */
  async open(mspIds?: readonly string[], arbiterKey?: string): Promise<RoundRecord> {
    const opening = await this.opening(mspIds, arbiterKey);
    await this.federation.ledger
      .session('GridMSP')
      .submit('learning', 'OpenRound', { ...this.ref, baseModelHash: this.base, opening });
    return this.round;
  }

  /** What a vehicle computes for the open round: a random vector, shared. */
  async share(vehicleId: string): Promise<PreparedShare> {
    const { federation, ref, base, terms } = this;
    const holders = this.holders;
    const length = federation.task.model.parameters + terms.metrics.length;
    const bits = ringBitsOfTerms(terms);
    const vector = ringZeros(length, bits).map(() => Math.floor(Math.random() * 2 ** (bits - 12)));
    const { opening } = this.round.secure!;
    const index = (mspId: string): number => terms.aggregators.indexOf(mspId);
    const report = await createReport({
      vector,
      context: this.contextOf(vehicleId),
      holders,
      recipients: new Map(opening.aggregators.map(({ mspId, sealingKey }) => [index(mspId), sealingKey])),
      random: systemRandom,
    });
    await federation.store.put(report.ciphertext);
    const envelope = federation.sign(this.round, vehicleId, report.root);
    const submissionFor = (mspId: string): ShareSubmission => ({
      ...ref,
      baseModelHash: base,
      envelope,
      sealed: Buffer.from(report.shares.get(index(mspId))!).toString('base64'),
    });
    return { vector, report, submissionFor };
  }

  contextOf(reporter: string): string {
    const { federation, ref, base } = this;
    return reportContext({ consortium: federation.consortium, ...ref, baseModelHash: base, reporter });
  }

  get holders(): readonly (readonly number[])[] {
    return componentsOfTask(this.federation);
  }

  /** Hands a vehicle's share in everywhere and records its envelope. */
  async takePart(vehicleId: string): Promise<PreparedShare> {
    const share = await this.share(vehicleId);
    const names = this.round.secure!.opening.aggregators.map(({ mspId }) => mspId);
    await Promise.all(names.map((mspId) => this.at(mspId).submitShare(share.submissionFor(mspId))));
    await this.record(share.submissionFor(names[0]!).envelope);
    return share;
  }

  async record(envelope: ShareSubmission['envelope']): Promise<void> {
    const { ref, base, federation } = this;
    await federation.ledger
      .session('GridMSP')
      .submit('learning', 'RecordUpdates', { ...ref, baseModelHash: base, envelopes: [envelope] });
  }

  close(): void {
    this.federation.ledger.advance(this.ref, { state: 'closed' });
  }

  /** Fixes the cohort: all recorded updates, or those of these vehicles. */
  fixCohort(vehicleIds?: readonly string[]): UpdateRecord[] {
    const { ledger } = this.federation;
    const members = ledger.updates(this.ref).filter(({ vehicleId }) => vehicleIds?.includes(vehicleId) ?? true);
    ledger.cohorts.set(attemptKey(this.ref), {
      docType: 'cohort',
      schemaVersion: 1,
      ...this.ref,
      members: members.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass })),
    });
    ledger.advance(
      this.ref,
      { state: 'cohort' },
      { cohortHash: cohortHash(members), cohortSize: members.length, holders: this.terms.aggregators },
    );
    return members;
  }

  /** All nonces, as these aggregators show them. */
  async nonces(mspIds: readonly string[] = this.terms.aggregators): Promise<Nonces> {
    const shown = await Promise.all(
      mspIds.map(async (mspId) => ({ mspId, revealed: await this.at(mspId).reveal(this.ref) })),
    );
    const place = { ...this.ref, consortium: this.federation.consortium };
    return gatherNonces(place, this.round.secure!.opening, shown).nonces!;
  }

  /** Scores the round with these weights. */
  score(nonces: Nonces, weights: readonly number[]): Scores {
    const { ledger, consortium } = this.federation;
    const hash = this.round.secure!.cohortHash!;
    const scores: Scores = { ...attemptOf(this.ref), cohortHash: hash, weights: [...weights], reasons: [] };
    ledger.scores.set(attemptKey(this.ref), {
      docType: 'scores',
      schemaVersion: 1,
      scores,
      attestations: [],
      projections: [],
    });
    const seed = roundSeed({ ...this.ref, consortium }, hash, nonces);
    ledger.advance(this.ref, { state: 'scored' }, { seed, scoresHash: scoresHash(scores) });
    return scores;
  }

  /** Commits sums: for each component the hashes that its first holder of these says. */
  async commit(mspIds: readonly string[] = this.terms.aggregators): Promise<void> {
    const said = await Promise.all(mspIds.map((mspId) => this.at(mspId).sums(this.ref)));
    const sums = this.holders.map(
      (_, c) =>
        said.flatMap(({ components }) => [components[String(c)] ?? []]).find((hashes) => hashes.length > 0) ?? [],
    );
    this.federation.ledger.advance(this.ref, { state: 'aggregated' }, { sums });
  }

  /** Takes a round with all vehicles to its cohort. */
  async toCohort(arbiterKey?: string): Promise<Map<string, PreparedShare>> {
    await this.open(this.terms.aggregators, arbiterKey);
    const shares = new Map<string, PreparedShare>();
    for (const vehicleId of this.federation.vehicleIds) {
      shares.set(vehicleId, await this.takePart(vehicleId));
    }
    this.close();
    await Promise.all([...this.aggregators.values()].map((aggregator) => aggregator.holdings(this.ref)));
    this.fixCohort();
    return shares;
  }
}

function componentsOfTask({ task }: Federation): readonly (readonly number[])[] {
  return componentsOf(task.secure!.aggregators.length, task.secure!.threshold);
}
