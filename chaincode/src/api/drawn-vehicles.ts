// SPDX-License-Identifier: Apache-2.0
import { hashOf } from './canonical';
import type { ErrorCode } from './errors';
import type { Envelope, UpdateRecord } from './learning';
import type { CohortRecord, SecureRound } from './secure';
import {
  departingFromMedian,
  departsFrom,
  LEAST_JUDGED,
  type DrawnLosses,
  type ValidationTerms,
  type VehicleDataRecord,
} from './validation';

/**
 * Vehicles that the ledger draws as validators beside the organisations: each says in its envelope how well the round's base
 * model fits its own rows, and no more, since a direction would tell its update. They hold different data, so nothing follows
 * for one whose loss departs; together they tell where the organisations' word about the model is not that of the fleet.
 */

/** The vehicles' median and the organisations' are of different data: they part at three times what validators part at. */
const DOUBT_TIMES = 3;

/** What a draw follows from. */
export interface DrawPlace {
  readonly taskId: string;
  readonly round: number;
  readonly baseModelHash: string;
}

/** What vehicles are drawn from. */
export interface DrawnBefore {
  /** The model of the round before, where there is one. */
  readonly modelHash: string | undefined;
  /** Of the round before, where one was fixed. */
  readonly cohort: Pick<CohortRecord, 'members'> | undefined;
}

/**
 * The vehicles with the smallest hashes of their id and the base model, in that order. The model is what a round came to, which
 * nobody chooses alone; so nobody chooses who is drawn, and every attempt on it draws the same.
 *
 * @param count - of all where there are fewer.
 */
export function drawnAmong(
  { taskId, round, baseModelHash }: DrawPlace,
  vehicleIds: readonly string[],
  count: number,
): readonly string[] {
  return vehicleIds
    .map((vehicleId) => ({
      vehicleId,
      key: hashOf({ type: 'sev/vehicle-draw/v1', taskId, round, baseModelHash, vehicleId }),
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .slice(0, count)
    .map(({ vehicleId }) => vehicleId);
}

/**
 * Who is drawn in an attempt: of the cohort of the round that made its base. Nobody where no round did, as in the first round
 * and where an incident's correction took the model's place.
 *
 * @returns nothing where the task draws no vehicles.
 */
export function drawnVehicles(
  terms: Pick<ValidationTerms, 'vehicles'> | undefined,
  place: DrawPlace,
  previous: DrawnBefore,
): Pick<SecureRound, 'drawn'> {
  if (terms?.vehicles === undefined) {
    return {};
  }
  const isMade = previous.modelHash === place.baseModelHash;
  const members = isMade ? (previous.cohort?.members ?? []) : [];
  const vehicleIds = members.map(({ vehicleId }) => vehicleId);
  return { drawn: drawnAmong(place, vehicleIds, terms.vehicles) };
}

/** Why a vehicle's word about a base is not taken. */
export interface VehicleWordProblem {
  readonly code: Extract<ErrorCode, 'VEHICLE_NOT_DRAWN' | 'VALIDATION_DATA_CHANGED'>;
  readonly detail: string;
}

/**
 * Whether an envelope says no more of the base than it may: nothing of a vehicle that was not drawn, and of one that was
 * something about the data that it gave before in this task.
 *
 * @param known - the record of the vehicle's data, where there is one.
 */
export function vehicleWordProblem(
  drawn: SecureRound['drawn'],
  { vehicleId, validation }: Pick<Envelope, 'vehicleId' | 'validation'>,
  known: Pick<VehicleDataRecord, 'dataHash'> | undefined,
): VehicleWordProblem | undefined {
  if (validation === undefined) {
    return undefined;
  }
  if (drawn?.includes(vehicleId) !== true) {
    return { code: 'VEHICLE_NOT_DRAWN', detail: `${vehicleId} is not asked for its loss in this round` };
  }
  return known === undefined || known.dataHash === validation.dataHash
    ? undefined
    : { code: 'VALIDATION_DATA_CHANGED', detail: `${vehicleId}; its data have the hash ${known.dataHash}` };
}

/** The record that binds a vehicle to its data, where an update is the first in its task to say something of them. */
export function newVehicleData(
  { taskId, vehicleId, validation }: Pick<UpdateRecord, 'taskId' | 'vehicleId' | 'validation'>,
  known: Pick<VehicleDataRecord, 'dataHash'> | undefined,
): VehicleDataRecord | undefined {
  return validation === undefined || known !== undefined
    ? undefined
    : { docType: 'vehicleData', schemaVersion: 1, taskId, vehicleId, dataHash: validation.dataHash };
}

/**
 * What the drawn vehicles said of a round's base. Whoever recorded a word is heard: which of the recorded vehicles are in the
 * cohort is for aggregators to say, and these may be the validators that the words are held against.
 *
 * @param updates - all that are recorded in the attempt.
 * @returns nothing where none of them gave its loss.
 */
export function drawnLosses(
  updates: readonly Pick<UpdateRecord, 'vehicleId' | 'validation'>[],
): Pick<SecureRound, 'drawnLosses'> {
  const words = updates.flatMap(({ vehicleId, validation }) =>
    validation === undefined ? [] : [{ vehicleId, lossMicro: validation.lossMicro }],
  );
  if (words.length === 0) {
    return {};
  }
  const { medianLossMicro, departing } = departingFromMedian(words);
  const departed = departing.map(({ vehicleId }) => vehicleId).sort();
  return { drawnLosses: { heard: words.length, medianLossMicro, departed } };
}

/** Whether the organisations say something else of the base model than the vehicles that were drawn. */
export function isBaseDoubted({
  validated,
  drawnLosses: drawn,
}: {
  readonly validated?: Pick<DrawnLosses, 'medianLossMicro'>;
  readonly drawnLosses?: Pick<DrawnLosses, 'heard' | 'medianLossMicro'>;
}): boolean {
  return (
    validated !== undefined &&
    drawn !== undefined &&
    drawn.heard >= LEAST_JUDGED &&
    departsFrom(drawn.medianLossMicro, validated.medianLossMicro, DOUBT_TIMES)
  );
}
