// SPDX-License-Identifier: Apache-2.0
import type { VehicleWordProblem } from '@sev/chaincode/api';
import { errorCode } from '../services/log.js';

const CODES: ReadonlySet<string> = new Set<VehicleWordProblem['code']>([
  'VALIDATION_DATA_CHANGED',
  'VEHICLE_NOT_DRAWN',
]);

/** Whether the ledger refuses an update for nothing but what its vehicle says of the base: without that it takes it. */
export function refusesWord(error: unknown): boolean {
  return CODES.has(errorCode(error) ?? '');
}
