// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import {
  accusedSoFar,
  answersIn,
  basisOf,
  cohortHash,
  componentHolders,
  encodeBitmap,
  noiseLeaf,
  nonceLeaf,
  openedCandidate,
  openedNumbers,
  openingHash,
  projectionsHash,
  roundSeed,
  SECURE_RULES,
  scoresHash,
  sha256Hex,
  sumsMicroRho,
  unverifiedComponents,
  validatedBase,
  type AbortReason,
  type AbortStatement,
  type AggregatorOpening,
  type CohortStatement,
  type CommitSums,
  type DisputePhase,
  type HoldingsStatement,
  type OpenDispute,
  type OpeningStatement,
  type ProjectionsStatement,
  type Proposal,
  type RoundOpening,
  type RoundState,
  type Said,
  type ScoreRound,
  type Scores,
  type ScoresStatement,
  type SecureRound,
  type SecureTerms,
  type SumsStatement,
  type Task,
  type VerdictStatement,
} from '@sev/chaincode/api';
import { madeIn, memberOf, ReportingScenario, type Reporter } from './reporting-scenario.js';
import { HASH, MSPS, newKey, NOW, publicText, TASK, type Record_ } from './scenario.js';

export const AGGREGATORS = ['AMSP', 'BMSP', 'CMSP'] as const;
const MAJORITY = ['AMSP', 'BMSP', 'CMSP'] as const;
const DP = { noiseDeviation: 1_000_000, budgetMicroRho: 1_000_000, deltaExponent: 6 };

export function termsOf(change: Partial<SecureTerms> = {}): SecureTerms {
  return {
    aggregators: [...AGGREGATORS],
    threshold: 1,
    clipMilli: 4_000,
    fractionBits: 11,
    shardSize: 16,
    metrics: ['loss'],
    projections: 2,
    rule: 'norm-scaling',
    openedShareMilli: 1_000,
    receiptMs: 0,
    ...change,
  };
}

export function secureTask(terms: Partial<SecureTerms> = {}): Task {
  const cohort = { minimum: 2, target: 3 };
  const aggregation = { ...TASK.aggregation, weightClasses: [{ minSamples: 2, weight: 4 }] };
  return { ...TASK, cohort, aggregation, privacy: terms.dp === undefined ? 'secure' : 'dp', secure: termsOf(terms) };
}

export function dpTask(dp: Partial<typeof DP> = {}): Task {
  return secureTask({ projections: 0, rule: 'uniform', dp: { ...DP, ...dp } });
}

/** How a forger departs from the true step. */
export interface Forgery {
  /** Replaces parts of what is asked for. */
  readonly argument?: Record_;
  /** Replaces parts of what the round carries. */
  readonly secure?: Partial<SecureRound>;
  /** Replaces parts of the round's record. */
  readonly record?: Record_;
  /** Other records than the true ones beside the round; keys as the scenario names them. */
  readonly writes?: Readonly<Record<string, Record_>>;
  /** Whose statements of a majority there are. */
  readonly signers?: readonly string[];
  readonly at?: number;
}

/** What an aggregator says of components instead of the truth. */
type Lies<T> = Readonly<Record<string, Readonly<Record<string, T>>>>;

/** A ledger with a task in a secure mode and three vehicles, one true or forged step after the other. */
export class SecureScenario extends ReportingScenario {
  readonly terms: SecureTerms;
  readonly holders: readonly (readonly string[])[];
  secure: SecureRound;
  scores: Scores | undefined;
  readonly #nonces = new Map<string, string[]>();
  readonly #noise = new Map<string, readonly [string[], string[]]>();
  #rules: SecureRound['rules'] = SECURE_RULES;

  constructor(roundTask: Task = secureTask()) {
    super(roundTask);
    this.terms = roundTask.secure ?? termsOf();
    this.holders = componentHolders(this.terms);
    this.secure = emptyRound();
  }

  /** One whose history begins under the first rules. */
  static ofFirstRules(roundTask: Task = secureTask()): SecureScenario {
    const scenario = new SecureScenario(roundTask);
    scenario.#rules = undefined;
    return scenario;
  }

  /** What the contracts do from now on. */
  underPresentRules(): this {
    this.#rules = SECURE_RULES;
    return this;
  }

  opening(aggregators: readonly string[] = AGGREGATORS): RoundOpening {
    return {
      aggregators: aggregators.map((mspId): AggregatorOpening => {
        const nonce = this.holders.map(() => randomBytes(32).toString('hex'));
        const parts = (): string[] => this.holders.map(() => randomBytes(32).toString('hex'));
        const noise = [parts(), parts()] as const;
        this.#nonces.set(mspId, nonce);
        this.#noise.set(mspId, noise);
        const candidate = (seed: readonly string[]): { root: string; seedLeaves: string[] } => ({
          root: sha256Hex(`root ${seed.join()}`),
          seedLeaves: seed.map((part, component) => noiseLeaf(this.ref(), mspId, component, part)),
        });
        return {
          mspId,
          sealingKey: publicText(newKey()),
          nonceLeaves: nonce.map((value, component) => nonceLeaf(this.ref(), mspId, component, value)),
          ...(this.terms.dp === undefined ? {} : { noise: [candidate(noise[0]), candidate(noise[1])] }),
        };
      }),
      arbiter: { mspId: 'DMSP', sealingKey: publicText(newKey()) },
    };
  }

  /** How many validators an opening can have. */
  protected heard(): number {
    return MSPS.length;
  }

  /** Which vehicles an attempt asks. */
  protected drawn(): Pick<SecureRound, 'drawn'> {
    return {};
  }

  /** What those who recorded an update said that were asked. */
  protected losses(_reporters: readonly Reporter[]): Pick<SecureRound, 'drawnLosses'> {
    return {};
  }

  /** The opening of the next attempt with these aggregators, for {@link openSecurely}. */
  nextOpening(aggregators: readonly string[]): RoundOpening {
    this.attempt += 1;
    const opening = this.opening(aggregators);
    this.attempt -= 1;
    return opening;
  }

  openSecurely(forgery: Forgery & { readonly opening?: RoundOpening } = {}): this {
    this.attempt += 1;
    const opening = forgery.opening ?? this.opening();
    const hash = openingHash(opening);
    const content = { ...this.ref(), baseModelHash: this.base, openingHash: hash };
    const names = [...opening.aggregators, ...(opening.arbiter === undefined ? [] : [opening.arbiter])];
    const statements = this.sign(
      (mspId): OpeningStatement => ({ type: 'sev/round-opening/v1', ...content, mspId }),
      forgery.signers ?? names.map(({ mspId }) => mspId),
    );
    const { openedProjections, chargedMicroRho, shownAttempts, fixedCohorts = 0 } = this.secure;
    const accused = accusedSoFar(this.secure, this.#rules);
    const rules = this.#rules === undefined ? {} : { rules: this.#rules };
    const kept = { openedProjections, chargedMicroRho, shownAttempts, fixedCohorts, accused, ...rules };
    const { validations } = opening;
    const validated = validations === undefined ? {} : { validated: validatedBase(validations, this.heard()) };
    this.secure = { ...emptyRound(), opening, openingHash: hash, ...validated, ...this.drawn(), ...kept };
    this.closedAtMs = undefined;
    const argument = { ...this.attemptRef(), baseModelHash: this.base, opening, statements };
    const isFirst = this.attempt === 1 && forgery.writes === undefined && !this.claimsBases;
    const base = isFirst ? this.baseRecord(this.roundTask.taskId, this.base) : {};
    const writes = { ...base, ...this.besides('open') };
    return this.#step('OpenRound', 'open', argument, writes, forgery, undefined);
  }

  closeSecurely(forgery: Forgery = {}): this {
    const statements = this.sign((mspId) => ({ type: 'sev/close-round/v1', ...this.ref(), mspId }), MAJORITY);
    this.closedAtMs = NOW;
    return this.#step('CloseRound', 'closed', { ...this.attemptRef(), statements }, {}, forgery, undefined);
  }

  /** Opened, recorded, closed. */
  closedRound(reporters: readonly Reporter[] = this.reporters): this {
    return this.openSecurely().recordUpdates(reporters).closeSecurely();
  }

  /** @param lacking - indices of recorded vehicles that an aggregator says it does not hold. */
  fix(
    forgery: Forgery & {
      readonly reporters?: readonly Reporter[];
      readonly lacking?: Readonly<Record<string, readonly number[]>>;
      readonly cohort?: readonly Reporter[];
      readonly contradicted?: readonly string[];
      readonly holders?: readonly string[];
    } = {},
  ): this {
    const { reporters = this.reporters, lacking = {}, contradicted = [], holders = AGGREGATORS } = forgery;
    const { cohort = reporters } = forgery;
    const recordedHash = cohortHash(reporters.map(memberOf));
    const holdings = holders.map((mspId) => {
      const held = encodeBitmap(reporters.map((_, index) => lacking[mspId]?.includes(index) !== true));
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...this.ref(), mspId, recordedHash, held };
      return { mspId, held, signature: this.signOne(mspId, statement) };
    });
    const members = cohort.map(memberOf);
    const hash = cohortHash(members);
    const content = { ...this.ref(), recordedHash, cohortHash: hash, holders: [...holders] };
    const statements = this.sign(
      (mspId): CohortStatement => ({ type: 'sev/fix-cohort/v1', ...content, mspId }),
      forgery.signers ?? (this.#rules === undefined ? [] : MAJORITY),
    );
    const openedProjections = this.secure.openedProjections + openedNumbers(this.terms);
    const size = members.length;
    const fixed = {
      holders,
      contradicted,
      cohortHash: hash,
      cohortSize: size,
      openedProjections,
      ...this.losses(reporters),
    };
    this.secure = { ...this.secure, ...fixed, fixedCohorts: (this.secure.fixedCohorts ?? 0) + 1 };
    const record = { docType: 'cohort', schemaVersion: 1, ...this.attemptRef(), members };
    const writes = { [`cohort/${this.place()}`]: record };
    return this.#step('FixCohort', 'cohort', { ...this.attemptRef(), holdings, statements }, writes, forgery);
  }

  score(
    forgery: Forgery & {
      readonly lies?: Lies<string>;
      readonly answering?: readonly string[];
      /** The projections that attesters were shown. */
      readonly attested?: ScoreRound['projections'];
      readonly weights?: readonly number[];
      readonly reasons?: Scores['reasons'];
      /** What scores say beside weights. */
      readonly judgement?: Partial<Scores>;
    } = {},
  ): this {
    const { cohortHash: hash = '', cohortSize = 0, holders = [] } = this.secure;
    const nonces = this.nonces();
    const seed = this.seed();
    const noiseSeeds = this.secure.opening.aggregators.map(
      ({ mspId }) => this.#noise.get(mspId)?.[openedCandidate(seed, mspId)] ?? [],
    );
    const judgement = forgery.judgement ?? this.judgement();
    const { references } = judgement;
    const projections =
      this.terms.projections === 0 ? [] : this.projections(forgery.answering ?? holders, forgery.lies, references);
    const weights = forgery.weights ?? Array.from({ length: cohortSize }, () => this.classWeight());
    const scores: Scores = {
      ...this.attemptRef(),
      cohortHash: hash,
      weights: [...weights],
      reasons: [...(forgery.reasons ?? [])],
      ...judgement,
    };
    this.scores = scores;
    const noise = this.terms.dp === undefined ? {} : { noiseSeeds };
    const evidence = { nonces, projections: forgery.attested ?? projections, ...noise };
    const attested = { scoresHash: scoresHash(scores), projectionsHash: projectionsHash(evidence) };
    const attestations = this.sign(
      (mspId): ScoresStatement => ({ type: 'sev/attest-scores/v2', ...this.ref(), ...attested, mspId }),
      forgery.signers ?? MAJORITY,
    );
    const scored = { ...basisOf(seed, references), scoresHash: attested.scoresHash };
    this.secure = { ...this.secure, ...scored, ...this.#projected(projections) };
    const argument = { nonces, projections, scores, attestations, ...noise };
    const record = { docType: 'scores', schemaVersion: 1, scores, attestations, projections, ...noise };
    return this.#step('ScoreRound', 'scored', argument, { [`scores/${this.place()}`]: record }, forgery);
  }

  commit(
    forgery: Forgery & {
      readonly answering?: readonly string[];
      readonly lies?: Lies<string[]>;
      /** Hash of each component's sum, one shard. */
      readonly sums?: readonly string[];
    } = {},
  ): this {
    const { answering = AGGREGATORS, lies, sums = this.holders.map((_, i) => sha256Hex(`sum ${String(i)}`)) } = forgery;
    const signed = this.sums(answering, lies, sums);
    const committed: SecureRound = {
      ...this.secure,
      sums: sums.map((hash) => [hash]),
      answeredBy: this.holders.map((holders) =>
        holders.filter((m) => answering.includes(m) && !this.secure.faulty.includes(m)),
      ),
      chargedMicroRho: this.secure.chargedMicroRho + Number(sumsMicroRho(this.roundTask)),
      shownAttempts: [...this.secure.shownAttempts, { round: this.number, attempt: this.attempt }],
    };
    this.secure = { ...committed, unverified: unverifiedComponents(committed) };
    const shown = { docType: 'shownSums', schemaVersion: 1, taskId: this.roundTask.taskId, baseModelHash: this.base };
    const writes = { [`shownSums/${this.base}`]: { ...shown, attempts: committed.shownAttempts } };
    return this.#step('CommitSums', 'aggregated', { ...this.attemptRef(), sums: signed }, writes, forgery);
  }

  dispute(
    state: RoundState,
    component: number,
    phase: DisputePhase,
    grounds: Partial<OpenDispute>,
    forgery: Forgery & { readonly said?: readonly Said[] } = {},
  ): this {
    const { disputes } = this.secure;
    const { at: openedAtMs = NOW } = forgery;
    const said = forgery.said ?? this.#said(component, phase, grounds);
    const basis = basisOf(this.seed(), grounds.references);
    const dispute = { component, phase, openedAtMs, said, ...(phase === 'projections' ? basis : {}) };
    this.secure = { ...this.secure, disputes: [...disputes, dispute] };
    const argument = { ...this.attemptRef(), component, phase, projections: [], sums: [], ...grounds };
    return this.#step('OpenDispute', state, argument, {}, forgery);
  }

  settle(
    state: RoundState,
    component: number,
    phase: DisputePhase,
    faulty: readonly string[],
    forgery: Forgery & { readonly signer?: string } = {},
  ): this {
    const content = { ...this.ref(), mspId: 'DMSP', component, phase, faulty };
    const statement: VerdictStatement = { type: 'sev/verdict/v1', ...content };
    const signature = this.signOne(forgery.signer ?? 'DMSP', statement);
    const settled: SecureRound = {
      ...this.secure,
      disputes: this.secure.disputes.map((d) =>
        d.component === component && d.phase === phase ? { ...d, faulty } : d,
      ),
      faulty: [...new Set([...this.secure.faulty, ...faulty])].sort(),
    };
    this.secure = settled.sums === undefined ? settled : { ...settled, unverified: unverifiedComponents(settled) };
    const argument = { ...this.attemptRef(), component, phase, faulty, signature };
    return this.#step('SettleDispute', state, argument, {}, forgery);
  }

  finaliseSecurely(forgery: Forgery & { readonly proposal?: Partial<Proposal> } = {}): this {
    const signers = forgery.signers ?? MAJORITY;
    const { proposal, attestations, writes } = this.proposed(this.secure, forgery.proposal, signers);
    const record = { ...forgery.record, proposal, attestations };
    const argument = { proposal, attestations };
    return this.#step(
      'FinaliseRound',
      'finalised',
      argument,
      { ...writes, ...this.besides('finalised') },
      {
        ...forgery,
        record,
      },
    );
  }

  /** After the end of a round: the next one works from its model, with what is left of the budgets. */
  nextRound(): this {
    const { openedProjections, chargedMicroRho } = this.secure;
    this.base = madeIn(this.number);
    this.number += 1;
    this.attempt = 0;
    this.secure = { ...emptyRound(), openedProjections, chargedMicroRho };
    return this;
  }

  /** Records that are written beside a round's as it is opened or becomes final. */
  protected besides(_state: 'open' | 'finalised'): Readonly<Record<string, Record_>> {
    return {};
  }

  /** What scores say beside weights. */
  protected judgement(): Partial<Scores> {
    return {};
  }

  /** @param forgery - with `accused`, for false noise; with `silent`, for a dispute without a verdict. */
  abortSecurely(
    forgery: Forgery & { readonly accused?: readonly string[]; readonly silent?: readonly string[] } = {},
  ): this {
    const { accused, silent } = forgery;
    const other = silent === undefined ? 'AGGREGATORS_MISSING' : 'DISPUTE_UNSETTLED';
    const reason: AbortReason = accused === undefined ? other : 'NOISE_FALSE';
    const why = { reason, ...(accused === undefined ? {} : { accused }) };
    const statements = this.sign(
      (mspId): AbortStatement => ({ type: 'sev/abort-round/v1', ...this.ref(), ...why, mspId }),
      forgery.signers ?? MAJORITY,
    );
    const names = [...new Set([...this.secure.accused, ...(accused ?? [])])].sort();
    this.secure = { ...this.secure, accused: names, ...(silent === undefined ? {} : { silent }) };
    const record = { abortReason: reason, ...forgery.record };
    const argument = { ...this.attemptRef(), ...why, statements };
    return this.#step('AbortRound', 'aborted', argument, {}, { ...forgery, record });
  }

  nonces(): string[][] {
    return this.secure.opening.aggregators.map(({ mspId }) => this.#nonces.get(mspId) ?? []);
  }

  seed(): string {
    return roundSeed(this.ref(), this.secure.cohortHash ?? '', this.nonces());
  }

  projections(
    answering: readonly string[],
    lies: Lies<string> = {},
    references?: readonly string[],
  ): ScoreRound['projections'] {
    const { cohortHash: hash = '' } = this.secure;
    const seed = this.seed();
    return answering.map((mspId) => {
      const components = { ...this.#held(mspId, (i) => sha256Hex(`projections ${String(i)}`)), ...lies[mspId] };
      const content = { ...this.ref(), mspId, cohortHash: hash, seed, components };
      const basis = references === undefined ? {} : { references };
      const statement: ProjectionsStatement = { type: 'sev/projections/v1', ...content, ...basis };
      return { mspId, components, signature: this.signOne(mspId, statement) };
    });
  }

  sums(
    answering: readonly string[],
    lies: Lies<string[]> = {},
    hashes: readonly string[] = this.holders.map((_, i) => sha256Hex(`sum ${String(i)}`)),
  ): CommitSums['sums'] {
    const { scoresHash: hash = '' } = this.secure;
    return answering.map((mspId) => {
      const components = { ...this.#held(mspId, (i) => [hashes[i] ?? '']), ...lies[mspId] };
      const content = { ...this.ref(), mspId, scoresHash: hash, components };
      const statement: SumsStatement = { type: 'sev/component-sums/v1', ...content };
      return { mspId, components, signature: this.signOne(mspId, statement) };
    });
  }

  classWeight(): number {
    return this.roundTask.aggregation.weightClasses[0]?.weight ?? 1;
  }

  #projected(projections: ScoreRound['projections']): Pick<SecureRound, 'projections' | 'projectedBy'> {
    if (this.terms.projections === 0) {
      return {};
    }
    const heard = projections.filter(({ mspId }) => !this.secure.faulty.includes(mspId));
    const answers = this.holders.map((_, i) => heard.filter(({ components }) => String(i) in components));
    return {
      projections: answers.map(([first], i) => first?.components[String(i)] ?? HASH('0')),
      projectedBy: answers.map((by) => by.map(({ mspId }) => mspId)),
    };
  }

  #said(component: number, phase: DisputePhase, { projections = [], sums = [] }: Partial<OpenDispute>): Said[] {
    const name = String(component);
    const opened = projections.map(({ mspId, components }): Said => {
      return { mspId, about: 'projections', hashes: [components[name] ?? ''] };
    });
    const summed = sums.map(({ mspId, components }): Said => {
      return { mspId, about: 'sums', hashes: components[name] ?? [] };
    });
    const taken = answersIn(this.secure).filter((answer) => answer.component === component);
    const onLedger = taken.flatMap(({ by, about, hashes }) => by.map((mspId): Said => ({ mspId, about, hashes })));
    return { projections: opened, sums: summed, audit: [...onLedger, ...summed] }[phase].filter(
      ({ hashes: [hash = ''] }) => hash !== '',
    );
  }

  #held<T>(mspId: string, content: (component: number) => T): Readonly<Record<string, T>> {
    const held = this.holders.flatMap((holders, i) =>
      holders.includes(mspId) ? [[String(i), content(i)] as const] : [],
    );
    return Object.fromEntries(held);
  }

  /** One transaction with the round's record as it should be, but for the forgery. */
  #step(
    name: string,
    state: RoundState,
    argument: Record_,
    writes: Readonly<Record<string, Record_>>,
    forgery: Forgery,
    since: number | undefined = this.secure.cohortHash === undefined ? undefined : NOW,
  ): this {
    const { at = NOW } = forgery;
    const record = this.round(state, {
      ...{ round: this.number, attempt: this.attempt, baseModelHash: this.base },
      privacy: this.roundTask.privacy,
      ...(this.closedAtMs === undefined ? {} : { closedAtMs: this.closedAtMs }),
      ...(since === undefined ? {} : { stateSinceMs: since }),
      secure: { ...this.secure, ...forgery.secure },
      ...forgery.record,
    });
    const all = { [`round/${String(this.number)}`]: record, ...writes, ...forgery.writes };
    this.submit(`learning:${name}`, { ...argument, ...forgery.argument }, all, { at });
    return this;
  }
}

function emptyRound(): SecureRound {
  const opening: RoundOpening = { aggregators: [] };
  return {
    ...{ opening, openingHash: '', openedProjections: 0, chargedMicroRho: 0 },
    ...{ shownAttempts: [], disputes: [], faulty: [], accused: [] },
  };
}
