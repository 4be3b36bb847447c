// SPDX-License-Identifier: Apache-2.0
import { encodeCars, evaluatePrice, generateCarTable, parameterCount, PRICE_TRAINING, splitTable } from '@sev/fl';
import { noiseTerms } from './noise-terms.js';
import { runSecureFederation } from './secure-federation.js';

/** One run of mode `dp` on generated data, dealt to the vehicles at random. Plain data: goes to a worker thread. */
export interface NoiseCell {
  readonly vehicles: number;
  readonly rowsPerVehicle: number;
  readonly layers: readonly number[];
  readonly clip: number;
  /** null: without noise. */
  readonly epsilon: number | null;
  readonly rounds: number;
  readonly seed: number;
}

export interface NoiseResult extends NoiseCell {
  /** Deviation of the noise of all aggregators together in each parameter of a round's model. */
  readonly noisePerParameter: number;
  /** ε of all rounds at δ = 10^−5 by what the contract would charge; null without noise. */
  readonly spentEpsilon: number | null;
  readonly r2: number;
}

export function runNoiseCell(cell: NoiseCell): NoiseResult {
  const { vehicles, rowsPerVehicle, layers, clip, rounds, seed } = cell;
  const epsilon = cell.epsilon ?? Infinity;
  const table = generateCarTable({ rows: vehicles * rowsPerVehicle, seed });
  const parts = splitTable(table, { split: 'iid', clients: vehicles });
  const { format, aggregators, deviation, spentEpsilon } = noiseTerms({
    epsilon,
    clip,
    parameters: parameterCount(layers),
    rounds,
    vehicles,
  });
  const model = runSecureFederation({
    layers,
    clients: parts.clients.map(encodeCars),
    rounds,
    training: { ...PRICE_TRAINING, seed },
    format,
    classWeights: parts.clients.map(() => 1),
    projections: 0,
    ...(deviation === undefined ? {} : { noise: { aggregators, deviation } }),
  });
  return {
    ...cell,
    noisePerParameter: (Math.sqrt(aggregators) * (deviation ?? 0)) / (vehicles * 2 ** format.fractionBits),
    spentEpsilon: deviation === undefined ? null : spentEpsilon,
    r2: evaluatePrice(model, layers, encodeCars(parts.test)).r2,
  };
}
