// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { TopologyError } from '../errors.js';
import { loadTopology } from './load.js';

const SHIPPED = fileURLToPath(new URL('../../../test-network-config/consortium.yaml', import.meta.url));

const GOOD = `schemaVersion: 1
name: sev
channel: sevchannel
organisations:
  - name: grid
    mspId: GridOperatorMSP
    ports: { gateway: 7051, ca: 7054, chaincode: 7052 }
  - name: maker
    mspId: ManufacturerMSP
    ports: { gateway: 8051, ca: 8054, chaincode: 8052 }
chaincode: { name: sev, version: "0.1.0", path: ../chaincode }
`;

describe('A topology file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sev-topology-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  const load = (text: string) => {
    const file = join(directory, 'consortium.yaml');
    writeFileSync(file, text);
    return loadTopology(file);
  };
  const errorOf = (text: string): TopologyError => {
    try {
      load(text);
    } catch (error) {
      expect(error).to.be.instanceOf(TopologyError);
      return error as TopologyError;
    }
    throw new Error('the topology was accepted');
  };

  it('that ships is read', () => {
    const topology = loadTopology(SHIPPED);
    expect(topology.organisations.map(({ mspId }) => mspId)).to.deep.equal([
      'GridOperatorMSP',
      'ManufacturerMSP',
      'CityMSP',
      'RegulatorMSP',
    ]);
    expect(topology.ordering).to.deep.equal({
      consensus: 'bft',
      blockIntervalMs: 150,
      batchTimeoutMs: 5,
      maxMessageCount: 500,
      preferredMaxBytes: 2_097_152,
      cutWhenIdle: false,
    });
    expect(topology.chaincode.path).to.equal(resolve(SHIPPED, '../../chaincode'));
  });

  it('needs no settings that have defaults', () => {
    expect(load(GOOD).ordering.batchTimeoutMs).to.equal(20);
    expect(load(GOOD).certificates.enrollmentValiditySeconds).to.equal(31_536_000);
  });

  for (const [what, change, line, words] of [
    [
      'a missing field',
      (text: string) => text.replace('    mspId: ManufacturerMSP\n', ''),
      8,
      'organisations[1].mspId',
    ],
    ['a duplicate name', (text: string) => text.replace('name: maker', 'name: grid'), 8, '"grid" is already used'],
    [
      'a duplicate MSP id',
      (text: string) => text.replace('ManufacturerMSP', 'GridOperatorMSP'),
      9,
      'MSP id "GridOperatorMSP"',
    ],
    [
      'a port used twice',
      (text: string) => text.replace('ca: 8054', 'ca: 7051'),
      10,
      'port 7051 is already used by gateway of organisation "grid"',
    ],
    ['a port that is none', (text: string) => text.replace('8051', '80510'), 10, 'organisations[1].ports.gateway'],
    ['a misspelt field', (text: string) => `${text}orderng: {}\n`, 12, 'orderng'],
    [
      'a schema of another version',
      (text: string) => text.replace('schemaVersion: 1', 'schemaVersion: 2'),
      1,
      'schemaVersion',
    ],
    ['YAML that is none', (text: string) => text.replace('name: grid', 'name: "grid'), 5, ''],
    ['a key twice', (text: string) => text.replace('channel: sevchannel', 'name: sevchannel'), 3, 'unique'],
    [
      'no organisations',
      (text: string) => text.replace(/organisations:[^]*chaincode:/, 'organisations: []\nchaincode:'),
      4,
      'organisations',
    ],
  ] as const) {
    it(`with ${what} is refused, naming the line`, () => {
      const error = errorOf(change(GOOD));
      expect(error.code).to.equal('TOPOLOGY_INVALID');
      expect(error.line).to.equal(line);
      expect(error.message)
        .to.contain(`consortium.yaml:${String(line)}: `)
        .and.to.contain(words);
    });
  }

  const NATIVE = readFileSync(SHIPPED, 'utf8');
  const nativeErrorOf = (text: string): TopologyError => {
    const file = join(directory, 'consortium.yaml');
    writeFileSync(file, text);
    try {
      loadTopology(file, 'fabric');
    } catch (error) {
      expect(error).to.be.instanceOf(TopologyError);
      return error as TopologyError;
    }
    throw new Error('the topology was accepted');
  };
  const lineOf = (text: string, words: string): number => text.slice(0, text.indexOf(words)).split('\n').length;

  for (const [what, change, where, words] of [
    [
      'too few orderers for BFT',
      (text: string) => text.replace(/^ {4}orderer: .*10050.*\n/m, ''),
      'consensus: bft',
      'bft needs at least 4 organisations with an orderer, and there are 3',
    ],
    [
      'an unknown consensus',
      (text: string) => text.replace('consensus: bft', 'consensus: solo'),
      'consensus: solo',
      'ordering.consensus',
    ],
    [
      'a missing operations port',
      (text: string) => text.replace(', peerOperations: 9055', ''),
      'ports: { gateway: 9051',
      'organisation "city" needs it on a native network',
    ],
    [
      'an orderer on the port of a peer',
      (text: string) => text.replace('{ port: 8050', '{ port: 7051'),
      'orderer: { port: 7051',
      'port 7051 is already used by gateway of organisation "grid"',
    ],
    [
      'an address that is none',
      (text: string) => text.replace('mspId: CityMSP', 'mspId: CityMSP\n    host: "no host"'),
      'host: "no host"',
      'organisations[2].host',
    ],
  ] as const) {
    it(`for Fabric with ${what} is refused, naming the line`, () => {
      const text = change(NATIVE);
      const error = nativeErrorOf(text);
      expect(error.line).to.equal(lineOf(text, where));
      expect(error.message).to.contain(words);
    });
  }

  it('for Fabric may have organisations without an orderer under Raft', () => {
    const file = join(directory, 'consortium.yaml');
    writeFileSync(file, NATIVE.replace('consensus: bft', 'consensus: raft').replace(/^ {4}orderer: .*10050.*\n/m, ''));
    expect(loadTopology(file, 'fabric').organisations[3]?.orderer).to.equal(undefined);
  });

  it('may use one port on two hosts', () => {
    const one = GOOD.replaceAll('8051', '7051').replace(
      'mspId: ManufacturerMSP',
      'mspId: ManufacturerMSP\n    host: maker.example',
    );
    expect(load(one).organisations[1]?.host).to.equal('maker.example');
  });

  it('that is empty, or not there, is refused', () => {
    expect(errorOf('').code).to.equal('TOPOLOGY_INVALID');
    expect(() => loadTopology(join(directory, 'none.yaml'))).to.throw(TopologyError, 'there is no such file');
  });
});
