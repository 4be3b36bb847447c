// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bookmark, hash, identifier, lowerMedian, mspId, pageSize, signature, vehicleId } from './primitives';
import type { NetworkBound } from './signed';

/**
 * Validation of models by organisations that hold data of their own. Before a round opens, each validator commits itself to
 * its data, to the loss of the base model on them, and to the direction in which it would move the model. The contract
 * takes medians. Once the cohort is fixed the directions are shown; their median is the reference direction, and the
 * projection of each update on it is opened beside the random ones.
 */

/** Bound on the Euclidean norm of a quantised direction, in its integer units. */
export const DIRECTION_NORM = 65_536;

/** Of fewer validators none can be told to be the one that is wrong. */
export const LEAST_JUDGED = 3;
/** Vehicles that a task may draw in a round: what fewer say puts nothing in doubt, and would be disclosed for nothing. */
export const LEAST_DRAWN = LEAST_JUDGED;
export const MOST_DRAWN = 16;

/** Part of a task's secure terms; absent: no reference direction is opened and nobody is suspected. */
export const validationTerms = z.strictObject({
  /** Organisations that validate, sorted, each once. */
  validators: z.array(mspId).min(1).max(7),
  /** Earlier finalised rounds whose projections count when vehicles are compared with each other. */
  pastRounds: z.int().min(0).max(32),
  /** Accumulated suspicion from which a vehicle is quarantined, in thousandths of a nat. */
  quarantineMilli: z.int().min(1).max(1_000_000_000),
  /** Vehicles that are drawn in each round to say how well its base fits their own rows; absent: none. */
  vehicles: z.int().min(LEAST_DRAWN).max(MOST_DRAWN).optional(),
});
export type ValidationTerms = z.infer<typeof validationTerms>;

/** Mean loss of a base model on somebody's data, in millionths. */
const lossMicro = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A drawn vehicle's word about a base model, part of its envelope. */
export const vehicleValidation = z.strictObject({
  lossMicro,
  /** HMAC-SHA-256 of the task and its rows in canonical form, by a key that it keeps to itself; the same in all its rounds. */
  dataHash: hash,
});
export type VehicleValidation = z.infer<typeof vehicleValidation>;

/** A validator's word about a base model, part of an opening. */
export const validation = z.strictObject({
  mspId,
  /** SHA-256 of its validation data in canonical form; the same in all rounds of a task. */
  dataHash: hash,
  /** Of the base model on them. */
  lossMicro,
  /** SHA-256 of its quantised direction: little-endian int32, 4·d bytes. */
  directionHash: hash,
  signature,
});
export type Validation = z.infer<typeof validation>;

/** What a validator signs for one attempt. */
export interface ValidationStatement extends NetworkBound {
  readonly type: 'sev/validation/v1';
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
  readonly mspId: string;
  readonly baseModelHash: string;
  readonly dataHash: string;
  readonly lossMicro: number;
  readonly directionHash: string;
}

/** What the contract makes of an opening's validations. */
export interface ValidatedBase {
  /** Validators that could have been in it: those of the task that are members and not set aside. */
  readonly heard: number;
  /** Median of the losses; of an even number the lower of the middle two. */
  readonly medianLossMicro: number;
  /** Validators whose loss departs from the median, sorted: their directions do not count in this attempt. */
  readonly departed: readonly string[];
}

/** A loss this many times the median, or the median this many times the loss, departs. */
const DEPARTURE_FACTOR = 3;
/** Finalised rounds with a departure after which a validator is set aside for the rest of the task. */
export const DEPARTURES_SET_ASIDE = 2;

/**
 * Nobody departs unless more than half of all agree with the median: of as many who say one thing as say another none can be
 * told to be wrong.
 *
 * @param validations - at least one.
 * @param heard - validators that could have given one.
 */
export function validatedBase(
  validations: readonly Pick<Validation, 'mspId' | 'lossMicro'>[],
  heard: number,
): ValidatedBase {
  const { medianLossMicro, departing } = departingFromMedian(validations);
  return { heard, medianLossMicro, departed: departing.map(({ mspId }) => mspId).sort() };
}

/** The median of losses, and those who depart from it; nobody where none can be told to. */
export function departingFromMedian<T extends { readonly lossMicro: number }>(
  words: readonly T[],
): { readonly medianLossMicro: number; readonly departing: readonly T[] } {
  const medianLossMicro = lowerMedian(words.map((word) => word.lossMicro));
  const apart = words.filter((word) => departsFrom(medianLossMicro, word.lossMicro));
  const isTold = words.length >= LEAST_JUDGED && 2 * apart.length < words.length;
  return { medianLossMicro, departing: isTold ? apart : [] };
}

/** @param times - by how much more than validators the two have to part. */
export function departsFrom(medianMicro: number, micro: number, times = 1): boolean {
  const factor = times * DEPARTURE_FACTOR;
  return micro > factor * medianMicro || medianMicro > factor * micro;
}

/** What the drawn vehicles said of a round's base in their recorded updates. */
export interface DrawnLosses {
  /** Drawn vehicles that gave their loss, whether or not they are in the cohort. */
  readonly heard: number;
  /** Median of the losses; of an even number the lower of the middle two. */
  readonly medianLossMicro: number;
  /** Vehicles whose loss departs from the median, sorted; they hold different data, and nothing follows. */
  readonly departed: readonly string[];
}

/** The data that a drawn vehicle said its losses on, in a task. */
export interface VehicleDataRecord {
  readonly docType: 'vehicleData';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly vehicleId: string;
  readonly dataHash: string;
}

/** What the ledger keeps of a validator in a task. */
export interface ValidatorRecord {
  readonly docType: 'validator';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly mspId: string;
  readonly dataHash: string;
  /** Finalised rounds, ascending, in which it departed from the others: by its loss, or by its direction. */
  readonly departures: readonly number[];
  /** Round from which it is no longer heard; absent: it is. */
  readonly setAsideFrom?: number;
}

/** What a round's evidence says of each member of the cohort, in their order. */
export const evidence = z.strictObject({
  /** Log-likelihood ratio of this round, hostile against honest, in thousandths of a nat. */
  suspicionMilli: z.array(z.int().min(-100_000).max(100_000)).max(100_000),
  /** First-order Shapley value: weighted projection on the reference direction, in millionths. */
  contributionMicro: z.array(z.int().min(-1_000_000_000).max(1_000_000_000)).max(100_000),
});
export type Evidence = z.infer<typeof evidence>;

/** What finalised rounds have made of a vehicle in a task; written when a round is finalised. */
export interface StandingRecord {
  readonly docType: 'standing';
  readonly schemaVersion: 1;
  readonly taskId: string;
  readonly vehicleId: string;
  /** Finalised rounds with evidence about it. */
  readonly rounds: number;
  /** Sum of suspicion over them, never below 0 on the way. */
  readonly suspicionMilli: number;
  readonly contributionMicro: number;
  /** The last attempt that changed it; its scores hold the evidence, and {@link before} the one before. */
  readonly last: { readonly round: number; readonly attempt: number; readonly scoresHash: string };
  /** Since when it is in quarantine: its updates are refused until an incident is decided. */
  readonly quarantined?: { readonly round: number; readonly suspicionMilli: number };
}

/** The standing after a finalised round. Quarantine, once begun, is ended by an incident only. */
export function standingAfter(
  before: StandingRecord | undefined,
  {
    taskId,
    vehicleId,
    ...round
  }: {
    readonly taskId: string;
    readonly vehicleId: string;
    readonly last: StandingRecord['last'];
    readonly suspicionMilli: number;
    readonly contributionMicro: number;
  },
  { quarantineMilli }: Pick<ValidationTerms, 'quarantineMilli'>,
): StandingRecord {
  const suspicionMilli = Math.max(0, (before?.suspicionMilli ?? 0) + round.suspicionMilli);
  const since = { round: round.last.round, suspicionMilli };
  const quarantined = before?.quarantined ?? (suspicionMilli >= quarantineMilli ? since : undefined);
  return {
    docType: 'standing',
    schemaVersion: 1,
    taskId,
    vehicleId,
    rounds: (before?.rounds ?? 0) + 1,
    suspicionMilli,
    contributionMicro: (before?.contributionMicro ?? 0) + round.contributionMicro,
    last: round.last,
    ...(quarantined === undefined ? {} : { quarantined }),
  };
}

/** learning:GetStanding, ListStandings, ListValidators; the last one answers ValidatorRecord[]. */
export const getStanding = z.strictObject({ taskId: identifier, vehicleId });
export const listStandings = z.strictObject({ taskId: identifier, pageSize, bookmark });
export const listValidators = z.strictObject({ taskId: identifier });
