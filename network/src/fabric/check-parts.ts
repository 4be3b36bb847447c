// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, type KeyObject } from 'node:crypto';
import { NetworkError } from '../errors.js';
import type { OrganisationPorts } from '../topology/ports.js';
import type { OrganisationTopology, Topology } from '../topology/schema.js';
import type { PublicPart } from './public-part.js';

const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host}:${port.toString()}`;

function keyOf(certificate: string): string {
  const key: KeyObject = createPublicKey(certificate);
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

/** What has to be an organisation's own: a name, an address or a root that two share would let one pass for the other. */
function claimsOf(part: PublicPart): (readonly [what: string, value: string])[] {
  const { orderer } = part;
  return [
    ['name', part.name],
    ['MSP id', part.mspId],
    ['address of the peer', addressOf(part.peer)],
    ['address of the CA', addressOf(part.ca)],
    ['identity root', keyOf(part.identityCaCert)],
    ['TLS root', keyOf(part.tlsCaCert)],
    ...(orderer === undefined
      ? []
      : ([
          ['address of the orderer', addressOf(orderer)],
          ['certificate of the orderer', keyOf(orderer.identityCert)],
          ['TLS certificate of the orderer', keyOf(orderer.tlsCert)],
        ] as const)),
  ];
}

/** Refuses organisations that share what must be each one's own. @throws NetworkError ORGANISATION_CONFLICT */
export function checkDistinct(parts: readonly PublicPart[]): void {
  const owners = new Map<string, PublicPart>();
  for (const part of parts) {
    for (const [what, value] of claimsOf(part)) {
      const kind = what.startsWith('address') ? 'address' : what.includes('root') ? 'root' : what;
      const key = `${kind} ${value}`;
      const owner = owners.get(key);
      if (owner !== undefined && owner !== part) {
        throw new NetworkError(
          'ORGANISATION_CONFLICT',
          `${part.name} and ${owner.name} have the same ${what}${kind === 'address' ? ` ${value}` : ''}`,
        );
      }
      owners.set(key, part);
    }
  }
}

function differenceOf(
  part: PublicPart,
  { mspId, host, orderer }: OrganisationTopology,
  ports: OrganisationPorts,
): string | undefined {
  const compared: (readonly [string, string, string])[] = [
    ['MSP id', part.mspId, mspId],
    ['peer', addressOf(part.peer), addressOf({ host, port: ports.gateway })],
    ['CA', addressOf(part.ca), addressOf({ host, port: ports.ca })],
    [
      'orderer',
      part.orderer === undefined ? 'none' : addressOf(part.orderer),
      orderer === undefined ? 'none' : addressOf({ host, port: ports.orderer ?? orderer.port }),
    ],
  ];
  const differs = compared.find(([, is, shouldBe]) => is !== shouldBe);
  return differs === undefined ? undefined : `its ${differs[0]} is ${differs[1]}, and the topology says ${differs[2]}`;
}

/**
 * Checks that parts are those of a topology's organisations: each one once, with the MSP id and the addresses that the
 * topology names, and with roots of its own.
 *
 * @param ports by organisation, as SEV_PORT_OFFSET moves those of the topology
 * @returns the parts in the topology's order
 * @throws NetworkError PART_INVALID, ORGANISATION_UNKNOWN, ORGANISATION_CONFLICT
 */
export function checkParts(
  topology: Topology,
  ports: Readonly<Record<string, OrganisationPorts>>,
  parts: readonly PublicPart[],
): PublicPart[] {
  const names = topology.organisations.map(({ name }) => name);
  const stranger = parts.find(({ name }) => !names.includes(name));
  if (stranger !== undefined) {
    throw new NetworkError(
      'ORGANISATION_UNKNOWN',
      `${topology.file} has no organisation "${stranger.name}", only ${names.join(', ')}`,
    );
  }
  const missing = names.filter((name) => !parts.some((part) => part.name === name));
  if (missing.length > 0) {
    throw new NetworkError('PART_INVALID', `the public part of ${missing.join(', ')} is missing`);
  }
  checkDistinct(parts);
  return topology.organisations.flatMap((organisation) => {
    const { name } = organisation;
    const part = parts.find((candidate) => candidate.name === name);
    const plan = ports[name];
    if (part === undefined || plan === undefined) {
      return [];
    }
    const difference = differenceOf(part, organisation, plan);
    if (difference !== undefined) {
      throw new NetworkError(
        'PART_INVALID',
        `the part of ${name} does not fit ${topology.file}: ${difference}; agree on one topology file`,
      );
    }
    return [part];
  });
}
