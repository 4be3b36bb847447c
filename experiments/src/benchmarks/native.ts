// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { networkStatus, type NetworkStatus } from '@sev/network';
import { rounded, type BenchmarkContext, type Figure } from '../figure.js';

/** Resident memory of a process in MB, as the system counts it (Linux). */
async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid.toString()}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Resident memory of a network's processes in MB, its supervisor's included. */
export async function networkMemory(networkHome: string): Promise<number> {
  const status = await networkStatus({ home: networkHome });
  const pids = [status.pid, ...status.nodes.map(({ pid }) => pid)].filter((pid) => pid !== undefined);
  const sizes = await Promise.all(pids.map(residentMegabytes));
  return sizes.reduce((sum, size) => sum + size, 0);
}

export type Node = NetworkStatus['nodes'][number];

/** A process of the network by its name. */
export async function nodeNamed(context: BenchmarkContext, name: string): Promise<Node> {
  const { nodes } = await networkStatus({ home: context.networkHome });
  const node = nodes.find((candidate) => candidate.name === name || candidate.name.startsWith(`${name}.`));
  if (node === undefined) {
    throw new Error(`the network has no process ${name}`);
  }
  return node;
}

/** Ports of operations endpoints by organisation, from the network's state. */
async function ordererOperations(networkHome: string): Promise<readonly (readonly [string, number])[]> {
  const state = JSON.parse(await readFile(`${networkHome}/fabric/state.json`, 'utf8')) as {
    portPlan: { ports: Record<string, { ordererOperations?: number }> };
  };
  return Object.entries(state.portPlan.ports).flatMap(([name, { ordererOperations: port }]) =>
    port === undefined ? [] : [[name, port] as const],
  );
}

/** The organisation whose orderer says that it leads (SmartBFT), and the number it gives its leader. */
export async function findLeader(
  networkHome: string,
): Promise<{ readonly organisation: string; readonly leaderId: number } | undefined> {
  for (const [organisation, port] of await ordererOperations(networkHome)) {
    const response = await fetch(`http://127.0.0.1:${port.toString()}/metrics`).catch(() => undefined);
    const text = (await response?.text()) ?? '';
    if (/^consensus_BFT_is_leader\{.*\} 1$/m.test(text)) {
      return { organisation, leaderId: Number(/^consensus_BFT_leader_id\{.*\} (\d+)$/m.exec(text)?.[1] ?? 0) };
    }
  }
  return undefined;
}

export const lower = (name: string, value: number, unit: string, target: number | null, note: string): Figure => ({
  name,
  value: rounded(value, 2),
  unit,
  target,
  better: 'lower',
  note,
});

export const higher = (name: string, value: number, unit: string, target: number | null, note: string): Figure => ({
  ...lower(name, value, unit, target, note),
  better: 'higher',
});
