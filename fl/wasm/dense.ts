// SPDX-License-Identifier: Apache-2.0
// AssemblyScript: compiled by `npm run build:kernel` into src/training/dense-kernel.ts, which runs.
//
// Training of a dense network with ReLU between its layers and a linear end, row by row, in float32, four lanes at a time.
// Sums, products, quotients and square roots of WebAssembly are exactly rounded and their order is fixed here, so that the
// bits are the same on every machine. All addresses are bytes in the one memory; the caller lays it out and sees to it that
// nothing overlaps (src/training/dense-trainer.ts).

/** A layer's description, nine words each; addresses of parameters are offsets into the flat parameters. */
const LAYER_BYTES: usize = 9 << 2;
const INPUTS: i32 = 0;
const OUTPUTS: i32 = 1;
const WEIGHTS: i32 = 2;
const BIASES: i32 = 3;
/** Its inputs that are not zero: numbers, values, how many. */
const INDEX: i32 = 4;
const VALUE: i32 = 5;
const COUNT: i32 = 6;
const OUTPUT: i32 = 7;
/** Derivatives of the loss by the outputs before ReLU. */
const DELTA: i32 = 8;

let layers: usize = 0;
let layerCount: i32 = 0;
let parameters: usize = 0;
let gradient: usize = 0;
let first: usize = 0;
let second: usize = 0;
/** The parameters that training began with. */
let base: usize = 0;
/** Row r has the entries start[r] … start[r + 1] − 1 of columns and values. */
let starts: usize = 0;
let columns: usize = 0;
let values: usize = 0;
let targets: usize = 0;

export function configure(
  layersAt: usize,
  count: i32,
  parametersAt: usize,
  gradientAt: usize,
  firstAt: usize,
  secondAt: usize,
  baseAt: usize,
  startsAt: usize,
  columnsAt: usize,
  valuesAt: usize,
  targetsAt: usize,
): void {
  layers = layersAt;
  layerCount = count;
  parameters = parametersAt;
  gradient = gradientAt;
  first = firstAt;
  second = secondAt;
  base = baseAt;
  starts = startsAt;
  columns = columnsAt;
  values = valuesAt;
  targets = targetsAt;
}

// @ts-ignore: decorator
@inline function word(layer: i32, which: i32): usize {
  return <usize>load<u32>(layers + <usize>layer * LAYER_BYTES + (<usize>which << 2));
}

// @ts-ignore: decorator
@inline function setWord(layer: i32, which: i32, value: usize): void {
  store<u32>(layers + <usize>layer * LAYER_BYTES + (<usize>which << 2), <u32>value);
}

// @ts-ignore: decorator
@inline function at(array: usize, index: i32): usize {
  return array + (<usize>index << 2);
}

/**
 * Adds the gradient of the mean loss over a batch.
 *
 * @param order address of the batch's row numbers, `rows` of them
 * @param delta 0 for the squared error; else Huber's loss: e²/2 up to |e| = delta, linear beyond
 */
export function accumulate(order: usize, rows: i32, delta: f32): void {
  for (let r = 0; r < rows; r++) {
    const row = load<i32>(at(order, r));
    const error = forward(row) - load<f32>(at(targets, row));
    let derivative: f32 = 2 * error;
    if (delta > 0) {
      derivative = error > delta ? delta : error < -delta ? -delta : error;
    }
    backward(derivative / <f32>rows);
  }
}

function forward(row: i32): f32 {
  const from = load<i32>(at(starts, row));
  setWord(0, INDEX, at(columns, from));
  setWord(0, VALUE, at(values, from));
  setWord(0, COUNT, <usize>(load<i32>(at(starts, row + 1)) - from));
  let output: usize = 0;
  for (let l = 0; l < layerCount; l++) {
    const index = word(l, INDEX);
    const value = word(l, VALUE);
    if (l > 0) {
      setWord(l, COUNT, <usize>rectify(output, <i32>word(l, INPUTS), index, value));
    }
    output = word(l, OUTPUT);
    multiply(index, value, <i32>word(l, COUNT), parameters + word(l, WEIGHTS), parameters + word(l, BIASES), output, <i32>word(l, OUTPUTS));
  }
  return load<f32>(output);
}

/** Lists the units that are open; written as a negation, so that NaN goes on and is seen. */
function rectify(output: usize, width: i32, index: usize, value: usize): i32 {
  let count = 0;
  for (let i = 0; i < width; i++) {
    const x = load<f32>(at(output, i));
    if (!(x <= 0)) {
      store<i32>(at(index, count), i);
      store<f32>(at(value, count), x);
      count++;
    }
  }
  return count;
}

/** output = biases + Σ value · weights[index]; up to sixteen outputs stay in registers over all inputs. */
function multiply(index: usize, value: usize, count: i32, weights: usize, biases: usize, output: usize, width: i32): void {
  const stride = <usize>width << 2;
  let o = 0;
  for (; o + 16 <= width; o += 16) {
    const column = at(weights, o);
    let a = v128.load(at(biases, o));
    let b = v128.load(at(biases, o), 16);
    let c = v128.load(at(biases, o), 32);
    let d = v128.load(at(biases, o), 48);
    for (let k = 0; k < count; k++) {
      const w = column + <usize>load<u32>(at(index, k)) * stride;
      const x = v128.load32_splat(at(value, k));
      a = f32x4.add(a, f32x4.mul(x, v128.load(w)));
      b = f32x4.add(b, f32x4.mul(x, v128.load(w, 16)));
      c = f32x4.add(c, f32x4.mul(x, v128.load(w, 32)));
      d = f32x4.add(d, f32x4.mul(x, v128.load(w, 48)));
    }
    v128.store(at(output, o), a);
    v128.store(at(output, o), b, 16);
    v128.store(at(output, o), c, 32);
    v128.store(at(output, o), d, 48);
  }
  for (; o + 4 <= width; o += 4) {
    const column = at(weights, o);
    let a = v128.load(at(biases, o));
    for (let k = 0; k < count; k++) {
      const w = column + <usize>load<u32>(at(index, k)) * stride;
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(at(value, k)), v128.load(w)));
    }
    v128.store(at(output, o), a);
  }
  for (; o < width; o++) {
    const column = at(weights, o);
    let a = load<f32>(at(biases, o));
    for (let k = 0; k < count; k++) {
      a += load<f32>(at(value, k)) * load<f32>(column + <usize>load<u32>(at(index, k)) * stride);
    }
    store<f32>(at(output, o), a);
  }
}

/** Adds the gradient of the row that `forward` ran on last. */
function backward(derivative: f32): void {
  store<f32>(word(layerCount - 1, DELTA), derivative);
  for (let l = layerCount - 1; l >= 0; l--) {
    addOuterProduct(l);
    if (l > 0) {
      multiplyTransposed(l);
    }
  }
}

/** Gradient of weights += input · deltaᵀ, of biases += delta. */
function addOuterProduct(l: i32): void {
  const index = word(l, INDEX);
  const value = word(l, VALUE);
  const count = <i32>word(l, COUNT);
  const width = <i32>word(l, OUTPUTS);
  const delta = word(l, DELTA);
  const weights = gradient + word(l, WEIGHTS);
  const stride = <usize>width << 2;
  const whole = width & ~3;
  addScaled(gradient + word(l, BIASES), delta, 1, width, whole);
  for (let k = 0; k < count; k++) {
    const row = weights + <usize>load<u32>(at(index, k)) * stride;
    addScaled(row, delta, load<f32>(at(value, k)), width, whole);
  }
}

// @ts-ignore: decorator
@inline function addScaled(sum: usize, vector: usize, factor: f32, width: i32, whole: i32): void {
  const x = f32x4.splat(factor);
  let o = 0;
  for (; o < whole; o += 4) {
    v128.store(at(sum, o), f32x4.add(v128.load(at(sum, o)), f32x4.mul(x, v128.load(at(vector, o)))));
  }
  for (; o < width; o++) {
    store<f32>(at(sum, o), load<f32>(at(sum, o)) + factor * load<f32>(at(vector, o)));
  }
}

/** Deltas of the layer below: weights · delta where the unit was open, 0 elsewhere. */
function multiplyTransposed(l: i32): void {
  const index = word(l, INDEX);
  const count = <i32>word(l, COUNT);
  const width = <i32>word(l, OUTPUTS);
  const delta = word(l, DELTA);
  const below = word(l - 1, DELTA);
  const weights = parameters + word(l, WEIGHTS);
  const stride = <usize>width << 2;
  const whole = width & ~3;
  memory.fill(below, 0, word(l, INPUTS) << 2);
  for (let k = 0; k < count; k++) {
    const i = load<i32>(at(index, k));
    const row = weights + <usize>i * stride;
    let sums = f32x4.splat(0);
    let o = 0;
    for (; o < whole; o += 4) {
      sums = f32x4.add(sums, f32x4.mul(v128.load(at(row, o)), v128.load(at(delta, o))));
    }
    let sum: f32 =
      f32x4.extract_lane(sums, 0) +
      f32x4.extract_lane(sums, 1) +
      (f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3));
    for (; o < width; o++) {
      sum += load<f32>(at(row, o)) * load<f32>(at(delta, o));
    }
    store<f32>(at(below, i), sum);
  }
}

/**
 * A step of Adam (Kingma and Ba, 2015, algorithm 1) over parameters from … to − 1; the gradient is set to zero behind it.
 * To the gradient comes that of FedProx's term, proximal · (parameter − base) (Li et al., 2020).
 *
 * @param rate learning rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ)
 * @param epsilon ε · √(1 − β₂ᵗ)
 */
export function adam(from: i32, to: i32, rate: f32, epsilon: f32, proximal: f32): void {
  const beta1: f32 = 0.9;
  const beta2: f32 = 0.999;
  const left1 = <f32>(1 - 0.9);
  const left2 = <f32>(1 - 0.999);
  let i = from;
  for (; i + 4 <= to; i += 4) {
    const p = v128.load(at(parameters, i));
    const pull = f32x4.mul(f32x4.splat(proximal), f32x4.sub(p, v128.load(at(base, i))));
    const g = f32x4.add(v128.load(at(gradient, i)), pull);
    const m = f32x4.add(
      f32x4.mul(f32x4.splat(beta1), v128.load(at(first, i))),
      f32x4.mul(f32x4.splat(left1), g),
    );
    const v = f32x4.add(
      f32x4.mul(f32x4.splat(beta2), v128.load(at(second, i))),
      f32x4.mul(f32x4.mul(f32x4.splat(left2), g), g),
    );
    v128.store(at(first, i), m);
    v128.store(at(second, i), v);
    const step = f32x4.div(f32x4.mul(f32x4.splat(rate), m), f32x4.add(f32x4.sqrt(v), f32x4.splat(epsilon)));
    v128.store(at(parameters, i), f32x4.sub(p, step));
    v128.store(at(gradient, i), f32x4.splat(0));
  }
  for (; i < to; i++) {
    const p = load<f32>(at(parameters, i));
    const g = load<f32>(at(gradient, i)) + proximal * (p - load<f32>(at(base, i)));
    const m = beta1 * load<f32>(at(first, i)) + left1 * g;
    const v = beta2 * load<f32>(at(second, i)) + left2 * g * g;
    store<f32>(at(first, i), m);
    store<f32>(at(second, i), v);
    store<f32>(at(parameters, i), p - (rate * m) / (sqrt<f32>(v) + epsilon));
    store<f32>(at(gradient, i), 0);
  }
}
