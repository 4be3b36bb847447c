// SPDX-License-Identifier: Apache-2.0
import type { ConsortiumRecord, RoundRecord, SecureRound, Task } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import type { StatementGatherer } from './statements.js';

/** What one attempt needs while it is driven. */
export interface SecureAttempt {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly round: RoundRecord;
  readonly gatherer: StatementGatherer;
}

/** @throws SevError MODE_NOT_SECURE. */
export function secureOf({ taskId, secure }: RoundRecord): SecureRound {
  if (secure === undefined) {
    throw new SevError('MODE_NOT_SECURE', `the round of task ${taskId} has no opening`);
  }
  return secure;
}
