// SPDX-License-Identifier: Apache-2.0
import type { LedgerEvent } from '@sev/chaincode/api';
import type { LedgerEventEnvelope } from '../ledger/session.js';
import { failureFields, type ServiceLog } from './log.js';
import type { ServiceSession } from './rounds.js';
import { backoffMs, pause } from './wake-up.js';

/** Events that concern a round of some task. */
export type RoundEvent = Extract<LedgerEvent, { readonly round: number }>;

/** The transaction that an event comes from, and its block. */
export type EventPlace = Pick<LedgerEventEnvelope, 'transactionId' | 'blockNumber'>;

/**
 * Follows the rounds' events until the signal is aborted. The stream only makes services fast: each of them also looks
 * at the ledger now and then, so an event that never comes costs time and nothing else. That is why a stream that
 * breaks is logged and opened again, without end.
 */
export async function followRounds(
  session: Pick<ServiceSession, 'events'>,
  signal: AbortSignal,
  log: ServiceLog,
  onEvent: (event: RoundEvent, place: EventPlace) => void,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const { event, transactionId, blockNumber } of session.events({ signal })) {
        failures = 0;
        if ('round' in event) {
          onEvent(event, { transactionId, blockNumber });
        }
      }
    } catch (error) {
      log.warn(failureFields(error), 'the event stream broke, opening it again');
    }
    await pause(backoffMs(failures, 100, 5_000), signal);
  }
}
