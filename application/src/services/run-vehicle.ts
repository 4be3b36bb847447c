// SPDX-License-Identifier: Apache-2.0
import { vehicleId as vehicleIdSchema, type Task } from '@sev/chaincode/api';
import { attackOrder, unsuited, type AttackOrder, type AttackRequest } from '../attack/attack-order.js';
import { inHome } from '../config/homes.js';
import { organisationNamed, type ConnectionProfile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { openWallet } from '../identity/wallet.js';
import { learning } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { HttpStore } from '../store/http-store.js';
import { Fleet, type FleetOptions } from '../vehicle/fleet.js';
import type { DataSource } from '../vehicle/data.js';
import type { PooledVehicle } from '../vehicle/messages.js';
import { startPool } from '../vehicle/pool.js';
import { writeCost } from '../vehicle/round-cost.js';
import { readStatisticsFile } from '../vehicle/statistics-file.js';
import { reasonToAbstain, taskChoice } from '../vehicle/task-choice.js';
import { roundIfAny, taskIfAny, type LearningContract } from './rounds.js';
import { sharePoster } from './share-poster.js';
import { failureFields, silentLog, type ServiceLog } from './log.js';
import { newService, type RunningService } from './service.js';
import { spentOnStatistics, type StatisticsSpent } from './statistics.js';

export interface RunVehicleOptions {
  readonly profile: ConnectionProfile;
  /** Home of the vehicle, or of a pool of vehicles. */
  readonly home: string;
  readonly storeUrl: string;
  /** Update batchers by organisation (name or MSP id): vehicles try their own organisation's first. */
  readonly batchers: readonly { readonly organisation: string; readonly url: string }[];
  /** Aggregators of tasks in a secure mode, by organisation. */
  readonly aggregators?: readonly { readonly organisation: string; readonly url: string }[] | undefined;
  readonly data: DataSource;
  /** `iid` or a column. */
  readonly split: string;
  /** Number of clients K that the data is split into. */
  readonly clients: number;
  /** Which client the first vehicle is, from 0; the others follow. Default 0. */
  readonly firstClient?: number | undefined;
  readonly minRows?: number | undefined;
  /** Training rows that are no client's, but kept for validation; default none. */
  readonly validationRows?: number | undefined;
  /** Vehicles of the home that take part, in the order of their clients; default: all, sorted by id. */
  readonly vehicleIds?: readonly string[] | undefined;
  /** Only this task; default: every task that the vehicles can train. */
  readonly taskId?: string | undefined;
  /** See `FleetOptions`. */
  readonly plain?: boolean | undefined;
  /** See `FleetOptions`. */
  readonly he?: boolean | undefined;
  /** See `FleetOptions`. */
  readonly maxEpsilon?: number | undefined;
  /** Worker threads; default: one for each core, and no more than there are vehicles. */
  readonly workers?: number | undefined;
  /** See `PoolOptions`. */
  readonly lowMemory?: boolean | undefined;
  /** How long batchers are tried before a vehicle records its update itself; default 5 s. */
  readonly directAfterMs?: number | undefined;
  /** Whether vehicles that are drawn say how well a base model fits their rows; default true. */
  readonly validates?: boolean | undefined;
  /** For exercises: has vehicles attack on purpose. */
  readonly attack?: AttackRequest | undefined;
  readonly onTakenPart?: FleetOptions['onTakenPart'] | undefined;
  readonly log?: ServiceLog | undefined;
}

/**
 * Runs the vehicles of a home: they take part in every open round until the service is closed. Where the one task that is named
 * is finished, the service is idle.
 *
 * @throws SevError IDENTITY_MISSING, CLIENT_OUT_OF_RANGE, ORGANISATION_UNKNOWN, TASK_NOT_NAMED, STATISTICS_NOT_ON_LEDGER,
 *   ATTACK_UNKNOWN, ATTACK_UNSUITED, VEHICLE_NOT_HERE, with the code of what is wrong with the data, or of what
 *   {@link reasonToAbstain} has against the one task that is named.
 */
export async function runVehicle(options: RunVehicleOptions): Promise<RunningService> {
  const { profile, home, data, split, clients, minRows, validationRows, workers, lowMemory, validates } = options;
  const { log = silentLog } = options;
  insistOnNamedTask(options);
  const wallet = await openWallet(inHome.wallet(home));
  const vehicles = pooledVehicles(options, await wallet.list());
  const attack = attackOf(options, vehicles);
  const pool = await startPool({
    home,
    profile,
    vehicles,
    plan: {
      ...{ data, split, clients },
      ...(minRows === undefined ? {} : { minRows }),
      ...(validationRows === undefined ? {} : { validationRows }),
    },
    ...(workers === undefined ? {} : { workers }),
    lowMemory,
    validates,
    attack,
  });
  try {
    // The pool reads the ledger as its first vehicle.
    const session = await openSession({ profile, identity: await wallet.get(vehicles[0].vehicleId) });
    const { statistics, idle } = await checkedTask(session, options);
    const release = async (): Promise<void> => {
      session.close();
      await pool.close();
    };
    if (idle !== undefined) {
      return newService({ running: Promise.resolve(), end: () => undefined, release, idle });
    }
    const fleet = new Fleet({
      session,
      store: new HttpStore(options.storeUrl),
      pool,
      batchers: options.batchers.map(({ organisation, url }) => ({
        mspId: organisationNamed(profile, organisation).mspId,
        url: url.replace(/\/+$/, ''),
      })),
      postShare: sharePoster(options, session),
      hasAttackers: attack !== undefined,
      log,
      ...(options.taskId === undefined ? {} : { taskId: options.taskId }),
      ...(options.plain === undefined ? {} : { plain: options.plain }),
      ...(options.he === undefined ? {} : { he: options.he }),
      ...(options.maxEpsilon === undefined ? {} : { maxEpsilon: options.maxEpsilon }),
      ...(statistics === undefined ? {} : { statistics }),
      ...(options.directAfterMs === undefined ? {} : { directAfterMs: options.directAfterMs }),
      onTakenPart: (round, deliveries, cost) => {
        options.onTakenPart?.(round, deliveries, cost);
        // Who comes back to a round that has its updates trains nothing more, and what it cost stays written.
        const written = cost.vehicles === 0 ? Promise.resolve() : writeCost(home, round, cost);
        written.catch((error: unknown) => {
          log.warn(failureFields(error), 'what the round cost was not written');
        });
      },
    });
    return newService({
      running: fleet.run(),
      end: () => {
        fleet.end();
      },
      release,
    });
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** What vehicles report of their rows is the same in every task: the sums of two could be subtracted. */
function insistOnNamedTask({ data, taskId }: RunVehicleOptions): void {
  if (data.kind === 'statistics' && taskId === undefined) {
    throw new SevError('TASK_NOT_NAMED', 'vehicles report statistics to the one task that their owner has agreed to', {
      hint: 'Name it with --task.',
      exitCode: EXIT.usage,
    });
  }
}

/** Nobody is to find out from the rounds alone that a vehicle attacks on purpose. */
function attackOf(
  { attack, data, log = silentLog }: RunVehicleOptions,
  vehicles: readonly PooledVehicle[],
): AttackOrder | undefined {
  if (attack === undefined) {
    return undefined;
  }
  const order = attackOrder(attack, vehicles);
  if (data.kind === 'statistics') {
    throw unsuited(`${attack.name} is an attack on training; vehicles that report statistics do not train`);
  }
  const hostile = vehicles.filter(({ client }) => order.clients.includes(client)).map(({ vehicleId }) => vehicleId);
  log.warn({ attack: order.name, hostile }, `EXERCISE: these vehicles attack on purpose, by ${order.name}`);
  return order;
}

/**
 * Looks on the ledger at the statistics that the data are scaled by and at the task that is named, where it is there already.
 * Closes the session where one of them is not for these vehicles.
 *
 * @returns what the statistics have spent, and why there is nothing to do, where that is so.
 */
async function checkedTask(
  session: LedgerSession,
  options: RunVehicleOptions,
): Promise<{ readonly statistics: StatisticsSpent | undefined; readonly idle: string | undefined }> {
  const { data, taskId } = options;
  const contract = learning(session);
  try {
    const statistics =
      data.kind === 'table' && data.statistics !== undefined
        ? await spentOnStatistics(contract, await readStatisticsFile(data.statistics))
        : undefined;
    const task = taskId === undefined ? undefined : await taskIfAny(contract, taskId);
    const reason = task && reasonToAbstain(task, taskChoice({ ...options, statistics }));
    if (reason !== undefined) {
      throw reason;
    }
    return { statistics, idle: task && (await finishedText(contract, task)) };
  } catch (error) {
    session.close();
    throw error;
  }
}

/** Undefined where a round may still come. */
async function finishedText(contract: LearningContract, { taskId, plannedRounds }: Task): Promise<string | undefined> {
  const last = await roundIfAny(contract, { taskId, round: plannedRounds });
  return last?.state === 'finalised'
    ? `task ${taskId} is finished with round ${String(plannedRounds)}: there is nothing left to take part in`
    : undefined;
}

function pooledVehicles(options: RunVehicleOptions, labels: readonly string[]): [PooledVehicle, ...PooledVehicle[]] {
  const { home, clients, firstClient = 0 } = options;
  const vehicleIds = options.vehicleIds ?? labels.filter((label) => vehicleIdSchema.safeParse(label).success);
  const [first, ...others] = vehicleIds;
  if (first === undefined) {
    throw new SevError('IDENTITY_MISSING', `${home} holds no enrolled vehicle`, {
      hint: 'Enrol one with `sev vehicle enroll`.',
      exitCode: EXIT.usage,
    });
  }
  if (firstClient < 0 || firstClient + vehicleIds.length > clients) {
    const last = firstClient + vehicleIds.length - 1;
    throw new SevError(
      'CLIENT_OUT_OF_RANGE',
      `${String(vehicleIds.length)} vehicles would be clients ${String(firstClient)} to ${String(last)} of ${String(clients)}`,
      { hint: 'Split the data into at least as many clients as there are vehicles.', exitCode: EXIT.usage },
    );
  }
  return [
    { vehicleId: first, client: firstClient },
    ...others.map((vehicleId, index) => ({ vehicleId, client: firstClient + 1 + index })),
  ];
}
