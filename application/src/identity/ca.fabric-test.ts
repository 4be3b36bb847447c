// SPDX-License-Identifier: Apache-2.0
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { OrganisationProfile } from '../config/profile.js';
import { mapConcurrently } from '../services/concurrency.js';
import { codeOf, eventually } from '../testing/temporary.js';
import { CA_REQUESTS, openCertificateAuthority } from './ca.js';
import { certifiedKey, isIssuedBy } from './certificates.js';
import { certificateRequest } from './csr.js';
import { newPrivateKey } from './keys.js';
import { openRegistrar, type Registrar } from './registrar.js';

const PROGRAM = 'fabric-ca-server';
const SECRET = 'of the test only';
/** Identities for the measurement; SEV_TEST_VEHICLES=100 for a longer one. */
const VEHICLES = Number(process.env['SEV_TEST_VEHICLES'] ?? 20);

describe(`identities of a real ${PROGRAM}`, function () {
  this.timeout(300_000);
  let directory: string | undefined;
  let server: ChildProcess | undefined;
  let organisation: OrganisationProfile;
  let registrar: Registrar;

  before(async function () {
    if (spawnSync(PROGRAM, ['version']).status !== 0) {
      process.stderr.write(`${PROGRAM} is not on PATH: skipped\n`);
      this.skip();
    }
    const home = (directory = await mkdtemp(join(tmpdir(), 'sev-ca-')));
    const port = await freePort();
    server = startServer(home, port);
    const root = join(home, 'ca-cert.pem');
    await eventually(() => answers(port), 30_000);
    const certificate = await readFile(root, 'utf8');
    const url = `https://localhost:${String(port)}`;
    organisation = {
      name: 'maker',
      mspId: 'ManufacturerMSP',
      gateway: { address: 'localhost:1', tlsCaCert: certificate },
      ca: { url, caName: 'ca-test', tlsCaCert: certificate },
      identityCaCert: certificate,
    };
    const credentials = { enrollmentId: 'admin', enrollmentSecret: SECRET };
    registrar = await openRegistrar(organisation, join(home, 'registrar'), () => Promise.resolve(credentials));
    await registrar.revocationList();
  });

  after(async () => {
    if (server !== undefined) {
      const ended = new Promise((resolve) => server?.once('exit', resolve));
      server.kill('SIGTERM');
      await ended;
    }
    if (directory !== undefined) {
      await rm(directory, { recursive: true, force: true });
    }
  });

  const enrolled = async (id: string) => {
    const key = newPrivateKey();
    const certificate = await registrar.enrolWithCsr(id, 'vehicle', certificateRequest(id, key));
    const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { label: id, mspId: organisation.mspId, certificate, privateKey };
  };

  it(`are registered and enrolled, ${String(VEHICLES)} at ${String(CA_REQUESTS)} a time, each with its role`, async () => {
    const started = performance.now();
    const ids = Array.from({ length: VEHICLES }, (_, index) => `v-fleet-${String(index)}`);
    const identities = await mapConcurrently(ids, CA_REQUESTS, enrolled);
    const seconds = (performance.now() - started) / 1000;
    const rate = (VEHICLES / seconds).toFixed(1);
    process.stdout.write(`      ${String(VEHICLES)} vehicles in ${seconds.toFixed(1)} s: ${rate} a second\n`);
    for (const { label, certificate } of identities) {
      const parsed = new X509Certificate(certificate);
      expect(parsed.subject.split('\n')).to.include.members([`CN=${label}`, 'OU=client']);
      expect(isIssuedBy(parsed, organisation.identityCaCert)).to.equal(true);
      expect(parsed.raw.includes('"role":"vehicle"')).to.equal(true);
    }
  });

  it('that were registered by an attempt that broke off are enrolled by the next one', async () => {
    const first = await enrolled('v-again');
    const second = await enrolled('v-again');
    expect(new X509Certificate(second.certificate).serialNumber).not.to.equal(
      new X509Certificate(first.certificate).serialNumber,
    );
  });

  it('re-enrol with a new key by the word of their certificate, and keep their role', async () => {
    const holder = await enrolled('v-rotating');
    const authority = await openCertificateAuthority(organisation);
    const key = newPrivateKey();
    const certificate = await authority.reenrol(holder, certificateRequest('v-rotating', key));
    const parsed = new X509Certificate(certificate);
    expect(parsed.checkPrivateKey(key)).to.equal(true);
    expect(certifiedKey(parsed)).not.to.equal(certifiedKey(new X509Certificate(holder.certificate)));
    expect(parsed.raw.includes('"role":"vehicle"')).to.equal(true);
    const foreign = certificateRequest('v-again', newPrivateKey());
    expect(await codeOf(authority.reenrol(holder, foreign))).to.match(/^CA_/);
  });

  it('are revoked with all their certificates, once, and are on the list', async () => {
    const holder = await enrolled('v-scrapped');
    const authority = await openCertificateAuthority(organisation);
    const csr = certificateRequest('v-scrapped', newPrivateKey());
    const other = new X509Certificate(await authority.reenrol(holder, csr));
    expect(await registrar.revoke('v-scrapped', 'cessationofoperation')).to.equal(2);
    expect(await registrar.revoke('v-scrapped', 'cessationofoperation')).to.equal(0);
    const list = await registrar.revocationList();
    const der = Buffer.from(list.replace(/-----[^-]+-----/g, ''), 'base64');
    for (const serialNumber of [new X509Certificate(holder.certificate).serialNumber, other.serialNumber]) {
      expect(der.includes(Buffer.from(serialNumber, 'hex'))).to.equal(true);
    }
    expect(await codeOf(authority.reenrol(holder, csr))).to.equal('CA_REFUSED');
    expect(await codeOf(registrar.enrolWithCsr('v-scrapped', 'vehicle', csr))).to.match(/^CA_/);
    expect(await codeOf(registrar.revoke('v-unknown', 'unspecified'))).to.equal('CA_IDENTITY_UNKNOWN');
  });
});

function startServer(home: string, port: number): ChildProcess {
  const listen = ['--address', '127.0.0.1', '--port', String(port), '--operations.listenaddress', '127.0.0.1:0'];
  const names = ['--ca.name', 'ca-test', '--csr.hosts', 'localhost', '--tls.enabled', '--home', home];
  return spawn(PROGRAM, ['start', '-b', `admin:${SECRET}`, ...listen, ...names], { stdio: 'ignore' });
}

async function answers(port: number): Promise<boolean> {
  const { request } = await import('node:https');
  return new Promise((resolve) => {
    const options = { host: 'localhost', port, path: '/cainfo', rejectUnauthorized: false };
    const asked = request(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('error', () => {
      resolve(false);
    });
    asked.end();
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
