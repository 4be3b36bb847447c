// SPDX-License-Identifier: Apache-2.0
import { endianness } from 'node:os';
import { ModelError } from '../errors.js';
import { checkParameters } from './dense.js';

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** Parameters as they are stored, hashed and sent: little-endian IEEE 754 binary32, 4·d bytes. */
export function parametersToBytes(parameters: Float32Array): Uint8Array {
  if (endianness() === 'LE') {
    return new Uint8Array(parameters.slice().buffer);
  }
  const bytes = new Uint8Array(parameters.length * BYTES);
  const view = new DataView(bytes.buffer);
  parameters.forEach((value, index) => {
    view.setFloat32(index * BYTES, value, true);
  });
  return bytes;
}

/**
 * @param count number of parameters d that the model has.
 * @throws ModelError MODEL_LENGTH where the bytes are not 4·d, MODEL_NOT_FINITE for NaN or infinity.
 */
export function parametersFromBytes(bytes: Uint8Array, count: number): Float32Array {
  if (bytes.length !== count * BYTES) {
    throw new ModelError('MODEL_LENGTH', `${String(bytes.length)} bytes where ${String(count * BYTES)} are needed`);
  }
  const parameters = readFloats(bytes, count);
  checkParameters(parameters, count);
  return parameters;
}

function readFloats(bytes: Uint8Array, count: number): Float32Array {
  if (endianness() === 'LE') {
    return new Float32Array(Uint8Array.from(bytes).buffer);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parameters = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    parameters[i] = view.getFloat32(i * BYTES, true);
  }
  return parameters;
}
