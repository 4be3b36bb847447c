// SPDX-License-Identifier: Apache-2.0
import { heMaxAbsolute, type HeTaskTerms, type Task } from '@sev/chaincode/api';
import type { FixedPoint, HeTerms } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';

/** What an organisation does in mode `he`. */
export type HeRole = 'key-holder' | 'summer' | 'mask-holder';

/** @throws SevError MODE_NOT_HE. */
export function heTermsOf({ taskId, privacy, he }: Task): HeTaskTerms {
  if (he === undefined) {
    throw new SevError('MODE_NOT_HE', `task ${taskId} runs in mode ${privacy}`, { exitCode: EXIT.refused });
  }
  return he;
}

/** @throws SevError MODE_NOT_HE; AGGREGATOR_NOT_NAMED where the task gives the organisation no part. */
export function heRoleOf(task: Task, mspId: string): HeRole {
  const { keyHolder, summer, maskHolder } = heTermsOf(task);
  switch (mspId) {
    case keyHolder:
      return 'key-holder';
    case summer:
      return 'summer';
    case maskHolder:
      return 'mask-holder';
    default:
      throw new SevError('AGGREGATOR_NOT_NAMED', `task ${task.taskId} gives ${mspId} no part`);
  }
}

/** How a task's updates become integers. @throws SevError MODE_NOT_HE. */
export function heFormatOf(task: Task): FixedPoint {
  const { fractionBits, clipMilli } = heTermsOf(task);
  return { fractionBits, clip: clipMilli / 1_000 };
}

/** Values in a report: parameters, then metrics. */
export function heLengthOf(task: Task): number {
  return task.model.parameters + heTermsOf(task).metrics.length;
}

/** Public terms of an attempt's sum. @param publicKeyHash of its opening. */
export function heSumTermsOf(task: Task, publicKeyHash: string): HeTerms {
  const terms = heTermsOf(task);
  const range = { vehicles: terms.maxVehicles, maxAbsolute: Number(heMaxAbsolute(task, terms)) };
  return { keyHash: publicKeyHash, length: heLengthOf(task), range };
}
