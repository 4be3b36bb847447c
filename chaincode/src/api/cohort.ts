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

/**
 * Components of committed sums that only one aggregator answers for whose word counts, and that the arbiter has not
 * recomputed: a verdict on projections says nothing of sums.
 */
export function unverifiedComponents(
  secure: Pick<SecureRound, 'answeredBy' | 'disputes' | 'faulty'>,
): readonly number[] {
  const recomputed = secure.disputes
    .filter(({ phase, faulty }) => phase !== 'projections' && faulty !== undefined)
    .map(({ component }) => component);
  return (secure.answeredBy ?? []).flatMap((by, component) => {
    const heard = by.filter((mspId) => !secure.faulty.includes(mspId)).length;
    return heard === 0 || (heard === 1 && !recomputed.includes(component)) ? [component] : [];
  });
}
