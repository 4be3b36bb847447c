// SPDX-License-Identifier: Apache-2.0
import type { common } from '@hyperledger/fabric-protos';
import type { Ledger } from '../ledger/ledger.js';

/** Blocks from a number on, waiting for those that are not yet there, until the signal aborts. */
export async function* blocksFrom(ledger: Ledger, start: number, signal: AbortSignal): AsyncGenerator<common.Block> {
  for (let number = start; !signal.aborted;) {
    if (number < ledger.height) {
      yield await ledger.block(number);
      number += 1;
    } else {
      await ledger.notifier.nextBlock(signal);
    }
  }
}
