// SPDX-License-Identifier: Apache-2.0
import { MAX_DISPUTED, type RoundRecord, type Task, type UpdateRecord } from '@sev/chaincode/api';
import { addSuspicion } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { mapConcurrently } from '../services/concurrency.js';
import { judgedVehicle, type JudgedVehicle } from '../services/judged-vehicle.js';
import { roundIfAny, collect, type LearningContract } from '../services/rounds.js';

/** A finalised round with a vehicle in its cohort, and what its scores say of it. */
export interface RoundOfVehicle extends JudgedVehicle {
  readonly round: number;
  readonly attempt: number;
  readonly updateHash: string;
  /** Base, and what the round made of it. */
  readonly baseModelHash: string;
  readonly modelHash: string;
}

/** Rounds looked up at a time. */
const AT_A_TIME = 8;

/** The finalised rounds of a task whose cohort a vehicle was in, ascending. */
export async function roundsOfVehicle(
  learning: LearningContract,
  taskId: string,
  vehicleId: string,
): Promise<RoundOfVehicle[]> {
  const [{ task }, updates] = await Promise.all([
    learning.task(taskId),
    collect(learning.vehicleUpdates(vehicleId, taskId)),
  ]);
  const found = await mapConcurrently(updates, AT_A_TIME, async (update) => {
    const record = await roundIfAny(learning, update);
    if (record?.attempt !== update.attempt || record.state !== 'finalised') {
      return undefined;
    }
    return record.secure === undefined ? byItsClass(task, record, update) : inCohort(learning, record, vehicleId);
  });
  return found.filter((one) => one !== undefined).sort((a, b) => a.round - b.round);
}

/** Where nothing is scored an update counts by its class, unless it was excluded. */
function byItsClass({ aggregation }: Task, record: RoundRecord, update: UpdateRecord): RoundOfVehicle {
  const { round, attempt, baseModelHash, proposal } = record;
  const isExcluded = proposal?.excluded.some(({ vehicleId }) => vehicleId === update.vehicleId) === true;
  const weight = aggregation.weightClasses[update.weightClass]?.weight ?? 0;
  return {
    ...{ round, attempt, updateHash: update.updateHash, baseModelHash, modelHash: proposal?.modelHash ?? '' },
    weight: isExcluded ? 0 : weight,
  };
}

async function inCohort(
  learning: LearningContract,
  record: RoundRecord,
  vehicleId: string,
): Promise<RoundOfVehicle | undefined> {
  const [{ members }, { scores }] = await Promise.all([learning.cohort(record), learning.scores(record)]);
  const index = members.findIndex((member) => member.vehicleId === vehicleId);
  const member = members[index];
  if (member === undefined) {
    return undefined;
  }
  const { round, attempt, baseModelHash, proposal } = record;
  return {
    ...{ round, attempt, updateHash: member.updateHash, baseModelHash, modelHash: proposal?.modelHash ?? '' },
    ...judgedVehicle(scores, vehicleId, index),
  };
}

/**
 * The rounds since the suspicion that the ledger accumulates was last nothing: those that have brought it to where it is. The
 * newest where they are more than an incident can dispute.
 */
export function sinceSuspicionRose<T extends Pick<RoundOfVehicle, 'suspicionMilli'>>(rounds: readonly T[]): T[] {
  let accumulated = 0;
  let from = 0;
  rounds.forEach(({ suspicionMilli = 0 }, index) => {
    accumulated = addSuspicion(accumulated, suspicionMilli);
    if (accumulated === 0) {
      from = index + 1;
    }
  });
  return rounds.slice(from).slice(-MAX_DISPUTED);
}

/**
 * What an incident disputes: the rounds that are named, else those since suspicion rose.
 *
 * @param named rounds of the task.
 * @throws SevError ROUNDS_UNSUITED naming one that the vehicle has no part in, SUSPICION_NONE where nothing is suspected.
 */
export function disputedRounds(
  rounds: readonly RoundOfVehicle[],
  named: readonly number[] | undefined,
): { readonly round: number; readonly attempt: number }[] {
  const chosen = named === undefined ? sinceSuspicionRose(rounds) : rounds.filter(({ round }) => named.includes(round));
  const stranger = named?.find((round) => !chosen.some((one) => one.round === round));
  if (stranger !== undefined) {
    throw new SevError('ROUNDS_UNSUITED', `the vehicle is in no cohort that finalised round ${String(stranger)}`, {
      hint: `It took part in ${rounds.map(({ round }) => String(round)).join(', ') || 'none'}.`,
      exitCode: EXIT.usage,
    });
  }
  if (chosen.length === 0) {
    throw new SevError('SUSPICION_NONE', 'no finalised round has left any suspicion of the vehicle', {
      hint: 'Name the rounds to dispute with --rounds.',
      exitCode: EXIT.usage,
    });
  }
  return chosen.map(({ round, attempt }) => ({ round, attempt }));
}
