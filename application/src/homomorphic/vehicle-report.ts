// SPDX-License-Identifier: Apache-2.0
import { reportContext, type HeOpening, type Task } from '@sev/chaincode/api';
import { createHeReport, encodeMetric, HeRuntime, systemRandom, toSigned, type Dataset } from '@sev/fl';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { encodedUpdate, metricsOf, type TrainedModel } from '../vehicle/secure-report.js';
import { heFormatOf, heSumTermsOf, heTermsOf } from './he-task.js';
import { weightOf } from './he-outcome.js';
import { reportMessage } from './report-message.js';

/** The keys of an attempt, as a vehicle checked them against the ledger. */
export interface HeKeys {
  readonly opening: HeOpening;
  /** Bytes whose SHA-256 the opening names. */
  readonly publicKey: Uint8Array;
}

/** What a vehicle hands in: nobody but all three organisations together could read it. */
export interface VehicleHeReport {
  /** Hash of the report, which the envelope names. */
  readonly root: string;
  /** Base64 of a `reportMessage` for summer and mask holder, by MSP id. */
  readonly messages: Readonly<Record<string, string>>;
}

let runtime: Promise<HeRuntime> | undefined;

/** One for all vehicles of a worker thread; its WebAssembly memory goes with the thread. */
function sharedRuntime(): Promise<HeRuntime> {
  return (runtime ??= HeRuntime.load());
}

/**
 * Encrypts the difference that training made, clipped to the task's bound, and the metrics of the base model on the
 * vehicle's own rows, all multiplied by the weight of the vehicle's class and masked.
 *
 * @param round.attempt with the base model that the vehicle trained from.
 */
export async function vehicleHeReport(
  consortium: string,
  task: Task,
  round: AttemptRef & { readonly baseModelHash: string; readonly he: HeKeys },
  vehicle: { readonly vehicleId: string; readonly weightClass: number },
  model: TrainedModel,
  data: Dataset,
): Promise<VehicleHeReport> {
  const { summer, maskHolder, metrics } = heTermsOf(task);
  const format = heFormatOf(task);
  const reported = metricsOf(metrics, model.predictions, data).map((value) => encodeMetric(value, format));
  const weight = weightOf(task, vehicle.weightClass);
  const { opening, publicKey } = round.he;
  const place = { consortium, ...attemptOf(round), baseModelHash: round.baseModelHash };
  const terms = heSumTermsOf(task, opening.publicKeyHash);
  // A slot holds no more; only a vehicle that does not clip comes to it.
  const most = terms.range.maxAbsolute;
  const report = await createHeReport(await sharedRuntime(), {
    values: Float64Array.from([...toSigned(encodedUpdate(model, format)), ...reported], (value) =>
      Math.max(-most, Math.min(most, value * weight)),
    ),
    context: reportContext({ ...place, reporter: vehicle.vehicleId }),
    terms,
    publicKey,
    maskHolder: opening.sealingKey,
    random: systemRandom,
  });
  const { root, header } = report;
  const message = (payload: Uint8Array): string => Buffer.from(reportMessage({ header, payload })).toString('base64');
  const messages = {
    [summer]: message(Buffer.concat(report.ciphertexts)),
    [maskHolder]: message(report.sealedSeed),
  };
  return { root, messages };
}
