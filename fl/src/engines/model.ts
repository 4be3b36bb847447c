// SPDX-License-Identifier: Apache-2.0
import { checkDataset, type Dataset } from '../data/dataset.js';
import { ModelError } from '../errors.js';
import { checkParameters, initialParameters, parameterCount } from '../models/dense.js';
import { deriveSeed, newRandom } from '../random.js';
import { EngineError } from './errors.js';

/** Dense layers, ReLU between them, a linear end. */
export interface DenseSpec {
  readonly kind: 'dense';
  /** Widths, inputs first; the last is 1. */
  readonly layers: readonly number[];
}

/**
 * A long short-term memory (Hochreiter and Schmidhuber, 1997; with a forget gate, Gers et al., 2000) over a window of
 * steps. Its last state goes through dense layers to one output.
 */
export interface LstmSpec {
  readonly kind: 'lstm';
  /** Length of the window. */
  readonly steps: number;
  /** Inputs of one step; a row of a data set is steps × features, row-major, the oldest step first. */
  readonly features: number;
  readonly units: number;
  /** Widths of hidden layers, with ReLU, between the last state and the linear output; none where not given. */
  readonly dense?: readonly number[] | undefined;
}

export type ModelSpec = DenseSpec | LstmSpec;
export type Architecture = ModelSpec['kind'];

/** The largest model that is taken. */
export interface ModelBounds {
  readonly parameters: number;
  /** Inputs of a row, all steps together. */
  readonly inputs: number;
}

/** What a small computer trains in minutes. */
export const DEFAULT_MODEL_BOUNDS: ModelBounds = { parameters: 1_000_000, inputs: 65_536 };

/** Input, forget, cell and output gate. */
const GATES = 4;

/** Width of a row of inputs. */
export function modelInputs(spec: ModelSpec): number {
  return spec.kind === 'dense' ? (spec.layers[0] ?? 0) : spec.steps * spec.features;
}

/** Widths of the dense layers that follow the state of an LSTM, the state first. */
export function headLayers({ units, dense = [] }: LstmSpec): readonly number[] {
  return [units, ...dense, 1];
}

/**
 * Sizes of the parts of an LSTM in the order in which they lie in the flat parameters; the dense layers follow.
 *
 * All are row-major with the gates input, forget, cell, output side by side in a row: kernel features × 4·units,
 * recurrent kernel units × 4·units, biases 4·units.
 */
export function lstmPlaces({ features, units }: LstmSpec) {
  const width = GATES * units;
  const recurrent = features * width;
  const biases = recurrent + units * width;
  return { kernel: 0, recurrent, biases, end: biases + width };
}

/**
 * Number of parameters d: for dense layers Σ (in + 1) · out, for an LSTM 4 · units · (features + units + 1) and its dense
 * layers.
 *
 * @throws ModelError MODEL_LAYERS
 */
export function modelParameterCount(spec: ModelSpec): number {
  checkNumbers(spec);
  return spec.kind === 'dense' ? parameterCount(spec.layers) : lstmPlaces(spec).end + parameterCount(headLayers(spec));
}

/**
 * Initial parameters by the project's own generator: the same bits on every machine, whatever the engine.
 *
 * Dense layers: see `initialParameters`. LSTM: weights uniform in ±√(6 / (in + out)) of one gate (Glorot and Bengio,
 * "Understanding the difficulty of training deep feedforward neural networks", 2010), biases zero, but 1 for the forget
 * gate, so that gradients reach far back from the start (Jozefowicz et al., "An empirical exploration of recurrent network
 * architectures", 2015).
 *
 * @returns length d.
 * @throws ModelError MODEL_LAYERS
 */
export function modelInitialParameters(spec: ModelSpec, seed: number): Float32Array {
  checkNumbers(spec);
  if (spec.kind === 'dense') {
    return initialParameters(spec.layers, seed);
  }
  const { features, units } = spec;
  const { kernel, recurrent, biases, end } = lstmPlaces(spec);
  const parameters = new Float32Array(modelParameterCount(spec));
  const random = newRandom(seed);
  const fill = (from: number, to: number, limit: number): void => {
    for (let i = from; i < to; i++) {
      parameters[i] = (2 * random.uniform() - 1) * limit;
    }
  };
  fill(kernel, recurrent, Math.sqrt(6 / (features + units)));
  fill(recurrent, biases, Math.sqrt(6 / (units + units)));
  parameters.fill(1, biases + units, biases + 2 * units);
  parameters.set(initialParameters(headLayers(spec), deriveSeed(seed, 'head')), end);
  return parameters;
}

/** @throws ModelError MODEL_LAYERS; EngineError MODEL_TOO_LARGE */
export function checkModel(spec: ModelSpec, bounds: ModelBounds): void {
  const parameters = modelParameterCount(spec);
  const inputs = modelInputs(spec);
  if (!(parameters <= bounds.parameters && inputs <= bounds.inputs)) {
    const detail = `${String(parameters)} parameters and ${String(inputs)} inputs a row, where ${String(bounds.parameters)} and ${String(bounds.inputs)} are allowed; take narrower layers or wider bounds`;
    throw new EngineError('MODEL_TOO_LARGE', detail);
  }
}

/**
 * That parameters and data are those of the model.
 *
 * @throws ModelError MODEL_LAYERS, MODEL_LENGTH, MODEL_NOT_FINITE, MODEL_INPUT_WIDTH; DataError DATA_TOO_FEW_ROWS,
 *   DATA_SHAPE, DATA_NOT_FINITE.
 */
export function checkInput(spec: ModelSpec, parameters: Float32Array, data: Dataset): void {
  checkParameters(parameters, modelParameterCount(spec));
  const inputs = modelInputs(spec);
  if (data.features !== inputs) {
    const detail = `${String(data.features)} features for ${String(inputs)} inputs`;
    throw new ModelError('MODEL_INPUT_WIDTH', detail);
  }
  checkDataset(data);
}

function checkNumbers(spec: ModelSpec): void {
  if (spec.kind === 'dense') {
    if (spec.layers.at(-1) !== 1) {
      throw new ModelError('MODEL_LAYERS', `[${spec.layers.join(', ')}] must end in one output`);
    }
    return;
  }
  const { steps, features, units } = spec;
  if (![steps, features, units].every((n) => Number.isInteger(n) && n >= 1)) {
    throw new ModelError('MODEL_LAYERS', 'steps, features and units of an LSTM must be whole numbers from 1 on');
  }
}
