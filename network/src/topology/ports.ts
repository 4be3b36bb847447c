// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { NetworkError, systemErrorCode } from '../errors.js';
import type { OrganisationTopology, Topology } from './schema.js';

const HOST = '127.0.0.1';
/**
 * Below the ranges from which Linux (32768) and macOS (49152) take ports for outgoing connections: a port of ours that is
 * remembered while the network is down is then not taken by chance.
 */
const EPHEMERAL_RANGE = [20_000, 32_000] as const;
const MAX_PORT = 65_535;

/** Ports of one organisation. */
export interface OrganisationPorts {
  readonly gateway: number;
  readonly ca: number;
  /** 0 lets the embedded network pick a free one at each start: nobody else has to know it. */
  readonly chaincode: number;
  /** The others are those of native networks. */
  readonly peerOperations?: number | undefined;
  readonly caOperations?: number | undefined;
  readonly orderer?: number | undefined;
  readonly ordererAdmin?: number | undefined;
  readonly ordererOperations?: number | undefined;
}

/** Networks by what runs them; they need different ports. */
export type NetworkKind = 'embedded' | 'fabric';

/** The ports that an organisation asks for, by what they are for. */
function askedPorts({ ports, orderer }: OrganisationTopology, network: NetworkKind): OrganisationPorts {
  const { gateway, ca, chaincode, peerOperations, caOperations } = ports;
  if (network === 'embedded') {
    return { gateway, ca, chaincode };
  }
  const node =
    orderer === undefined
      ? {}
      : { orderer: orderer.port, ordererAdmin: orderer.admin, ordererOperations: orderer.operations };
  return { gateway, ca, chaincode, peerOperations, caOperations, ...node };
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

/** Whether nobody listens on a port of an address of this machine; default: of the loopback interface. */
export async function isPortFree(port: number, host = HOST): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') {
        resolve(false);
      } else if (code === 'EADDRNOTAVAIL') {
        const detail = `this machine has no address ${host}, which the topology's \`listen\` names`;
        reject(new NetworkError('TOPOLOGY_INVALID', detail, { cause: error }));
      } else {
        reject(error);
      }
    });
    probe.listen(port, host, () => {
      probe.close(() => {
        resolve(true);
      });
    });
  });
}

/** A port of loopback that nobody listens on, not one of those taken; it is added to them. */
export async function pickFreePort(taken: Set<number>): Promise<number> {
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
  network: NetworkKind = 'embedded',
): Promise<PortPlan> {
  const offset = asked ?? remembered?.offset ?? 0;
  if (offset === 'ephemeral') {
    if (remembered?.offset === 'ephemeral') {
      return remembered;
    }
    const taken = new Set<number>();
    const ports: Record<string, OrganisationPorts> = {};
    for (const organisation of topology.organisations) {
      const asked = askedPorts(organisation, network);
      ports[organisation.name] = await mapPorts(asked, (_, kind) =>
        network === 'embedded' && kind === 'chaincode' ? 0 : pickFreePort(taken),
      );
    }
    return { offset, ports };
  }
  const ports: Record<string, OrganisationPorts> = {};
  for (const organisation of topology.organisations) {
    const { name } = organisation;
    const asked = askedPorts(organisation, network);
    ports[name] = await mapPorts(asked, (port, kind) => shifted(port, offset, `${kind} of "${name}"`));
  }
  return { offset, ports };
}

async function mapPorts(
  ports: OrganisationPorts,
  change: (port: number, kind: string) => number | Promise<number>,
): Promise<OrganisationPorts> {
  const changed: Record<string, number> = {};
  for (const [kind, port] of Object.entries(ports) as [string, number | undefined][]) {
    if (port !== undefined) {
      changed[kind] = await change(port, kind);
    }
  }
  return changed as unknown as OrganisationPorts;
}

/** Where a port comes from, and what to do about it. */
function settingOf(topology: Topology, offset: PortOffset, organisation: string, kind: string): string {
  if (offset === 'ephemeral') {
    return `picked for ${kind} of "${organisation}" by SEV_PORT_OFFSET=ephemeral; stop that program, or set another SEV_PORT_OFFSET`;
  }
  const moved = offset === 0 ? '' : ` + SEV_PORT_OFFSET=${offset.toString()}`;
  const setting = kind.startsWith('orderer') ? `orderer (${kind})` : `ports.${kind}`;
  return `organisations.${organisation}.${setting} of ${topology.file}${moved}; stop that program, change the setting, or set SEV_PORT_OFFSET`;
}

/** Ports that others reach; the rest stays on loopback. */
const PUBLIC_PORTS = ['gateway', 'ca', 'orderer'];

/**
 * Refuses a plan with a port that another program listens on, or an address that this machine does not have.
 * @throws NetworkError PORT_IN_USE naming port and setting, TOPOLOGY_INVALID
 */
export async function checkPortsFree(
  topology: Topology,
  plan: PortPlan,
  members = topology.organisations.map(({ name }) => name),
): Promise<void> {
  for (const name of members) {
    for (const [kind, port] of Object.entries(plan.ports[name] ?? {}) as [string, number][]) {
      const listen = topology.organisations.find((organisation) => organisation.name === name)?.listen;
      if (port !== 0 && !(await isPortFree(port, PUBLIC_PORTS.includes(kind) ? listen : HOST))) {
        const setting = settingOf(topology, plan.offset, name, kind);
        throw new NetworkError('PORT_IN_USE', `port ${port.toString()} is in use by another program (${setting})`);
      }
    }
  }
}
