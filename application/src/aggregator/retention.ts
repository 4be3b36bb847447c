// SPDX-License-Identifier: Apache-2.0
import type { LedgerEvent, RoundRecord } from '@sev/chaincode/api';
import { attemptOf, attemptKey, type AttemptRef } from '../services/attempt.js';
import { followEvents } from '../services/event-stream.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import type { ServiceSession } from '../services/rounds.js';
import { pause } from '../services/wake-up.js';
import type { ChannelView } from './channel-view.js';
import type { Inbox } from './inbox.js';

/** How long shares are kept once nothing needs them any more. */
export const DEFAULT_RETENTION_MS = 24 * 60 * 60 * 1000;

/** How often what is over is looked for, at the most. */
const CLEANING_MS = 10 * 60 * 1000;

interface Holder {
  readonly view: Pick<ChannelView<unknown>, 'roundIfAny'>;
  readonly inbox: Inbox;
  readonly log: ServiceLog;
}

interface Following {
  readonly session: ServiceSession;
  readonly retentionMs?: number;
  readonly log: ServiceLog;
}

interface Retention {
  readonly retentionMs: number;
  readonly nowMs: number;
  /** When an attempt was prepared here; 0 where that is not known. */
  readonly createdAtMs: (ref: AttemptRef) => Promise<number>;
  /** Since when nothing needs what is kept of it; default: since it is over. */
  readonly unneededSinceMs?: (ref: AttemptRef, round: RoundRecord | undefined) => Promise<number | undefined>;
}

/**
 * Destroys keys and shares of attempts that the ledger shows to be over, once the time to trace them back has passed. An
 * attempt that is under way is never touched, however old it is; one that cannot be judged keeps no other on the disk.
 *
 * @returns the attempts that were destroyed.
 */
export async function destroyOver(
  { view, inbox, log }: Holder,
  { retentionMs, nowMs, createdAtMs, unneededSinceMs }: Retention,
): Promise<AttemptRef[]> {
  const destroyed: AttemptRef[] = [];
  for (const ref of await inbox.attempts()) {
    try {
      const round = await view.roundIfAny(ref);
      const since = unneededSinceMs === undefined ? overSinceMs(ref, round) : await unneededSinceMs(ref, round);
      if (since !== undefined && nowMs >= Math.max(since, await createdAtMs(ref)) + retentionMs) {
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

/** Tells of the ledger's events, and destroys what is over, until the signal is aborted. */
export async function followAndClean(
  { session, retentionMs, log }: Following,
  signal: AbortSignal,
  hear: (event: LedgerEvent) => void,
  clean: () => Promise<unknown>,
): Promise<void> {
  await Promise.all([
    followEvents(session, signal, log, ({ event }) => {
      hear(event);
    }),
    cleanNowAndThen(clean, { retentionMs, signal, log }),
  ]);
}

/** Cleans every ten minutes, or as often as the retention is short, until the signal is aborted. */
async function cleanNowAndThen(
  clean: () => Promise<unknown>,
  options: { readonly retentionMs: number | undefined; readonly signal: AbortSignal; readonly log: ServiceLog },
): Promise<void> {
  const { retentionMs = CLEANING_MS, signal, log } = options;
  while (!signal.aborted) {
    await clean().catch((error: unknown) => {
      log.warn(failureFields(error), 'looking for rounds that are over failed');
    });
    await pause(Math.max(1_000, Math.min(CLEANING_MS, retentionMs)), signal);
  }
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
