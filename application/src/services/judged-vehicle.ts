// SPDX-License-Identifier: Apache-2.0
import type { Scores } from '@sev/chaincode/api';

/** What the scores of a round say of one vehicle of its cohort. */
export interface JudgedVehicle {
  readonly weight: number;
  /** Why it is below its class's. */
  readonly reason?: Scores['reasons'][number]['reason'];
  /** Where the task has validators. */
  readonly suspicionMilli?: number;
  readonly contributionMicro?: number;
}

/** @param index of the vehicle in the cohort. */
export function judgedVehicle(scores: Scores, vehicleId: string, index: number): JudgedVehicle {
  const reason = scores.reasons.find((one) => one.vehicleId === vehicleId)?.reason;
  const suspicionMilli = scores.evidence?.suspicionMilli[index];
  const contributionMicro = scores.evidence?.contributionMicro[index];
  return {
    weight: scores.weights[index] ?? 0,
    ...(reason === undefined ? {} : { reason }),
    ...(suspicionMilli === undefined ? {} : { suspicionMilli }),
    ...(contributionMicro === undefined ? {} : { contributionMicro }),
  };
}
