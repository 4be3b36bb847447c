// SPDX-License-Identifier: Apache-2.0
import { planPorts, isPortFree, type OrganisationPorts } from '../../topology/ports.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { describeProcess, type Listener } from '../proc.js';

/** Clients that say localhost may end at any of these. */
const LOCAL = ['127.0.0.1', '0.0.0.0', '::', '::1'];

/** The ports of this home's organisations: settled ones, or those that a first start would take. */
async function portsOf(facts: Facts): Promise<Readonly<Record<string, OrganisationPorts>>> {
  const { members, topology, kind } = facts;
  if (members.length > 0) {
    return Object.fromEntries(members.map(({ name, ports }) => [name, ports]));
  }
  const offset = process.env['SEV_PORT_OFFSET'] ?? '';
  if (topology.value === undefined || !/^\d{0,5}$/.test(offset)) {
    return {};
  }
  return (await planPorts(topology.value, Number(offset), undefined, kind)).ports;
}

/** Whether a listener belongs to this home's network: its background process leads a process group. */
function isOurs({ background, proc, live }: Facts, listener: Listener): boolean {
  const owner = proc.ownerOf(listener);
  if (owner === undefined) {
    return false;
  }
  const pids = (live?.nodes ?? []).map(({ pid }) => pid);
  return owner.group === background.value?.pid || owner.pid === background.value?.pid || pids.includes(owner.pid);
}

async function portsResult(facts: Facts): Promise<CheckResult> {
  const { proc, running } = facts;
  const ports = Object.entries(await portsOf(facts)).flatMap(([organisation, own]) =>
    (Object.entries(own) as [string, number | undefined][]).flatMap(([kind, port]) =>
      port === undefined || port === 0 ? [] : [{ port, what: `${kind} of ${organisation}` }],
    ),
  );
  const problems: DoctorProblem[] = [];
  const listeners = proc.listeners();
  for (const { port, what } of ports) {
    if (!proc.exists) {
      // Whose it is cannot be told here; while the network runs it is most likely its own.
      if ((running === 'never' || running === 'down') && !(await isPortFree(port))) {
        problems.push({ code: 'PORT_IN_USE', found: `port ${port.toString()} (${what})` });
      }
      continue;
    }
    const others = listeners.filter(
      (listener) => listener.port === port && LOCAL.includes(listener.address) && !isOurs(facts, listener),
    );
    for (const listener of others) {
      const owner = proc.ownerOf(listener);
      const who = owner === undefined ? "another user's process" : describeProcess(owner);
      problems.push({ code: 'PORT_IN_USE', found: `port ${port.toString()} (${what}) on ${listener.address}: ${who}` });
    }
  }
  return { seen: `${ports.length.toString()} ports, taken by nobody else`, problems };
}

export const portsCheck: Check = { name: 'ports', run: portsResult };
