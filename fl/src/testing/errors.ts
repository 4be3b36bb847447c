// SPDX-License-Identifier: Apache-2.0
import { DataError, ModelError } from '../errors.js';
import { SecureError } from '../secure/errors.js';

/** The DataError that the call throws; anything else fails the test. */
export function dataError(call: () => unknown): DataError {
  const error = thrownBy(call);
  if (!(error instanceof DataError)) {
    throw new Error('A DataError was expected', { cause: error });
  }
  return error;
}

/** The ModelError that the call throws; anything else fails the test. */
export function modelError(call: () => unknown): ModelError {
  const error = thrownBy(call);
  if (!(error instanceof ModelError)) {
    throw new Error('A ModelError was expected', { cause: error });
  }
  return error;
}

/** The DataError that the promise rejects with; anything else fails the test. */
export async function dataErrorAsync(promise: Promise<unknown>): Promise<DataError> {
  const [result] = await Promise.allSettled([promise]);
  return dataError(() => {
    if (result.status === 'rejected') {
      throw result.reason;
    }
  });
}

/** The SecureError that the call throws; anything else fails the test. */
export function secureError(call: () => unknown): SecureError {
  const error = thrownBy(call);
  if (!(error instanceof SecureError)) {
    throw new Error('A SecureError was expected', { cause: error });
  }
  return error;
}

/** The SecureError that the promise rejects with; anything else fails the test. */
export async function secureErrorAsync(promise: Promise<unknown>): Promise<SecureError> {
  const [result] = await Promise.allSettled([promise]);
  return secureError(() => {
    if (result.status === 'rejected') {
      throw result.reason;
    }
  });
}

/** What the call throws; undefined where it does not. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
