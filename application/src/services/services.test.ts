// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArbiterKeys } from '../arbiter/arbiter-keys.js';
import { Arbiter } from '../arbiter/arbiter.js';
import { Batcher } from '../batcher/batcher.js';
import { Outbox } from '../batcher/outbox.js';
import { startBatcherServer } from '../batcher/server.js';
import { startAttesterServer } from '../attester/server.js';
import { Attester } from '../attester/attester.js';
import { Coordinator } from '../coordinator/coordinator.js';
import { startCoordinatorServer } from '../coordinator/server.js';
import { HttpStatementSource, OwnStatementSource } from '../coordinator/statement-sources.js';
import { Federation, until } from '../testing/federation.js';
import { temporaryDirectory } from '../testing/temporary.js';
import { attemptOf } from './attempt.js';
import { postJson, problemOf } from './http-client.js';
import { startHttpServer, type HttpServer } from './http-server.js';
import { silentLog } from './log.js';

const TIMEOUT = { timeoutMs: 5_000 };

describe('The services over HTTP', () => {
  const directory = temporaryDirectory();
  const closers: (() => Promise<void>)[] = [];

  function kept(server: HttpServer): HttpServer {
    closers.push(() => server.close());
    return server;
  }

  async function attester(federation: Federation, mspId: string): Promise<HttpStatementSource> {
    const session = federation.ledger.session(mspId);
    const { store } = federation;
    const one = new Attester({ session, store, signer: federation.signer(mspId), log: silentLog });
    const arbiter = new Arbiter({
      session,
      store,
      keys: new ArbiterKeys(join(tmpdir(), 'sev-no-arbiter-keys')),
      signingKey: federation.organisationKey(mspId),
      log: silentLog,
    });
    const server = kept(await startAttesterServer({ attester: one, arbiter, mspId, log: silentLog }));
    return new HttpStatementSource(mspId, server.url);
  }

  async function batcher(federation: Federation): Promise<string> {
    const outbox = await Outbox.open(join(directory(), randomUUID()));
    const one = new Batcher({ session: federation.ledger.session('CityMSP'), outbox, log: silentLog });
    const running = one.run();
    closers.push(async () => {
      one.end();
      await running;
      await outbox.close();
    });
    return kept(await startBatcherServer({ batcher: one, log: silentLog })).url;
  }

  async function coordinator(federation: Federation): Promise<{ url: string; coordinator: Coordinator }> {
    const sources = await Promise.all(['MakerMSP', 'CityMSP'].map((mspId) => attester(federation, mspId)));
    const one = new Coordinator({
      session: federation.ledger.session('GridMSP'),
      store: federation.store,
      taskId: federation.task.taskId,
      lastRound: 1,
      sources: [new OwnStatementSource(federation.signer('GridMSP')), ...sources],
      log: silentLog,
    });
    const { url } = kept(await startCoordinatorServer({ coordinator: one, log: silentLog }));
    return { url, coordinator: one };
  }

  afterEach(async () => {
    await Promise.all(closers.splice(0).map((close) => close()));
  });

  it('take a round from open to final, and answer each envelope with its result', async () => {
    const federation = new Federation({ vehicles: 3 });
    const batching = await batcher(federation);
    const { url, coordinator: one } = await coordinator(federation);
    const running = one.run();
    await until(() => one.status().state === 'open');
    const round = federation.ledger.rounds.get(1)!;
    const { baseModelHash } = round;
    const answers = await Promise.all(
      federation.vehicleIds.map(async (id) => {
        const envelope = await federation.envelope(round, id);
        return postJson(`${batching}/envelopes`, { ...attemptOf(round), baseModelHash, envelope }, TIMEOUT);
      }),
    );
    expect(answers.map(({ status, body }) => [status, (body as { accepted: boolean }).accepted])).to.deep.equal([
      [200, true],
      [200, true],
      [200, true],
    ]);
    await running;
    expect(federation.ledger.rounds.get(1)!.state).to.equal('finalised');
    const status = (await (await fetch(`${url}/status`)).json()) as object;
    expect(status).to.include({ round: 1, state: 'finalised', recorded: 3 });
  });

  it('refuse malformed, stale and oversized envelopes with a code', async () => {
    const federation = new Federation({ vehicles: 1 });
    const url = await batcher(federation);
    const round = await federation.openRound();
    const good = {
      ...attemptOf(round),
      baseModelHash: round.baseModelHash,
      envelope: await federation.envelope(round, federation.vehicleIds[0]!),
    };
    const codeFor = async (body: unknown): Promise<[number, string]> => {
      const answer = await postJson(`${url}/envelopes`, body, TIMEOUT);
      return [answer.status, problemOf(answer).code];
    };
    expect(await codeFor({ ...good, envelope: { ...good.envelope, extra: 1 } })).to.deep.equal([
      400,
      'ENVELOPE_MALFORMED',
    ]);
    expect(await codeFor({ ...good, attempt: 0 })).to.deep.equal([400, 'ENVELOPE_MALFORMED']);
    expect(await codeFor({ ...good, taskId: 'other' })).to.deep.equal([404, 'TASK_UNKNOWN']);
    expect(await codeFor({ ...good, baseModelHash: 'b'.repeat(64) })).to.deep.equal([409, 'ROUND_STALE']);
    expect(await codeFor({ ...good, padding: 'x'.repeat(1_100_000) })).to.deep.equal([413, 'BODY_TOO_LARGE']);
    const broken = await fetch(`${url}/envelopes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{',
    });
    expect(broken.status).to.equal(400);
  });

  it('say with a code why an attester does not sign', async () => {
    const federation = new Federation({ vehicles: 2 });
    const source = await attester(federation, 'CityMSP');
    const ref = { taskId: federation.task.taskId, round: 1, attempt: 1 };
    const error = await source.close(ref).catch((e: unknown) => e);
    expect(error).to.have.property('code', 'ROUND_STALE');
  });

  it('turn work away that exceeds what they take on at a time', async () => {
    const waiting: (() => void)[] = [];
    const server = kept(
      await startHttpServer({
        maxRequests: 1,
        statusOf: {},
        log: silentLog,
        routes: (app) => {
          app.post('/slow', async (_request, response) => {
            await new Promise<void>((resolve) => waiting.push(resolve));
            response.json({});
          });
        },
      }),
    );
    const first = postJson(`${server.url}/slow`, {}, TIMEOUT);
    await until(() => waiting.length === 1);
    const second = await postJson(`${server.url}/slow`, {}, TIMEOUT);
    expect([second.status, problemOf(second).code]).to.deep.equal([503, 'SERVICE_BUSY']);
    waiting[0]?.();
    expect((await first).status).to.equal(200);
  });

  it('report a port in use, a service that is not there and one that does not answer', async () => {
    const options = { maxRequests: 1, statusOf: {}, log: silentLog };
    const server = kept(
      await startHttpServer({
        ...options,
        routes: (app) => {
          app.post('/never', () => undefined);
        },
      }),
    );
    const port = Number(new URL(server.url).port);
    const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
      promise.catch((e: unknown) => (e as { code: string }).code);
    expect(await codeOf(startHttpServer({ ...options, port, routes: () => undefined }))).to.equal('PORT_IN_USE');
    expect(await codeOf(postJson(`${server.url}/never`, {}, { timeoutMs: 30 }))).to.equal('SERVICE_TIMEOUT');
    expect(await codeOf(postJson('http://127.0.0.1:9/x', {}, TIMEOUT))).to.equal('SERVICE_UNREACHABLE');
  });
});
