// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { bftQuorum, consentersOf, withConsenterCertificates, withConsenters } from './config-consenters.js';
import { channelConfigSchema, type ChannelConfig } from './config-document.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const address = (port: number) => ({ host: 'localhost', port });

function bftConfig(): ChannelConfig {
  const consenter_mapping = [1, 2, 3, 4].map((id) => ({
    ...address(id),
    id,
    msp_id: `Org${id.toString()}`,
    identity: base64(`identity ${id.toString()}`),
    client_tls_cert: base64(`tls ${id.toString()}`),
    server_tls_cert: base64(`tls ${id.toString()}`),
  }));
  return channelConfigSchema.parse({
    groups: {
      Orderer: {
        values: {
          ConsensusType: { value: { type: 'BFT', metadata: { request_pool_size: '7' } } },
          Orderers: { mod_policy: 'Admins', value: { consenter_mapping } },
        },
        policies: { BlockValidation: { mod_policy: 'Admins', policy: {} } },
      },
    },
  });
}

function raftConfig(): ChannelConfig {
  const consenters = [1, 2, 3].map((id) => ({
    ...address(id),
    client_tls_cert: base64(`tls ${id.toString()}`),
    server_tls_cert: base64(`tls ${id.toString()}`),
  }));
  const value = {
    type: 'etcdraft',
    metadata: { consenters, options: { tick_interval: '100ms' } },
    state: 'STATE_NORMAL',
  };
  return channelConfigSchema.parse({ groups: { Orderer: { values: { ConsensusType: { value } } } } });
}

const renewed = { identityCert: 'new identity', tlsCert: 'new tls' };

describe('the orderers in a channel configuration', () => {
  it('have quorums of ⌈(n + f + 1) / 2⌉ with SmartBFT', () => {
    expect([1, 3, 4, 5, 6, 7, 10].map(bftQuorum)).to.deep.equal([1, 2, 3, 4, 4, 5, 7]);
  });

  it('get new certificates one at a time, in the mapping and in the policy that blocks are checked by', () => {
    const config = withConsenterCertificates(bftConfig(), address(2), renewed);
    const consenters = consentersOf(config);
    expect(consenters.map(({ tlsCert }) => tlsCert)).to.deep.equal(['tls 1', 'new tls', 'tls 3', 'tls 4']);
    const identities = ['identity 1', 'new identity', 'identity 3', 'identity 4'];
    expect(consenters.map(({ bft }) => bft?.identityCert)).to.deep.equal(identities);
    const { policy } = config.groups?.['Orderer']?.policies?.['BlockValidation'] ?? {};
    expect(policy).to.deep.equal({
      type: 1,
      value: {
        identities: identities.map((identity, index) => ({
          principal: { id_bytes: base64(identity), mspid: `Org${(index + 1).toString()}` },
          principal_classification: 'IDENTITY',
        })),
        rule: { n_out_of: { n: 3, rules: [0, 1, 2, 3].map((index) => ({ signed_by: index })) } },
        version: 0,
      },
    });
  });

  it('are known by their TLS certificates with Raft, beside options that stay', () => {
    const config = withConsenterCertificates(raftConfig(), address(3), renewed);
    expect(consentersOf(config).map(({ tlsCert }) => tlsCert)).to.deep.equal(['tls 1', 'tls 2', 'new tls']);
    expect(JSON.stringify(config)).to.contain('tick_interval').and.to.contain('STATE_NORMAL');
  });

  it('stay byte for byte what they were where nothing changes', () => {
    const raft = raftConfig();
    expect(withConsenters(structuredClone(raft), consentersOf(raft))).to.deep.equal(raft);
    const bft = withConsenters(bftConfig(), consentersOf(bftConfig()));
    expect(withConsenters(structuredClone(bft), consentersOf(bft))).to.deep.equal(bft);
  });

  it('are found by their address only', () => {
    expect(() => withConsenterCertificates(bftConfig(), address(9), renewed)).to.throw(/localhost:9/);
  });
});
