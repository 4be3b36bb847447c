// SPDX-License-Identifier: Apache-2.0
import type { LedgerEvent } from '@sev/chaincode/api';
import type { LedgerEventEnvelope } from '../ledger/session.js';
import { followEvents } from './event-stream.js';
import type { ServiceLog } from './log.js';
import type { ServiceSession } from './rounds.js';

/** Events that concern a round of some task. */
export type RoundEvent = Extract<LedgerEvent, { readonly round: number; readonly attempt: number }>;

/** The transaction that an event comes from, and its block. */
export type EventPlace = Pick<LedgerEventEnvelope, 'transactionId' | 'blockNumber'>;

/** Follows the rounds' events; see {@link followEvents}. */
export function followRounds(
  session: Pick<ServiceSession, 'events'>,
  signal: AbortSignal,
  log: ServiceLog,
  onEvent: (event: RoundEvent, place: EventPlace) => void,
): Promise<void> {
  return followEvents(session, signal, log, ({ event, transactionId, blockNumber }) => {
    if ('attempt' in event) {
      onEvent(event, { transactionId, blockNumber });
    }
  });
}
