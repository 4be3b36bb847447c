// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { NetworkError } from '../errors.js';
import { checkPortsFree, parsePortOffset, planPorts } from './ports.js';
import type { Topology } from './schema.js';

const topology = {
  file: '/topology.yaml',
  organisations: [
    { name: 'grid', mspId: 'GridOperatorMSP', ports: { gateway: 7051, ca: 7054, chaincode: 7052 } },
    { name: 'maker', mspId: 'ManufacturerMSP', ports: { gateway: 8051, ca: 8054, chaincode: 8052 } },
  ],
} as unknown as Topology;

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as NetworkError).code;
  }
  return 'accepted';
};

describe('The ports of a network', () => {
  it('are those of the topology, moved by the offset', async () => {
    const plan = await planPorts(topology, 100, undefined);
    expect(plan.ports['grid']).to.deep.equal({ gateway: 7151, ca: 7154, chaincode: 7152 });
    expect((await planPorts(topology, undefined, undefined)).ports['maker']?.gateway).to.equal(8051);
  });

  it('are picked once when they may be any, and stay until a number is asked for', async () => {
    const first = await planPorts(topology, 'ephemeral', undefined);
    const numbers = Object.values(first.ports).flatMap(({ gateway, ca }) => [gateway, ca]);
    expect(new Set(numbers).size).to.equal(4);
    expect(await planPorts(topology, undefined, first)).to.deep.equal(first);
    expect(await planPorts(topology, 'ephemeral', first)).to.deep.equal(first);
    expect((await planPorts(topology, 0, first)).ports['grid']?.gateway).to.equal(7051);
  });

  it('keep a numeric offset until another is asked for', async () => {
    const first = await planPorts(topology, 100, undefined);
    expect(await planPorts(topology, undefined, first)).to.deep.equal(first);
  });

  it('are refused beyond the last port, and offsets that are none', async () => {
    const error = await planPorts(topology, 60_000, undefined).catch((reason: unknown) => reason as NetworkError);
    expect(error).to.have.property('code', 'PORT_OFFSET_INVALID');
    for (const value of ['-1', 'x', '1.5', '0x10']) {
      expect(codeOf(() => parsePortOffset(value))).to.equal('PORT_OFFSET_INVALID');
    }
    expect([
      parsePortOffset(undefined),
      parsePortOffset(''),
      parsePortOffset('5'),
      parsePortOffset('ephemeral'),
    ]).to.deep.equal([undefined, undefined, 5, 'ephemeral']);
  });

  it('are refused when another program listens on one, naming port and setting', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      const plan = { offset: 0, ports: { grid: { gateway: 0, ca: port, chaincode: 0 } } };
      const error = await checkPortsFree(topology, plan).then(
        () => undefined,
        (reason: unknown) => reason as NetworkError,
      );
      expect(error?.code).to.equal('PORT_IN_USE');
      expect(error?.message).to.contain(String(port)).and.to.contain('organisations.grid.ports.ca');
    } finally {
      server.close();
    }
  });
});
