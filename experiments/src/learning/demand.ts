// SPDX-License-Identifier: Apache-2.0
import type { DemandForm } from '@sev/application';
import { HORIZONS, SESSION_SETS, hourTable, sessionTable, type LearningTable, type Personalised } from '@sev/fl';
import type { LearningData } from './data.js';
import { federate, meanOf } from './federate.js';

export interface DemandCase {
  readonly form: DemandForm;
  readonly split: 'location' | 'user';
  readonly rounds: number;
  /** Mean absolute error over all test rows, kWh: what is to be reached, null where nothing is. */
  readonly targets: { readonly before: number | null; readonly after: number | null };
}

export const DEMAND_CASES: readonly DemandCase[] = [
  { form: 'plug-in', split: 'location', rounds: 30, targets: { before: 5.2, after: 5.05 } },
  { form: 'plug-in', split: 'user', rounds: 50, targets: { before: null, after: 5.25 } },
  { form: 'departure', split: 'location', rounds: 30, targets: { before: null, after: null } },
  { form: 'departure', split: 'user', rounds: 50, targets: { before: null, after: null } },
  { form: 'next-hour', split: 'location', rounds: 10, targets: { before: null, after: 2.1 } },
  { form: 'day-ahead', split: 'location', rounds: 10, targets: { before: null, after: 3.3 } },
];

/** Mean absolute errors in kWh: over all test rows, over clients, over the tenth of the clients with the largest. */
export interface DemandErrors {
  readonly rows: number;
  readonly clients: number;
  readonly worstTenth: number;
}

export interface DemandRow extends DemandCase {
  readonly clients: number;
  /** Means over the seeds. */
  readonly before: DemandErrors;
  readonly after: DemandErrors;
}

/** A federation with the defaults of task `demand`, before and after each client's fine-tuning. */
export async function measureDemand(data: LearningData, one: DemandCase, seeds: readonly number[]): Promise<DemandRow> {
  const table = demandTable(data, one.form);
  const results: Personalised[] = [];
  for (const seed of seeds) {
    const { split, rounds } = one;
    results.push(await federate({ kind: 'demand', table, split, rounds: [rounds], seed }).fineTune());
  }
  const errors = (when: 'before' | 'after'): DemandErrors => ({
    rows: meanOf(results.map((result) => result[when].rows.mae)),
    clients: meanOf(results.map((result) => result[when].mean)),
    worstTenth: meanOf(results.map((result) => result[when].worstTenth)),
  });
  const clients = results[0]?.before.clients.length ?? 0;
  return { ...one, clients, before: errors('before'), after: errors('after') };
}

function demandTable({ sessions, powers }: LearningData, form: DemandForm): LearningTable {
  const set = SESSION_SETS.find((known) => known === form);
  const horizon = HORIZONS.find((known) => known === form);
  if (set !== undefined) {
    return sessionTable(sessions, set);
  }
  if (horizon !== undefined) {
    return hourTable(sessions, powers, horizon);
  }
  throw new RangeError(`no form ${form}`);
}
