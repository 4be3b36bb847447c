// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Option, type Command } from 'commander';
import type { AttackRequest } from '../attack/attack-order.js';
import { homeOf, inHome, organisationNamed, readConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import type { RunningService, ServiceLog } from '../services/index.js';
import type { TaskKind } from '../vehicle/data.js';
import { addCommand, addGroup, type CommandContext, type Runner } from './command.js';
import { TASK_KINDS, dataOf, dataOptions, type DataOptions } from './data-option.js';
import { validationDataOf, validationOptions, type ValidationOptions } from './validation-option.js';
import { PORT, SEED, pair, positive, wholeNumber } from './values.js';

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
interface AttesterOptions extends OrganisationOptions, ValidationOptions {
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
interface VehicleOptions extends DataOptions {
  readonly kind: TaskKind;
  readonly home?: string;
  readonly store: string;
  readonly batcher: Readonly<Record<string, string>>;
  readonly aggregator?: Readonly<Record<string, string>>;
  readonly task?: string;
  readonly generate?: number;
  readonly dataSeed?: number;
  readonly split: string;
  readonly validationRows?: number;
  readonly client: string;
  readonly plain?: boolean;
  readonly he?: boolean;
  readonly maxEpsilon?: number;
  readonly vehicle?: readonly string[];
  readonly lowMemory?: boolean;
  readonly workers?: number;
  readonly attack?: string;
  readonly hostile?: readonly string[];
  readonly attackSeed?: number;
}

const HOUR_MS = 3_600_000;

/** What every service says of itself in its help. */
const SERVICE_NOTES =
  'Runs until it is ended (Ctrl-C, SIGTERM). With --json it prints one line when it is ready:\n' +
  '{"ready":true,"service":…,"url":…,"pid":…}; the log is JSON lines on stderr (level: SEV_LOG_LEVEL, default info).';

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
    },
    work: async (context, options) => {
      const profile = await readConnectionProfile();
      const { name } = organisationNamed(profile, options.org);
      const home = homeOf(name, options.home);
      const { host, port, store: storeUrl } = options;
      const validationData = validationDataOf(options);
      const { runAttester } = await import('../services/run-attester.js');
      const log = await newLog('attester', name);
      const service = await runAttester({
        ...{ profile, organisation: name, home, storeUrl, host, port, validationData, log },
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
        'how long shares of a round that is over are kept (default 24)',
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

/** `sev vehicle run`; it belongs to the group of vehicle commands. */
export function addVehicleRun(group: Command, run: Runner): void {
  addCommand<VehicleOptions>(group, run, {
    usage: 'run',
    summary: 'let the vehicles of a home take part in rounds',
    examples: [
      'sev vehicle run --home car-7 --client 7/20 --data cars.csv --store http://127.0.0.1:8100 --batcher maker=http://127.0.0.1:8250',
      'sev vehicle run --pool --client 0/20 --generate 4000 --store … --batcher maker=… --batcher city=…',
    ],
    notes: `${SERVICE_NOTES}\nWithout --pool one vehicle runs; with it all of the home, or those named by --vehicle, in worker threads.`,
    options: (command) => {
      command.option('--home <folder>', 'home of the vehicle or pool (default .sev/fleet)');
      command.requiredOption('--store <url>', 'address of the store');
      command.requiredOption(
        '--batcher <org=url>',
        "update batcher; may be repeated, the vehicle's own is tried first",
        pair,
      );
      command.option(
        '--aggregator <org=url>',
        'aggregator, for tasks in modes secure, dp and he; may be repeated',
        pair,
      );
      command.requiredOption(
        '--client <i/K>',
        'which of K clients of the data it is, from 0; of a pool, the first one',
      );
      command.option(
        '--task <id>',
        'only this task, which its owner has agreed to (default: every one that it can train, whoever made it)',
      );
      command.option('--plain', 'take part in tasks of mode plain, too, in which updates are visible');
      command.option('--he', 'take part in tasks of mode he, too, in which two organisations in league see updates');
      command.option(
        '--max-epsilon <x>',
        'no task of mode dp whose whole budget is more, at δ = 1e-5 or less (default 10); tasks add up',
        positive,
      );
      command.addOption(
        new Option('--kind <kind>', 'what its data are about').choices([...TASK_KINDS, 'statistics']).default('price'),
      );
      dataOptions(command);
      command.option(
        '--generate <rows>',
        'generate that many rows instead of reading a file',
        wholeNumber(1, 1_000_000),
      );
      command.option('--data-seed <n>', 'seed of the generated rows', SEED);
      command.option('--split <name>', 'iid, or the column that divides the rows', 'iid');
      command.option(
        '--validation-rows <n>',
        "training rows that are no client's, but kept for validation",
        wholeNumber(1, 1_000_000),
      );
      command.option('--pool', 'run all vehicles of the home');
      command.option('--vehicle <id...>', 'only these vehicles, in the order of their clients');
      command.option('--attack <name>', 'for exercises: attack on purpose (see `sev attack list`)');
      command.option('--hostile <id...>', 'with --attack: only these vehicles attack, in concert (default: all)');
      command.option('--attack-seed <n>', 'what hostile vehicles draw follows from it', SEED, 0);
      command.option('--workers <n>', 'worker threads (default: one for each core)', wholeNumber(1, 1_024));
      command.option('--low-memory', 'for small devices: trains without worker threads, and keeps memory small');
    },
    work: async (context, options) => {
      if (options.lowMemory === true) {
        // Before the other modules are compiled.
        setFlagsFromString('--optimize-for-size');
        setFlagsFromString('--max-lazy');
      }
      const attack = await attackOf(options);
      const profile = await readConnectionProfile();
      const home = homeOf('fleet', options.home);
      const { runVehicle } = await import('../services/run-vehicle.js');
      const { first, clients } = clientOf(options.client);
      const log = await newLog('vehicle');
      const service = await runVehicle({
        profile,
        home,
        storeUrl: options.store,
        batchers: addressesOf(options.batcher),
        aggregators: addressesOf(options.aggregator),
        data: dataOf(options.kind, options, { rows: options.generate, seed: options.dataSeed }),
        split: options.split,
        validationRows: options.validationRows,
        clients,
        firstClient: first,
        vehicleIds: options.vehicle,
        taskId: options.task,
        plain: options.plain,
        he: options.he,
        maxEpsilon: options.maxEpsilon,
        workers: options.workers,
        lowMemory: options.lowMemory,
        attack,
        log,
      });
      await serve(context, 'vehicle', home, service, log);
      return undefined;
    },
  });
}

/** @throws SevError ATTACK_UNKNOWN, ATTACK_UNSUITED */
async function attackOf(options: VehicleOptions): Promise<AttackRequest | undefined> {
  const { attack: name, hostile, attackSeed: seed } = options;
  if (name === undefined && hostile !== undefined) {
    throw new SevError('USAGE', '--hostile says who runs the attack that --attack names', { exitCode: EXIT.usage });
  }
  if (name === undefined) {
    return undefined;
  }
  const { knownAttack } = await import('../attack/attack-order.js');
  knownAttack(name, 'vehicle');
  return { name, vehicleIds: hostile, seed };
}

/** What `--attester org=url` and the like name. */
function addressesOf(named: Readonly<Record<string, string>> = {}): { organisation: string; url: string }[] {
  return Object.entries(named).map(([organisation, url]) => ({ organisation, url }));
}

function clientOf(text: string): { first: number; clients: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const first = Number(match?.[1]);
  const clients = Number(match?.[2]);
  if (match === null || !(first < clients)) {
    throw new SevError('USAGE', `--client ${text}: it must have the form i/K with i below K`, { exitCode: EXIT.usage });
  }
  return { first, clients };
}

async function newLog(service: string, organisation?: string) {
  const { pino } = await import('pino');
  const level = process.env['SEV_LOG_LEVEL'] ?? 'info';
  const base = organisation === undefined ? { service } : { service, organisation };
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

/** Says that the service is ready, then lives until it ends by itself, is told to, or fails. */
async function serve(
  context: CommandContext,
  name: string,
  home: string,
  service: RunningService,
  log: ServiceLog,
): Promise<void> {
  const signal = context.signal();
  const stop = (): void => {
    // A failure while closing also rejects `done`, which is what is reported.
    service.close().catch(() => undefined);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (process.env['SEV_STOP_WITH_STDIN'] === '1') {
    // The program that started this one holds the other end: it closes when that one dies.
    process.stdin.once('end', stop).once('error', stop).resume();
  }
  const { writeJson, makePrivateDirectory } = await import('../store/files.js');
  const ready = {
    ready: true,
    service: name,
    ...(service.url === undefined ? {} : { url: service.url }),
    pid: process.pid,
  };
  await makePrivateDirectory(home);
  await writeJson(inHome.service(home), ready);
  const where = service.url === undefined ? '' : ` at ${service.url}`;
  context.terminal.answer(ready, `${name} is ready${where}; end it with Ctrl-C`);
  try {
    await service.done;
  } finally {
    process.stdin.pause();
    await service.close();
    log.info({}, 'ended');
  }
}
