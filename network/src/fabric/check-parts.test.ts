// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import type { OrganisationPorts } from '../topology/ports.js';
import type { Topology } from '../topology/schema.js';
import { checkParts } from './check-parts.js';
import { publicPartOf, type PublicPart } from './public-part.js';
import { enrolledMember, testTopology } from './testing/organisation.js';

describe('public parts against a topology', () => {
  let directory: string;
  let topology: Topology;
  let parts: PublicPart[];
  const ports: Record<string, OrganisationPorts> = {};

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sev-parts-'));
    topology = testTopology(directory, ['grid', 'maker', 'city']);
    const members = await Promise.all(topology.organisations.map((one) => enrolledMember(directory, one)));
    parts = await Promise.all(members.map(publicPartOf));
    for (const member of members) {
      ports[member.organisation.name] = member.ports;
    }
  });

  after(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  function problemOf(given: readonly PublicPart[]): string {
    try {
      checkParts(topology, ports, given);
    } catch (error) {
      expect(error).to.be.instanceOf(NetworkError);
      const { code, message } = error as NetworkError;
      return `${code}: ${message}`;
    }
    throw new Error('it was accepted');
  }

  const [grid, maker, city] = [0, 1, 2].map((index) => (): PublicPart => parts[index]!) as [
    () => PublicPart,
    () => PublicPart,
    () => PublicPart,
  ];

  it("come in the topology's order, whatever order they are given in", () => {
    expect(checkParts(topology, ports, [city(), grid(), maker()])).to.deep.equal(parts);
  });

  it('are refused when one is missing, is given twice, or belongs to nobody', () => {
    expect(problemOf([grid(), maker()])).to.match(/^PART_INVALID.*city/);
    expect(problemOf([grid(), maker(), city(), { ...city() }])).to.match(/^ORGANISATION_CONFLICT.*same name/);
    expect(problemOf([...parts, { ...city(), name: 'fleet' }])).to.match(/^ORGANISATION_UNKNOWN.*fleet/);
  });

  it('are refused with another MSP id, another address, or without the orderer that the topology names', () => {
    const others: [Partial<PublicPart>, RegExp][] = [
      [{ mspId: 'OtherMSP' }, /MSP id is OtherMSP.*CityMSP/],
      [{ peer: { host: 'elsewhere', port: 1 } }, /peer is elsewhere:1/],
      [{ ca: { host: 'localhost', port: 1 } }, /CA is localhost:1/],
      [{ orderer: { ...city().orderer!, port: 1 } }, /orderer is localhost:1/],
    ];
    for (const [change, expected] of others) {
      expect(problemOf([grid(), maker(), { ...city(), ...change }]))
        .to.match(expected)
        .and.to.match(/^PART_INVALID/);
    }
    const { orderer: _none, ...without } = city();
    expect(problemOf([grid(), maker(), without])).to.match(/orderer is none/);
  });

  it('are refused when two share a root, in whichever place, or an address', () => {
    const roots: Partial<PublicPart>[] = [
      { identityCaCert: grid().identityCaCert },
      { tlsCaCert: grid().tlsCaCert },
      { tlsCaCert: grid().identityCaCert },
    ];
    for (const change of roots) {
      expect(problemOf([grid(), maker(), { ...city(), ...change }])).to.match(/^ORGANISATION_CONFLICT.*root/);
    }
    const address = { ca: { ...grid().peer } };
    expect(problemOf([grid(), maker(), { ...city(), ...address }])).to.match(/^ORGANISATION_CONFLICT.*address/);
  });
});
