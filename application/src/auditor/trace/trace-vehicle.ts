// SPDX-License-Identifier: Apache-2.0
import type { IncidentRecord, RewardStatement, StandingRecord, VehicleStatus } from '@sev/chaincode/api';
import { roundsOfVehicle, type RoundOfVehicle } from '../../incidents/suspected-rounds.js';
import { incidents, learning, registry, rewards } from '../../ledger/index.js';
import { errorCode } from '../../services/log.js';
import { collect, type ServiceSession } from '../../services/rounds.js';
import { identityOfVehicle, type TracedIdentity } from './identity.js';

/** What a vehicle did in one task. */
export interface TracedTask {
  readonly taskId: string;
  /** Updates on the ledger, those of attempts that came to nothing included. */
  readonly updates: number;
  /** Finalised rounds that it is part of, ascending: each has made a model. */
  readonly rounds: readonly RoundOfVehicle[];
  readonly standing?: StandingRecord;
  readonly rewards?: Omit<RewardStatement, 'entries'>;
}

/** All that a vehicle has touched. */
export interface VehicleTrace {
  readonly kind: 'vehicle';
  readonly identity: TracedIdentity;
  readonly statuses: readonly {
    readonly timestampMs: number;
    readonly txId: string;
    readonly status: VehicleStatus;
    readonly reason: string;
  }[];
  readonly tasks: readonly TracedTask[];
  readonly incidents: readonly IncidentRecord[];
}

type Session = Pick<ServiceSession, 'evaluate' | 'submit'>;

/** @throws LedgerError VEHICLE_UNKNOWN. */
export async function traceVehicle(session: Session, vehicleId: string): Promise<VehicleTrace> {
  const contract = registry(session);
  const identity = await identityOfVehicle(contract, vehicleId);
  const [history, tasks, all] = await Promise.all([
    collect(contract.vehicleHistory(vehicleId)),
    collect(learning(session).tasks()),
    collect(incidents(session).incidents()),
  ]);
  const statuses = history
    .reverse()
    .flatMap(({ timestampMs, txId, value }) =>
      value === null ? [] : [{ timestampMs, txId, status: value.status, reason: value.statusReason }],
    );
  const traced: TracedTask[] = [];
  for (const { task } of tasks) {
    traced.push(await traceInTask(session, task.taskId, vehicleId, task.rewards !== undefined));
  }
  return {
    kind: 'vehicle',
    identity,
    statuses: statuses.filter((one, index) => one.status !== statuses[index - 1]?.status),
    tasks: traced.filter(({ updates }) => updates > 0),
    incidents: all.filter((incident) => incident.vehicleId === vehicleId),
  };
}

async function traceInTask(session: Session, taskId: string, vehicleId: string, pays: boolean): Promise<TracedTask> {
  const contract = learning(session);
  const updates = (await collect(contract.vehicleUpdates(vehicleId, taskId))).length;
  if (updates === 0) {
    return { taskId, updates, rounds: [] };
  }
  const [rounds, standing, statement] = await Promise.all([
    roundsOfVehicle(contract, taskId, vehicleId),
    standingIfAny(session, taskId, vehicleId),
    pays ? rewards(session).statement(taskId, vehicleId) : undefined,
  ]);
  return {
    ...{ taskId, updates, rounds },
    ...(standing === undefined ? {} : { standing }),
    ...(statement === undefined ? {} : { rewards: withoutEntries(statement) }),
  };
}

/** @returns undefined where no finalised round holds evidence about it. */
async function standingIfAny(session: Session, taskId: string, vehicleId: string): Promise<StandingRecord | undefined> {
  try {
    return await learning(session).standing(taskId, vehicleId);
  } catch (error) {
    if (errorCode(error) === 'STANDING_UNKNOWN') {
      return undefined;
    }
    throw error;
  }
}

function withoutEntries({ entries: _entries, ...sums }: RewardStatement): Omit<RewardStatement, 'entries'> {
  return sums;
}
