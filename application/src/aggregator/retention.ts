// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord } from '@sev/chaincode/api';
import { attemptOf, attemptKey, type AttemptRef } from '../services/attempt.js';
import { failureFields } from '../services/log.js';
import { secretsIfAny } from './attempt-secrets.js';
import type { AggregatorParts } from './parts.js';

/** How long shares of a round that is over are kept: until then the consortium may vote to trace a poisoned model back. */
export const DEFAULT_RETENTION_MS = 24 * 60 * 60 * 1000;

/**
 * Destroys keys and shares of attempts that the ledger shows to be over, once the time to trace them back has passed. An
 * attempt that is under way is never touched, however old it is.
 *
 * @returns the attempts that were destroyed.
 */
export async function destroyOver(
  { view, inbox, log }: AggregatorParts,
  retentionMs: number,
  nowMs: number,
): Promise<AttemptRef[]> {
  const destroyed: AttemptRef[] = [];
  for (const ref of await inbox.attempts()) {
    try {
      const since = overSinceMs(ref, await view.roundIfAny(ref));
      const createdAtMs = (await secretsIfAny(inbox.attempt(ref)))?.createdAtMs ?? 0;
      if (since !== undefined && nowMs >= Math.max(since, createdAtMs) + retentionMs) {
        await inbox.destroy(ref);
        destroyed.push(ref);
        log.info({ ...attemptOf(ref) }, 'destroyed keys and shares');
      }
    } catch (error) {
      log.warn({ ...failureFields(error), attempt: attemptKey(ref) }, 'could not tell whether an attempt is over');
    }
  }
  return destroyed;
}

/**
 * Since when an attempt is over, in ms on the ledger's clock; undefined while it is not. Of an attempt that a later one
 * took the place of, the ledger's present record says no more than that it is over.
 */
export function overSinceMs(ref: AttemptRef, round: RoundRecord | undefined): number | undefined {
  if (round === undefined || round.attempt < ref.attempt) {
    return undefined;
  }
  if (round.attempt > ref.attempt) {
    return round.openedAtMs;
  }
  switch (round.state) {
    case 'finalised':
      return round.finalisedAtMs;
    case 'aborted':
      return round.abortedAtMs;
    default:
      return undefined;
  }
}
