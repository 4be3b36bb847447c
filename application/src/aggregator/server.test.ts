// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import { X509Certificate, createPublicKey, webcrypto } from 'node:crypto';
import { cp, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { expect } from 'chai';
import { inHome } from '../config/homes.js';
import { organisationNamed } from '../config/profile.js';
import type { SevError } from '../errors.js';
import { openWallet } from '../identity/wallet.js';
import { ensureServerCertificate, type ServerCertificate } from '../identity/server-certificate.js';
import { governance } from '../ledger/contracts.js';
import type { HttpServer } from '../services/http-server.js';
import { postJson, problemOf } from '../services/http-client.js';
import { silentLog } from '../services/log.js';
import { runAggregator } from '../services/run-aggregator.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { until } from '../testing/federation.js';
import { codeOf, rejection, temporaryDirectory } from '../testing/temporary.js';
import type { Deal } from './aggregator-client.js';
import { HttpAggregator } from './http-aggregator.js';
import { OrganisationGate, type OrganisationGateOptions } from './organisation-gate.js';
import { postShare, postShares, type ShareRecipient } from './post-share.js';
import { startAggregatorServer } from './server.js';
import { MAX_SHARES_TOGETHER } from './share-submission.js';
import { Scene } from './testing/scene.js';
import { aggregatorAgent, type ClientIdentity } from './tls-agent.js';

/** The scene's organisations, and those of the network whose certificates they use. */
const NAMES: Readonly<Record<string, string>> = { CityMSP: 'city', GridMSP: 'grid', MakerMSP: 'maker' };
const CITY = 'CityMSP';

describe('The aggregator over HTTPS', function () {
  this.timeout(120_000);
  const directory = temporaryDirectory();
  const closers: (() => Promise<void> | void)[] = [];
  let network: TestNetwork;
  let certificates: Record<string, ServerCertificate>;
  let consortium: OrganisationGateOptions['consortium'];
  let scenes = 0;

  before(async () => {
    network = await testNetwork();
    const made = await Promise.all(
      Object.values(NAMES).map(async (name) => [name, await serverCertificate(name)] as const),
    );
    certificates = Object.fromEntries(made);
    const session = await network.session('city', 'aggregator');
    consortium = () => governance(session).consortium();
  });

  afterEach(async () => {
    for (const close of closers.splice(0)) {
      await close();
    }
  });

  function serverCertificate(name: string): Promise<ServerCertificate> {
    return ensureServerCertificate({
      organisation: organisationNamed(network.profile, name),
      home: join(network.homes, name),
      directory: join(directory(), 'certificates', name),
      role: 'aggregator',
      hosts: ['localhost', '127.0.0.1'],
      credentials: () => Promise.reject(new Error('the registrar is in the wallet')),
    });
  }

  const tlsRoot = (name: string): string => organisationNamed(network.profile, name).gateway.tlsCaCert;

  async function identity(organisation: string, label: string): Promise<ClientIdentity> {
    return (await openWallet(inHome.wallet(join(network.homes, organisation)))).get(label);
  }

  async function serve(
    scene: Scene,
    mspId = CITY,
    options: { maxShares?: number; consortium?: OrganisationGateOptions['consortium'] } = {},
  ): Promise<HttpServer> {
    const { organisations } = network.profile;
    const server = await startAggregatorServer({
      aggregator: scene.at(mspId),
      gate: new OrganisationGate({ organisations, consortium: options.consortium ?? consortium }),
      tls: {
        key: certificates[NAMES[mspId]!]!.key,
        certificate: certificates[NAMES[mspId]!]!.certificate,
        clientRoots: organisations.map(({ identityCaCert }) => identityCaCert),
      },
      ...(options.maxShares === undefined ? {} : { maxShares: options.maxShares }),
      log: silentLog,
    });
    closers.push(() => server.close());
    return server;
  }

  function client(url: string, own: ClientIdentity, mspId = CITY): HttpAggregator {
    const one = new HttpAggregator({ mspId, url, tlsCaCert: tlsRoot(NAMES[mspId]!), identity: own });
    closers.push(() => {
      one.close();
    });
    return one;
  }

  function recipient(scene: Scene, url: string, mspId = CITY): ShareRecipient {
    const agent = aggregatorAgent(tlsRoot(NAMES[mspId]!));
    closers.push(() => {
      agent.destroy();
    });
    return { mspId, url, agent, signingKey: createPublicKey(scene.federation.organisationKey(mspId)) };
  }

  const start = (): Promise<Scene> => Scene.start({ directory: join(directory(), String(scenes++)) });

  it('takes a round from its opening to the published sums, as the aggregator in this process does', async () => {
    const scene = await start();
    const coordinator = await identity('grid', 'coordinator');
    const clients = await Promise.all(
      Object.keys(NAMES).map(async (mspId) => client((await serve(scene, mspId)).url, coordinator, mspId)),
    );
    const { ref, base, federation } = scene;
    const parts = await Promise.all(clients.map((one) => one.prepare(ref, base)));
    const deals: Deal[] = (await Promise.all(clients.map((one) => one.deal(ref, parts)))).flat();
    const opening = { aggregators: parts.map(({ part }) => part) };
    for (const one of clients) {
      const mine = deals.filter(({ to }) => to === one.mspId);
      expect((await one.accept(ref, opening, mine)).mspId).to.equal(one.mspId);
    }
    await federation.ledger
      .session('GridMSP')
      .submit('learning', 'OpenRound', { ...ref, baseModelHash: base, opening });
    for (const id of federation.vehicleIds) {
      const share = await scene.share(id);
      for (const mspId of Object.keys(NAMES)) {
        const url = (await serve(scene, mspId)).url;
        const submission = share.submissionFor(mspId);
        const receipt = await postShare(recipient(scene, url, mspId), federation.consortium, submission);
        expect(receipt).to.deep.equal(await scene.at(mspId).submitShare(submission));
      }
      await scene.record(share.submissionFor(CITY).envelope);
    }
    scene.close();
    const city = clients[0]!;
    expect(await city.holdings(ref)).to.deep.equal(await scene.at(CITY).holdings(ref));
    scene.fixCohort();
    expect(await city.reveal(ref)).to.deep.equal(await scene.at(CITY).reveal(ref));
    const nonces = await scene.nonces();
    expect(await city.projections(ref, nonces)).to.deep.equal(await scene.at(CITY).projections(ref, nonces));
    scene.score(nonces, [1, 1, 1, 1]);
    expect(await city.sums(ref)).to.deep.equal(await scene.at(CITY).sums(ref));
    await scene.commit();
    const published = await city.publish(ref);
    expect(Object.keys(published)).to.deep.equal(['1', '2']);
    expect(await federation.store.has(published['1']![0]!)).to.equal(true);
    expect(await codeOf(city.release(ref, 2))).to.equal('DISPUTE_UNKNOWN');
  });

  it('answers organisations only, by the certificate that they show', async () => {
    const scene = await start();
    const { url } = await serve(scene);
    const { ref, base } = scene;
    const ask = async (own: ClientIdentity): Promise<unknown> => codeOf(client(url, own).holdings(ref));
    for (const [organisation, label] of [
      ['grid', 'coordinator'],
      ['regulator', 'attester'],
      ['maker', 'aggregator'],
    ] as const) {
      expect(await ask(await identity(organisation, label)), label).to.equal('ATTEMPT_UNKNOWN');
    }
    expect(await ask(await identity('grid', 'operator'))).to.equal('ACCESS_DENIED');
    expect(await ask(await identity('grid', 'admin'))).to.equal('ACCESS_DENIED');
    expect(await ask(await foreignIdentity())).to.equal('CLIENT_CERTIFICATE_FOREIGN');
    const { key, certificate } = certificates['city']!;
    expect(await ask({ certificate, privateKey: key })).to.equal('CLIENT_CERTIFICATE_FOREIGN');
    const nobody = await postJson(`${url}/rounds/prepare`, { ...ref, baseModelHash: base }, vehicleOptions());
    expect([nobody.status, problemOf(nobody).code]).to.deep.equal([401, 'CLIENT_CERTIFICATE_MISSING']);
  });

  it('opens disputed updates to those who vote or measure for an organisation, and to no vehicle', async () => {
    const scene = await start();
    const { url } = await serve(scene);
    const ask = async (own: ClientIdentity): Promise<unknown> => codeOf(client(url, own).disclose('one', scene.ref));
    for (const [organisation, label] of [
      ['grid', 'operator'],
      ['regulator', 'auditor'],
      ['maker', 'attester'],
    ] as const) {
      expect(await ask(await identity(organisation, label)), label).to.equal('INCIDENT_UNKNOWN');
    }
    expect(await ask(await identity('maker', 'registrar'))).to.equal('ACCESS_DENIED');
    expect(await ask(await foreignIdentity())).to.equal('CLIENT_CERTIFICATE_FOREIGN');
    const asVehicle = await postJson(`${url}/rounds/disclose`, { incidentId: 'one', ...scene.ref }, vehicleOptions());
    expect(problemOf(asVehicle).code).to.equal('CLIENT_CERTIFICATE_MISSING');
    const claimed = { incidentId: 'one', ...scene.ref, vehicleId: scene.federation.vehicleIds[0] };
    const own = await identity('grid', 'operator');
    const tls = aggregatorAgent(tlsRoot('city'), own);
    const claim = await postJson(`${url}/rounds/disclose`, claimed, { timeoutMs: 10_000, tls });
    tls.destroy();
    expect(problemOf(claim).code, 'the caller has no say in which vehicle it is').to.equal('ARGUMENT_INVALID');
  });

  function vehicleOptions() {
    const tls = aggregatorAgent(tlsRoot('city'));
    closers.push(() => {
      tls.destroy();
    });
    return { timeoutMs: 10_000, tls };
  }

  it('answers a second connection of a caller that resumes its session', async () => {
    const scene = await start();
    const { url } = await serve(scene);
    const one = client(url, await identity('grid', 'coordinator'));
    const asked = Array.from({ length: 6 }, () => codeOf(one.holdings(scene.ref)));
    expect(new Set(await Promise.all(asked))).to.deep.equal(new Set(['ATTEMPT_UNKNOWN']));
  });

  it('answers no organisation that governance does not list with the role', async () => {
    const scene = await start();
    const { organisations } = await consortium();
    const without = organisations.map((one) => ({ ...one, roles: one.roles.filter((role) => role !== 'coordinator') }));
    const { url } = await serve(scene, CITY, { consortium: () => Promise.resolve({ organisations: without }) });
    expect(await codeOf(client(url, await identity('grid', 'coordinator')).holdings(scene.ref))).to.equal(
      'ACCESS_DENIED',
    );
    expect(await codeOf(client(url, await identity('grid', 'attester')).holdings(scene.ref))).to.equal(
      'ATTEMPT_UNKNOWN',
    );
  });

  it('is trusted by callers only as the aggregator of its organisation', async () => {
    const scene = await start();
    const { url } = await serve(scene);
    const own = await identity('grid', 'coordinator');
    const wrongRoot = new HttpAggregator({ mspId: CITY, url, tlsCaCert: tlsRoot('maker'), identity: own });
    expect(await codeOf(wrongRoot.holdings(scene.ref))).to.equal('SERVICE_UNREACHABLE');
    const gateway = `https://${organisationNamed(network.profile, 'city').gateway.address}`;
    const error = await rejection(client(gateway, own).holdings(scene.ref));
    expect(error).to.have.property('message').that.includes('not an aggregator');
  });

  it('refuses shares with a wrong signature, of another form or too large, each by name', async () => {
    const scene = await start();
    await scene.open();
    const { url } = await serve(scene);
    const submission = (await scene.share(scene.federation.vehicleIds[0]!)).submissionFor(CITY);
    const post = async (body: unknown): Promise<[number, string]> => {
      const answer = await postJson(`${url}/shares`, body, vehicleOptions());
      return [answer.status, problemOf(answer).code];
    };
    const { envelope } = submission;
    const unsigned = { ...submission, envelope: { ...envelope, signature: 'A'.repeat(86) } };
    expect(await post(unsigned)).to.deep.equal([401, 'SIGNATURE_INVALID']);
    expect(await post({ ...submission, more: 1 })).to.deep.equal([400, 'ARGUMENT_INVALID']);
    expect(await post({ ...submission, sealed: '!' })).to.deep.equal([400, 'ARGUMENT_INVALID']);
    expect(await post({ ...submission, sealed: 'A'.repeat(40_000) })).to.deep.equal([413, 'BODY_TOO_LARGE']);
    expect(await post({ ...submission, round: 2 })).to.deep.equal([409, 'ROUND_STALE']);
    expect(await codeOf(postShare(recipient(scene, url), scene.federation.consortium, unsigned))).to.equal(
      'SIGNATURE_INVALID',
    );
  });

  it('tells a vehicle that its receipt is not signed by the organisation', async () => {
    const scene = await start();
    await scene.open();
    const { url } = await serve(scene);
    const submission = (await scene.share(scene.federation.vehicleIds[0]!)).submissionFor(CITY);
    const other = createPublicKey(scene.federation.organisationKey('GridMSP'));
    const wrong = { ...recipient(scene, url), signingKey: other };
    expect(await codeOf(postShare(wrong, scene.federation.consortium, submission))).to.equal('RECEIPT_INVALID');
  });

  it('takes several shares in one request, each for itself', async () => {
    const scene = await start();
    await scene.open();
    const { url } = await serve(scene, CITY);
    const { consortium, vehicleIds } = scene.federation;
    const [a, b, c] = await Promise.all(vehicleIds.map(async (id) => (await scene.share(id)).submissionFor(CITY)));
    const unsigned = { ...b!, envelope: { ...b!.envelope, signature: 'A'.repeat(86) } };
    const malformed = { ...b!, sealed: '' };
    const results = await postShares(recipient(scene, url), consortium, [a!, unsigned, malformed, c!]);
    expect(results.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    const codes = results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as SevError).code] : []));
    expect(codes).to.deep.equal(['SIGNATURE_INVALID', 'ARGUMENT_INVALID']);
    const [again] = await postShares(recipient(scene, url), consortium, [a!]);
    expect(again).to.deep.equal(results[0]);
    const other = createPublicKey(scene.federation.organisationKey('GridMSP'));
    const wrong = { ...recipient(scene, url), signingKey: other };
    const [unproven] = await postShares(wrong, consortium, [a!]);
    expect(unproven?.status === 'rejected' && (unproven.reason as SevError).code).to.equal('RECEIPT_INVALID');
    const tooMany = Array.from({ length: MAX_SHARES_TOGETHER + 1 }, () => a!);
    const refused = await postShares(recipient(scene, url), consortium, tooMany);
    expect(new Set(refused.map((one) => one.status === 'rejected' && (one.reason as SevError).code))).to.deep.equal(
      new Set(['ARGUMENT_INVALID']),
    );
  });

  it('turns vehicles away when too many are at it, and never organisations because of them', async () => {
    const scene = await start();
    await scene.open();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    const { store } = scene.federation;
    const read = store.get.bind(store);
    store.get = async (hash) => {
      waiting++;
      await held;
      return read(hash);
    };
    const { url } = await serve(scene, CITY, { maxShares: 2 });
    const shares = await Promise.all(scene.federation.vehicleIds.map((id) => scene.share(id)));
    const post = (index: number): ReturnType<typeof postShare> =>
      postShare(recipient(scene, url), scene.federation.consortium, shares[index]!.submissionFor(CITY));
    const taken = [post(0), post(1)];
    await until(() => waiting === 2);
    expect(await codeOf(post(2))).to.equal('SERVICE_BUSY');
    const own = client(url, await identity('grid', 'coordinator'));
    expect(await codeOf(own.holdings(scene.ref))).to.equal('ROUND_STATE');
    release();
    await Promise.all(taken);
    expect((await post(2)).mspId).to.equal(CITY);
    const text = await get(`${url}/metrics`);
    expect(text).to.include('sev_aggregator_shares_total{result="accepted"} 3');
    expect(text).to.include('sev_aggregator_shares_total{result="SERVICE_BUSY"} 1');
    expect(text).to.include('sev_aggregator_requests_total{request="holdings",result="ROUND_STATE"} 1');
    expect(text).not.to.include('v-');
    expect(JSON.parse(await get(`${url}/healthz`))).to.deep.equal({ ok: true, service: 'aggregator', mspId: CITY });
  });

  it('counts shares, not the requests that they come in', async () => {
    const scene = await start();
    await scene.open();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    const { store, consortium, vehicleIds } = scene.federation;
    const read = store.get.bind(store);
    store.get = async (hash) => {
      waiting++;
      await held;
      return read(hash);
    };
    const { url } = await serve(scene, CITY, { maxShares: 2 });
    const three = vehicleIds.slice(0, 3).map(async (id) => (await scene.share(id)).submissionFor(CITY));
    const shares = await Promise.all(three);
    const together = postShares(recipient(scene, url), consortium, shares);
    await until(() => waiting === 2);
    expect(await codeOf(postShare(recipient(scene, url), consortium, shares[2]!))).to.equal('SERVICE_BUSY');
    release();
    const results = await together;
    expect(results.map(({ status }) => status)).to.deep.equal(['fulfilled', 'fulfilled', 'rejected']);
    expect((results[2] as PromiseRejectedResult).reason).to.have.property('code', 'SERVICE_BUSY');
  });

  function get(url: string): Promise<string> {
    return new Promise((resolve, reject) => {
      request(url, { agent: vehicleOptions().tls }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          resolve(text);
        });
      })
        .on('error', reject)
        .end();
    });
  }

  it('runs for an organisation with a certificate that it keeps', async () => {
    const home = await network.newHome();
    await cp(join(network.homes, 'city'), home, { recursive: true });
    const run = () =>
      runAggregator({ profile: network.profile, organisation: 'city', home, storeUrl: 'http://127.0.0.1:9' });
    const serials: string[] = [];
    for (let start = 0; start < 2; start++) {
      const service = await run();
      try {
        const own = client(service.url!, await identity('grid', 'coordinator'), CITY);
        const ref = { taskId: 'none', round: 1, attempt: 1 };
        expect(await codeOf(own.prepare(ref, 'a'.repeat(64)))).to.equal('TASK_UNKNOWN');
        own.close();
        const file = await readFile(join(inHome.aggregator(home), 'tls-certificate.pem'));
        const { serialNumber, subjectAltName } = new X509Certificate(file);
        expect(subjectAltName).to.include('localhost').and.to.include('127.0.0.1');
        serials.push(serialNumber);
      } finally {
        await service.close();
      }
    }
    expect(new Set(serials).size).to.equal(1);
  });

  /** A certificate as a coordinator has it, of a CA that no organisation knows. */
  async function foreignIdentity(): Promise<ClientIdentity> {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const attributes = Buffer.from(JSON.stringify({ attrs: { role: 'coordinator' } }));
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'OU=client, CN=coordinator',
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.Extension('1.2.3.4.5.6.7.8.1', false, attributes)],
    });
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      certificate: certificate.toString('pem'),
      privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
    };
  }
});
