// SPDX-License-Identifier: Apache-2.0
import type { CorrectionRecord, Task } from '@sev/chaincode/api';
import { incidents } from '../ledger/incidents.js';
import { errorCode } from './log.js';
import type { ServiceSession } from './rounds.js';

/** Looks up what a confirmed incident made of the model of a round; undefined where nothing. */
export type FindCorrection = (
  task: Pick<Task, 'taskId' | 'secure'>,
  afterRound: number,
) => Promise<CorrectionRecord | undefined>;

/** Corrections as a session's gateway shows them. Only models of secure rounds are corrected: of others it is not asked. */
export function correctionsOf(session: Pick<ServiceSession, 'evaluate' | 'submit'>): FindCorrection {
  const contract = incidents(session);
  return async ({ taskId, secure }, afterRound) => {
    if (secure === undefined || afterRound < 1) {
      return undefined;
    }
    try {
      return await contract.correction(taskId, afterRound);
    } catch (error) {
      if (errorCode(error) === 'CORRECTION_UNKNOWN') {
        return undefined;
      }
      throw error;
    }
  };
}
