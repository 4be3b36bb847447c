// SPDX-License-Identifier: Apache-2.0
import { Option, type Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import type { LearningKind } from '../vehicle/data.js';
import type { ValidationSource } from '../validation/validation-data.js';
import { TASK_KINDS, dataOf, kindDetails, type DataOptions } from './data-option.js';

/** What an organisation says of the data that it validates on. */
export interface ValidationOptions extends Omit<DataOptions, 'data'> {
  readonly validationData?: string;
  readonly kind: LearningKind;
}

export function validationOptions(command: Command): void {
  command.option(
    '--validation-data <file>',
    'CSV file of rows that no vehicle has: validates tasks that name the organisation, and gives them its direction',
  );
  command.addOption(new Option('--kind <kind>', 'what its rows are about').choices(TASK_KINDS).default('price'));
  kindDetails(command);
}

/** @throws SevError USAGE where options do not go together. */
export function validationDataOf({
  validationData,
  kind,
  ...options
}: ValidationOptions): ValidationSource | undefined {
  if (validationData === undefined) {
    return undefined;
  }
  const source = validationData.endsWith('.json')
    ? { source: 'file' as const, path: validationData }
    : dataOf(kind, { ...options, data: validationData });
  if (source.source !== 'file') {
    throw new SevError('USAGE', '--validation-data names a file', { exitCode: EXIT.usage });
  }
  return source;
}
