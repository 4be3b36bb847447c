// SPDX-License-Identifier: Apache-2.0
import { groupsCountedAlike, type WeightedCohort } from './differencing';
import type { IncidentRecord } from './incidents';

/** What votes have opened of one update; written with the step that opened it. */
export interface OpenedUpdateRecord {
  readonly docType: 'openedUpdate';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly vehicleId: string;
  /** The incident whose votes opened it: no other one opens more. */
  readonly incidentId: string;
  /** Whether the update itself was opened, and not only projections of it. */
  readonly vectors: boolean;
}

/** What the steps of an incident have opened, one record a disputed attempt; none where no step opened anything. */
export function openedUpdatesOf({
  taskId,
  vehicleId,
  incidentId,
  disputed,
  decidedBy,
}: {
  readonly taskId: string;
  readonly vehicleId: string;
  readonly incidentId: string;
  readonly disputed: IncidentRecord['disputed'];
  readonly decidedBy: { readonly [step in 'projections' | 'vectors']?: readonly string[] | undefined };
}): readonly OpenedUpdateRecord[] {
  const vectors = decidedBy.vectors !== undefined;
  const records = disputed.map(({ round, attempt }): OpenedUpdateRecord => {
    const type = { docType: 'openedUpdate', schemaVersion: 1 } as const;
    return { ...type, taskId, round, attempt, vehicleId, incidentId, vectors };
  });
  return decidedBy.projections === undefined ? [] : records;
}

/**
 * Why an incident may not open an update: another one has. Each opening shows further numbers of it, and no budget but this
 * one bounds how many incidents there are.
 *
 * @param opened - of the attempts that it disputes.
 */
export function reopenedProblem(
  { vehicleId, incidentId }: Pick<IncidentRecord, 'vehicleId' | 'incidentId'>,
  opened: readonly Pick<OpenedUpdateRecord, 'vehicleId' | 'incidentId' | 'round'>[],
): string | undefined {
  const other = opened.find((one) => one.vehicleId === vehicleId && one.incidentId !== incidentId);
  return (
    other &&
    `the update of round ${other.round} was opened by ${other.incidentId}; another incident opens no more of it`
  );
}

/**
 * Why a vehicle's update in a sum may not be opened: the sum less what is known of it would be that of fewer others, counted
 * alike, than a cohort has at the least. Whose update counts nothing hides nobody.
 *
 * @param opened - vehicles whose updates in this sum were opened before.
 */
export function exposureProblem(
  vehicleId: string,
  sum: WeightedCohort,
  opened: ReadonlySet<string>,
  minimum: number,
): string | undefined {
  const group = groupsCountedAlike([sum]).find((vehicles) => vehicles.includes(vehicleId)) ?? [];
  const hidden = group.filter((other) => other !== vehicleId && !opened.has(other)).length;
  return group.length === 0 || hidden >= minimum
    ? undefined
    : `it would leave a sum of ${hidden} vehicles that count alike; the task needs ${minimum}`;
}
