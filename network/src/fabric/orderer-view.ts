// SPDX-License-Identifier: Apache-2.0
import type { Member } from './layout.js';

const TIMEOUT_MS = 2_000;

/** How an orderer sees the ordering of a channel, by its metrics. */
export interface OrdererView {
  readonly isLeader: boolean;
  /**
   * Not while it asks for another leader. A SmartBFT orderer that is the only one to ask goes on asking for as long as it
   * runs, and takes no part meanwhile.
   */
  readonly isSettled: boolean;
  readonly height: number;
}

/** The view that metrics in Prometheus' text format tell of a channel. */
export function readView(metrics: string, channel: string): OrdererView {
  const value = (name: string): number | undefined => {
    const start = `${name}{channel="${channel}"} `;
    const line = metrics.split('\n').find((text) => text.startsWith(start));
    return line === undefined ? undefined : Number(line.slice(start.length));
  };
  return {
    isLeader: (value('consensus_BFT_is_leader') ?? value('consensus_etcdraft_is_leader')) === 1,
    isSettled: value('consensus_smartbft_viewchange_next_view') === value('consensus_smartbft_viewchange_current_view'),
    height: value('ledger_blockchain_height') ?? 0,
  };
}

/** Asks an organisation's own orderer; nothing while it does not answer. */
export async function ordererView({ ports }: Member, channel: string): Promise<OrdererView | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${(ports.ordererOperations ?? 0).toString()}/metrics`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return readView(await response.text(), channel);
  } catch {
    // It is down, or starting.
    return undefined;
  }
}
