// SPDX-License-Identifier: Apache-2.0
import { departuresIn, isBaseDoubted, type RoundRecord, type Scores, type SecureRound } from '@sev/chaincode/api';
import { attemptOf } from '../services/attempt.js';
import { judgedVehicle, type JudgedVehicle } from '../services/judged-vehicle.js';
import type { incidents } from '../ledger/incidents.js';
import { collect, type LearningContract } from '../services/rounds.js';

/** What validators and vehicles were found to be in a scored round. */
export interface JudgedRound {
  /** Median of the validators' losses of the round's base model, in millionths. */
  readonly lossMicro: number;
  /** MSP ids of validators whose loss, or direction, departs from the others'. */
  readonly departed: string[];
  /** Where vehicles were drawn to say the same of their own rows. */
  readonly drawn?: DrawnVehicles | undefined;
  /** Vehicles that counted less than their class, by reason. */
  readonly lowered: Record<string, number>;
  /** Ids of vehicles in quarantine from this round on. */
  readonly quarantined: string[];
}

/** What vehicles said of a round's base model that were drawn. */
export interface DrawnVehicles {
  readonly asked: number;
  /** Those that gave their loss. */
  readonly heard: number;
  /** Median of their losses, in millionths; absent where none gave one. */
  readonly lossMicro?: number | undefined;
  /** Ids of those whose loss departs from the others'; nothing else follows. */
  readonly departed: string[];
  /** Whether the organisations' median is far from theirs. */
  readonly isDoubted: boolean;
}

/** What a scored round made of one vehicle of its cohort. */
export interface VehicleInRound extends JudgedVehicle {
  readonly vehicleId: string;
}

/** The contracts that know of it. */
export interface JudgingContracts {
  readonly learning: Pick<LearningContract, 'scores' | 'standings'>;
  readonly incidents: Pick<ReturnType<typeof incidents>, 'incidents'>;
}

/** @returns undefined where the round's task has no validators, or its cohort was not scored. */
export async function judgedRound(contracts: JudgingContracts, record: RoundRecord): Promise<JudgedRound | undefined> {
  if (record.secure?.validated === undefined || record.secure.scoresHash === undefined) {
    return undefined;
  }
  const [{ scores }, quarantined] = await Promise.all([
    contracts.learning.scores(attemptOf(record)),
    quarantinedBy(contracts, record),
  ]);
  return judgedOf(record, scores, quarantined);
}

/** Ids of vehicles whose quarantine a round began, also where an incident has ended it since; sorted. */
async function quarantinedBy(
  contracts: JudgingContracts,
  { taskId, round }: Pick<RoundRecord, 'taskId' | 'round'>,
): Promise<string[]> {
  const [standings, all] = await Promise.all([
    collect(contracts.learning.standings(taskId)),
    collect(contracts.incidents.incidents()),
  ]);
  const since = standings.filter(({ quarantined }) => quarantined?.round === round);
  const ended = all.filter((incident) => incident.taskId === taskId && incident.quarantinedIn === round);
  return [...new Set([...since, ...ended].map(({ vehicleId }) => vehicleId))].sort();
}

/** @returns in the order of their ids; none where the round has not been scored. */
export async function judgedVehicles(learning: LearningContract, record: RoundRecord): Promise<VehicleInRound[]> {
  if (record.secure?.scoresHash === undefined) {
    return [];
  }
  const ref = attemptOf(record);
  const [{ members }, { scores }] = await Promise.all([learning.cohort(ref), learning.scores(ref)]);
  return members.map(({ vehicleId }, index) => ({ vehicleId, ...judgedVehicle(scores, vehicleId, index) }));
}

function judgedOf({ secure }: Pick<RoundRecord, 'secure'>, scores: Scores, quarantined: string[]): JudgedRound {
  const lowered: Record<string, number> = {};
  for (const { reason } of scores.reasons) {
    lowered[reason] = (lowered[reason] ?? 0) + 1;
  }
  return {
    lossMicro: secure?.validated?.medianLossMicro ?? 0,
    departed: secure === undefined ? [] : [...departuresIn(secure, scores)],
    ...(secure === undefined ? {} : drawnIn(secure)),
    lowered,
    quarantined,
  };
}

/** Ids that a line names before it only counts the others. */
const MOST_NAMED = 5;

function firstOf(ids: readonly string[]): string {
  const more = ids.length - MOST_NAMED;
  return `${ids.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}

/** @returns nothing where nobody was drawn. */
function drawnIn(secure: SecureRound): Pick<JudgedRound, 'drawn'> {
  const { drawn = [], drawnLosses } = secure;
  if (drawn.length === 0) {
    return {};
  }
  const { heard = 0, medianLossMicro, departed = [] } = drawnLosses ?? {};
  return {
    drawn: {
      ...{ asked: drawn.length, heard, departed: [...departed], isDoubted: isBaseDoubted(secure) },
      ...(medianLossMicro === undefined ? {} : { lossMicro: medianLossMicro }),
    },
  };
}

/** A loss in the unit of the model's target, squared. */
export function lossText(lossMicro: number): string {
  return (lossMicro / 1e6).toFixed(6);
}

function drawnLines(lossMicro: number, drawn: DrawnVehicles | undefined): string[] {
  const { asked = 0, heard = 0, departed = [], isDoubted = false, lossMicro: ofVehicles = 0 } = drawn ?? {};
  return [
    ...(heard === asked ? [] : [`of ${String(asked)} drawn vehicles ${String(heard)} gave their loss`]),
    ...(departed.length === 0
      ? []
      : [`drawn vehicles whose loss departs from the others', of which nothing follows: ${departed.join(', ')}`]),
    ...(isDoubted
      ? [
          `in doubt: to validators the base model's loss is ${lossText(lossMicro)}, to drawn vehicles ${lossText(ofVehicles)}`,
        ]
      : []),
  ];
}

/** What there is to say of it, one thing a line; none where all was as it should be. */
export function judgedLines({ lossMicro, departed, drawn, lowered, quarantined }: JudgedRound): string[] {
  const reasons = Object.entries(lowered).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...(departed.length === 0 ? [] : [`validators that depart from the others: ${departed.join(', ')}`]),
    ...drawnLines(lossMicro, drawn),
    ...(reasons.length === 0
      ? []
      : [`vehicles that count less: ${reasons.map(([reason, count]) => `${String(count)} ${reason}`).join(', ')}`]),
    ...(quarantined.length === 0 ? [] : [`in quarantine from here on: ${firstOf(quarantined)}`]),
  ];
}
