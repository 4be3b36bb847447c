// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { networkPaths } from '../../supervisor/paths.js';
import { poll } from '../../supervisor/poll.js';
import { networkUp } from '../../supervisor/up.js';
import { consensusOf, consentersOf } from '../config-consenters.js';
import { channelContext, fetchChannelConfig, updateChannel } from '../config-update.js';
import { adminOf, openFabricHome } from '../home.js';
import { installedChaincodes } from '../chaincode-deployment.js';
import { mspFiles, organisationLayout, tlsFiles } from '../layout.js';
import { ordererState } from '../orderer-state.js';
import { rotateNodes } from '../rotation.js';
import { newTestClient, type TestClient } from './client.js';
import { newTestFolder, requireFabric, type TestFolder } from './network.js';

const COMMIT_DEADLINE_MS = 5_000;

/** Writes one value after the other until it is told to stop; a client that tries again, as applications do. */
function startWriting(client: TestClient): { stop(): Promise<{ written: number; longestGapMs: number }> } {
  const state = { isStopped: false };
  const work = (async () => {
    let written = 0;
    let longestGapMs = 0;
    let last = Date.now();
    while (!state.isStopped) {
      try {
        const commit = await client.contract.submitAsync('put', { arguments: ['written', written.toString()] });
        // Raft may lose what a leader took that is then stopped: the client has to ask with a deadline.
        await commit.getStatus({ deadline: Date.now() + COMMIT_DEADLINE_MS });
        written += 1;
        longestGapMs = Math.max(longestGapMs, Date.now() - last);
        last = Date.now();
      } catch {
        // A node that is being restarted, or an orderer that was asked in its last moment: again.
      }
    }
    return { written, longestGapMs };
  })();
  return {
    stop: () => {
      state.isStopped = true;
      return work;
    },
  };
}

const serialOf = (file: string): string => new X509Certificate(readFileSync(file)).serialNumber;

/** Serial numbers of all certificates that an organisation's nodes present. */
async function serialsOf(folder: TestFolder, organisation: string): Promise<Record<string, string>> {
  const home = await openFabricHome(folder.options);
  const { member } = adminOf(home, organisation);
  const { layout } = member;
  const [chaincode] = await installedChaincodes(member);
  return {
    admin: serialOf(mspFiles(layout.adminMsp).certificate),
    peer: serialOf(mspFiles(layout.peer.msp).certificate),
    peerTls: serialOf(tlsFiles(layout.peer.tls).certificate),
    orderer: serialOf(mspFiles(layout.orderer.msp).certificate),
    ordererTls: serialOf(tlsFiles(layout.orderer.tls).certificate),
    chaincode: serialOf(tlsFiles(chaincode?.folder ?? '').certificate),
    ca: serialOf(join(layout.ca, 'tls-cert.pem')),
  };
}

/** What must hold of a rotation, whatever orders the channel. */
export function rotationOf(consensus: 'bft' | 'raft', organisations: readonly string[]): void {
  describe(`The rotation of nodes' certificates with ${consensus}`, function () {
    this.timeout(300_000);
    requireFabric(this);
    const folder = newTestFolder((topology) => topology.replace('consensus: bft', `consensus: ${consensus}`));
    const clients: TestClient[] = [];

    before(() => networkUp(folder.options));
    after(async () => {
      clients.forEach((client) => {
        client.close();
      });
      await folder.remove();
    });

    it('replaces every key and certificate while the network goes on committing', async () => {
      const before = await Promise.all(organisations.map((organisation) => serialsOf(folder, organisation)));
      const client = await newTestClient(folder.options.home, 'regulator');
      clients.push(client);
      const writing = startWriting(client);
      try {
        expect((await rotateNodes(organisations, folder.options)).organisations).to.deep.equal(organisations);
      } finally {
        const { written, longestGapMs } = await writing.stop();
        process.stdout.write(`    ${written.toString()} written, longest gap ${longestGapMs.toString()} ms\n`);
        expect(written).to.be.greaterThan(5);
        expect(longestGapMs).to.be.lessThan(30_000);
      }
      for (const [index, organisation] of organisations.entries()) {
        const after = await serialsOf(folder, organisation);
        for (const [what, serial] of Object.entries(before[index] ?? {})) {
          expect(after[what], `${organisation} ${what}`).to.not.equal(serial);
        }
        const { orderer } = organisationLayout(networkPaths(folder.options.home, 'fabric').state, organisation);
        expect(existsSync(join(orderer.root, 'next'))).to.equal(false);
      }
    });

    it('leaves orderers that decide, with the certificates that the channel knows', async () => {
      const home = await openFabricHome(folder.options);
      const { config } = await fetchChannelConfig(channelContext(home));
      expect(consensusOf(config)).to.equal(consensus === 'bft' ? 'BFT' : 'etcdraft');
      const known = consentersOf(config).map(({ tlsCert }) => new X509Certificate(tlsCert).serialNumber);
      for (const { layout, organisation } of home.members) {
        expect(known, organisation.name).to.include(serialOf(tlsFiles(layout.orderer.tls).certificate));
        const state = await ordererState(adminOf(home, organisation.name), home.topology.channel);
        expect(state).to.deep.include({ consensusRelation: 'consenter', status: 'active' });
      }
    });

    it('leaves an organisation that endorses, and that can change the configuration', async () => {
      const [organisation = ''] = organisations;
      const client = await newTestClient(folder.options.home, organisation);
      clients.push(client);
      await client.contract.submitTransaction('put', 'after', 'rotation');
      const home = await openFabricHome(folder.options);
      const context = channelContext(home, organisation);
      const updated = await updateChannel(
        context,
        (config) => {
          const size = config.groups?.['Orderer']?.values?.['BatchSize'];
          return size === undefined
            ? config
            : (Object.assign(size, { value: { ...(size.value as object), max_message_count: 499 } }), config);
        },
        home.admins,
      );
      expect(updated).to.equal(true);
      const value = await poll(async () => {
        const read = Buffer.from(await client.contract.evaluateTransaction('get', 'after')).toString();
        return read === 'rotation' ? read : undefined;
      }, 10_000);
      expect(value).to.equal('rotation');
    });
  });
}
