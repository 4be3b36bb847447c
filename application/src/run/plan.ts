// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { canonicalJson, LEAST_DRAWN, MOST_DRAWN, privacyMode } from '@sev/chaincode/api';
import { z } from 'zod';
import { parseFile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { readJson, writeJson } from '../store/files.js';
import { DEMAND_FORMS, type DataPlan } from '../vehicle/data.js';
import { SERVER_NAMES } from './task-defaults.js';
import { RULES } from './validation-plan.js';

const generated = { source: z.literal('generated'), rows: z.int(), seed: z.int() };
const file = { source: z.literal('file'), path: z.string() };
const demand = { kind: z.literal('demand'), form: z.enum(DEMAND_FORMS) };
const dataSource = z.union([
  z.strictObject({ ...generated, kind: z.literal('price').optional() }),
  z.strictObject({ ...file, kind: z.literal('price').optional() }),
  z.strictObject({ ...generated, ...demand }),
  z.strictObject({ ...file, ...demand }),
  z.strictObject({ ...file, kind: z.literal('table'), schema: z.string(), statistics: z.string().optional() }),
  z.strictObject({ ...file, kind: z.literal('statistics'), schema: z.string() }),
]);

/** Everything that decides a run, kept so that it can be resumed with one word. */
const runPlan = z.strictObject({
  schemaVersion: z.literal(1),
  taskId: z.string(),
  kind: z.enum(['price', 'demand', 'table', 'statistics']),
  data: dataSource,
  split: z.string(),
  seed: z.int(),
  vehicles: z.int().min(1),
  rounds: z.int().min(1),
  minimumCohort: z.int().min(1),
  /** Runs that were started before there were other modes. */
  privacy: privacyMode.default('plain'),
  epsilon: z.number().positive().optional(),
  /** Width of the ring that updates are shared in; absent: 32. */
  ringBits: z.literal(16).optional(),
  /** What local training and aggregation depart from the defaults in. */
  engine: z.enum(['tfjs']).optional(),
  server: z.enum(SERVER_NAMES).optional(),
  proximal: z.number().positive().optional(),
  /** Rounds without a better R² after which the run ends early. */
  patience: z.int().min(1).optional(),
  /** Rounds after which it ended early. */
  endedAfter: z.int().min(1).optional(),
  /** How weights follow from what is opened, in mode secure; absent in runs from before there was a choice: norm-scaling. */
  rule: z.enum(RULES).optional(),
  /** Vehicles that are drawn in each round to validate; absent, as in runs from before there was a choice: none. */
  validatingVehicles: z.union([z.literal(0), z.int().min(LEAST_DRAWN).max(MOST_DRAWN)]).optional(),
  /** Rows that are the validators' and no vehicle's. */
  validationRows: z.int().min(1).optional(),
  /** An exercise: some of the vehicles attack on purpose. */
  attack: z.strictObject({ name: z.string(), hostile: z.int().min(1), from: z.int().min(1).optional() }).optional(),
  /** Ids of the vehicles that take part; the position is the client of the split. */
  vehicleIds: z.array(z.string()),
  startedAt: z.iso.datetime(),
});
export type RunPlan = z.infer<typeof runPlan>;

export function dataPlan({
  data,
  split,
  vehicles,
  validationRows,
}: Pick<RunPlan, 'data' | 'split' | 'vehicles' | 'validationRows'>): DataPlan {
  return { data, split, clients: vehicles, ...(validationRows === undefined ? {} : { validationRows }) };
}

/** A task id that no other run has: `price-` and eight random hex digits. */
export function newTaskId(kind: string): string {
  return `${kind}-${randomBytes(4).toString('hex')}`;
}

function planPath(homes: string, taskId: string): string {
  return join(homes, 'runs', `${taskId}.json`);
}

export async function savePlan(homes: string, plan: RunPlan): Promise<void> {
  const path = planPath(homes, plan.taskId);
  await mkdir(resolve(path, '..'), { recursive: true });
  await writeJson(path, plan);
}

/** @returns undefined where no run of this task was started from these homes. */
export async function findPlan(homes: string, taskId: string): Promise<RunPlan | undefined> {
  const path = planPath(homes, taskId);
  const value = await readJson(path);
  return value === undefined ? undefined : parseFile(runPlan, path, value);
}

/**
 * Refuses other options for a task that a run was started with: the ledger keeps the first, and its plan is needed to
 * resume it.
 *
 * @throws SevError RUN_CONFLICT.
 */
export function assertSamePlan(earlier: RunPlan, plan: RunPlan): void {
  const decided = ({
    schemaVersion: _v,
    taskId: _id,
    vehicleIds: _ids,
    startedAt: _at,
    endedAfter: _end,
    validationRows: _rows,
    ...others
  }: RunPlan) => canonicalJson(Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)));
  if (decided(earlier) !== decided(plan)) {
    throw new SevError('RUN_CONFLICT', `A run of task ${plan.taskId} was started with other options`, {
      hint: `Go on with it by --resume ${plan.taskId}, or choose another --task-id.`,
      exitCode: EXIT.usage,
    });
  }
}

/** @throws SevError RUN_UNKNOWN. */
export async function loadPlan(homes: string, taskId: string): Promise<RunPlan> {
  const plan = await findPlan(homes, taskId);
  if (plan === undefined) {
    throw new SevError('RUN_UNKNOWN', `No run of task ${taskId} was started from ${homes}`, {
      hint: '`sev task list` names the tasks; give the options of the run with --task-id instead of --resume.',
      exitCode: EXIT.usage,
    });
  }
  return plan;
}
