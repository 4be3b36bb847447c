// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import type { CloseableAsyncIterable } from '@hyperledger/fabric-gateway';
import { LedgerError } from './errors.js';
import { failureOf } from './outcome.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

/**
 * Reads a stream of the gateway, opening it again after every break until the signal fires.
 *
 * @param open opens the stream where it left off; called anew after every break.
 * @param onBreak called after every break, before the stream is opened again.
 * @throws LedgerError where the network answers that it will not serve the stream.
 */
export async function* reopening<T>(
  open: () => Promise<CloseableAsyncIterable<T>>,
  signal: AbortSignal,
  onBreak: () => Promise<void> = () => Promise.resolve(),
): AsyncGenerator<T, void, undefined> {
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const stream = await open();
      const stop = () => {
        stream.close();
      };
      signal.addEventListener('abort', stop, { once: true });
      if (isAborted(signal)) {
        stop();
      }
      try {
        // Also where it was stopped already: only a stream that is read has somebody to tell that it was cancelled.
        for await (const item of stream) {
          pauseMs = FIRST_PAUSE_MS;
          yield item;
        }
      } finally {
        signal.removeEventListener('abort', stop);
        stream.close();
      }
    } catch (error) {
      if (isAborted(signal)) {
        return;
      }
      assertWorthReopening(error);
      await onBreak();
    }
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}

/** A check that the compiler does not take as settled by an earlier one. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** The Deliver service answers with a bare HTTP-like status, which the client turns into this text. */
const DELIVER_STATUS = /Unexpected status response: (\d+)/;

function assertWorthReopening(error: unknown): void {
  const failure = failureOf(error);
  const status = DELIVER_STATUS.exec(failure.detail)?.[1];
  if (status === '403') {
    throw new LedgerError('LEDGER_REFUSED', 'the peer does not deliver blocks to this identity', { cause: error });
  }
  if (status === '404') {
    throw new LedgerError('LEDGER_BLOCKS_MISSING', 'the peer does not hold these blocks', { cause: error });
  }
  if (status === '400') {
    throw new LedgerError('LEDGER_FAILED', `the peer cannot deliver these blocks (status ${status})`, { cause: error });
  }
  if (failure.outcome === 'refused') {
    throw new LedgerError('LEDGER_REFUSED', failure.detail, { cause: error });
  }
  const ended = error instanceof TypeError || status !== undefined;
  if (failure.outcome === 'failed' && !ended) {
    throw new LedgerError('LEDGER_FAILED', failure.detail, { cause: error });
  }
}
