// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash as hashOfCohort,
  componentHolders,
  encodeBitmap,
  noiseLeaf,
  nonceLeaf,
  openedCandidate,
  openingHash,
  parameterCount,
  projectionsHash,
  roundSeed,
  scoresHash,
  sha256Hex,
  signStatement,
  type AggregatorOpening,
  type CohortRecord,
  type CohortStatement,
  type CommitSums,
  type DisputePhase,
  type FixCohort,
  type HoldingsStatement,
  type OpeningStatement,
  type OpenRound,
  type Page,
  type ProjectionsStatement,
  type Proposal,
  type ReceiptStatement,
  type RoundOpening,
  type RoundRecord,
  type ScoreRound,
  type Scores,
  type ScoresStatement,
  type SecureRound,
  type SecureTerms,
  type SettleDispute,
  type ShowReceipts,
  type Signable,
  type SignedBy,
  type SumsStatement,
  type Task,
  type UpdateRecord,
  type VerdictStatement,
} from '../api';
import { CITY, GRID, MAKER, REGULATOR, type TestConsortium } from './consortium';
import type { Vehicle } from './fleet';
import { randomHash, signingKey } from './identities';
import { INITIAL_MODEL, ROUND_1, RoundDriver, taskOf, type RoundRef } from './learning';

/** The aggregators of the tests' tasks, sorted. */
export const AGGREGATORS = [CITY, GRID, MAKER] as const;
const MAJORITY = [GRID, CITY, REGULATOR];

export function termsOf(change: Partial<SecureTerms> = {}): SecureTerms {
  return {
    aggregators: [...AGGREGATORS],
    threshold: 1,
    clipMilli: 4_000,
    fractionBits: 11,
    shardSize: 1_024,
    metrics: ['loss'],
    projections: 2,
    rule: 'norm-scaling',
    openedShareMilli: 250,
    receiptMs: 0,
    ...change,
  };
}

const LAYERS = [20, 4, 1];

/** What tasks in which updates are kept secret share: 89 parameters, and as few vehicles in a cohort as may be. */
const SECRET = {
  model: { layers: LAYERS, parameters: parameterCount(LAYERS), initialModelHash: INITIAL_MODEL },
  cohort: { minimum: 3, target: 3 },
};

/** A task in mode `secure`, all vehicles of one class. */
export function secureTask(terms: Partial<SecureTerms> = {}, change: Partial<Task> = {}): Task {
  const aggregation: Task['aggregation'] = {
    ...taskOf().aggregation,
    weightClasses: [{ minSamples: 2, weight: 4 }],
  };
  return taskOf({ ...SECRET, privacy: 'secure', secure: termsOf(terms), aggregation, ...change });
}

export const DP = { noiseDeviation: 100_000, budgetMicroRho: 10_000_000, deltaExponent: 6 };

/** A task in mode `dp`. */
export function dpTask(dp: Partial<typeof DP> = {}, change: Partial<Task> = {}): Task {
  const terms = termsOf({ projections: 0, rule: 'uniform', dp: { ...DP, ...dp } });
  return taskOf({ ...SECRET, privacy: 'dp', secure: terms, ...change });
}

/** What one aggregator keeps to itself until the cohort is fixed. */
interface Secrets {
  readonly nonce: readonly string[];
  /** Parts of the seeds of both candidates. */
  readonly noiseSeeds: readonly [string[], string[]];
}

type Components<T> = Readonly<Record<string, T>>;

/** Drives the secure protocol as coordinator, aggregators, attesters and arbiter would, all sums being made up. */
export class SecureDriver extends RoundDriver {
  readonly task: Task;
  readonly terms: SecureTerms;
  readonly holders: readonly (readonly string[])[];
  readonly #secrets = new Map<string, Secrets>();

  constructor(consortium: TestConsortium, task: Task) {
    super(consortium);
    this.task = task;
    this.terms = task.secure ?? termsOf();
    this.holders = componentHolders(this.terms);
  }

  secrets(mspId: string, { attempt, round }: RoundRef): Secrets {
    const name = `${mspId}/${round}/${attempt}`;
    const found = this.#secrets.get(name) ?? {
      nonce: this.holders.map(() => randomHash()),
      noiseSeeds: [this.holders.map(() => randomHash()), this.holders.map(() => randomHash())] as const,
    };
    this.#secrets.set(name, found);
    return found;
  }

  opening(ref: RoundRef = ROUND_1, mspIds: readonly string[] = AGGREGATORS, arbiter = true): RoundOpening {
    const aggregators = mspIds.map((mspId): AggregatorOpening => {
      const { nonce, noiseSeeds } = this.secrets(mspId, ref);
      const name = { consortium: this.consortium.bootstrapHash, ...ref };
      const candidates = noiseSeeds.map((parts) => ({
        root: sha256Hex(`root ${parts.join()}`),
        seedLeaves: parts.map((part, index) => noiseLeaf(name, mspId, index, part)),
      })) as unknown as NonNullable<AggregatorOpening['noise']>;
      return {
        mspId,
        sealingKey: signingKey().publicKey,
        nonceLeaves: nonce.map((value, index) => nonceLeaf(name, mspId, index, value)),
        ...(this.terms.dp === undefined ? {} : { noise: candidates }),
      };
    });
    return { aggregators, ...(arbiter ? { arbiter: { mspId: REGULATOR, sealingKey: signingKey().publicKey } } : {}) };
  }

  /** An opening with the statements of everybody in it. */
  signedOpening(opening: RoundOpening, ref: RoundRef = ROUND_1, baseModelHash = INITIAL_MODEL): OpenRound {
    const names = [...opening.aggregators, ...(opening.arbiter === undefined ? [] : [opening.arbiter])];
    const hash = openingHash(opening);
    const content = { ...this.#content(ref), baseModelHash, openingHash: hash };
    const statements = this.sign(
      names.map(({ mspId }) => mspId),
      (mspId): OpeningStatement => ({ type: 'sev/round-opening/v1', ...content, mspId }),
    );
    return { ...ref, baseModelHash, opening, statements };
  }

  /** Creates the task where it is the first round's first attempt, and opens. */
  async open(
    ref: RoundRef = ROUND_1,
    baseModelHash = INITIAL_MODEL,
    mspIds: readonly string[] = AGGREGATORS,
  ): Promise<RoundRecord> {
    await this.coordinate('CreateTask', this.task);
    return this.coordinate('OpenRound', this.signedOpening(this.opening(ref, mspIds), ref, baseModelHash));
  }

  /** Opens, records and closes with these vehicles. */
  async closed(
    vehicles: readonly Vehicle[],
    ref: RoundRef = ROUND_1,
    baseModelHash = INITIAL_MODEL,
  ): Promise<RoundRecord> {
    const opened = await this.open(ref, baseModelHash);
    await this.record(this.envelopes(vehicles, ref, baseModelHash), ref, baseModelHash);
    return opened.state === 'open' ? this.close(MAJORITY, ref) : opened;
  }

  async recorded(ref: RoundRef = ROUND_1): Promise<readonly UpdateRecord[]> {
    const argument = { ...ref, pageSize: 1_000, bookmark: '' };
    return (await this.consortium.evaluate<Page<UpdateRecord>>('learning:ListUpdates', argument)).items;
  }

  round({ taskId, round }: RoundRef = ROUND_1): Promise<RoundRecord> {
    return this.consortium.evaluate('learning:GetRound', { taskId, round });
  }

  async secure(ref: RoundRef = ROUND_1): Promise<SecureRound> {
    const { secure } = await this.round(ref);
    if (secure === undefined) {
      throw new Error('the round runs in plain mode');
    }
    return secure;
  }

  signOne(mspId: string, statement: Signable): string {
    return this.sign([mspId], () => statement)[0]?.signature ?? '';
  }

  receipt(
    mspId: string,
    update: Pick<UpdateRecord, 'vehicleId' | 'updateHash'>,
    ref: RoundRef = ROUND_1,
  ): ShowReceipts {
    const { vehicleId, updateHash } = update;
    const content = { ...this.#content(ref), mspId, vehicleId, commitmentRoot: updateHash };
    const statement: ReceiptStatement = { type: 'sev/share-receipt/v1', ...content };
    return { ...ref, receipts: [{ vehicleId, mspId, signature: this.signOne(mspId, statement) }] };
  }

  /** @param lacking - vehicles that an aggregator says it does not hold. */
  async holdings(
    mspIds: readonly string[] = AGGREGATORS,
    lacking: Readonly<Record<string, readonly string[]>> = {},
    ref: RoundRef = ROUND_1,
  ): Promise<FixCohort['holdings']> {
    const updates = await this.recorded(ref);
    const recordedHash = hashOfCohort(updates);
    return mspIds.map((mspId) => {
      const held = encodeBitmap(updates.map(({ vehicleId }) => lacking[mspId]?.includes(vehicleId) !== true));
      const statement: HoldingsStatement = {
        type: 'sev/holdings/v1',
        ...this.#content(ref),
        mspId,
        recordedHash,
        held,
      };
      return { mspId, held, signature: this.signOne(mspId, statement) };
    });
  }

  async cohortStatements(
    signers: readonly string[],
    members: readonly Pick<UpdateRecord, 'vehicleId' | 'updateHash' | 'weightClass'>[],
    holders: readonly string[] = AGGREGATORS,
    ref: RoundRef = ROUND_1,
  ): Promise<SignedBy[]> {
    const recordedHash = hashOfCohort(await this.recorded(ref));
    const content = { ...this.#content(ref), recordedHash, cohortHash: hashOfCohort(members), holders: [...holders] };
    return this.sign(signers, (mspId): CohortStatement => ({ type: 'sev/fix-cohort/v1', ...content, mspId }));
  }

  /** What learning:FixCohort takes where these aggregators hold everything. */
  async fixing(ref: RoundRef = ROUND_1, mspIds: readonly string[] = AGGREGATORS): Promise<FixCohort> {
    const holdings = await this.holdings(mspIds, {}, ref);
    const statements = await this.cohortStatements(MAJORITY, await this.recorded(ref), mspIds, ref);
    return { ...ref, holdings, statements };
  }

  async fix(ref: RoundRef = ROUND_1, mspIds: readonly string[] = AGGREGATORS): Promise<RoundRecord> {
    return this.coordinate('FixCohort', await this.fixing(ref, mspIds));
  }

  cohort(ref: RoundRef = ROUND_1): Promise<CohortRecord> {
    return this.consortium.evaluate('learning:GetCohort', ref);
  }

  async nonces(ref: RoundRef = ROUND_1): Promise<ScoreRound['nonces']> {
    const { opening } = await this.secure(ref);
    return opening.aggregators.map(({ mspId }) => [...this.secrets(mspId, ref).nonce]);
  }

  async seed(ref: RoundRef = ROUND_1): Promise<string> {
    const { cohortHash = '' } = await this.secure(ref);
    return roundSeed({ consortium: this.consortium.bootstrapHash, ...ref }, cohortHash, await this.nonces(ref));
  }

  /** Seeds of the noise that the nonces open. */
  async noiseSeeds(ref: RoundRef = ROUND_1): Promise<string[][]> {
    const seed = await this.seed(ref);
    const { opening } = await this.secure(ref);
    return opening.aggregators.map(({ mspId }) => this.secrets(mspId, ref).noiseSeeds[openedCandidate(seed, mspId)]);
  }

  /** Validators whose directions make the reference: all in the opening whose loss did not depart; none in other tasks. */
  async references(ref: RoundRef = ROUND_1): Promise<string[] | undefined> {
    const { opening, validated } = await this.secure(ref);
    const names = opening.validations?.map(({ mspId }) => mspId);
    return names?.filter((mspId) => validated?.departed.includes(mspId) !== true);
  }

  /** Hashes for every component that an aggregator holds: the honest ones but for `change`. */
  answer<T>(mspId: string, honest: (component: number) => T, change: Components<T> = {}): Components<T> {
    const held = this.holders.flatMap((holders, component) => (holders.includes(mspId) ? [component] : []));
    return { ...Object.fromEntries(held.map((component) => [component, honest(component)])), ...change };
  }

  /** @param signed - the references that aggregators sign; default: {@link references}. */
  async projections(
    mspIds: readonly string[] = AGGREGATORS,
    changes: Readonly<Record<string, Components<string>>> = {},
    ref: RoundRef = ROUND_1,
    signed?: readonly string[],
  ): Promise<ScoreRound['projections']> {
    const seed = await this.seed(ref);
    const { cohortHash = '' } = await this.secure(ref);
    const references = signed ?? (await this.references(ref));
    return mspIds.map((mspId) => {
      const honest = (component: number): string => sha256Hex(`projections ${seed} ${component}`);
      const components = this.answer(mspId, honest, changes[mspId]);
      const content = { ...this.#content(ref), mspId, cohortHash, seed, components };
      const statement: ProjectionsStatement = {
        type: 'sev/projections/v1',
        ...content,
        ...(references === undefined ? {} : { references }),
      };
      return { mspId, components, signature: this.signOne(mspId, statement) };
    });
  }

  /** The weights of the vehicles' classes, and of those named here others, with the reason. */
  async scores(lowered: Readonly<Record<string, number>> = {}, ref: RoundRef = ROUND_1): Promise<Scores> {
    const { members } = await this.cohort(ref);
    const { cohortHash = '' } = await this.secure(ref);
    const classes = this.task.aggregation.weightClasses;
    const weights = members.map(
      ({ vehicleId, weightClass }) => lowered[vehicleId] ?? classes[weightClass]?.weight ?? 0,
    );
    const reasons = members
      .filter(({ vehicleId }) => vehicleId in lowered)
      .map(({ vehicleId }) => ({ vehicleId, reason: 'NORM_SCALED' as const }));
    return { ...ref, cohortHash, weights, reasons };
  }

  /** @param input - the weights, and what they follow from. */
  attestScores(input: Omit<ScoreRound, 'attestations'>, signers: readonly string[] = MAJORITY): SignedBy[] {
    const { taskId, round, attempt } = input.scores;
    const hashes = { scoresHash: scoresHash(input.scores), projectionsHash: projectionsHash(input) };
    const content = { ...this.#content({ taskId, round, attempt }), ...hashes };
    return this.sign(signers, (mspId): ScoresStatement => ({ type: 'sev/attest-scores/v2', ...content, mspId }));
  }

  /** What learning:ScoreRound takes, attested as it is but for the attestations in `change`. */
  async scoring(ref: RoundRef = ROUND_1, change: Partial<ScoreRound> = {}): Promise<ScoreRound> {
    const { holders = [] } = await this.secure(ref);
    const input = {
      nonces: await this.nonces(ref),
      ...(this.terms.dp === undefined ? {} : { noiseSeeds: await this.noiseSeeds(ref) }),
      projections:
        this.terms.projections === 0 ? [] : await this.projections(holders, {}, ref, change.scores?.references),
      ...change,
      scores: change.scores ?? (await this.scores({}, ref)),
    };
    return { attestations: this.attestScores(input), ...input };
  }

  async score(ref: RoundRef = ROUND_1, change: Partial<ScoreRound> = {}): Promise<RoundRecord> {
    return this.coordinate('ScoreRound', await this.scoring(ref, change));
  }

  async sums(
    mspIds: readonly string[] = AGGREGATORS,
    changes: Readonly<Record<string, Components<string[]>>> = {},
    ref: RoundRef = ROUND_1,
  ): Promise<CommitSums['sums']> {
    const { cohortSize = 0, scoresHash: hash = '' } = await this.secure(ref);
    const shards = Array.from({ length: Math.ceil(cohortSize / this.terms.shardSize) }, (_, shard) => shard);
    return mspIds.map((mspId) => {
      const honest = (component: number): string[] => shards.map((shard) => sha256Hex(`sum ${component} ${shard}`));
      const components = this.answer(mspId, honest, changes[mspId]);
      const content = { ...this.#content(ref), mspId, scoresHash: hash, components };
      const statement: SumsStatement = { type: 'sev/component-sums/v1', ...content };
      return { mspId, components: components, signature: this.signOne(mspId, statement) };
    });
  }

  async commit(
    ref: RoundRef = ROUND_1,
    mspIds: readonly string[] = AGGREGATORS,
    changes: Readonly<Record<string, Components<string[]>>> = {},
  ): Promise<RoundRecord> {
    return this.coordinate('CommitSums', { ...ref, sums: await this.sums(mspIds, changes, ref) });
  }

  /**
   * The arbiter finds right what these sign of a scored round's components. Component 0 is held by GRID and MAKER, 1 by CITY
   * and MAKER, 2 by CITY and GRID.
   */
  async audit(
    components: readonly number[],
    mspIds: readonly string[] = AGGREGATORS,
    ref: RoundRef = ROUND_1,
  ): Promise<void> {
    for (const component of components) {
      await this.openAudit(component, mspIds, ref);
      await this.coordinate('SettleDispute', this.verdict(component, 'audit', [], ref));
    }
  }

  async openAudit(
    component: number,
    mspIds: readonly string[] = AGGREGATORS,
    ref: RoundRef = ROUND_1,
  ): Promise<RoundRecord> {
    const sums = (await this.sums(mspIds, {}, ref)).filter(({ components }) => String(component) in components);
    return this.coordinate('OpenDispute', { ...ref, component, phase: 'audit', projections: [], sums });
  }

  /** Goes on from closed to aggregated. */
  async aggregated(ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    await this.fix(ref);
    await this.score(ref);
    return this.commit(ref);
  }

  override async proposal(ref: RoundRef = ROUND_1): Promise<Proposal> {
    const { baseModelHash } = await this.round(ref);
    const { cohortHash = '', cohortSize = 0 } = await this.secure(ref);
    return { ...ref, baseModelHash, modelHash: randomHash(), cohortHash, cohortSize, excluded: [] };
  }

  /** Aborts because the noise of these was found false. */
  accuse(
    accused: readonly string[],
    ref: RoundRef = ROUND_1,
    signers: readonly string[] = MAJORITY,
  ): Promise<RoundRecord> {
    const reason = 'NOISE_FALSE';
    const statements = this.abortStatements(signers, reason, ref, undefined, accused);
    return this.coordinate('AbortRound', { ...ref, reason, accused, statements });
  }

  abort(ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    const reason = 'OPERATOR';
    return this.coordinate('AbortRound', { ...ref, reason, statements: this.abortStatements(MAJORITY, reason, ref) });
  }

  verdict(
    component: number,
    phase: DisputePhase,
    faulty: readonly string[],
    ref: RoundRef = ROUND_1,
    signer: string = REGULATOR,
  ): SettleDispute {
    const content = { ...this.#content(ref), mspId: REGULATOR, component, phase, faulty };
    const statement: VerdictStatement = { type: 'sev/verdict/v1', ...content };
    const key = this.consortium.signingKeys.get(signer);
    if (key === undefined) {
      throw new Error(`no key of ${signer}`);
    }
    return { ...ref, component, phase, faulty: [...faulty], signature: signStatement(statement, key.privateKey) };
  }

  #content({ taskId, round, attempt }: RoundRef): RoundRef & { readonly consortium: string } {
    return { consortium: this.consortium.bootstrapHash, taskId, round, attempt };
  }
}
