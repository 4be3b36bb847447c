// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from '../data/dataset.js';
import { headLayers, lstmPlaces, type LstmSpec } from '../engines/model.js';
import type { TrainingOptions } from '../training/train.js';
import { referenceLayers, referencePredict } from './reference.js';

export type Loss = Pick<TrainingOptions, 'huber' | 'proximal'>;

const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

/** The output of an LSTM for one row, by the equations of Gers et al. (2000), in double precision. */
export function referenceLstm(p: ArrayLike<number>, spec: LstmSpec, data: Dataset, row: number): number {
  const { steps, features, units } = spec;
  const { kernel, recurrent, biases, end } = lstmPlaces(spec);
  let h = Array.from({ length: units }, () => 0);
  let c = h;
  for (let step = 0; step < steps; step++) {
    const from = row * data.features + step * features;
    const x = data.x.subarray(from, from + features);
    const gate = (number: number, unit: number): number => {
      const column = number * units + unit;
      const row = (start: number, i: number): number => p[start + i * 4 * units + column]!;
      const fromInput = x.reduce((sum, value, i) => sum + value * row(kernel, i), 0);
      return p[biases + column]! + h.reduce((sum, value, i) => sum + value * row(recurrent, i), fromInput);
    };
    c = c.map((cell, u) => sigmoid(gate(1, u)) * cell + sigmoid(gate(0, u)) * Math.tanh(gate(2, u)));
    h = c.map((cell, u) => sigmoid(gate(3, u)) * Math.tanh(cell));
  }
  return referencePredict(referenceLayers(Array.from(p).slice(end), headLayers(spec)), h);
}

/** Steps of Adam over all rows at once, with the gradient by central differences. */
export function referenceAdam(
  start: Float32Array,
  spec: LstmSpec,
  data: Dataset,
  { epochs, learningRate, huber = 0, proximal = 0 }: TrainingOptions,
): readonly number[] {
  const loss = (p: readonly number[]): number => {
    const errors = [...data.y].map((y, row) => Math.abs(referenceLstm(p, spec, data, row) - y));
    const of = (e: number): number => (huber === 0 ? e * e : e <= huber ? (e * e) / 2 : huber * (e - huber / 2));
    const pull = p.reduce((sum, value, i) => sum + (value - start[i]!) ** 2, 0);
    return errors.reduce((sum, e) => sum + of(e), 0) / data.rows + (proximal / 2) * pull;
  };
  const h = 1e-5;
  let p = Array.from(start);
  let m = p.map(() => 0);
  let v = m;
  for (let t = 1; t <= epochs; t++) {
    const at = (i: number, by: number): number => loss(p.map((value, j) => (i === j ? value + by : value)));
    const gradient = p.map((_, i) => (at(i, h) - at(i, -h)) / (2 * h));
    m = m.map((value, i) => 0.9 * value + 0.1 * gradient[i]!);
    v = v.map((value, i) => 0.999 * value + 0.001 * gradient[i]! ** 2);
    p = p.map((value, i) => {
      const root = Math.sqrt(v[i]! / (1 - 0.999 ** t)) + 1e-8;
      return value - (learningRate * (m[i]! / (1 - 0.9 ** t))) / root;
    });
  }
  return p;
}
