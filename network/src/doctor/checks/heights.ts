// SPDX-License-Identifier: Apache-2.0
import { poll } from '../../supervisor/poll.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { readMetrics } from '../probes.js';

/** A node that is well has the blocks that another had so long ago. */
const CATCH_UP_MS = 3_000;

interface Height {
  readonly node: string;
  readonly height: number;
}

async function heightsOf({ members, state, live }: Facts): Promise<Height[]> {
  const name = `ledger_blockchain_height{channel="${state.value?.channel ?? ''}"}`;
  const isRunning = (node: string): boolean => live?.nodes.find((each) => each.name === node)?.running ?? false;
  const asked = members
    .flatMap(({ name: organisation, ports }) => [
      { node: `orderer.${organisation}`, port: ports.ordererOperations },
      { node: `peer.${organisation}`, port: ports.peerOperations },
    ])
    .filter(({ node }) => isRunning(node));
  const heights = await Promise.all(
    asked.map(async ({ node, port }) => {
      const height = port === undefined ? undefined : (await readMetrics(port))?.get(name);
      return height === undefined ? [] : [{ node, height }];
    }),
  );
  return heights.flat();
}

/** Asks until every node has what the highest had at first. */
export async function heightsResult(ask: () => Promise<Height[]>, deadlineMs = CATCH_UP_MS): Promise<CheckResult> {
  const first = await ask();
  const highest = Math.max(0, ...first.map(({ height }) => height));
  let behind = first.filter(({ height }) => height < highest);
  await poll(async () => {
    if (behind.length > 0) {
      behind = (await ask()).filter(({ height }) => height < highest);
    }
    return behind.length === 0 || undefined;
  }, deadlineMs);
  const problems: DoctorProblem[] = behind.map(({ node, height }) => ({
    code: 'NODE_BEHIND',
    found: `${node} has ${height.toString()} blocks, others had ${highest.toString()}`,
  }));
  return { seen: `${first.length.toString()} nodes have all ${highest.toString()} blocks`, problems };
}

export const heightsCheck: Check = {
  name: 'heights',
  run: (facts) =>
    facts.kind === 'fabric' && facts.running === 'up' ? heightsResult(() => heightsOf(facts)) : undefined,
};
