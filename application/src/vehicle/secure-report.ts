// SPDX-License-Identifier: Apache-2.0
import {
  componentsOf,
  reportContext,
  ringBitsOfTerms,
  type RoundOpening,
  type SecureTerms,
  type Task,
} from '@sev/chaincode/api';
import {
  createReport,
  encodeMetric,
  encodeUnclipped,
  encodeUpdate,
  ringZeros,
  systemRandom,
  type Dataset,
  type FixedPoint,
} from '@sev/fl';
import { SevError } from '../errors.js';
import { formatOf, secureTermsOf } from '../services/secure-scores.js';
import type { OpenRoundRef } from './messages.js';

/** What a vehicle shares of a round: nobody but a majority of aggregators together could read it. */
export interface SecureReport {
  /** Root of the commitments, which the envelope names. */
  readonly root: string;
  /** The full component, encrypted, for the store. */
  readonly ciphertext: Uint8Array;
  /** Base64 of the sealed share of each aggregator of the opening, by MSP id. */
  readonly shares: Readonly<Record<string, string>>;
}

/** What training made of a model on a vehicle's rows. */
export interface TrainedModel {
  readonly base: Float32Array;
  readonly trained: Float32Array;
  /** Of the base, one a row. */
  readonly predictions: Float32Array;
  /** A hostile vehicle's: it does not clip. */
  readonly isUnclipped?: boolean;
}

/** Unit of the metric `samples`: so many rows count as 1. */
const SAMPLES_UNIT = 1_000;

/**
 * Shares the difference that training made, clipped to the task's bound, and the metrics of the base model on the
 * vehicle's own rows.
 *
 * @param model parameters that the vehicle trained from and those after training, both of length d; what the former
 *   predict of the vehicle's rows.
 */
export async function secureReport(
  consortium: string,
  task: Task,
  round: OpenRoundRef & { readonly opening: RoundOpening },
  vehicleId: string,
  model: TrainedModel,
  data: Dataset,
): Promise<SecureReport> {
  const terms = secureTermsOf(task);
  const { base, predictions } = model;
  const format = formatOf(task);
  const vector = ringZeros(base.length + terms.metrics.length, ringBitsOfTerms(terms));
  vector.set(encodedUpdate(model, format));
  const values = metricsOf(terms.metrics, predictions, data);
  values.forEach((value, index) => {
    vector[base.length + index] = encodeMetric(value, format);
  });
  const { taskId, round: number, attempt, baseModelHash, opening } = round;
  const report = await createReport({
    vector,
    context: reportContext({ consortium, taskId, round: number, attempt, baseModelHash, reporter: vehicleId }),
    holders: componentsOf(terms.aggregators.length, terms.threshold),
    recipients: new Map(opening.aggregators.map(({ mspId, sealingKey }) => [indexOf(terms, mspId), sealingKey])),
    random: systemRandom,
  });
  const shares = [...report.shares].map(([index, sealed]): [string, string] => [
    terms.aggregators[index] ?? '',
    Buffer.from(sealed).toString('base64'),
  ]);
  return { root: report.root, ciphertext: report.ciphertext, shares: Object.fromEntries(shares) };
}

/** The difference that training made, in the ring: of an honest vehicle within the task's bound. */
export function encodedUpdate({ base, trained, isUnclipped = false }: TrainedModel, format: FixedPoint): Uint32Array {
  const update = trained.map((value, index) => value - (base[index] ?? 0));
  return isUnclipped ? encodeUnclipped(update, format) : encodeUpdate(update, format, systemRandom);
}

function indexOf({ aggregators }: SecureTerms, mspId: string): number {
  const index = aggregators.indexOf(mspId);
  if (index < 0) {
    throw new SevError('OPENING_INVALID', `the task does not name ${mspId} as an aggregator`);
  }
  return index;
}

/** Errors of the base model on the vehicle's rows, and their number: together they make the mean over the fleet. */
export function metricsOf(names: SecureTerms['metrics'], predictions: Float32Array, data: Dataset): number[] {
  let squared = 0;
  let absolute = 0;
  data.y.forEach((y, row) => {
    const error = (predictions[row] ?? 0) - y;
    squared += error * error;
    absolute += Math.abs(error);
  });
  const values = {
    loss: squared / data.rows,
    'absolute-error': absolute / data.rows,
    samples: data.rows / SAMPLES_UNIT,
  };
  return names.map((name) => values[name]);
}
