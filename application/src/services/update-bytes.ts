// SPDX-License-Identifier: Apache-2.0
import { ringBitsOfTerms, type Task } from '@sev/chaincode/api';
import { heLengthOf } from '../homomorphic/he-task.js';
import { reportBytes } from '../homomorphic/report-message.js';

/** Bytes of one update as its vehicle uploads it, envelope, seals and commitments left aside. */
export function updateBytesOf(task: Task): number {
  const { model, secure, he } = task;
  if (he !== undefined) {
    return reportBytes(heLengthOf(task));
  }
  return (model.parameters * (secure === undefined ? 32 : ringBitsOfTerms(secure))) / 8;
}
