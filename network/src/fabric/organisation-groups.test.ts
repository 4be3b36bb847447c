// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { consentersOf } from './config-consenters.js';
import { groupAt, type ChannelConfig } from './config-document.js';
import {
  addConsenter,
  addOrganisation,
  checkFaultTolerance,
  checkOrganisationRoots,
  ordererEndpoints,
  orderingQuorum,
  organisationsOf,
  removeOrganisation,
} from './organisation-groups.js';
import type { PublicPart } from './public-part.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What of a certificate matters here is only which one it is. */
function part(name: string, port: number): PublicPart {
  const of = (what: string): string => `-----BEGIN CERTIFICATE-----${what}-${name}`;
  return {
    schemaVersion: 1,
    name,
    mspId: `${name}MSP`,
    identityCaCert: of('identity'),
    tlsCaCert: of('tls'),
    caServerRoot: of('identity'),
    ca: { host: name, port: port + 2 },
    peer: { host: name, port: port + 1 },
    orderer: { host: name, port, identityCert: of('orderer'), tlsCert: of('orderer-tls') },
  };
}

function organisationGroup({ identityCaCert, tlsCaCert, peer }: PublicPart): ChannelConfig {
  const config = {
    root_certs: [base64(identityCaCert)],
    tls_root_certs: [base64(tlsCaCert)],
    revocation_list: ['crl'],
  };
  return {
    mod_policy: 'Admins',
    version: '2',
    policies: { Admins: { mod_policy: 'Admins', policy: { type: 1 }, version: '1' } },
    values: {
      MSP: { mod_policy: 'Admins', value: { config, type: 0 }, version: '3' },
      AnchorPeers: { mod_policy: 'Admins', value: { anchor_peers: [peer] }, version: '0' },
    },
  };
}

function channel(kind: 'BFT' | 'etcdraft', parts: readonly PublicPart[]): ChannelConfig {
  const empty: ChannelConfig = {
    groups: {
      Application: { groups: Object.fromEntries(parts.map((each) => [each.mspId, organisationGroup(each)])) },
      Orderer: {
        groups: {},
        policies: { BlockValidation: { mod_policy: 'Admins', policy: {}, version: '0' } },
        values: {
          ConsensusType: { value: { type: kind, metadata: kind === 'BFT' ? {} : { consenters: [], options: {} } } },
          ...(kind === 'BFT' ? { Orderers: { value: { consenter_mapping: [] } } } : {}),
        },
      },
    },
  };
  return parts.reduce(addConsenter, empty);
}

const NAMES = ['one', 'two', 'three', 'four'];
const parts = NAMES.map((name, index) => part(name, 7000 + index * 10));
const newcomer = part('five', 7100);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    expect(error).to.be.instanceOf(NetworkError);
    return (error as NetworkError).code;
  }
  return 'none';
}

for (const kind of ['BFT', 'etcdraft'] as const) {
  describe(`organisations of a channel under ${kind}`, () => {
    it('come in without an orderer, and touch nothing else', () => {
      const before = channel(kind, parts);
      const after = addOrganisation(structuredClone(before), newcomer.mspId, organisationGroup(newcomer));
      expect(organisationsOf(after)).to.deep.equal([...organisationsOf(before), newcomer.mspId].sort());
      expect(groupAt(after, 'Orderer')).to.deep.equal(groupAt(before, 'Orderer'));
      expect(addOrganisation(structuredClone(after), newcomer.mspId, {})).to.deep.equal(after);
    });

    it('have their orderer made a consenter afterwards, with the same MSP as their peers have', () => {
      const base = addOrganisation(channel(kind, parts), newcomer.mspId, organisationGroup(newcomer));
      const after = addConsenter(structuredClone(base), newcomer);
      expect(consentersOf(after)).to.have.length(5);
      expect(consentersOf(after).slice(0, 4)).to.deep.equal(consentersOf(base));
      expect(ordererEndpoints(after)).to.deep.include({ mspId: newcomer.mspId, address: 'five:7100' });
      const { MSP: msp } = groupAt(after, 'Orderer', newcomer.mspId).values!;
      expect(msp!.value).to.deep.equal(groupAt(after, 'Application', newcomer.mspId).values!['MSP']!.value);
      expect(msp!.version).to.equal('0');
      expect(addConsenter(structuredClone(after), newcomer)).to.deep.equal(after);
    });

    it('have no orderer of a stranger made a consenter, nor of one that has none', () => {
      const { orderer: _none, ...without } = newcomer;
      const base = addOrganisation(channel(kind, parts), newcomer.mspId, organisationGroup(newcomer));
      expect(codeOf(() => addConsenter(channel(kind, parts), newcomer))).to.equal('ORGANISATION_UNKNOWN');
      expect(codeOf(() => addConsenter(base, without))).to.equal('PART_INVALID');
    });

    it('leave as if they had never been there', () => {
      const before = channel(kind, parts);
      const grown = addOrganisation(structuredClone(before), newcomer.mspId, organisationGroup(newcomer));
      expect(removeOrganisation(structuredClone(grown), newcomer.mspId)).to.deep.equal(before);
      expect(removeOrganisation(addConsenter(grown, newcomer), newcomer.mspId)).to.deep.equal(before);
    });

    it('may not leave with the only orderer', () => {
      expect(codeOf(() => removeOrganisation(channel(kind, parts.slice(0, 1)), 'oneMSP'))).to.equal(
        'ORGANISATION_CONFLICT',
      );
    });

    it('are known by the roots of their parts', () => {
      const config = channel(kind, parts);
      expect(
        codeOf(() => {
          checkOrganisationRoots(config, parts[0]!);
        }),
      ).to.equal('none');
      const forged = { ...parts[0]!, tlsCaCert: newcomer.tlsCaCert };
      expect(
        codeOf(() => {
          checkOrganisationRoots(config, forged);
        }),
      ).to.equal('BUNDLE_INVALID');
    });
  });
}

describe('fault tolerance', () => {
  const without = (kind: 'BFT' | 'etcdraft', count: number) => () => {
    const before = channel(kind, [...parts, newcomer].slice(0, count));
    checkFaultTolerance(before, removeOrganisation(structuredClone(before), 'oneMSP'));
  };

  it('is not given up by removing an orderer: SmartBFT needs four, Raft three', () => {
    expect(codeOf(without('BFT', 5))).to.equal('none');
    expect(codeOf(without('BFT', 4))).to.equal('FAULT_TOLERANCE');
    expect(codeOf(without('etcdraft', 4))).to.equal('none');
    expect(codeOf(without('etcdraft', 3))).to.equal('FAULT_TOLERANCE');
  });

  it('does not hold up an organisation without an orderer', () => {
    const three = channel('BFT', parts.slice(0, 3));
    const before = addOrganisation(three, newcomer.mspId, organisationGroup(newcomer));
    const after = removeOrganisation(structuredClone(before), newcomer.mspId);
    expect(
      codeOf(() => {
        checkFaultTolerance(before, after);
      }),
    ).to.equal('none');
  });

  it('asks for a quorum of the orderers', () => {
    const quorums = [1, 2, 3, 4, 5].map((count) =>
      orderingQuorum(channel('BFT', [...parts, newcomer].slice(0, count))),
    );
    expect(quorums).to.deep.equal([1, 2, 2, 3, 4]);
    expect(orderingQuorum(channel('etcdraft', parts))).to.equal(3);
  });
});
