// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LEAST_DRAWN, type SecureTerms, type Task } from '@sev/chaincode/api';
import { DEFAULT_WEIGHT_RULE, pickRows, quarantineMilliOf, WEIGHT_RULES, type Dataset } from '@sev/fl';
import type { ConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { writeValidationData } from '../validation/validation-data.js';
import type { RunPlan } from './plan.js';

/** Names that `--rule` takes. */
export const RULES = Object.keys(WEIGHT_RULES) as SecureTerms['rule'][];

/** Most validators that a task may have. */
const MOST_VALIDATORS = 7;
/** Fewer vehicles are not judged by directions unless told so. */
const LEAST_JUDGED = 5;
/** Most vehicles that are drawn in a round unless told otherwise, and of how many of the fleet one is. */
const USUALLY_DRAWN = 5;
const VEHICLES_PER_DRAWN = 4;
/** Rows of each validator: more make the direction no better (docs/robustness.md). */
const ROWS_PER_VALIDATOR = 40;
const LEAST_ROWS_PER_VALIDATOR = 2;
/** Of a small table the validators together take no more than this part. */
const MOST_OF_TABLE = 1 / 20;

/** Earlier rounds by which vehicles that say the same are found. */
const PAST_ROUNDS = 10;
/** What a round pays out, one unit of account, and the rounds after which a reward is the vehicle's. */
const REWARDS = { poolMicro: 1_000_000, vestingRounds: 3 } as const;

/**
 * The rule of a task that does not say; undefined where nothing but sums is opened. Of four vehicles, of which three have to
 * count, one that is lowered wrongly is too many: in one round of fifteen nobody would count.
 */
export function defaultRule({
  privacy,
  ringBits,
  vehicles,
}: Pick<RunPlan, 'privacy' | 'ringBits' | 'vehicles'>): SecureTerms['rule'] | undefined {
  if (privacy !== 'secure' || ringBits !== undefined) {
    return undefined;
  }
  return vehicles < LEAST_JUDGED ? 'norm-scaling' : DEFAULT_WEIGHT_RULE;
}

/** True for rules that judge directions, and so need validators. */
export function needsValidators(rule: SecureTerms['rule'] | undefined): boolean {
  return rule !== undefined && WEIGHT_RULES[rule].needsReference;
}

/** MSP ids of the organisations that validate unless told otherwise: all, or as many as a task may have. */
export function defaultValidators({ organisations }: Pick<ConnectionProfile, 'organisations'>): string[] {
  return organisations
    .map(({ mspId }) => mspId)
    .sort()
    .slice(0, MOST_VALIDATORS);
}

/**
 * Vehicles that are drawn in each round to validate where nobody says how many; none where they would be too few to put
 * anything in doubt.
 *
 * @param vehicles of the fleet.
 */
export function defaultValidatingVehicles(vehicles: number): number {
  const drawn = Math.min(USUALLY_DRAWN, Math.floor(vehicles / VEHICLES_PER_DRAWN));
  return drawn < LEAST_DRAWN ? 0 : drawn;
}

/**
 * What a plan says of vehicles that are drawn.
 *
 * @param asked what the options say.
 * @param earlier the plan that the task was begun with: it keeps to it.
 */
export function plannedValidating(
  rule: SecureTerms['rule'] | undefined,
  vehicles: number,
  asked: number | undefined,
  earlier: Pick<RunPlan, 'validatingVehicles'> | undefined,
): Pick<RunPlan, 'validatingVehicles'> {
  const before = earlier === undefined ? defaultValidatingVehicles(vehicles) : earlier.validatingVehicles;
  const validatingVehicles = asked ?? before;
  return needsValidators(rule) && validatingVehicles !== undefined ? { validatingVehicles } : {};
}

/** Vehicles are drawn beside validators only. @throws SevError USAGE. */
export function insistOnValidating(
  rule: SecureTerms['rule'] | undefined,
  validatingVehicles: number | undefined,
): void {
  if (validatingVehicles !== undefined && validatingVehicles > 0 && !needsValidators(rule)) {
    throw new SevError('USAGE', '--validating-vehicles draws vehicles beside the validators of a task; here are none', {
      hint: 'It goes with --privacy secure and a rule that has organisations validate, from five vehicles on.',
      exitCode: EXIT.usage,
    });
  }
}

/**
 * What a task with validators has beside one without.
 *
 * @param validators MSP ids; none where the rule needs none.
 * @param vehicles of the fleet.
 * @param validatingVehicles of them that are drawn in each round.
 */
export function judgedBy(
  rule: SecureTerms['rule'] | undefined,
  validators: readonly string[],
  vehicles: number,
  validatingVehicles: number,
): {
  readonly terms: Pick<Partial<SecureTerms>, 'rule' | 'validation'>;
  readonly rewards?: NonNullable<Task['rewards']>;
} {
  if (rule === undefined) {
    return { terms: {} };
  }
  if (!needsValidators(rule)) {
    return { terms: { rule } };
  }
  const validation = {
    validators: [...validators],
    pastRounds: PAST_ROUNDS,
    quarantineMilli: quarantineMilliOf(vehicles),
    ...(validatingVehicles === 0 ? {} : { vehicles: validatingVehicles }),
  };
  return { terms: { rule, validation }, rewards: REWARDS };
}

/** Rows of a table that are the validators' in a run. @returns undefined where there are no validators. */
export function validationRowsOf(
  { rule }: Pick<RunPlan, 'rule'>,
  rows: number,
  validators: number,
): number | undefined {
  const least = LEAST_ROWS_PER_VALIDATOR * validators;
  const share = Math.max(least, Math.floor(rows * MOST_OF_TABLE));
  return needsValidators(rule) ? Math.min(ROWS_PER_VALIDATOR * validators, share) : undefined;
}

/** Where a run keeps what an organisation validates a task on. */
export function validationPath(homes: string, organisation: string, taskId: string): string {
  return join(homes, organisation, 'validation', `${taskId}.json`);
}

/**
 * Gives each validator its part of the rows that are kept for validation, as files in their homes.
 *
 * @returns the names of the organisations that have one.
 */
export async function shareValidationData(
  homes: string,
  { taskId, features, secure }: Task,
  { organisations }: Pick<ConnectionProfile, 'organisations'>,
  data: Dataset | undefined,
): Promise<ReadonlySet<string>> {
  const validators = secure?.validation?.validators ?? [];
  const names = organisations.filter(({ mspId }) => validators.includes(mspId)).map(({ name }) => name);
  if (names.length > 0 && data === undefined) {
    throw new SevError('VALIDATION_DATA_MISSING', `task ${taskId} has validators, and no rows are kept for them`);
  }
  for (const [part, name] of names.entries()) {
    const all = Array.from({ length: data?.rows ?? 0 }, (_, row) => row);
    const own = all.filter((row) => row % names.length === part);
    const path = validationPath(homes, name, taskId);
    await mkdir(dirname(path), { recursive: true });
    if (data !== undefined) {
      await writeValidationData(path, { features, data: pickRows(data, own) });
    }
  }
  return new Set(names);
}
