// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { Command } from 'commander';
import { homeOf, inHome, organisationNamed, readConnectionProfile } from '../config/index.js';
import { attackOf, attackOptions, type AttackOptions } from './attack-options.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { SERVICE_NOTES, addressesOf, newLog, serve } from './serve.js';
import { validationDataOf, validationOptions, type ValidationOptions } from './validation-option.js';
import { PORT, pair, wholeNumber } from './values.js';

interface ListenOptions {
  readonly home?: string;
  readonly host?: string;
  readonly port?: number;
}
interface StoreOptions extends ListenOptions {
  readonly maxObjectBytes?: number;
}
interface OrganisationOptions extends ListenOptions {
  readonly org: string;
  readonly store: string;
}
interface AttesterOptions extends OrganisationOptions, ValidationOptions, AttackOptions {
  readonly aggregator?: Readonly<Record<string, string>>;
}
interface AggregatorOptions extends OrganisationOptions {
  readonly name?: readonly string[];
  readonly retention?: number;
}
interface BatcherOptions extends ListenOptions {
  readonly org: string;
  readonly maxWaiting?: number;
}
interface CoordinatorOptions extends OrganisationOptions, ValidationOptions {
  readonly task: string;
  readonly rounds?: number;
  readonly attester?: Readonly<Record<string, string>>;
  readonly aggregator?: Readonly<Record<string, string>>;
  readonly arbiter?: Readonly<Record<string, string>>;
}

const HOUR_MS = 3_600_000;

function listenOptions(command: Command, home: string): void {
  command.option('--home <folder>', `home of the service (default ${home})`);
  command.option('--host <address>', 'address to listen on (default 127.0.0.1)');
  command.option('--port <n>', 'port to listen on; 0 takes any free one', PORT, 0);
}

export function serviceCommands(program: Command, run: Runner): void {
  addStore(addGroup(program, 'store', 'the content-addressed store of models and updates'), run);
  addCoordinator(addGroup(program, 'coordinator', 'the program that drives rounds'), run);
  addBatcher(addGroup(program, 'batcher', "the program that collects vehicles' envelopes and has them recorded"), run);
  addAggregator(addGroup(program, 'aggregator', 'the program that holds shares of updates in secure rounds'), run);
  addAttester(addGroup(program, 'attester', 'the program that recomputes and attests rounds'), run);
}

function addStore(group: Command, run: Runner): void {
  addCommand<StoreOptions>(group, run, {
    usage: 'run',
    summary: 'serve models and updates by their hash over HTTP',
    examples: ['sev store run --port 8100', 'sev store run --home /srv/sev/store --json'],
    notes: SERVICE_NOTES,
    options: (command) => {
      listenOptions(command, '.sev/store');
      command.option('--max-object-bytes <n>', 'largest object that is taken', wholeNumber(1, 2 ** 31));
    },
    work: async (context, options) => {
      const home = homeOf('store', options.home);
      const { runStore } = await import('../services/run-store.js');
      const { host, port, maxObjectBytes } = options;
      const directory = join(home, 'objects');
      const log = await newLog('store');
      const service = await runStore({ directory, host, port, maxObjectBytes, log });
      await serve(context, 'store', home, service, log);
      return undefined;
    },
  });
}

function addAttester(group: Command, run: Runner): void {
  addCommand<AttesterOptions>(group, run, {
    usage: 'run',
    summary: 'sign statements about rounds after recomputing them',
    examples: ['sev attester run --org city --store http://127.0.0.1:8100'],
    notes: SERVICE_NOTES,
    options: (command) => {
      command.requiredOption('--org <name>', 'organisation that it speaks for');
      command.requiredOption('--store <url>', 'address of the store');
      validationOptions(command);
      command.option(
        '--aggregator <org=url>',
        'aggregator that opens disputed updates to it, with --validation-data; may be repeated',
        pair,
      );
      listenOptions(command, '.sev/<organisation>');
      attackOptions(command);
    },
    work: async (context, options) => {
      const attack = await attackOf(options, 'validator');
      const profile = await readConnectionProfile();
      const { name } = organisationNamed(profile, options.org);
      const home = homeOf(name, options.home);
      const { host, port, store: storeUrl } = options;
      const validationData = validationDataOf(options);
      const { runAttester } = await import('../services/run-attester.js');
      const log = await newLog('attester', name);
      const service = await runAttester({
        ...{ profile, organisation: name, home, storeUrl, host, port, validationData, attack, log },
        aggregators: addressesOf(options.aggregator),
      });
      await serve(context, 'attester', home, service, log);
      return undefined;
    },
  });
}

function addBatcher(group: Command, run: Runner): void {
  addCommand<BatcherOptions>(group, run, {
    usage: 'run',
    summary: "collect vehicles' envelopes and have them recorded in batches",
    examples: ['sev batcher run --org maker --port 8250'],
    notes:
      `${SERVICE_NOTES}\nIt may be killed at any point: envelopes that it took are in <home>/batcher until their round closes.\n` +
      "Vehicles name it with --batcher; any organisation's takes the envelopes of all.",
    options: (command) => {
      command.requiredOption('--org <name>', 'organisation that it works for');
      command.option(
        '--max-waiting <n>',
        'envelopes that may wait for the ledger (default 10000)',
        wholeNumber(1, 1_000_000),
      );
      listenOptions(command, '.sev/<organisation>');
    },
    work: async (context, options) => {
      const profile = await readConnectionProfile();
      const { name } = organisationNamed(profile, options.org);
      const home = homeOf(name, options.home);
      const { host, port, maxWaiting } = options;
      const { runBatcher } = await import('../services/run-batcher.js');
      const log = await newLog('batcher', name);
      const service = await runBatcher({ profile, organisation: name, home, maxWaiting, host, port, log });
      await serve(context, 'batcher', inHome.batcher(home), service, log);
      return undefined;
    },
  });
}

function addAggregator(group: Command, run: Runner): void {
  addCommand<AggregatorOptions>(group, run, {
    usage: 'run',
    summary: 'hold shares of updates, and open sums of them when the ledger shows that it is time',
    examples: ['sev aggregator run --org city --store http://127.0.0.1:8100 --port 8301'],
    notes: `${SERVICE_NOTES}\nIt serves HTTPS. It may be killed at any point: its keys and shares are in <home>/aggregator, for its owner only.\nIn tasks of mode he it is key holder, summer or mask holder, as the task says. A key holder's key is in memory only: killed before it has decrypted, it ends the attempt.`,
    options: (command) => {
      command.requiredOption('--org <name>', 'organisation that it speaks for');
      command.requiredOption('--store <url>', 'address of the store');
      command.option('--name <host...>', 'names that others reach it by, beside localhost and 127.0.0.1');
      command.option(
        '--retention <hours>',
        'how long shares are kept once nothing needs them (default 24); pending rewards and incidents do, for 30 days at most',
        wholeNumber(0, 87_600),
      );
      listenOptions(command, '.sev/<organisation>');
    },
    work: async (context, options) => {
      const profile = await readConnectionProfile();
      const { name } = organisationNamed(profile, options.org);
      const home = homeOf(name, options.home);
      const { host, port, store: storeUrl, name: names, retention } = options;
      const { runAggregator } = await import('../services/run-aggregator.js');
      const log = await newLog('aggregator', name);
      const retentionMs = retention === undefined ? undefined : retention * HOUR_MS;
      const base = { profile, organisation: name, home, storeUrl, host, port, log };
      const service = await runAggregator({ ...base, names, retentionMs });
      await serve(context, 'aggregator', inHome.aggregator(home), service, log);
      return undefined;
    },
  });
}

function addCoordinator(group: Command, run: Runner): void {
  addCommand<CoordinatorOptions>(group, run, {
    usage: 'run',
    summary: 'drive the rounds of a task from the state of the ledger',
    examples: [
      'sev coordinator run --org grid --task price-1 --store http://127.0.0.1:8100 \\',
      '    --attester city=http://127.0.0.1:8201 --attester maker=http://127.0.0.1:8202',
    ],
    notes: `${SERVICE_NOTES}\nIt may be killed at any point: started again, it goes on from the ledger. It ends after the last round.`,
    options: (command) => {
      command.requiredOption('--org <name>', 'organisation that it speaks for');
      command.requiredOption('--task <id>', 'task whose rounds it drives');
      command.requiredOption('--store <url>', 'address of the store');
      command.option('--rounds <n>', "last round (default: the task's planned rounds)", wholeNumber(1, 1_000_000));
      command.option('--attester <org=url>', "another organisation's attester; may be repeated", pair);
      command.option(
        '--aggregator <org=url>',
        'aggregator, for tasks in modes secure, dp and he; may be repeated',
        pair,
      );
      command.option('--arbiter <org=url>', 'attester of the organisation that settles disputes', pair);
      validationOptions(command);
      listenOptions(command, '.sev/<organisation>');
    },
    work: async (context, options) => {
      const profile = await readConnectionProfile();
      const { name } = organisationNamed(profile, options.org);
      const home = homeOf(name, options.home);
      const { host, port, store: storeUrl, task: taskId, rounds } = options;
      const attesters = addressesOf(options.attester);
      const aggregators = addressesOf(options.aggregator);
      const [arbiter] = addressesOf(options.arbiter);
      const validationData = validationDataOf(options);
      const { runCoordinator } = await import('../services/run-coordinator.js');
      const log = await newLog('coordinator', name);
      const base = { profile, organisation: name, home, storeUrl, host, port, log };
      const service = await runCoordinator({
        ...{ ...base, taskId, rounds, attesters, aggregators, arbiter, validationData },
      });
      await serve(context, 'coordinator', home, service, log);
      return undefined;
    },
  });
}
