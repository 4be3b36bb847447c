// SPDX-License-Identifier: Apache-2.0
import { priceTask } from '@sev/application';
import { microRho, sumSensitivity, type SecureTerms, type Task } from '@sev/chaincode/api';
import { epsilonOf, rhoWithin, type FixedPoint } from '@sev/fl';

const AGGREGATORS = ['CityMSP', 'GridOperatorMSP', 'ManufacturerMSP'];
const DELTA_EXPONENT = 5;
const MILLION = 1_000_000;
export const DELTA = 1e-5;

/** Noise of mode `dp`, by the contract's bound on what a vehicle changes in a sum, and what the contract charges. */
export interface NoiseTerms {
  readonly format: FixedPoint;
  readonly aggregators: number;
  /** σ of one aggregator's noise in units of 2^−f; undefined for ε = ∞. */
  readonly deviation: number | undefined;
  /** ε of all rounds together at δ = 10^−5 by the charged ρ. */
  readonly spentEpsilon: number;
}

/**
 * The least noise that keeps rounds of task `price` within ε. A smaller clip gets more fraction bits, so that 2^f · C,
 * and with it rounding relative to the clip and the ring's range, stay as they are by default (C = 4, f = 11).
 *
 * @param clip C: 4 halved any number of times.
 * @param parameters d.
 */
export function noiseTerms(o: {
  readonly epsilon: number;
  readonly clip: number;
  readonly parameters: number;
  readonly rounds: number;
  readonly vehicles: number;
}): NoiseTerms {
  const { task, terms } = noisyTask(o);
  const format: FixedPoint = { fractionBits: terms.fractionBits, clip: o.clip };
  const common = { format, aggregators: AGGREGATORS.length };
  if (o.epsilon === Infinity) {
    return { ...common, deviation: undefined, spentEpsilon: Infinity };
  }
  const sensitivity = sumSensitivity(task, terms);
  // In whole millionths, as the contract charges every round, so that its rounding up does not cross ε.
  const allowed = Math.floor((MILLION * rhoWithin(o.epsilon, DELTA)) / o.rounds);
  const deviation = Math.ceil(Number(sensitivity) / Math.sqrt((2 * allowed) / MILLION));
  const charged = (Number(microRho(sensitivity, BigInt(deviation))) * o.rounds) / MILLION;
  return { ...common, deviation, spentEpsilon: epsilonOf(charged, DELTA) };
}

/** The product's task in mode `dp` with another clip and dimension. */
function noisyTask(o: {
  readonly clip: number;
  readonly parameters: number;
  readonly rounds: number;
  readonly vehicles: number;
}): { readonly task: Task; readonly terms: SecureTerms } {
  const { task } = priceTask({
    taskId: 'privacy',
    vehicles: o.vehicles,
    rounds: o.rounds,
    seed: 1,
    trainingRows: o.vehicles,
    privacy: 'dp',
    aggregators: AGGREGATORS,
    differentialPrivacy: { epsilon: 8, deltaExponent: DELTA_EXPONENT },
  });
  const { secure } = task;
  if (secure === undefined) {
    throw new RangeError('A task in mode dp has terms of secure aggregation');
  }
  const fractionBits = secure.fractionBits + Math.log2(secure.clipMilli / 1_000 / o.clip);
  const terms = { ...secure, clipMilli: 1_000 * o.clip, fractionBits };
  return { task: { ...task, model: { ...task.model, parameters: o.parameters } }, terms };
}
