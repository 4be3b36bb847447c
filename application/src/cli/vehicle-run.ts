// SPDX-License-Identifier: Apache-2.0
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { homeOf, readConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import type { TaskKind } from '../vehicle/data.js';
import { attackOf, attackOptions, type AttackOptions } from './attack-options.js';
import { addCommand, type Runner } from './command.js';
import { dataOf, dataOptions, kindOption, type DataOptions } from './data-option.js';
import { SERVICE_NOTES, addressesOf, newLog, serve } from './serve.js';
import { SEED, pair, positive, wholeNumber } from './values.js';

interface VehicleOptions extends DataOptions, AttackOptions {
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
  readonly validation: boolean;
  readonly workers?: number;
  readonly hostile?: readonly string[];
  readonly attackFrom?: number;
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
    notes:
      `${SERVICE_NOTES}\nWithout --pool one vehicle runs; with it all of the home, or those named by --vehicle, in worker threads.\n` +
      'Where the task that --task names is finished, it says so and ends.',
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
      kindOption(command, 'what its data are about');
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
      command.option(
        '--no-validation',
        "never say a base model's loss on the vehicle's own rows, though it is drawn to",
      );
      command.option('--pool', 'run all vehicles of the home');
      command.option('--vehicle <id...>', 'only these vehicles, in the order of their clients');
      attackOptions(command);
      command.option(
        '--attack-from <round>',
        'first round in which they attack (default 1)',
        wholeNumber(1, 1_000_000),
      );
      command.option('--hostile <id...>', 'with --attack: only these vehicles attack, in concert (default: all)');
      command.option('--workers <n>', 'worker threads (default: one for each core)', wholeNumber(1, 1_024));
      command.option('--low-memory', 'for small devices: trains without worker threads, and keeps memory small');
    },
    work: async (context, options) => {
      if (options.lowMemory === true) {
        // Before the other modules are compiled.
        setFlagsFromString('--optimize-for-size');
        setFlagsFromString('--max-lazy');
      }
      if (options.attack === undefined && options.hostile !== undefined) {
        throw new SevError('USAGE', '--hostile says who runs the attack that --attack names', { exitCode: EXIT.usage });
      }
      const attack = await attackOf(options, 'vehicle');
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
        validates: options.validation,
        attack: attack && { ...attack, vehicleIds: options.hostile, from: options.attackFrom },
        log,
      });
      await serve(context, 'vehicle', home, service, log);
      return undefined;
    },
  });
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
