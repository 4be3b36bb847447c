// SPDX-License-Identifier: Apache-2.0
import { Option, type Command } from 'commander';
import { seedFrom } from '../services/seed.js';
import type { LearningKind } from '../vehicle/data.js';
import type { ValidationSource } from '../validation/validation-data.js';
import { TASK_KINDS, dataOf, kindDetails, type DataOptions } from './data-option.js';
import { wholeNumber } from './values.js';

/** What an organisation says of the data that it validates on. */
export interface ValidationOptions extends Omit<DataOptions, 'data'> {
  readonly org: string;
  readonly validationData?: string;
  readonly validationGenerate?: number;
  readonly kind: LearningKind;
}

export function validationOptions(command: Command): void {
  command.option(
    '--validation-data <file>',
    'CSV file of rows that no vehicle has: validates tasks that name the organisation, and gives them its direction',
  );
  command.addOption(
    new Option(
      '--validation-generate <rows>',
      'the same on so many generated rows, other ones for each organisation: for tasks of generated data',
    )
      .argParser(wholeNumber(1, 1_000_000))
      .conflicts('validationData'),
  );
  command.addOption(new Option('--kind <kind>', 'what its rows are about').choices(TASK_KINDS).default('price'));
  kindDetails(command);
}

/** @throws SevError USAGE where options do not go together. */
export function validationDataOf({
  org,
  validationData,
  validationGenerate,
  kind,
  ...options
}: ValidationOptions): ValidationSource | undefined {
  if (validationGenerate !== undefined) {
    // Other rows than those of vehicles and of other organisations.
    return dataOf(kind, options, { rows: validationGenerate, seed: seedFrom(`sev/validation-rows/v1 ${org}`) });
  }
  if (validationData === undefined) {
    return undefined;
  }
  return validationData.endsWith('.json')
    ? { source: 'file', path: validationData }
    : dataOf(kind, { ...options, data: validationData });
}
