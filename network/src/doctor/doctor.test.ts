// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { mspFiles, tlsFiles } from '../fabric/layout.js';
import { CertificateAuthority, newKeyPair } from '../embedded/ca/authority.js';
import { networkClean } from '../supervisor/down.js';
import { poll } from '../supervisor/poll.js';
import { identifyProcess } from '../supervisor/process.js';
import { networkStatus } from '../supervisor/status.js';
import { networkUp } from '../supervisor/up.js';
import { DOCTOR_CODES, type DoctorCode } from './codes.js';
import { networkMetrics } from './metrics.js';
import { parseMetrics } from './probes.js';
import { TestHome, write } from './testing/home.js';

const DAY_MS = 86_400_000;
const CHAINCODE = fileURLToPath(new URL('../../fixtures/testcc', import.meta.url));

describe('sev network doctor', () => {
  let home: TestHome;
  afterEach(() => {
    home.remove();
  });
  /** Programs are absent: what is found does not depend on this machine. */
  const bare = { path: '' };

  describe('where no network was ever brought up', () => {
    beforeEach(() => {
      home = new TestHome();
    });

    it('finds nothing wrong, and leaves nothing behind', async () => {
      expect(await home.problems(bare)).to.deep.equal([]);
      const { kind, running } = await home.doctor(bare);
      expect({ kind, running }).to.deep.equal({ kind: 'embedded', running: 'never' });
      expect(existsSync(home.home)).to.equal(false);
    });

    it('names what NETWORK may be', async () => {
      expect(await home.problems({ ...bare, network: 'fabrik' as 'fabric' })).to.deep.equal(['NETWORK_KIND_INVALID']);
    });

    it('misses the programs where a native network is asked for', async () => {
      expect(await home.problems({ ...bare, network: 'fabric' })).to.deep.equal(Array(6).fill('FABRIC_MISSING'));
    });

    it('names a program of the wrong version', async () => {
      const bin = join(home.directory, 'bin');
      for (const name of ['peer', 'orderer', 'osnadmin', 'configtxgen', 'configtxlator']) {
        write(join(bin, name), '#!/bin/sh\necho " Version: v3.1.5"\n', 0o755);
      }
      write(join(bin, 'fabric-ca-server'), '#!/bin/sh\necho " Version: v1.4.9"\n', 0o755);
      const path = [bin, '/usr/bin', '/bin'].join(delimiter);
      const { findings } = await home.doctor({ path, network: 'fabric' });
      const found = findings.filter(({ check, level }) => check === 'programs' && level === 'error');
      expect(found.map(({ code }) => code)).to.deep.equal(['FABRIC_VERSION']);
      expect(found[0]?.found).to.include('1.4.9');
    });

    it('names the line of a topology file that is wrong', async () => {
      home.writeTopology((text) => text.replace('mspId: GridMSP', 'msp: GridMSP'));
      const { findings } = await home.doctor(bare);
      const finding = findings.find(({ check }) => check === 'topology');
      expect(finding).to.include({ code: 'TOPOLOGY_INVALID', level: 'error' });
      expect(finding?.found).to.match(/consortium\.yaml:\d+: /);
    });

    it('says who listens on a port that a start would take', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      home.writeTopology((text) => text.replace('gateway: 1,', `gateway: ${port.toString()},`));
      const { findings } = await home.doctor(bare);
      server.close();
      const finding = findings.find(({ check }) => check === 'ports');
      expect(finding).to.include({ code: 'PORT_IN_USE' });
      expect(finding?.found).to.include(`port ${port.toString()} (gateway of grid)`);
      expect(finding?.found).to.include(`process ${process.pid.toString()}`);
    });

    it('refuses folders that are no state, that are newer, damaged, or of two kinds', async () => {
      write(join(home.state, 'diary.txt'), 'mine');
      expect(await home.problems(bare)).to.include('STATE_UNREADABLE');
      home.writeState({ schemaVersion: 2 });
      expect(await home.problems(bare)).to.include('STATE_NEWER');
      write(join(home.state, 'state.json'), '{"kind": "sev-embe');
      expect(await home.problems(bare)).to.include('STATE_UNREADABLE');
      home.writeState();
      mkdirSync(join(home.home, 'fabric'));
      expect(await home.problems(bare)).to.include('STATE_TWO_KINDS');
    });
  });

  describe('where a network was brought up', () => {
    beforeEach(() => {
      home = new TestHome();
      home.writeState();
    });

    it('finds nothing wrong with one that was stopped in order', async () => {
      expect(await home.problems(bare)).to.deep.equal([]);
      expect((await home.doctor(bare)).running).to.equal('down');
    });

    it('says that the state was made for another topology', async () => {
      home.writeState({ channel: 'otherchannel' });
      expect(await home.problems(bare)).to.deep.equal(['TOPOLOGY_DIFFERS']);
    });

    it('says why the last start failed', async () => {
      const failure = { pid: 1, code: 'DATA_LOSS', message: 'block 7 is missing' };
      write(join(home.state, 'failure.json'), JSON.stringify(failure));
      const { findings } = await home.doctor(bare);
      const finding = findings.find(({ code }) => code === 'START_FAILED');
      expect(finding?.found).to.equal('DATA_LOSS: block 7 is missing');
    });

    it('finds a background process that ended without stopping anything, and what it left', async () => {
      const script = `const { spawn } = require('node:child_process');
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
        process.stdout.write(child.pid.toString()); setInterval(() => {}, 1000);`;
      const leader = spawn(process.execPath, ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
      const [output] = (await once(leader.stdout, 'data')) as [Buffer];
      const orphan = Number(output.toString());
      write(join(home.state, 'process.json'), JSON.stringify(identifyProcess(leader.pid!)));
      leader.kill('SIGKILL');
      await once(leader, 'exit');
      try {
        expect(await home.problems(bare)).to.deep.equal(['BACKGROUND_DEAD', 'ORPHANS']);
      } finally {
        process.kill(orphan, 'SIGKILL');
      }
    });

    it('finds one that is starting, and one that does not answer', async () => {
      const self = identifyProcess(process.pid);
      write(join(home.state, 'process.json'), JSON.stringify({ ...self, phase: 'joining' }));
      expect(await home.problems(bare)).to.deep.equal(['NETWORK_STARTING']);
      const status = { url: 'http://127.0.0.1:9/status', token: 'x' };
      write(join(home.state, 'process.json'), JSON.stringify({ ...self, status }));
      expect(await home.problems(bare)).to.deep.equal(['BACKGROUND_SILENT']);
    });

    it('sees by the state that the clock was set back', async () => {
      home.writeState({ createdAtMs: Date.now() + 3_600_000 });
      expect(await home.problems(bare)).to.deep.equal(['CLOCK_SET_BACK']);
    });

    it('misses the keys of a ledger', async () => {
      mkdirSync(join(home.state, 'ledger'));
      expect(await home.problems(bare)).to.include('LEDGER_WITHOUT_KEYS');
    });
  });

  describe('with a network in one process that runs', function () {
    this.timeout(120_000);
    const offset = process.env['SEV_PORT_OFFSET'];
    let running: TestHome;
    const options = () => ({ home: running.home, topologyPath: running.topologyPath });
    before(async () => {
      process.env['SEV_PORT_OFFSET'] = 'ephemeral';
      running = new TestHome();
      running.writeTopology((text) => text.replace('./none', JSON.stringify(CHAINCODE)));
      await networkUp({ ...options(), network: 'embedded' });
    });
    beforeEach(() => {
      home = new TestHome();
    });
    after(async () => {
      await networkClean(options());
      running.remove();
      if (offset === undefined) {
        delete process.env['SEV_PORT_OFFSET'];
      } else {
        process.env['SEV_PORT_OFFSET'] = offset;
      }
    });

    it('finds nothing wrong', async () => {
      expect(await running.problems(bare)).to.deep.equal([]);
      const { running: state, findings } = await running.doctor(bare);
      expect(state).to.equal('up');
      expect(findings.map(({ check }) => check)).to.include.members(['nodes', 'certificate authorities', 'ports']);
    });

    it('says that it was killed, until it is brought up again', async () => {
      process.kill((await networkStatus(options())).pid!, 'SIGKILL');
      await poll(async () => ((await networkStatus(options())).running ? undefined : true), 20_000);
      // Its chaincode process ends by itself, in a moment.
      expect(await poll(async () => ((await running.problems(bare)).length === 1 ? true : undefined), 20_000)).to.equal(
        true,
      );
      expect(await running.problems(bare)).to.deep.equal(['BACKGROUND_DEAD']);
      await networkUp({ ...options(), network: 'embedded' });
      expect(await running.problems(bare)).to.deep.equal([]);
    });
  });

  describe('of the keys of a native network', () => {
    let ca: CertificateAuthority;
    beforeEach(async () => {
      home = new TestHome('fabric');
      home.writeState();
      ({ ca } = await home.writeNativeKeys());
    });
    /** Programs are none of this matter. */
    const problems = async (nowMs = Date.now()): Promise<string[]> =>
      (await home.problems({ ...bare, nowMs })).filter((code) => code !== 'FABRIC_MISSING');

    it('finds nothing wrong with those that fit', async () => {
      expect(await problems()).to.deep.equal([]);
    });

    it('misses a key, and tells another from the right one', async () => {
      const { key } = mspFiles(home.layout.peer.msp);
      rmSync(key);
      expect(await problems()).to.deep.equal(['KEY_MISSING']);
      write(key, newKeyPair().privateKeyPem, 0o600);
      expect(await problems()).to.deep.equal(['KEY_DIFFERS']);
    });

    it('warns of one that others can read', async () => {
      chmodSync(tlsFiles(home.layout.peer.tls).key, 0o640);
      expect(await problems()).to.deep.equal(['KEY_EXPOSED']);
    });

    it('sees that a certificate is of an earlier CA of the same name', async () => {
      const earlier = await CertificateAuthority.open(await CertificateAuthority.createRoot('GridMSP', 'ca-grid'));
      await home.writeLeaf(earlier, mspFiles(home.layout.peer.msp));
      expect(await problems()).to.deep.equal(['CERTIFICATE_FOREIGN']);
    });

    it('misses the keys of a ledger', async () => {
      mkdirSync(home.layout.orderer.data, { recursive: true });
      expect(await problems()).to.deep.equal(['LEDGER_WITHOUT_KEYS']);
    });

    it('warns in time of the end of certificates, and names those that have ended', async () => {
      expect(await problems(Date.now() + 345 * DAY_MS)).to.deep.equal(['CERTIFICATE_EXPIRES', 'CERTIFICATE_EXPIRES']);
      expect(await problems(Date.now() + 366 * DAY_MS)).to.deep.equal(['CERTIFICATE_EXPIRED', 'CERTIFICATE_EXPIRED']);
      expect(await problems(Date.now() - DAY_MS)).to.include('CERTIFICATE_EARLY');
    });

    const profile = (root: string): string =>
      JSON.stringify({
        schemaVersion: 1,
        network: { kind: 'fabric', trust: 'consortium', name: 'test' },
        channel: 'testchannel',
        chaincode: 'test',
        genesisHash: '0'.repeat(64),
        organisations: [
          {
            name: 'grid',
            mspId: 'GridMSP',
            gateway: {
              address: 'localhost:1',
              tlsCaCert: readFileSync(join(home.layout.tlsCa, 'ca-cert.pem'), 'utf8'),
            },
            ca: { url: 'https://localhost:2', caName: 'ca-grid', tlsCaCert: root },
            identityCaCert: root,
          },
        ],
      });
    const identity = (certificate: string): string =>
      JSON.stringify({ credentials: { certificate, privateKey: '-' }, mspId: 'GridMSP', type: 'X.509', version: 1 });

    it('tells identities of this network from those of an earlier one', async () => {
      write(join(home.home, 'connection.json'), profile(ca.certificatePem));
      const pair = { key: join(home.directory, 'k'), certificate: join(home.directory, 'c') };
      write(join(home.homes, 'grid', 'wallet', 'admin.id'), identity(await home.writeLeaf(ca, pair)));
      expect(await problems()).to.deep.equal([]);
      const earlier = await CertificateAuthority.open(await CertificateAuthority.createRoot('GridMSP', 'ca-grid'));
      for (const label of ['registrar', 'coordinator']) {
        write(join(home.homes, 'grid', 'wallet', `${label}.id`), identity(await home.writeLeaf(earlier, pair)));
      }
      const { findings } = await home.doctor(bare);
      const found = findings.filter(({ code }) => code === 'WALLET_FOREIGN');
      expect(found).to.have.length(1);
      expect(found[0]?.found).to.match(/"coordinator" does not come from the CA of GridMSP, and 1 more there$/);
    });

    it('sees that connection.json describes another network', async () => {
      const earlier = await CertificateAuthority.createRoot('GridMSP', 'ca-grid');
      write(join(home.home, 'connection.json'), profile(earlier.certificatePem));
      expect(await problems()).to.deep.equal(['PROFILE_DIFFERS']);
    });

    it('gives ends of certificates and findings as figures', async () => {
      chmodSync(tlsFiles(home.layout.peer.tls).key, 0o644);
      const { home: folder, homes, topologyPath } = home;
      const metrics = parseMetrics(await networkMetrics({ home: folder, homes, topologyPath, ...bare }));
      expect(metrics.get('sev_network_up')).to.equal(0);
      expect(metrics.get('sev_doctor_findings{code="KEY_EXPOSED",level="warning"}')).to.equal(1);
      const ends = [...metrics].filter(([name]) => name.startsWith('sev_certificate_end_timestamp_seconds'));
      expect(ends).to.have.length(4);
      expect(ends.every(([, end]) => end > Date.now() / 1000)).to.equal(true);
    });
  });

  it('says for every code what it means and what to do, without naming what does not exist', () => {
    home = new TestHome();
    for (const [code, { meaning, advice }] of Object.entries(DOCTOR_CODES)) {
      expect(code).to.match(/^[A-Z][A-Z0-9_]+$/);
      expect(meaning, code).to.match(/[.!]$/);
      expect(advice, code).to.match(/[.!`]$/);
    }
  });

  it('has every code in the documentation, in the same words', () => {
    home = new TestHome();
    const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const rows = new Set(page.split('\n').map((line) => line.replace(/ +\|/g, ' |').replace(/\| +/g, '| ')));
    const rowOf = ([code, { level, meaning, advice }]: [string, (typeof DOCTOR_CODES)[DoctorCode]]): string =>
      `| \`${code}\` | ${level} | ${meaning} | ${advice} |`;
    const missing = Object.entries(DOCTOR_CODES)
      .map(rowOf)
      .filter((row) => !rows.has(row));
    expect(missing).to.deep.equal([]);
  });
});
