// SPDX-License-Identifier: Apache-2.0
import type { SecureTerms } from '@sev/chaincode/api';
import { Option, type Command } from 'commander';
import type { NamedChoice } from '../run/learning-task.js';
import { SERVER_NAMES } from '../run/task-defaults.js';
import { noneOrFrom, positive } from './values.js';

/** How a task is learned, beside its defaults. */
export type LearningOptions = NamedChoice & { readonly engine: 'dense' | 'tfjs' };

/** As fl `WEIGHT_RULES` has them; named here so that help does without loading it. */
const RULES = [
  'uniform',
  'norm-scaling',
  'trust',
  'capped-trust',
  'multi-krum',
  'clustering',
] as const satisfies readonly SecureTerms['rule'][];

export function ruleOption(command: Command): void {
  command.addOption(
    new Option(
      '--rule <name>',
      'in mode secure: how weights follow from what is opened; trust and capped-trust (the default) have organisations validate',
    ).choices(RULES),
  );
}

/** As the contract has them; named here so that help does without loading it. */
const LEAST_DRAWN = 3;
const MOST_DRAWN = 16;

export function validatingOption(command: Command): void {
  command.option(
    '--validating-vehicles <n>',
    "beside validators: vehicles drawn in each round to say the base model's loss on their own rows (default: a quarter, at most 5, and none of fewer than 12; 0: none)",
    noneOrFrom(LEAST_DRAWN, MOST_DRAWN),
  );
}

export function learningOptions(command: Command): void {
  command.addOption(
    new Option('--engine <name>', 'what vehicles train with').choices(['dense', 'tfjs']).default('dense'),
  );
  command.addOption(
    new Option('--server <optimiser>', "what a round's average does to the model (default: it is the model)").choices(
      SERVER_NAMES,
    ),
  );
  command.option('--proximal <mu>', 'pull of FedProx towards the model that training begins with', positive);
}
