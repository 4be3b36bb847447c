// SPDX-License-Identifier: Apache-2.0
import { poll } from '../../supervisor/poll.js';
import type { ChannelConfig, Consenter } from '../channel-config.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { presentConfig } from '../ledgers.js';
import { readMetrics, takesConnections } from '../probes.js';

/** An election may just be under way. */
const LEADER_DEADLINE_MS = 2_000;

/** How many of n orderers consensus needs: SmartBFT ⌈(n + f + 1) / 2⌉ with f = ⌊(n − 1) / 3⌋, Raft a majority. */
export function quorumOf(consensus: ChannelConfig['consensus'], n: number): number {
  const f = Math.floor((n - 1) / 3);
  return consensus === 'bft' ? Math.ceil((n + f + 1) / 2) : Math.floor(n / 2) + 1;
}

interface Reach {
  readonly address: string;
  readonly isHere: boolean;
  readonly isUp: boolean;
}

async function reach({ members, live }: Facts, { host, port }: Consenter): Promise<Reach> {
  const address = `${host}:${port.toString()}`;
  const own = members.find(({ ports }) => ports.orderer === port);
  if (own !== undefined) {
    const node = live?.nodes.find(({ kind, organisation }) => kind === 'orderer' && organisation === own.name);
    const port = node?.running === true ? own.ports.ordererOperations : undefined;
    // A process that is stopped counts as running, and takes connections: what counts is that it answers.
    return { address, isHere: true, isUp: port !== undefined && (await readMetrics(port)) !== undefined };
  }
  return { address, isHere: false, isUp: await takesConnections(host, port) };
}

const LEADER_METRICS = { bft: 'consensus_BFT_is_leader', raft: 'consensus_etcdraft_is_leader' } as const;

async function hasLeader({ members, state }: Facts, consensus: ChannelConfig['consensus']): Promise<boolean> {
  const name = `${LEADER_METRICS[consensus]}{channel="${state.value?.channel ?? ''}"}`;
  const flags = await Promise.all(
    members.map(async ({ ports }) =>
      ports.ordererOperations === undefined ? 0 : ((await readMetrics(ports.ordererOperations))?.get(name) ?? 0),
    ),
  );
  return flags.some((flag) => flag === 1);
}

async function orderingResult(facts: Facts): Promise<CheckResult | undefined> {
  if (facts.kind !== 'fabric' || facts.running !== 'up') {
    return undefined;
  }
  const config = await presentConfig(facts);
  if (config === undefined) {
    return undefined;
  }
  const { consensus, consenters } = config;
  const reached = await Promise.all(consenters.map((consenter) => reach(facts, consenter)));
  const up = reached.filter(({ isUp }) => isUp).length;
  const needed = quorumOf(consensus, consenters.length);
  const counts = `${up.toString()} of ${consenters.length.toString()} orderers run, ${needed.toString()} are needed`;
  const problems: DoctorProblem[] = reached
    .filter(({ isHere, isUp }) => !isHere && !isUp)
    .map(({ address }) => ({ code: 'ORDERER_UNREACHABLE', found: address }));
  if (up < needed) {
    problems.push({ code: 'ORDERERS_NO_QUORUM', found: `${consensus}: ${counts}` });
  } else if (reached.every(({ isHere }) => isHere)) {
    // Only where all orderers are at hand can it be said that none of them leads.
    const leads = await poll(async () => (await hasLeader(facts, consensus)) || undefined, LEADER_DEADLINE_MS);
    if (leads === undefined) {
      problems.push({ code: 'ORDERERS_NO_LEADER', found: `${consensus}: ${counts}, and none says that it leads` });
    }
  }
  return { seen: `${consensus}: ${counts}`, problems };
}

export const orderingCheck: Check = { name: 'ordering', run: orderingResult };
