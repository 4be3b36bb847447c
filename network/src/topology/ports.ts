// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { NetworkError, systemErrorCode } from '../errors.js';
import type { Topology } from './schema.js';

const HOST = '127.0.0.1';
/**
 * Below the ranges from which Linux (32768) and macOS (49152) take ports for outgoing connections: a port of ours that is
 * remembered while the network is down is then not taken by chance.
 */
const EPHEMERAL_RANGE = [20_000, 32_000] as const;
const MAX_PORT = 65_535;
const PORT_KINDS = ['gateway', 'ca', 'chaincode'] as const;

/** Ports of one organisation. */
export interface OrganisationPorts {
  readonly gateway: number;
  readonly ca: number;
  /** 0 lets the network pick a free one at each start: nobody else has to know it. */
  readonly chaincode: number;
}

/** What SEV_PORT_OFFSET says: a number to add, or free ports. */
export type PortOffset = number | 'ephemeral';

/** Ports by the organisations' names, and where they come from. */
export interface PortPlan {
  readonly offset: PortOffset;
  readonly ports: Readonly<Record<string, OrganisationPorts>>;
}

/** @throws NetworkError PORT_OFFSET_INVALID */
export function parsePortOffset(value: string | undefined): PortOffset | undefined {
  if (value === undefined || value === '') {
    return undefined;
  }
  if (value === 'ephemeral') {
    return 'ephemeral';
  }
  if (!/^\d{1,5}$/.test(value)) {
    throw new NetworkError('PORT_OFFSET_INVALID', `SEV_PORT_OFFSET=${value} is neither a whole number nor "ephemeral"`);
  }
  return Number(value);
}

/** Whether nobody listens on a port of the loopback interface. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') {
        resolve(false);
      } else {
        reject(error);
      }
    });
    probe.listen(port, HOST, () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}

async function freePort(taken: Set<number>): Promise<number> {
  for (;;) {
    const port = randomInt(...EPHEMERAL_RANGE);
    if (!taken.has(port) && (await isPortFree(port))) {
      taken.add(port);
      return port;
    }
  }
}

function shifted(port: number, offset: number, setting: string): number {
  const sum = port + offset;
  if (sum > MAX_PORT) {
    throw new NetworkError(
      'PORT_OFFSET_INVALID',
      `SEV_PORT_OFFSET=${offset.toString()} moves ${setting} from ${port.toString()} to ${sum.toString()}, beyond ${MAX_PORT.toString()}`,
    );
  }
  return sum;
}

/**
 * The ports of a network: those of the topology, moved by the offset, or free ones that are picked once.
 *
 * @param asked what SEV_PORT_OFFSET says now; nothing keeps what was settled before
 * @param remembered the plan of an earlier start
 */
export async function planPorts(
  topology: Topology,
  asked: PortOffset | undefined,
  remembered: PortPlan | undefined,
): Promise<PortPlan> {
  const offset = asked ?? remembered?.offset ?? 0;
  if (offset === 'ephemeral') {
    if (remembered?.offset === 'ephemeral') {
      return remembered;
    }
    const taken = new Set<number>();
    const ports: Record<string, OrganisationPorts> = {};
    for (const { name } of topology.organisations) {
      ports[name] = { gateway: await freePort(taken), ca: await freePort(taken), chaincode: 0 };
    }
    return { offset, ports };
  }
  const entries = topology.organisations.map(({ name, ports }) => {
    const move = (kind: keyof OrganisationPorts): number => shifted(ports[kind], offset, `${kind} of "${name}"`);
    return [name, { gateway: move('gateway'), ca: move('ca'), chaincode: move('chaincode') }] as const;
  });
  return { offset, ports: Object.fromEntries(entries) };
}

/** Where a port comes from, and what to do about it. */
function settingOf(
  topology: Topology,
  offset: PortOffset,
  organisation: string,
  kind: keyof OrganisationPorts,
): string {
  if (offset === 'ephemeral') {
    return `picked for ${kind} of "${organisation}" by SEV_PORT_OFFSET=ephemeral; stop that program, or set another SEV_PORT_OFFSET`;
  }
  const moved = offset === 0 ? '' : ` + SEV_PORT_OFFSET=${offset.toString()}`;
  return `organisations.${organisation}.ports.${kind} of ${topology.file}${moved}; stop that program, change the setting, or set SEV_PORT_OFFSET`;
}

/** Refuses a plan with a port that another program listens on. @throws NetworkError PORT_IN_USE naming port and setting */
export async function checkPortsFree(topology: Topology, plan: PortPlan): Promise<void> {
  for (const { name } of topology.organisations) {
    for (const kind of PORT_KINDS) {
      const port = plan.ports[name]?.[kind] ?? 0;
      if (port !== 0 && !(await isPortFree(port))) {
        const setting = settingOf(topology, plan.offset, name, kind);
        throw new NetworkError('PORT_IN_USE', `port ${port.toString()} is in use by another program (${setting})`);
      }
    }
  }
}
