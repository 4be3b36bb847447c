// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { networkClean } from '../supervisor/down.js';
import { networkUp } from '../supervisor/up.js';
import { pickFreePort } from '../topology/ports.js';
import { acceptBundle } from './accept.js';
import { composeChannel } from './compose.js';
import { consentersOf } from './config-consenters.js';
import { channelContext, fetchChannelConfig } from './config-update.js';
import { openFabricHome } from './home.js';
import { tlsFiles } from './layout.js';
import { ordererState } from './orderer-state.js';
import { exportPart, initOrganisation } from './organisation-home.js';
import { signProposal, submitProposal } from './proposals.js';
import { rotateNodes } from './rotation.js';
import { newTestClient } from './testing/client.js';
import { requireFabric } from './testing/network.js';

const NAMES = ['grid', 'maker', 'city', 'regulator'] as const;
const CHAINCODE = fileURLToPath(new URL('../../fixtures/testcc', import.meta.url));

async function topologyText(): Promise<string> {
  const taken = new Set<number>();
  const port = async (): Promise<string> => (await pickFreePort(taken)).toString();
  const organisations: string[] = [];
  for (const name of NAMES) {
    const ports = `{ gateway: ${await port()}, ca: ${await port()}, chaincode: ${await port()}, peerOperations: ${await port()}, caOperations: ${await port()} }`;
    const orderer = `{ port: ${await port()}, admin: ${await port()}, operations: ${await port()} }`;
    organisations.push(`  - { name: ${name}, mspId: ${name}MSP, ports: ${ports}, orderer: ${orderer} }`);
  }
  return [
    'schemaVersion: 1',
    'name: apart',
    'channel: apartchannel',
    'organisations:',
    ...organisations,
    `chaincode: { name: testcc, version: "1.0", path: ${JSON.stringify(CHAINCODE)} }`,
    '',
  ].join('\n');
}

describe("The rotation of an organisation's certificates in a home of its own", function () {
  this.timeout(300_000);
  requireFabric(this);
  const directory = mkdtempSync(join(tmpdir(), 'sev-apart-'));
  const topologyPath = join(directory, 'consortium.yaml');
  const offsetBefore = process.env['SEV_PORT_OFFSET'];
  const at = (name: string) => ({ home: join(directory, name), topologyPath, network: 'fabric' as const });
  const proposal = join(directory, 'rotation.json');

  before(async () => {
    delete process.env['SEV_PORT_OFFSET'];
    writeFileSync(topologyPath, await topologyText());
    const parts = NAMES.map((name) => join(directory, `${name}.json`));
    for (const [index, name] of NAMES.entries()) {
      await initOrganisation(name, at(name));
      await exportPart(parts[index] ?? '', at(name));
    }
    await composeChannel(parts, join(directory, 'bundle'), at('grid'));
    for (const name of NAMES) {
      await acceptBundle(join(directory, 'bundle'), [], at(name));
    }
    await Promise.all(NAMES.map((name) => networkUp(at(name))));
  });
  after(async () => {
    await Promise.all(NAMES.map((name) => networkClean(at(name))));
    rmSync(directory, { recursive: true, force: true });
    if (offsetBefore !== undefined) {
      process.env['SEV_PORT_OFFSET'] = offsetBefore;
    }
  });

  const ordererTls = async (): Promise<string> => {
    const [member] = (await openFabricHome(at('city'))).members;
    return new X509Certificate(readFileSync(tlsFiles(member?.layout.orderer.tls ?? '').certificate)).serialNumber;
  };
  const knownTls = async (): Promise<string[]> => {
    const { config } = await fetchChannelConfig(channelContext(await openFabricHome(at('grid'))));
    return consentersOf(config).map(({ tlsCert }) => new X509Certificate(tlsCert).serialNumber);
  };

  it('waits with the orderer until the others have signed, and finishes then', async () => {
    const before = await ordererTls();
    const first = await rotateNodes([], { ...at('city'), proposal });
    expect(first.organisations).to.deep.equal([]);
    expect(first.proposal).to.deep.include({ change: 'rotate-orderer', signers: ['cityMSP'] });
    expect(await ordererTls()).to.equal(before);
    for (const name of ['grid', 'maker']) {
      await signProposal(proposal, at(name));
    }
    await submitProposal(proposal, at('city'));
    const second = await rotateNodes([], { ...at('city'), proposal });
    expect(second).to.deep.equal({ organisations: ['city'] });
    const after = await ordererTls();
    expect(after).to.not.equal(before);
    expect(await knownTls())
      .to.include(after)
      .and.not.include(before);
    const home = await openFabricHome(at('city'));
    const [admin] = home.admins;
    expect(admin && (await ordererState(admin, home.topology.channel))).to.deep.include({
      consensusRelation: 'consenter',
      status: 'active',
    });
  });

  it('leaves the organisation endorsing and ordering', async () => {
    const client = await newTestClient(at('city').home, 'city');
    try {
      const endorsingOrganizations = NAMES.map((name) => `${name}MSP`);
      await client.contract.submit('put', { arguments: ['after', 'rotation'], endorsingOrganizations });
    } finally {
      client.close();
    }
  });
});
