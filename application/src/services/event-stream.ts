// SPDX-License-Identifier: Apache-2.0
import type { LedgerEventEnvelope } from '../ledger/session.js';
import { failureFields, type ServiceLog } from './log.js';
import type { ServiceSession } from './rounds.js';
import { backoffMs, pause } from './wake-up.js';

/**
 * Follows the ledger's events until the signal is aborted. The stream only makes services fast: each of them also looks
 * at the ledger now and then, so an event that never comes costs time and nothing else. That is why a stream that
 * breaks is logged and opened again, without end.
 */
export async function followEvents(
  session: Pick<ServiceSession, 'events'>,
  signal: AbortSignal,
  log: ServiceLog,
  onEvent: (envelope: LedgerEventEnvelope) => void,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const envelope of session.events({ signal })) {
        failures = 0;
        onEvent(envelope);
      }
    } catch (error) {
      log.warn(failureFields(error), 'the event stream broke, opening it again');
    }
    await pause(backoffMs(failures, 100, 5_000), signal);
  }
}
