// SPDX-License-Identifier: Apache-2.0
import { hashOf } from './canonical';
import { TIME_MARGIN_MS, type Proposal, type RoundRecord, type Task, type UpdateRecord } from './learning';

/** More than half of n organisations. */
export function majorityOf(n: number): number {
  return Math.floor(n / 2) + 1;
}

/**
 * The time on the ledger's clock after which any single organisation may end an attempt: an open one after its deadline,
 * one in a later state when as long as a round takes has gone by since that state began, both with the margin for clocks.
 */
export function aloneAfterMs(
  round: Pick<RoundRecord, 'state' | 'deadlineMs'> & {
    readonly closedAtMs?: number | undefined;
    readonly stateSinceMs?: number | undefined;
  },
  task: Task,
): number {
  const since = round.state === 'closed' ? round.closedAtMs : round.stateSinceMs;
  return (since === undefined ? round.deadlineMs : since + task.deadlines.roundMs) + TIME_MARGIN_MS;
}

/**
 * Binds a set of recorded updates into one hash: SHA-256 over the canonical JSON of
 * [[vehicleId, updateHash, weightClass], …] sorted by vehicleId (ids are unique in a round).
 */
export function cohortHash(updates: readonly Pick<UpdateRecord, 'vehicleId' | 'updateHash' | 'weightClass'>[]): string {
  const rows = updates.map((u) => [u.vehicleId, u.updateHash, u.weightClass] as const);
  rows.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  return hashOf(rows);
}

/** What attestations are signed over. */
export function proposalHash(proposal: Proposal): string {
  return hashOf(proposal);
}

/** Parameters of a dense network with these layer widths: Σ (in + 1) · out. */
export function parameterCount(layers: readonly number[]): number {
  return layers.slice(1).reduce((sum, out, i) => sum + ((layers[i] ?? 0) + 1) * out, 0);
}

/** Parameters of a task's model: an LSTM has 4 · units · (features + units + 1) before those of the layers. */
export function modelParameters({ layers, lstm }: Pick<Task['model'], 'layers' | 'lstm'>): number {
  const recurrent = lstm === undefined ? 0 : 4 * lstm.units * (lstm.features + lstm.units + 1);
  return recurrent + parameterCount(layers);
}

/** The public weight class of n samples: the last whose minSamples ≤ n; undefined below the first. */
export function weightClassOf(task: Task, samples: number): number | undefined {
  const index = task.aggregation.weightClasses.findLastIndex((c) => c.minSamples <= samples);
  return index < 0 ? undefined : index;
}
