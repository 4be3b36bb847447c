// SPDX-License-Identifier: Apache-2.0
import {
  componentsOf,
  openedCandidate,
  reportContext,
  sha256Hex,
  type CohortRecord,
  type RoundRecord,
  type SecureRound,
} from '@sev/chaincode/api';
import { noiseVector, parametersFromBytes, parametersToBytes } from '@sev/fl';
import { expect } from 'chai';
import { messageOf } from '../../errors.js';
import { errorCode } from '../../services/log.js';
import { attemptKey, attemptOf, type AttemptRef } from '../../services/attempt.js';
import type { CoordinatorSetup } from '../../testing/secure-bed-coordinator.js';
import { seedOfParts } from '../../services/opened-noise.js';
import { weightsOf } from '../../services/secure-scores.js';
import type { SecureBed } from '../../testing/secure-bed.js';
import { onDiskOf } from './secrets-of.js';

/** One attempt as the ledger last showed it, with its cohort where one was fixed. */
export interface Attempt {
  readonly round: RoundRecord;
  readonly members: CohortRecord['members'];
}

/** How a coordinator ends that cannot go on. */
const ENDS: readonly unknown[] = ['ROUND_GIVEN_UP', 'ROUND_CANNOT_OPEN'];

/** Runs a coordinator to the end of the bed's rounds, or until it says that it cannot go on. @returns why; '' at the end. */
export async function runToEnd(bed: SecureBed, setup: CoordinatorSetup = {}): Promise<string> {
  try {
    await bed.run(setup);
    return '';
  } catch (error) {
    if (!ENDS.includes(errorCode(error))) {
      throw error;
    }
    return messageOf(error);
  }
}

/** All attempts that were ever opened, in order, as their last transaction left them. */
export async function attemptsOf(bed: SecureBed): Promise<Attempt[]> {
  const last = new Map<string, RoundRecord>();
  for (const { result } of bed.ledger.transactions) {
    if (isRound(result)) {
      last.set(attemptKey(result), result);
    }
  }
  return Promise.all(
    [...last.values()].map(async (round) => ({
      round,
      members: round.secure?.cohortHash === undefined ? [] : (await bed.learning.cohort(attemptOf(round))).members,
    })),
  );
}

function isRound(result: unknown): result is RoundRecord {
  return (result as { docType?: unknown } | null)?.docType === 'round';
}

/** Indices of a cohort's vehicles. */
export function indicesOf(bed: SecureBed, { members }: Attempt): number[] {
  return members.map(({ vehicleId }) => bed.fleet.vehicles.findIndex((vehicle) => vehicle.vehicleId === vehicleId));
}

/**
 * The model that the integer sum of these vehicles' updates gives, computed without anything of the protocol: base +
 * (Σ aᵢ uᵢ + Σ noise) / (2^f Σ aᵢ), with the weights of the vehicles' classes.
 *
 * A vehicle has the weight of its class; all of them have the lower one where too few are in one of the two. Beside sums that
 * were shown before on the base, and where directions are judged, weights follow from more: then those on the ledger are taken.
 *
 * @param noises vectors that mode `dp` adds.
 */
export async function plainModel(
  bed: SecureBed,
  round: RoundRecord,
  indices: readonly number[],
  noises: readonly Int32Array[] = [],
): Promise<string> {
  const { aggregation, cohort, model, secure } = bed.task;
  const [light, heavy] = aggregation.weightClasses;
  const sizes = [0, 1].map((parity) => indices.filter((index) => index % 2 === parity).length);
  const isRare = sizes.every((size) => size > 0) && sizes.some((size) => size < cohort.minimum);
  const isBesideShown = (round.secure?.shownAttempts.length ?? 0) > 1;
  // What follows from directions is tested by itself.
  const isJudged = secure?.validation !== undefined;
  const attested = isBesideShown || isJudged ? await weightsOf(bed.learning, bed.task, round) : undefined;
  const weightOf = (index: number): number =>
    attested === undefined
      ? (index % 2 === 0 || isRare ? light! : heavy!).weight
      : attested.get(bed.fleet.vehicles[index]!.vehicleId)!.weight;
  const total = new Array<number>(model.parameters).fill(0);
  for (const index of indices) {
    bed.fleet.updateOf(index, round.round).forEach((value, i) => {
      total[i] = total[i]! + weightOf(index) * value;
    });
  }
  for (const noise of noises) {
    total.forEach((value, i) => (total[i] = value + noise[i]!));
  }
  const divisor = 2 ** secure!.fractionBits * indices.reduce((sum, index) => sum + weightOf(index), 0);
  const base = parametersFromBytes(await bed.store.get(round.baseModelHash), model.parameters);
  return sha256Hex(parametersToBytes(base.map((value, i) => value + total[i]! / divisor)));
}

/** Parts of the seed that an aggregator's noise really came from, by MSP id, where it committed itself to another. */
export type TrueSeeds = ReadonlyMap<string, readonly string[]>;

/**
 * The noise that a scored round adds: of each aggregator of its opening the candidate that was not opened, from the seed on
 * that aggregator's disk; none but in mode `dp`.
 */
async function noisesOf(bed: SecureBed, round: RoundRecord, trueSeeds: TrueSeeds): Promise<Int32Array[]> {
  const { aggregators: all, threshold, metrics, dp } = bed.task.secure!;
  if (dp === undefined) {
    return [];
  }
  const format = {
    holders: componentsOf(all.length, threshold),
    length: bed.task.model.parameters + metrics.length,
    deviation: dp.noiseDeviation,
  };
  const { opening, seed } = round.secure!;
  return Promise.all(
    opening.aggregators.map(async ({ mspId }) => {
      const used = openedCandidate(seed!, mspId) === 0 ? 1 : 0;
      const { secrets } = await onDiskOf(bed, mspId, round);
      const parts = trueSeeds.get(mspId) ?? secrets.noise![used].seedParts;
      const { taskId, attempt, baseModelHash } = round;
      const context = reportContext({
        ...{ consortium: bed.consortium.bootstrapHash, taskId, round: round.round, attempt, baseModelHash },
        reporter: `noise/${mspId}/${used}`,
      });
      return new Int32Array(noiseVector(seedOfParts(parts), { context, ...format }).buffer);
    }),
  );
}

/** Everybody whom the ledger names as having been wrong, in whatever way. */
export function namedBy(round: RoundRecord): string[] {
  const { faulty = [], contradicted = [], accused = [] }: Partial<SecureRound> = round.secure ?? {};
  return [...new Set([...faulty, ...contradicted, ...accused])].sort();
}

/**
 * Checks what must hold however a run went: a final model is exactly the weighted sum of its cohort and of the noise that was
 * committed to, nothing was opened but what the ledger had fixed, nobody honest is named, no vehicle was asked twice in an
 * attempt.
 *
 * @param liars who may be named.
 * @returns the last attempt.
 */
export async function expectSound(
  bed: SecureBed,
  liars: readonly string[] = [],
  trueSeeds: TrueSeeds = new Map(),
): Promise<Attempt> {
  const attempts = await attemptsOf(bed);
  for (const attempt of attempts) {
    const { round } = attempt;
    const honest = namedBy(round).filter((mspId) => !liars.includes(mspId));
    expect(honest, `named though honest in ${attemptKey(round)}`).to.deep.equal([]);
    if (round.state === 'finalised') {
      const noises = await noisesOf(bed, round, trueSeeds);
      const expected = await plainModel(bed, round, indicesOf(bed, attempt), noises);
      expect(round.proposal?.modelHash, 'the integer sum of the cohort, and of noise').to.equal(expected);
    }
    if (round.state !== 'finalised') {
      expect(round.state, attemptKey(round)).to.equal('aborted');
      expect(round.abortReason).to.be.a('string');
    }
  }
  expect(bed.fleet.trainings, 'trained once an attempt').to.have.length(new Set(bed.fleet.trainings).size);
  expectNothingElseOpened(bed, attempts);
  return attempts.at(-1)!;
}

/** Directions that validators may have shown: those of openings whose cohort was fixed. */
function directionsOf({ round }: Attempt): string[] {
  const { cohortHash: fixed, opening } = round.secure ?? {};
  return fixed === undefined ? [] : (opening?.validations ?? []).map(({ directionHash }) => directionHash);
}

/** The store holds ciphertexts, models, directions of fixed cohorts, sums that the ledger had committed before, and releases to the arbiter. */
function expectNothingElseOpened(bed: SecureBed, attempts: readonly Attempt[]): void {
  const sums = attempts.flatMap(({ round }) => round.secure?.sums?.flat() ?? []);
  const shown = attempts.some(({ round }) => round.secure?.sums !== undefined);
  const known = new Set([
    bed.task.model.initialModelHash,
    ...bed.fleet.sent.map(({ update }) => sha256Hex(update.bytes)),
    ...sums,
    ...bed.released,
    ...bed.planted,
    ...attempts.flatMap(({ round }) => round.proposal?.modelHash ?? []),
    ...attempts.flatMap(directionsOf),
  ]);
  const { parameters } = bed.task.model;
  const noiseBytes = 4 * (parameters + bed.task.secure!.metrics.length) + 16;
  const unknown = [...bed.store.objects].filter(
    ([hash, { length }]) =>
      !known.has(hash) &&
      !(bed.task.secure?.dp !== undefined && length === noiseBytes) &&
      // A model that was proposed and not attested follows from sums that were shown.
      !(shown && length === 4 * parameters),
  );
  expect(
    unknown.map(([hash]) => hash),
    'objects that nothing on the ledger accounts for',
  ).to.deep.equal([]);
}

/** Attempts in which a vehicle was asked to train. */
export function attemptsTrained(bed: SecureBed): Set<string> {
  return new Set(bed.fleet.trainings.map((entry) => entry.split(' ')[0]!));
}

export type { AttemptRef };
