// SPDX-License-Identifier: Apache-2.0
import { messageOf } from '../errors.js';
import { errorCode } from '../services/log.js';
import type { WorkerFailure } from './messages.js';

/** What leaves a worker of an error. */
export function failureOf(error: unknown): WorkerFailure {
  return { code: errorCode(error) ?? 'VEHICLE_FAILED', message: messageOf(error) };
}
