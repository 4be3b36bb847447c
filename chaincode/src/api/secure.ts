// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { hashOf } from './canonical';
import { attemptNumber, hash, identifier, mspId, publicKey, roundNumber, signature, vehicleId } from './primitives';
import { signedBy, type NetworkBound, type SignedBy } from './signed';
import { evidence, validation, validationTerms, type DrawnLosses, type ValidatedBase } from './validation';

/**
 * Secure aggregation on the ledger. Updates are shared among n aggregators so that no t of them learn one; what they
 * open is fixed here beforehand: the cohort, then a few random projections, then one weighted sum a shard.
 *
 * A round in a secure mode goes `open → closed → cohort → scored → aggregated → finalised`, or `aborted`.
 */

/** Terms of secure aggregation, part of a task. All integers: the ledger holds no float. */
export const secureTerms = z.strictObject({
  /** The n aggregators, sorted, each once. A component is named by its index in {@link componentsOf}. */
  aggregators: z.array(mspId).min(3).max(7),
  /** Any t aggregators learn nothing, any t + 1 could open everything. n ≥ 2t + 1. */
  threshold: z.int().min(1).max(3),
  /** Bound C on an update's Euclidean norm, in thousandths: 4,000. */
  clipMilli: z.int().min(1).max(1_000_000),
  /** f: an update is multiplied by 2^f and rounded. */
  fractionBits: z.int().min(1).max(24),
  /** Width of the ring that updates are shared in; absent: 32. 16 only where nothing but sums is opened, without noise. */
  ringBits: z.union([z.literal(16), z.literal(32)]).optional(),
  /** Vehicles whose reports are added in one sum, at the most. */
  shardSize: z.int().min(1).max(1_024),
  /** Values that each vehicle adds to its update, summed with the same weights; see fl `metrics`. */
  metrics: z.array(z.enum(['loss', 'absolute-error', 'samples'])).max(8),
  /** K: random projections that are opened of each vehicle's update in a round; 0 opens none (`strict`). */
  projections: z.int().min(0).max(64),
  /** How weights follow from what is opened; see fl `WEIGHT_RULES`. Those that judge directions need {@link validation}. */
  rule: z.enum(['uniform', 'norm-scaling', 'trust', 'capped-trust', 'multi-krum', 'clustering']),
  /** Who gives the reference direction; one more number is opened of each update. */
  validation: validationTerms.optional(),
  /** Share of the model's dimension, in thousandths, that all opened projections of a task may reach. */
  openedShareMilli: z.int().min(1).max(1_000),
  /** How long an attester waits for receipts, on its clock, before it agrees to a cohort with vehicles left out. */
  receiptMs: z.int().min(0).max(600_000),
  /** Only in mode `dp`. */
  dp: z
    .strictObject({
      /** Standard deviation σ of each aggregator's discrete Gaussian noise, in units of the quantised update. */
      noiseDeviation: z.int().min(1).max(10_000_000),
      /** Budget ρ of zero-concentrated differential privacy for the whole task, in millionths. */
      budgetMicroRho: z.int().min(1).max(1_000_000_000_000),
      /** δ = 10^−k for the reported ε. */
      deltaExponent: z.int().min(1).max(30),
    })
    .optional(),
});
export type SecureTerms = z.infer<typeof secureTerms>;

/** Width of the ring that a task's updates are shared in. */
export function ringBitsOfTerms({ ringBits = 32 }: Pick<SecureTerms, 'ringBits'>): 16 | 32 {
  return ringBits;
}

/**
 * Components of (n, t) replicated sharing: one for each set of t aggregators that do not hold it, in lexicographic order
 * of the sets. For n = 3, t = 1: component i is held by all but aggregator i. (Ito, Saito, Nishizeki 1987)
 *
 * @returns for each component the indices of the n − t aggregators that hold it, ascending.
 */
export function componentsOf(aggregators: number, threshold: number): readonly (readonly number[])[] {
  const all = Array.from({ length: aggregators }, (_, index) => index);
  return subsets(all, threshold).map((without) => all.filter((index) => !without.includes(index)));
}

function subsets(items: readonly number[], size: number): number[][] {
  if (size === 0) {
    return [[]];
  }
  return items.flatMap((first, index) => subsets(items.slice(index + 1), size - 1).map((others) => [first, ...others]));
}

const hex32 = hash;

/** A report of noise, ready to be added. */
const noiseCandidate = z.strictObject({
  /** Root of the report's commitments. */
  root: hash,
  /**
   * {@link noiseLeaf}s of the parts of the seed that the report follows from (32 bytes, XOR of the parts), which others
   * hold as they hold the nonce's components: the seed can be shown whether or not its owner is there.
   */
  seedLeaves: z.array(hash).min(3).max(64),
});

/** What one aggregator commits itself to when a round opens. */
export const aggregatorOpening = z.strictObject({
  mspId,
  /** Round key that shares are sealed to: HPKE, DHKEM(P-256), as SubjectPublicKeyInfo in base64. */
  sealingKey: publicKey,
  /**
   * SHA-256 commitments to the components of its nonce (32 bytes, XOR of the components), one a component of the
   * task's sharing: {@link nonceLeaf}. Each other aggregator holds its components, so nobody can withhold a nonce.
   */
  nonceLeaves: z.array(hash).min(3).max(64),
  /** Mode `dp`: two candidates of noise, of which the nonces open one. */
  noise: z.tuple([noiseCandidate, noiseCandidate]).optional(),
});
export type AggregatorOpening = z.infer<typeof aggregatorOpening>;

/** Part of learning:OpenRound in a secure mode. At least t + 1 of the task's aggregators, sorted by MSP id. */
export const roundOpening = z.strictObject({
  aggregators: z.array(aggregatorOpening).min(2).max(7),
  /** Key of the organisation that settles disputes, not an aggregator; absent where it was not there. */
  arbiter: z.strictObject({ mspId, sealingKey: publicKey }).optional(),
  /** Where the task has validators: a majority's of those that are not set aside, sorted by MSP id. */
  validations: z.array(validation).min(1).max(7).optional(),
});
export type RoundOpening = z.infer<typeof roundOpening>;

interface RoundStatement extends NetworkBound {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly mspId: string;
}

/** Signed by every aggregator of an opening, once it holds its parts of the others' nonces and noise; and by the arbiter. */
export interface OpeningStatement extends RoundStatement {
  readonly type: 'sev/round-opening/v1';
  readonly baseModelHash: string;
  readonly openingHash: string;
}

/**
 * Signed by an aggregator for the others while an opening is prepared: they seal the components of their nonces and
 * noise to no other key. It never goes to the ledger, where the opening's own statements say the same.
 */
export interface PartStatement extends RoundStatement {
  readonly type: 'sev/opening-part/v1';
  readonly baseModelHash: string;
  readonly partHash: string;
}

/** An aggregator's word that a vehicle's shares are on its disk, given to the vehicle. */
export interface ReceiptStatement extends RoundStatement {
  readonly type: 'sev/share-receipt/v1';
  readonly vehicleId: string;
  /** The commitment root in the vehicle's envelope (`updateHash`). */
  readonly commitmentRoot: string;
}

/** What an aggregator holds of the updates that a closed round recorded. */
export interface HoldingsStatement extends RoundStatement {
  readonly type: 'sev/holdings/v1';
  /** `cohortHash` of all recorded updates. */
  readonly recordedHash: string;
  /** {@link encodeBitmap}: bit i is the i-th recorded update by vehicleId. */
  readonly held: string;
}

/**
 * An attester's word that the cohort may be fixed although vehicles, or aggregators of the opening, are left out: it has
 * waited for receipts and holdings.
 */
export interface CohortStatement extends RoundStatement {
  readonly type: 'sev/fix-cohort/v1';
  readonly recordedHash: string;
  /** `cohortHash` of the vehicles that remain. */
  readonly cohortHash: string;
  /** The aggregators whose holdings made it, sorted. */
  readonly holders: readonly string[];
}

/** Hashes of what an aggregator opens: for each component that it holds, all vehicles' projections. */
export interface ProjectionsStatement extends RoundStatement {
  readonly type: 'sev/projections/v1';
  readonly cohortHash: string;
  readonly seed: string;
  /** Validators whose directions make the reference, sorted; absent where the task has none. */
  readonly references?: readonly string[];
  readonly components: Readonly<Record<string, string>>;
}

/** What is projected on: the vectors that a seed gives, and the median of these validators' directions. */
export type Basis = Pick<ProjectionsStatement, 'seed' | 'references'>;

export function basisOf(seed: string, references: readonly string[] | undefined): Basis {
  return { seed, ...(references === undefined ? {} : { references }) };
}

/** An attester's word that these weights follow from what these aggregators opened. */
export interface ScoresStatement extends RoundStatement {
  readonly type: 'sev/attest-scores/v2';
  readonly scoresHash: string;
  /** {@link projectionsHash}: the same numbers as on the ledger, and not others that were shown to the attester alone. */
  readonly projectionsHash: string;
}

/** Hashes of an aggregator's weighted sums, for each component that it holds one hash a shard. */
export interface SumsStatement extends RoundStatement {
  readonly type: 'sev/component-sums/v1';
  readonly scoresHash: string;
  readonly components: Readonly<Record<string, readonly string[]>>;
}

/** The arbiter's verdict on what the ledger shows that aggregators said of a component, which it recomputed. */
export interface VerdictStatement extends RoundStatement {
  readonly type: 'sev/verdict/v1';
  readonly component: number;
  readonly phase: DisputePhase;
  /** Aggregators whose word on this component was wrong, sorted; none where all was right. */
  readonly faulty: readonly string[];
}

const roundRef = { taskId: identifier, round: roundNumber, attempt: attemptNumber };
const bitmap = z.string().regex(/^[A-Za-z0-9_-]{0,200000}$/, 'a bitmap in base64url');
const componentIndex = z.string().regex(/^(0|[1-9]\d?)$/, 'index of a component');

/** learning:ShowReceipts — while a round is open or closed, by whoever has them. */
export const showReceipts = z.strictObject({
  ...roundRef,
  receipts: z.array(z.strictObject({ vehicleId, mspId, signature })).min(1).max(100),
});
export type ShowReceipts = z.infer<typeof showReceipts>;

/**
 * learning:FixCohort — closed → cohort. In the cohort are the recorded vehicles that every signing aggregator holds or
 * gave a receipt for. At least t + 1 aggregators sign, and a majority agrees by its {@link CohortStatement}s, whenever: nobody
 * fixes a cohort alone.
 */
export const fixCohort = z.strictObject({
  ...roundRef,
  holdings: z
    .array(z.strictObject({ mspId, held: bitmap, signature }))
    .min(2)
    .max(7),
  statements: z.array(signedBy).max(64),
});
export type FixCohort = z.infer<typeof fixCohort>;

/**
 * Why a vehicle counts less than its class; fl `WeightReason` says what each means. `EVENED`: so that nobody stands apart.
 */
export const weightReason = z.enum([
  'NORM_SCALED',
  'RANGE_EXCEEDED',
  'NORM_EXCEEDED',
  'DIRECTION_OPPOSED',
  'TRUST_LOW',
  'SIMILAR',
  'OUTVOTED',
  'DISTRUSTED',
  'EVENED',
]);

/** One weight a vehicle of the cohort, in the order of their ids. */
export const scores = z.strictObject({
  ...roundRef,
  cohortHash: hash,
  /** Integer weights: at most the weight of the vehicle's class, 0 leaves it out. */
  weights: z.array(z.int().min(0).max(64)).max(100_000),
  /** Why a weight is below the class's; sorted by vehicleId. */
  reasons: z.array(z.strictObject({ vehicleId, reason: weightReason })).max(100_000),
  /** The task's rule left too few for a sum to be shown: lengths alone were bounded, and the distrusted left out. */
  lengthsOnly: z.literal(true).optional(),
  /** Validators whose directions, all of them shown, made the reference; sorted. Absent where the task has none. */
  references: z.array(mspId).min(1).max(7).optional(),
  /** Of {@link references}, whose direction points away from the median of all; sorted. */
  astray: z.array(mspId).max(7).optional(),
  /**
   * Earlier finalised rounds whose projections counted when vehicles were compared with each other, ascending; of the
   * `pastRounds` before this one. Absent where none did.
   */
  past: z
    .array(z.strictObject({ round: roundNumber, attempt: attemptNumber }))
    .min(1)
    .max(32)
    .optional(),
  /** Present with {@link references}. */
  evidence: evidence.optional(),
});
export type Scores = z.infer<typeof scores>;

/** learning:ScoreRound — cohort → scored. */
export const scoreRound = z.strictObject({
  /** All nonces of the opening, in its order; each is opened by its components, whoever showed them. */
  nonces: z.array(z.array(hex32).min(3).max(64)).min(2).max(7),
  /** Mode `dp`: parts of the seeds of the candidates that the nonces choose, in the opening's order. */
  noiseSeeds: z.array(z.array(hex32).min(3).max(64)).max(7).optional(),
  /** Empty where K = 0. */
  projections: z.array(z.strictObject({ mspId, components: z.record(componentIndex, hash), signature })).max(7),
  scores,
  attestations: z.array(signedBy).min(1).max(64),
});
export type ScoreRound = z.infer<typeof scoreRound>;

const signedSums = z.strictObject({
  mspId,
  components: z.record(componentIndex, z.array(hash).min(1).max(100)),
  signature,
});

/**
 * learning:CommitSums — scored → aggregated. Only now may sums be shown. Whatever rests on one aggregator's word has been
 * audited before.
 */
export const commitSums = z.strictObject({ ...roundRef, sums: z.array(signedSums).min(2).max(7) });
export type CommitSums = z.infer<typeof commitSums>;

export const disputePhase = z.enum(['projections', 'sums', 'audit']);
export type DisputePhase = z.infer<typeof disputePhase>;

/**
 * learning:OpenDispute — while cohort or scored: releases one component to the arbiter. Shows two
 * aggregators' signed statements that contradict each other about it. Phase `audit` is for a component whose projections
 * or sums are one aggregator's word: the arbiter recomputes both. It shows the signed sums that are to be committed.
 * Holders that could still answer have their time first. In rounds that were opened under the first rules disputes are taken
 * while aggregated, too, and an audit needs no sums then.
 * A component is released once; a further dispute about it, in another phase, releases nothing.
 */
export const openDispute = z.strictObject({
  ...roundRef,
  phase: disputePhase,
  component: z.int().min(0).max(63),
  /** As in {@link scoreRound}: what the projections' seed follows from, as long as the round is not scored. */
  nonces: z.array(z.array(hex32).min(3).max(64)).max(7).optional(),
  /** What the projections were signed with, likewise. */
  references: z.array(mspId).min(1).max(7).optional(),
  projections: z.array(z.strictObject({ mspId, components: z.record(componentIndex, hash), signature })).max(7),
  sums: z.array(signedSums).max(7),
});
export type OpenDispute = z.infer<typeof openDispute>;

/** learning:SettleDispute — the arbiter's signed verdict. */
export const settleDispute = z.strictObject({
  ...roundRef,
  component: z.int().min(0).max(63),
  phase: disputePhase,
  faulty: z.array(mspId).max(7),
  signature,
});
export type SettleDispute = z.infer<typeof settleDispute>;

/** What an aggregator signed of a disputed component. */
export interface Said {
  readonly mspId: string;
  readonly about: 'projections' | 'sums';
  /** One hash of the projections, or one of each shard's sum. */
  readonly hashes: readonly string[];
}

export interface Dispute {
  readonly component: number;
  readonly phase: DisputePhase;
  readonly openedAtMs: number;
  /**
   * What the arbiter judges, and all that it judges: the statements that were shown, in phase `audit` with what the ledger
   * took. Projections before sums, each sorted by MSP id.
   */
  readonly said: readonly Said[];
  /** Phase `projections`: the seed of their vectors, which a round carries only once it is scored. */
  readonly seed?: string;
  /** Phase `projections`, where the task has validators: those whose directions make the reference, likewise. */
  readonly references?: readonly string[];
  /** Absent until the verdict. */
  readonly faulty?: readonly string[];
}

/** What a round in a secure mode carries beside the common fields. */
export interface SecureRound {
  readonly opening: RoundOpening;
  readonly openingHash: string;
  /** Where the task has validators: what their words about the base come to. */
  readonly validated?: ValidatedBase;
  /** Where the task draws vehicles: those that are asked for the base's loss on their own rows, in the order of the draw. */
  readonly drawn?: readonly string[];
  /** From the cohort on, where any of them gave its loss. */
  readonly drawnLosses?: DrawnLosses;
  /** Numbers opened of one vehicle's updates in this task so far ({@link openedNumbers}), all attempts counted, from fixing a cohort on. */
  readonly openedProjections: number;
  /** ρ charged in this task so far, aborted rounds too, in millionths. */
  readonly chargedMicroRho: number;
  /** Attempts on this base, of whatever round, whose sums may have been shown; their reports are burned. */
  readonly shownAttempts: readonly ShownAttempt[];
  /** Attempts at this round whose cohort was fixed, this one included; absent where earlier contracts opened it. */
  readonly fixedCohorts?: number;
  /** From the cohort on. Aggregators whose holdings counted. */
  readonly holders?: readonly string[];
  /** Aggregators that a receipt contradicted. */
  readonly contradicted?: readonly string[];
  readonly cohortHash?: string;
  readonly cohortSize?: number;
  readonly seed?: string;
  /** Where the task has validators: those whose directions make the reference, sorted. */
  readonly references?: readonly string[];
  readonly scoresHash?: string;
  /** Hash of each component's projections; absent where the task opens none. */
  readonly projections?: readonly string[];
  /** Aggregators that answered for the projections of each component; those of {@link faulty} do not count. */
  readonly projectedBy?: readonly (readonly string[])[];
  /** Hash of each shard's sum, by component. */
  readonly sums?: readonly (readonly string[])[];
  /** Aggregators that answered for the sums of each component; those of {@link faulty} do not count. */
  readonly answeredBy?: readonly (readonly string[])[];
  /**
   * From the sums on: components whose projections or sums only one aggregator answers for, and the arbiter does not; empty
   * until a later verdict takes somebody's word.
   */
  readonly unverified?: readonly number[];
  readonly disputes: readonly Dispute[];
  /** Aggregators that a verdict named: their word no longer counts in this attempt. */
  readonly faulty: readonly string[];
  /**
   * Aggregators whose noise was false in this attempt or one before it at this round, or whom verdicts on contradictions in
   * those before named; sorted. Under the first rules whom an audit named is among them, too.
   */
  readonly accused: readonly string[];
  /** Whose verdict a dispute waited for when the attempt was given up as `DISPUTE_UNSETTLED`. */
  readonly silent?: readonly string[];
  /**
   * The rules that the attempt was opened under; absent: the first, which let sums be shown that rest on one aggregator's
   * word, and openings go without an arbiter. The contract applies the present ones to whatever is under way.
   */
  readonly rules?: typeof SECURE_RULES;
}

/** See {@link SecureRound.rules}. */
export const SECURE_RULES = 2;

export interface ShownAttempt {
  readonly round: number;
  readonly attempt: number;
}

/** Which sums on one base model may have been shown: a task that comes back to a base finds what it owes there. */
export interface ShownSumsRecord {
  readonly docType: 'shownSums';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly baseModelHash: string;
  readonly attempts: readonly ShownAttempt[];
}

/** Written when the cohort is fixed: which vehicles, sorted, with their reports. */
export interface CohortRecord {
  readonly docType: 'cohort';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly members: readonly {
    readonly vehicleId: string;
    readonly updateHash: string;
    readonly weightClass: number;
  }[];
}

export interface ScoresRecord {
  readonly docType: 'scores';
  readonly schemaVersion: 1;
  readonly scores: Scores;
  readonly attestations: readonly SignedBy[];
  /** Which aggregator said what of its components; hashes only. */
  readonly projections: ScoreRound['projections'];
  readonly noiseSeeds?: ScoreRound['noiseSeeds'];
  /** What the shards follow from; a retry of the round keeps it only here. Absent in records of earlier contracts. */
  readonly seed?: string;
}

export interface ReceiptRecord {
  readonly docType: 'receipt';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly vehicleId: string;
  readonly mspId: string;
  readonly signature: string;
}

/** learning:GetCohort, GetScores; learning:ListReceipts takes what ListUpdates does and answers Page<ReceiptRecord>. */
export const getAttempt = z.strictObject(roundRef);

/** What an opening's statements are signed over. */
export function openingHash(opening: RoundOpening): string {
  return hashOf(opening);
}

/** What an aggregator's {@link PartStatement} is signed over. */
export function partHash(part: AggregatorOpening): string {
  return hashOf(part);
}

export function scoresHash(value: Scores): string {
  return hashOf(value);
}

/** Binds what weights follow from: who said what of its components, and what was shown to make the seed and the noise. */
export function projectionsHash({
  nonces,
  noiseSeeds = [],
  projections,
}: Pick<ScoreRound, 'nonces' | 'noiseSeeds' | 'projections'>): string {
  const said = projections.map(({ mspId, components }) => ({ mspId, components }));
  return hashOf({ type: 'sev/score-evidence/v1', nonces, noiseSeeds, projections: said });
}

/** Bits, least significant first in each byte, base64url. */
export function encodeBitmap(bits: readonly boolean[]): string {
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8));
  bits.forEach((bit, index) => {
    if (bit) {
      bytes[index >> 3] = (bytes[index >> 3] ?? 0) | (1 << (index & 7));
    }
  });
  return bytes.toString('base64url');
}

/** @returns undefined where the text is not the one encoding of that many bits. */
export function decodeBitmap(text: string, length: number): boolean[] | undefined {
  const bytes = Buffer.from(text, 'base64url');
  const bits = Array.from({ length }, (_, index) => (((bytes[index >> 3] ?? 0) >> (index & 7)) & 1) === 1);
  return encodeBitmap(bits) === text ? bits : undefined;
}

interface LeafPlace {
  readonly consortium: string;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
}

/** 32 random bytes need no salt. */
function leafOf(type: 'sev/nonce/v1' | 'sev/noise-seed/v1') {
  return ({ consortium, taskId, round, attempt }: LeafPlace, aggregator: string, component: number, value: string) =>
    hashOf({ type, consortium, taskId, round, attempt, aggregator, component, value });
}

/** Commitment to component i of an aggregator's nonce. */
export const nonceLeaf = leafOf('sev/nonce/v1');

/** Commitment to part i of the seed of one of an aggregator's candidates of noise. */
export const noiseLeaf = leafOf('sev/noise-seed/v1');

/** One of two candidates of noise is opened: were the other the same, the noise that is used would be known. */
export function areTwoCandidates(
  [first, second]: NonNullable<AggregatorOpening['noise']>,
  components: number,
): boolean {
  const areComplete = [first, second].every(({ seedLeaves }) => seedLeaves.length === components);
  const differ = first.seedLeaves.every((leaf, index) => leaf !== second.seedLeaves[index]);
  return areComplete && differ && first.root !== second.root;
}

/** The seed that nobody knew before the nonces were shown: of projections, and of which noise is opened. */
export function roundSeed(
  ref: { readonly consortium: string; readonly taskId: string; readonly round: number; readonly attempt: number },
  cohort: string,
  nonces: readonly (readonly string[])[],
): string {
  const { consortium, taskId, round, attempt } = ref;
  return hashOf({ type: 'sev/round-seed/v1', consortium, taskId, round, attempt, cohort, nonces });
}

/** Which of an aggregator's two noise candidates is opened and thrown away; the other is used. */
export function openedCandidate(seed: string, aggregator: string): 0 | 1 {
  return (Number.parseInt(hashOf({ type: 'sev/noise-choice/v1', seed, aggregator }).slice(0, 2), 16) & 1) as 0 | 1;
}

/** Binds whatever is derived for one report (expansion of seeds, commitments, sealing) to its place. */
export function reportContext(ref: {
  readonly consortium: string;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly baseModelHash: string;
  /** A vehicle's id, or `noise/<MSP id>/<candidate>`. */
  readonly reporter: string;
}): string {
  const { consortium, taskId, round, attempt, baseModelHash, reporter } = ref;
  return hashOf({ type: 'sev/report/v1', consortium, taskId, round, attempt, baseModelHash, reporter });
}

/**
 * Shards of a cohort: vehicles in the order of SHA-256(seed ‖ vehicleId), cut into ⌈size / shardSize⌉ shards of nearly
 * equal size. @returns indices into the cohort, for each shard ascending.
 */
export function shardsOf(
  vehicleIds: readonly string[],
  seed: string,
  shardSize: number,
): readonly (readonly number[])[] {
  const order = vehicleIds.map((id, index) => ({ index, key: hashOf({ type: 'sev/shard/v1', seed, id }) }));
  order.sort((a, b) => (a.key < b.key ? -1 : 1));
  const count = Math.ceil(vehicleIds.length / shardSize);
  return Array.from({ length: count }, (_, shard) => {
    const from = Math.floor((shard * order.length) / count);
    const to = Math.floor(((shard + 1) * order.length) / count);
    return order
      .slice(from, to)
      .map(({ index }) => index)
      .sort((a, b) => a - b);
  });
}
