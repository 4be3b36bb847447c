// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { parsePublicKey, type RoundRecord, type SignedBy, type Task } from '@sev/chaincode/api';
import { parametersFromBytes } from '@sev/fl';
import { expect } from 'chai';
import { HttpAggregator } from '../aggregator/http-aggregator.js';
import { postShare } from '../aggregator/post-share.js';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { aggregatorAgent, type ClientIdentity } from '../aggregator/tls-agent.js';
import {
  inHome,
  organisationNamed,
  readConnectionProfile,
  type ConnectionProfile,
  type OrganisationProfile,
} from '../config/index.js';
import { isIssuedBy } from '../identity/certificates.js';
import { openWallet } from '../identity/index.js';
import { governance, learning, openSession, type LedgerSession } from '../ledger/index.js';
import { priceTask } from '../run/learning-task.js';
import { attemptOf } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import { collect, roundIfAny } from '../services/rounds.js';
import { HttpStore } from '../store/index.js';
import { codeOf } from '../testing/temporary.js';
import { loadTrainers } from '../vehicle/trainer.js';
import type { TrainedUpdate } from '../vehicle/messages.js';
import { Sandbox, kill, until, type Service } from './testing/sandbox.js';

const TASK = 'price-shared';
const VEHICLES = 4;
const AGGREGATORS = ['city', 'grid', 'maker'] as const;
const DATA = { source: 'generated', rows: 400, seed: 5 } as const;
/** Shares that the program has under way at the most. */
const MAX_SHARES = 512;
const DEADLINE_MS = 60_000;

describe('the aggregator as a program, in a secure round among other programs', function () {
  this.timeout(180_000);
  let sandbox: Sandbox;
  let profile: ConnectionProfile;
  let session: LedgerSession;
  let store: string;
  let task: Task;
  let round: RoundRecord;
  let consortium: string;
  /** Of the vehicle that the test plays; the round stays open for its envelope. */
  let update: TrainedUpdate;
  let coordinator: Service;
  const aggregators = new Map<string, Service>();
  const receipts = new Map<string, SignedBy>();
  const agents: { destroy: () => void }[] = [];

  before(async () => {
    sandbox = await Sandbox.open();
    await sandbox.networkUp();
    profile = await readConnectionProfile(sandbox.networkHome);
    const wallet = await openWallet(inHome.wallet(homeOf('grid')));
    session = await openSession({ profile, identity: await wallet.get('operator') });
    const enrolled = sandbox.json<{ vehicles: string[] }>(['vehicle', 'enroll', '--count', String(VEHICLES)]);
    store = (await sandbox.service(['store', 'run', '--home', homeOf('store')])).url;
    const [{ vehicles }, attesters, batcher] = await Promise.all([
      enrolled,
      Promise.all(['maker', 'regulator'].map(async (name) => [name, await startOf('attester', name)] as const)),
      sandbox.service(['batcher', 'run', '--org', 'maker', '--home', homeOf('maker')]),
      ...AGGREGATORS.map((name) => startAggregator(name)),
      createTask(),
    ]);
    const others = vehicles.slice(1);
    const peers = [
      ...['--store', store, '--batcher', `maker=${batcher.url}`],
      ...[...aggregators].flatMap(([name, { url }]) => ['--aggregator', `${name}=${url}`]),
    ];
    const data = ['--generate', String(DATA.rows), '--data-seed', String(DATA.seed), '--client', `1/${VEHICLES}`];
    const pool = ['--pool', '--home', homeOf('fleet'), '--workers', '1', ...others.flatMap((id) => ['--vehicle', id])];
    [coordinator] = await Promise.all([
      sandbox.service([
        ...['coordinator', 'run', '--org', 'grid', '--home', homeOf('grid'), '--task', TASK, ...peers.slice(0, 2)],
        ...peers.slice(4),
        ...attesters.flatMap(([name, { url }]) => ['--attester', `${name}=${url}`]),
        ...['--arbiter', `regulator=${attesters[1]![1].url}`],
      ]),
      sandbox.service(['vehicle', 'run', ...pool, ...peers, ...data, '--task', TASK]),
    ]);
    round = await until(() => roundIfAny(learning(session), { taskId: TASK, round: 1 }), DEADLINE_MS);
    consortium = (await governance(session).consortium()).bootstrapHash;
    update = await train(vehicles[0]!);
    await new HttpStore(store).put(update.bytes);
    await until(async () => ((await updates()).length === others.length ? true : undefined), DEADLINE_MS);
  });

  after(async () => {
    agents.forEach((agent) => {
      agent.destroy();
    });
    session.close();
    await sandbox.close();
  });

  const homeOf = (name: string): string => join(sandbox.homes, name);
  const updates = () => collect(learning(session).updates(round));
  const organisation = (name: string): OrganisationProfile => organisationNamed(profile, name);
  const urlOf = (name: string): string => aggregators.get(name)!.url;

  function startOf(program: string, name: string, ...more: readonly string[]): Promise<Service> {
    return sandbox.service([program, 'run', '--org', name, '--home', homeOf(name), '--store', store, ...more]);
  }

  async function startAggregator(name: string, ...more: readonly string[]): Promise<void> {
    aggregators.set(name, await startOf('aggregator', name, ...more));
  }

  async function createTask(): Promise<void> {
    const prepared = priceTask({
      ...{
        taskId: TASK,
        vehicles: VEHICLES,
        rounds: 1,
        seed: 1,
        trainingRows: 320,
        minimumCohort: 3,
        graceMs: 120_000,
      },
      ...{ privacy: 'secure', aggregators: AGGREGATORS.map((name) => organisation(name).mspId) },
    });
    task = prepared.task;
    await new HttpStore(store).put(prepared.initialModel);
    await learning(session).createTask(task);
  }

  /** What a vehicle of the fleet hands in, its home's key used as its own program would. */
  async function train(vehicleId: string): Promise<TrainedUpdate> {
    const plan = { data: DATA, split: 'iid', clients: VEHICLES };
    const start = { home: homeOf('fleet'), profile, plan, vehicles: [{ vehicleId, client: 0 }] };
    const trainer = (await loadTrainers(start)).get(vehicleId)!;
    const { baseModelHash, secure } = round;
    const bytes = await new HttpStore(store).get(baseModelHash);
    const parameters = parametersFromBytes(bytes, task.model.parameters);
    const place = { ...attemptOf(round), baseModelHash, opening: secure!.opening };
    return trainer.train({ consortium, task, round: place, parameters });
  }

  function submissionFor(name: string): ShareSubmission {
    const { envelope, shares } = update;
    const { baseModelHash } = round;
    return { ...attemptOf(round), baseModelHash, envelope, sealed: shares!.sealed[organisation(name).mspId]! };
  }

  /** A vehicle's connections: it shows no certificate. */
  function vehicleAgent(name: string): Agent {
    const agent = aggregatorAgent(organisation(name).gateway.tlsCaCert);
    agents.push(agent);
    return agent;
  }

  async function handIn(name: string): Promise<SignedBy> {
    const { mspId } = organisation(name);
    const { organisations } = await governance(session).consortium();
    const signingKey = parsePublicKey(organisations.find((one) => one.mspId === mspId)!.signingKey)!;
    const recipient = { mspId, url: urlOf(name), agent: vehicleAgent(name), signingKey };
    return postShare(recipient, consortium, submissionFor(name));
  }

  async function refusal(path: string, body: unknown): Promise<[number, string]> {
    const answer = await postJson(`${urlOf('city')}${path}`, body, { timeoutMs: 10_000, tls: vehicleAgent('city') });
    return [answer.status, problemOf(answer).code];
  }

  function asOrganisation(identity: ClientIdentity): HttpAggregator {
    const { mspId, gateway } = organisation('city');
    const client = new HttpAggregator({ mspId, url: urlOf('city'), tlsCaCert: gateway.tlsCaCert, identity });
    agents.push({
      destroy: () => {
        client.close();
      },
    });
    return client;
  }

  const identityOf = async (home: string, label: string): Promise<ClientIdentity> =>
    (await openWallet(inHome.wallet(homeOf(home)))).get(label);

  async function certificateOf(name: string): Promise<X509Certificate> {
    return new X509Certificate(await readFile(join(inHome.aggregator(homeOf(name)), 'tls-certificate.pem')));
  }

  async function get(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      httpsRequest(`${urlOf('city')}${path}`, { agent: vehicleAgent('city') }, (response) => {
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

  it("serves TLS with a certificate that its organisation's TLS CA enrolled it with", async () => {
    for (const name of AGGREGATORS) {
      const certificate = await certificateOf(name);
      expect(isIssuedBy(certificate, organisation(name).gateway.tlsCaCert), name).to.equal(true);
      expect(certificate.subject).to.include('CN=aggregator');
      expect(certificate.checkHost('localhost')).to.equal('localhost');
    }
    expect(new Set(AGGREGATORS.map(urlOf)).size).to.equal(AGGREGATORS.length);
    expect(urlOf('city')).to.match(/^https:/);
  });

  it('refuses callers that are no organisation, or not in the role, by the certificate that they show', async () => {
    const { baseModelHash } = round;
    const asked = { ...attemptOf(round), baseModelHash };
    expect(await refusal('/rounds/prepare', asked)).to.deep.equal([401, 'CLIENT_CERTIFICATE_MISSING']);
    const folder = inHome.aggregator(homeOf('maker'));
    const ofTlsCa = {
      certificate: await readFile(join(folder, 'tls-certificate.pem'), 'utf8'),
      privateKey: await readFile(join(folder, 'tls-key.pem'), 'utf8'),
    };
    const code = async (identity: ClientIdentity) => codeOf(asOrganisation(identity).holdings(round));
    expect(await code(ofTlsCa)).to.equal('CLIENT_CERTIFICATE_FOREIGN');
    expect(await code(await identityOf('grid', 'operator'))).to.equal('ACCESS_DENIED');
    expect(await code(await identityOf('fleet', update.vehicleId))).to.equal('ACCESS_DENIED');
    // Whom it answers, it tells that the round is not closed yet.
    expect(await code(await identityOf('grid', 'coordinator'))).to.equal('ROUND_STATE');
  });

  it('refuses a share that another vehicle signed, or that is too large, and counts it', async () => {
    const good = submissionFor('city');
    const [other] = await updates();
    const signedByOther = { ...good, envelope: { ...good.envelope, signature: other!.signature } };
    expect(await refusal('/shares', signedByOther)).to.deep.equal([401, 'SIGNATURE_INVALID']);
    expect(await refusal('/shares', { ...good, sealed: 'A'.repeat(40_000) })).to.deep.equal([413, 'BODY_TOO_LARGE']);
    const metrics = await get('/metrics');
    expect(metrics).to.include(`sev_aggregator_shares_total{result="accepted"} ${String(VEHICLES - 1)}`);
    expect(metrics).to.include('sev_aggregator_shares_total{result="SIGNATURE_INVALID"} 1');
    expect(metrics).to.include('sev_aggregator_requests_total{request="prepare",result="accepted"} 1');
  });

  it('turns vehicles away that are too many at a time, and still answers organisations', async () => {
    const body = Buffer.from(JSON.stringify(submissionFor('city')));
    const agent = new Agent({ ca: organisation('city').gateway.tlsCaCert, maxSockets: Infinity });
    const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
    const slow = Array.from({ length: MAX_SHARES }, () => {
      const one = httpsRequest(`${urlOf('city')}/shares`, { method: 'POST', agent, headers });
      one.on('error', () => undefined);
      one.flushHeaders();
      return one;
    });
    try {
      await Promise.all(
        slow.map(
          (one) =>
            new Promise<void>((resolve) => {
              one.once('socket', (socket) => {
                socket.once('secureConnect', resolve);
              });
            }),
        ),
      );
      const busy = await until(async () => {
        const answer = await refusal('/shares', submissionFor('city')).catch(() => undefined);
        return answer?.[0] === 503 ? answer : undefined;
      }, DEADLINE_MS);
      expect(busy).to.deep.equal([503, 'SERVICE_BUSY']);
      const own = asOrganisation(await identityOf('grid', 'coordinator'));
      expect(await codeOf(own.holdings(round))).to.equal('ROUND_STATE');
      expect(await get('/metrics')).to.match(/sev_aggregator_shares_total\{result="SERVICE_BUSY"\} [1-9]/);
    } finally {
      slow.forEach((one) => one.destroy());
      agent.destroy();
    }
    await until(async () => (await handIn('city').catch(() => undefined)) && true, DEADLINE_MS);
  });

  it('keeps receipts and its certificate when it is killed in the middle of a round and started again', async () => {
    for (const name of AGGREGATORS) {
      receipts.set(name, await handIn(name));
    }
    const before = await certificateOf('city');
    const { pid, url } = aggregators.get('city')!;
    await kill(pid);
    expect(await codeOf(handIn('city'))).to.equal('SERVICE_UNREACHABLE');
    await startAggregator('city', '--port', new URL(url).port);
    expect((await certificateOf('city')).serialNumber).to.equal(before.serialNumber);
    // A signature made anew would be another one.
    expect(await handIn('city')).to.deep.equal(receipts.get('city'));
    expect(JSON.parse(await get('/healthz'))).to.include({ ok: true, service: 'aggregator' });
  });

  it('holds what it held: the round ends with every vehicle, and with it among the holders', async () => {
    const { baseModelHash } = round;
    await learning(await vehicleSession()).recordUpdate({
      ...attemptOf(round),
      baseModelHash,
      envelope: update.envelope,
    });
    const ending = await coordinator.ended;
    expect(ending.exitCode, ending.stderr).to.equal(0);
    const final = await learning(session).round(round);
    expect(final).to.include({ state: 'finalised', attempt: 1 });
    expect(final.proposal!.cohortSize).to.equal(VEHICLES);
    expect(final.secure!.holders).to.have.members(AGGREGATORS.map((name) => organisation(name).mspId));
    const metrics = await get('/metrics');
    for (const name of ['holdings', 'reveal', 'projections', 'sums', 'publish']) {
      expect(metrics).to.include(`sev_aggregator_requests_total{request="${name}",result="accepted"} 1`);
    }
    expect(metrics).not.to.include('v-');
  });

  async function vehicleSession(): Promise<LedgerSession> {
    const wallet = await openWallet(inHome.wallet(homeOf('fleet')));
    const opened = await openSession({ profile, identity: await wallet.get(update.vehicleId) });
    agents.push({
      destroy: () => {
        opened.close();
      },
    });
    return opened;
  }
});
