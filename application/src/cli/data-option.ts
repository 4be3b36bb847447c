// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import { DEMAND_FORMS, type DataSource, type DemandForm, type LearningKind, type TaskKind } from '../vehicle/data.js';

/** Rows and seed of the data that ships with the product: about as many as the published figures' file has. */
const GENERATED_ROWS = { price: 4_000, demand: 6_000 } as const;
const GENERATED_SEED = 1;
const ROWS_PER_VEHICLE = 30;

export const TASK_KINDS: readonly LearningKind[] = ['price', 'demand', 'table'];

/** What a command says about its data. */
export interface DataOptions {
  readonly data?: string;
  readonly form: DemandForm;
  readonly schema?: string;
  readonly statistics?: string;
}

export function dataOptions(command: Command): void {
  command.option(
    '--data <file>',
    'CSV file: for price in the columns of a CarDekho file, for demand in those of Dataset1_charging_reports.csv, for table ' +
      'as the schema says (default: generated rows)',
  );
  kindDetails(command);
}

/** For what a task or vehicles are about. */
export function kindOption(command: Command, description: string): void {
  command.addOption(new Option('--kind <kind>', description).choices([...TASK_KINDS, 'statistics']).default('price'));
}

/** For what a task is about, where no data are read. */
export function kindOptions(command: Command): void {
  kindOption(command, 'what is learned, or statistics: what a schema leaves to them, in one round');
  kindDetails(command);
}

export function kindDetails(command: Command): void {
  command.addOption(
    new Option(
      '--form <what>',
      'of demand: energy of a session as known at plug-in or departure, or hourly demand of the next hour or day-ahead',
    )
      .choices(DEMAND_FORMS)
      .default('plug-in'),
  );
  command.option(
    '--schema <file>',
    'of table and statistics: JSON file that declares target, features and splits of the data',
  );
  command.option(
    '--statistics <file>',
    'of table: what `sev statistics run` wrote; scales the columns that declare a range',
  );
}

/** @throws SevError USAGE where options do not go together. */
export function dataOf(
  kind: TaskKind,
  options: DataOptions,
  generated: {
    readonly rows?: number | undefined;
    readonly seed?: number | undefined;
    /** Where no rows are named, there are enough for so many. */
    readonly vehicles?: number | undefined;
  } = {},
): DataSource {
  const { data, form, schema, statistics } = options;
  insistOnFit(kind, options);
  if (kind === 'table' || kind === 'statistics') {
    const file = { source: 'file' as const, path: resolve(data ?? ''), schema: resolve(schema ?? '') };
    return kind === 'statistics'
      ? { ...file, kind }
      : { ...file, kind, ...(statistics === undefined ? {} : { statistics: resolve(statistics) }) };
  }
  const { rows, seed = GENERATED_SEED, vehicles = 0 } = generated;
  const source =
    data === undefined
      ? {
          source: 'generated' as const,
          rows: rows ?? Math.max(GENERATED_ROWS[kind], ROWS_PER_VEHICLE * vehicles),
          seed,
        }
      : { source: 'file' as const, path: resolve(data) };
  return kind === 'demand' ? { ...source, kind, form } : source;
}

function insistOnFit(kind: TaskKind, { data, schema, statistics }: DataOptions): void {
  insistOnSchema(kind, schema, statistics);
  if (schema !== undefined && data === undefined) {
    throw new SevError('USAGE', `A task of kind ${kind} needs --data`, { exitCode: EXIT.usage });
  }
}

/** @throws SevError USAGE */
export function insistOnSchema(kind: TaskKind, schema: string | undefined, statistics?: string): void {
  const needed = kind === 'table' || kind === 'statistics';
  if (needed !== (schema !== undefined)) {
    const what = needed
      ? `A task of kind ${kind} needs --schema`
      : '--schema goes with tasks of kinds table and statistics, and with no other';
    throw new SevError('USAGE', what, {
      hint: 'A schema declares the columns of your own file: see docs/learning.md.',
      exitCode: EXIT.usage,
    });
  }
  if (statistics !== undefined && kind !== 'table') {
    throw new SevError('USAGE', '--statistics goes with a task of kind table', {
      hint: 'The features of other tasks have public scales.',
      exitCode: EXIT.usage,
    });
  }
}
