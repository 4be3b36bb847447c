// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { modelError } from '../testing/errors.js';
import { parametersFromBytes, parametersToBytes } from './bytes.js';
import { initialParameters, layerPlaces, parameterCount } from './dense.js';

describe('The parameters of a dense network', () => {
  it('number Σ (in + 1) · out', () => {
    expect(parameterCount([140, 64, 32, 1])).to.equal(11_137);
    expect(parameterCount([3, 1])).to.equal(4);
  });

  it('are refused for widths that describe no network', () => {
    for (const layers of [[], [3], [3, 0], [3, 1.5], [3, -1], [Number.NaN, 1]]) {
      expect(modelError(() => parameterCount(layers)).code).to.equal('MODEL_LAYERS');
    }
  });

  it('start within their bound, biases at zero, the same for the same seed', () => {
    const layers = [20, 8, 4, 1];
    const parameters = initialParameters(layers, 1);
    const factors = [1 / 4, 1, 4];
    for (const [layer, { inputs, weights, biases, outputs }] of layerPlaces(layers).entries()) {
      const bound = Math.sqrt(6 / inputs) * factors[layer]!;
      expect(parameters.subarray(weights, biases).every((w) => Math.abs(w) <= bound)).to.equal(true);
      expect(parameters.subarray(biases, biases + outputs).every((b) => b === 0)).to.equal(true);
    }
    expect(initialParameters(layers, 1)).to.deep.equal(parameters);
    expect(initialParameters(layers, 2)).not.to.deep.equal(parameters);
  });
});

describe('The bytes of parameters', () => {
  it('are little-endian float32', () => {
    expect([...parametersToBytes(Float32Array.of(1, -2.5))]).to.deep.equal([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
  });

  it('give the parameters back, bit by bit, wherever they lie in memory', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true }), fc.nat(7), (parameters, shift) => {
        const padded = new Uint8Array(shift + 4 * parameters.length);
        padded.set(parametersToBytes(parameters), shift);
        const read = parametersFromBytes(padded.subarray(shift), parameters.length);
        expect(parametersToBytes(read)).to.deep.equal(parametersToBytes(parameters));
      }),
    );
  });

  it('of another length are refused', () => {
    for (const length of [0, 4, 7, 9, 12]) {
      expect(modelError(() => parametersFromBytes(new Uint8Array(length), 2)).code).to.equal('MODEL_LENGTH');
    }
  });

  it('of NaN or infinity are refused', () => {
    for (const value of [Number.NaN, Infinity, -Infinity]) {
      const error = modelError(() => parametersFromBytes(parametersToBytes(Float32Array.of(0, value)), 2));
      expect(error.code).to.equal('MODEL_NOT_FINITE');
      expect(error.message).to.contain('parameter 1');
    }
  });
});
