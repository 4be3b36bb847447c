// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { modelError } from '../testing/errors.js';
import { initialServerState, serverStep, type ServerOptimiser } from './server-optimiser.js';

describe('The optimiser of the server', () => {
  const momentum: ServerOptimiser = { kind: 'momentum', rate: 0.5, beta1: 0.9 };
  const adam: ServerOptimiser = { kind: 'adam', rate: 0.1, beta1: 0.9, beta2: 0.99, tau: 0.01 };
  const yogi: ServerOptimiser = { ...adam, kind: 'yogi' };
  const base = Float32Array.of(1, -2);
  const average = Float32Array.of(1.5, -2.25);
  const run = (optimiser: ServerOptimiser, steps: number): ReturnType<typeof serverStep> => {
    let result: ReturnType<typeof serverStep> = { parameters: base, state: initialServerState(optimiser, 2) };
    for (let step = 0; step < steps; step++) {
      const moved = result.parameters.map((p, i) => p + (average[i]! - base[i]!));
      result = serverStep(optimiser, result.parameters, moved, result.state);
    }
    return result;
  };
  const expectClose = (actual: Float32Array, expected: readonly number[]): void => {
    expect(actual.length).to.equal(expected.length);
    actual.forEach((value, i) => expect(value).to.be.closeTo(expected[i]!, 1e-6));
  };

  it('that does nothing gives the average', () => {
    expect(serverStep({ kind: 'none' }, base, average, new Float32Array(0)).parameters).to.deep.equal(average);
  });

  it('with momentum adds up changes', () => {
    expectClose(run(momentum, 1).parameters, [1 + 0.5 * 0.5, -2 - 0.5 * 0.25]);
    expectClose(run(momentum, 2).state, [0.5 * 1.9, -0.25 * 1.9]);
    expectClose(run(momentum, 2).parameters, [1 + 0.25 + 0.5 * 0.95, -2 - 0.125 - 0.5 * 0.475]);
  });

  it('with Adam and Yogi divides by the root of the second moment', () => {
    const m = [0.05, -0.025];
    const vAdam = [0.25, 0.0625].map((square) => 0.99 * 1e-4 + 0.01 * square);
    const vYogi = [0.25, 0.0625].map((square) => 1e-4 + 0.01 * square);
    for (const [optimiser, v] of [
      [adam, vAdam],
      [yogi, vYogi],
    ] as const) {
      const { parameters, state } = run(optimiser, 1);
      expectClose(state, [...m, ...v]);
      expectClose(
        parameters,
        m.map((value, i) => base[i]! + (0.1 * value) / (Math.sqrt(v[i]!) + 0.01)),
      );
    }
    // Yogi shrinks the second moment by no more than the square that is smaller than it.
    const { state } = serverStep(yogi, base, base, Float32Array.of(0, 0, 1, 1));
    expectClose(state.subarray(2), [1, 1]);
  });

  it('gives the same bits again and leaves what it was given', () => {
    const state = Float32Array.of(0.1, 0.2, 0.3, 0.4);
    const first = serverStep(adam, base, average, state);
    expect(serverStep(adam, base, average, state)).to.deep.equal(first);
    expect(state).to.deep.equal(Float32Array.of(0.1, 0.2, 0.3, 0.4));
  });

  it('refuses a state of another optimiser, and a model that is not finite', () => {
    const code = (work: () => unknown): string => modelError(work).code;
    expect(code(() => serverStep(adam, base, average, new Float32Array(2)))).to.equal('MODEL_LENGTH');
    const huge = { ...momentum, rate: 1e39 };
    expect(code(() => serverStep(huge, base, average, new Float32Array(2)))).to.equal('TRAINING_DIVERGED');
  });
});
