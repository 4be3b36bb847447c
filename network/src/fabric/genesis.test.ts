// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Topology } from '../topology/schema.js';
import { channelDocument } from './genesis.js';
import type { PublicPart } from './public-part.js';

const part = (name: string, mspId: string, port: number): PublicPart => ({
  schemaVersion: 1,
  name,
  mspId,
  identityCaCert: '-----BEGIN CERTIFICATE-----i',
  tlsCaCert: '-----BEGIN CERTIFICATE-----t',
  caServerRoot: '-----BEGIN CERTIFICATE-----i',
  ca: { host: `${name}.example`, port: port + 4 },
  peer: { host: `${name}.example`, port: port + 1 },
  orderer: {
    host: `${name}.example`,
    port,
    identityCert: '-----BEGIN CERTIFICATE-----o',
    tlsCert: '-----BEGIN CERTIFICATE-----s',
  },
});

const withoutOrderer = (given: PublicPart): PublicPart => {
  const { orderer: _none, ...rest } = given;
  return rest;
};

const topology = (consensus: 'bft' | 'raft'): Topology =>
  ({
    channel: 'ch',
    ordering: { consensus, blockIntervalMs: 200, maxMessageCount: 500, preferredMaxBytes: 2_097_152 },
  }) as unknown as Topology;

const profile = (consensus: 'bft' | 'raft', parts: PublicPart[]) =>
  (channelDocument(topology(consensus), parts)['Profiles'] as { Channel: Record<string, Record<string, unknown>> })
    .Channel;

describe("The channel's first configuration", () => {
  const parts = [part('grid', 'GridMSP', 7050), part('maker', 'MakerMSP', 8050)];

  it('asks a majority of organisations for endorsements, chaincode and changes', () => {
    const application = profile('bft', parts)['Application'] as { Policies: Record<string, { Rule: string }> };
    expect(application.Policies['Endorsement']?.Rule).to.equal('MAJORITY Endorsement');
    expect(application.Policies['LifecycleEndorsement']?.Rule).to.equal('MAJORITY Endorsement');
    expect(application.Policies['Admins']?.Rule).to.equal('MAJORITY Admins');
  });

  it('lets orderers sign blocks as writers, and only peers endorse', () => {
    const [organisation] = profile('bft', parts)['Application']?.['Organizations'] as {
      Policies: Record<string, { Rule: string }>;
    }[];
    expect(organisation?.Policies['Writers']?.Rule).to.contain("'GridMSP.orderer'");
    expect(organisation?.Policies['Endorsement']?.Rule).to.equal("OR('GridMSP.peer')");
  });

  it('cuts blocks at the same interval under either consensus', () => {
    const bft = profile('bft', parts)['Orderer'] as {
      SmartBFT: { RequestBatchMaxInterval: string };
      OrdererType: string;
    };
    expect([bft.OrdererType, bft.SmartBFT.RequestBatchMaxInterval]).to.deep.equal(['BFT', '200ms']);
    const raft = profile('raft', parts)['Orderer'] as { BatchTimeout: string; OrdererType: string };
    expect([raft.OrdererType, raft.BatchTimeout]).to.deep.equal(['etcdraft', '200ms']);
  });

  it('has a consenter and an endpoint for each organisation with an orderer, and none for others', () => {
    const mixed = [...parts, withoutOrderer(part('city', 'CityMSP', 9050))];
    const orderer = profile('bft', mixed)['Orderer'] as {
      ConsenterMapping: { ID: number; MSPID: string; Host: string }[];
      Organizations: { ID: string }[];
    };
    expect(orderer.ConsenterMapping.map(({ ID, MSPID, Host }) => [ID, MSPID, Host])).to.deep.equal([
      [1, 'GridMSP', 'grid.example'],
      [2, 'MakerMSP', 'maker.example'],
    ]);
    expect(orderer.Organizations.map(({ ID }) => ID)).to.deep.equal(['GridMSP', 'MakerMSP']);
  });
});
