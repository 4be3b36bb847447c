// SPDX-License-Identifier: Apache-2.0
import type { UpdateRecord } from './learning';
import { componentsOf, type ReceiptRecord, type SecureRound, type SecureTerms } from './secure';

/** For each component of a task's sharing the MSP ids of the aggregators that hold it, sorted. */
export function componentHolders(
  terms: Pick<SecureTerms, 'aggregators' | 'threshold'>,
): readonly (readonly string[])[] {
  const { aggregators, threshold } = terms;
  const nameOf = (index: number): string => aggregators[index] ?? '';
  return componentsOf(aggregators.length, threshold).map((holders) => holders.map(nameOf));
}

/**
 * Whom the attempts at a round have shown to be wrong: those that one was aborted for, and whom verdicts named of those who
 * contradicted each other. Whom only an audit named is not: the arbiter's word stands alone there, and no sum was shown.
 *
 * @param before - the attempt before, where there is one.
 * @param rules - those that the next one is opened under; under the first an audit counted like any verdict.
 * @returns MSP ids, sorted.
 */
export function accusedSoFar(
  before: Pick<SecureRound, 'accused' | 'faulty' | 'disputes'> | undefined,
  rules: SecureRound['rules'],
): readonly string[] {
  const { accused = [], faulty = [], disputes = [] } = before ?? {};
  const contradicted = disputes.flatMap(({ phase, faulty: named = [] }) => (phase === 'audit' ? [] : named));
  return [...new Set([...accused, ...(rules === undefined ? faulty : contradicted)])].sort();
}

/** Whom an audit named in an attempt. A coordinator that believes the arbiter opens the next one without them. */
export function auditedAsWrong({ disputes }: Pick<SecureRound, 'disputes'>): readonly string[] {
  const named = disputes.flatMap(({ phase, faulty = [] }) => (phase === 'audit' ? faulty : []));
  return [...new Set(named)].sort();
}

/**
 * The aggregators that a further attempt at a round is opened without: those that attempts before showed to be wrong
 * ({@link accusedSoFar}), as long as enough others remain.
 */
export function barredAggregators(
  { aggregators, threshold }: Pick<SecureTerms, 'aggregators' | 'threshold'>,
  accused: readonly string[],
): readonly string[] {
  const others = aggregators.filter((mspId) => !accused.includes(mspId));
  return others.length > threshold ? accused : [];
}

/** What one aggregator says that it holds: one bit a recorded update, in the order of the vehicles' ids. */
export interface Holdings {
  readonly mspId: string;
  readonly held: readonly boolean[];
}

/** The recorded updates whose shares every signing aggregator has. */
export interface CoveredUpdates<T> {
  readonly covered: readonly T[];
  /** Aggregators that gave a receipt for an update and now say that they do not hold it, sorted. */
  readonly contradicted: readonly string[];
}

/**
 * The updates that are in a cohort: every aggregator either holds a share or gave a receipt for it. So whoever gave a
 * receipt cannot censor its vehicle, and is named where it tries.
 *
 * @param updates - recorded in the attempt, sorted by vehicleId.
 * @param receipts - shown in the attempt.
 */
export function coveredUpdates<T extends Pick<UpdateRecord, 'vehicleId'>>(
  updates: readonly T[],
  holdings: readonly Holdings[],
  receipts: readonly Pick<ReceiptRecord, 'vehicleId' | 'mspId'>[],
): CoveredUpdates<T> {
  const given = new Set(receipts.map(({ vehicleId, mspId }) => `${mspId}/${vehicleId}`));
  const contradicted = new Set<string>();
  const covered = updates.filter(({ vehicleId }, index) => {
    const missing = holdings.filter(({ held }) => held[index] !== true).map(({ mspId }) => mspId);
    const denied = missing.filter((mspId) => given.has(`${mspId}/${vehicleId}`));
    denied.forEach((mspId) => contradicted.add(mspId));
    return denied.length === missing.length;
  });
  return { covered, contradicted: [...contradicted].sort() };
}
