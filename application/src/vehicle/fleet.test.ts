// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { drawnVehicles, sha256Hex, type Envelope, type ItemResult, type RecordUpdate } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptKey, attemptOf } from '../services/attempt.js';
import { silentLog, type ServiceLog } from '../services/log.js';
import { Federation, until, vehicleIdOf } from '../testing/federation.js';
import type { BatcherAddress } from './courier.js';
import { Fleet, type FleetOptions } from './fleet.js';
import type { TrainedUpdate, TrainingOrder } from './messages.js';
import type { VehiclePool } from './pool.js';

const HASH = 'a'.repeat(64);
const VALIDATORS = ['CityMSP', 'GridMSP', 'MakerMSP'];
/** Of a validator. */
const WORD = { mspId: 'CityMSP', dataHash: HASH, lossMicro: 1, directionHash: HASH, signature: '' };

/** Where nobody answers. */
const NOBODY: BatcherAddress = { mspId: 'CityMSP', url: 'http://127.0.0.1:9' };

/** A pool whose vehicles do not train but hand in some numbers, and record as themselves on the fake ledger. */
function fakePool(federation: Federation, calls: { trained: number; direct: number }): VehiclePool {
  return {
    vehicles: federation.vehicleIds.map((vehicleId) => ({
      vehicleId,
      mspId: 'CityMSP',
      samples: 10,
      features: federation.task.features,
    })),
    train: async (order, vehicleIds, listener) => {
      const round = federation.ledger.rounds.get(order.round.round)!;
      for (const vehicleId of vehicleIds) {
        calls.trained++;
        const bytes = federation.updateBytes(round, vehicleId);
        listener.onUpdate({ vehicleId, bytes, envelope: federation.sign(round, vehicleId, sha256Hex(bytes)) });
      }
      return Promise.resolve();
    },
    record: async (argument: RecordUpdate) => {
      calls.direct++;
      const session = federation.ledger.session('CityMSP', {}, argument.envelope.vehicleId);
      await session.submit('learning', 'RecordUpdate', argument);
    },
    close: () => Promise.resolve(),
  };
}

type Answer = (envelope: Envelope) => Promise<{ status: number; body: unknown }> | { status: number; body: unknown };

describe('A fleet of vehicles', () => {
  const servers: Server[] = [];
  const fleets: { fleet: Fleet; running: Promise<void> }[] = [];

  /** A batcher that answers envelopes in its own way. */
  async function batcher(answer: Answer, mspId = 'CityMSP'): Promise<BatcherAddress> {
    const server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        void Promise.resolve(answer((JSON.parse(text) as { envelope: Envelope }).envelope)).then(({ status, body }) => {
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { mspId, url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` };
  }

  function honest(federation: Federation): Answer {
    return async (envelope) => {
      const round = federation.ledger.rounds.get(1)!;
      const argument = { ...attemptOf(round), baseModelHash: round.baseModelHash, envelopes: [envelope] };
      const { result } = await federation.ledger.session('GridMSP').submit('learning', 'RecordUpdates', argument);
      return { status: 200, body: (result as { results: ItemResult[] }).results[0] };
    };
  }

  function start(federation: Federation, options: Partial<FleetOptions> = {}): { trained: number; direct: number } {
    const calls = { trained: 0, direct: 0 };
    const fleet = new Fleet({
      session: federation.ledger.session('CityMSP'),
      store: federation.store,
      pool: fakePool(federation, calls),
      batchers: [],
      pollMs: 20,
      directAfterMs: 40,
      plain: true,
      log: silentLog,
      ...options,
    });
    fleets.push({ fleet, running: fleet.run() });
    return calls;
  }

  async function openRound(federation: Federation, changes: object = {}): Promise<void> {
    const { taskId, model } = federation.task;
    const argument = { taskId, round: 1, attempt: 1, baseModelHash: model.initialModelHash, ...changes };
    await federation.ledger.session('GridMSP').submit('learning', 'OpenRound', argument);
  }

  function recordedIn(federation: Federation): number {
    return federation.ledger.writtenUpdates.length;
  }

  afterEach(async () => {
    fleets.forEach(({ fleet }) => {
      fleet.end();
    });
    await Promise.all(fleets.splice(0).map(({ running }) => running));
    servers.splice(0).forEach((server) => {
      server.closeAllConnections();
      server.close();
    });
  });

  it('takes part in a round that is opened while it listens', async () => {
    const federation = new Federation({ vehicles: 4 });
    const calls = start(federation, { batchers: [await batcher(honest(federation))], directAfterMs: 10_000 });
    await openRound(federation);
    await until(() => recordedIn(federation) === 4, 'the updates');
    expect(calls).to.deep.equal({ trained: 4, direct: 0 });
  });

  it('takes part in a round that was open before it started, with those that the ledger lacks', async () => {
    const federation = new Federation({ vehicles: 4 });
    await openRound(federation);
    const done = await federation.envelope(federation.ledger.rounds.get(1)!, federation.vehicleIds[0]!);
    await honest(federation)(done);
    const calls = start(federation, { batchers: [await batcher(honest(federation))] });
    await until(() => recordedIn(federation) === 4, 'the updates');
    expect(calls.trained).to.equal(3);
  });

  it('records by itself where no batcher answers', async () => {
    const federation = new Federation({ vehicles: 3 });
    const calls = start(federation, { batchers: [NOBODY] });
    await openRound(federation);
    await until(() => recordedIn(federation) === 3, 'the updates');
    expect(calls.direct).to.equal(3);
  });

  it("asks its own organisation's batcher first, and another's where that one is silent or busy", async () => {
    const federation = new Federation({ vehicles: 3 });
    const asked: string[] = [];
    const busy = await batcher(() => {
      asked.push('own');
      return { status: 503, body: { code: 'SERVICE_BUSY', detail: '' } };
    });
    const other = await batcher((envelope) => {
      asked.push('other');
      return honest(federation)(envelope);
    }, 'MakerMSP');
    const calls = start(federation, { batchers: [other, busy], directAfterMs: 10_000 });
    await openRound(federation);
    await until(() => recordedIn(federation) === 3, 'the updates');
    expect(asked.slice(0, 3)).to.deep.equal(['own', 'own', 'own']);
    expect(calls.direct).to.equal(0);
  });

  it('waits for the ledger where a batcher has queued its update, and not without end', async () => {
    const federation = new Federation({ vehicles: 2 });
    const [first] = federation.vehicleIds;
    const queued = await batcher((envelope) => {
      if (envelope.vehicleId === first) {
        void honest(federation)(envelope);
      }
      return { status: 202, body: { id: envelope.vehicleId, queued: true } };
    });
    const calls = start(federation, { batchers: [queued], directAfterMs: 0, queuedMs: 50 });
    await openRound(federation);
    await until(() => recordedIn(federation) === 2, 'the updates');
    expect(calls.direct).to.equal(1);
  });

  it('records by itself while a batcher does not answer at all', async () => {
    const federation = new Federation({ vehicles: 2 });
    const silent = await batcher(() => new Promise(() => undefined));
    const calls = start(federation, { batchers: [silent] });
    await openRound(federation);
    await until(() => recordedIn(federation) === 2, 'the updates');
    expect(calls.direct).to.equal(2);
  });

  it('gives batchers that queue without end a third of the grace time', async () => {
    const federation = new Federation({ vehicles: 2, graceMs: 300 });
    const liar = await batcher(({ vehicleId }) => ({ status: 202, body: { id: vehicleId, queued: true } }));
    const calls = start(federation, { batchers: [liar], directAfterMs: 60_000, queuedMs: 60_000 });
    await openRound(federation);
    await until(() => recordedIn(federation) === 2, 'the updates');
    expect(calls.direct).to.equal(2);
  });

  it('tries a batcher last from then on whose promise the ledger did not bear out', async () => {
    const federation = new Federation({ vehicles: 1 });
    const asked: string[] = [];
    const liar = await batcher(({ vehicleId }) => {
      asked.push('liar');
      return { status: 200, body: { id: vehicleId, accepted: true } };
    });
    const other = await batcher((envelope) => {
      asked.push('other');
      return honest(federation)(envelope);
    }, 'MakerMSP');
    start(federation, { batchers: [liar, other] });
    await openRound(federation);
    await until(() => recordedIn(federation) === 1, 'the update');
    const ref = attemptOf(federation.ledger.rounds.get(1)!);
    const reason = 'OPERATOR';
    const statements = await Promise.all(federation.mspIds.map((mspId) => federation.signer(mspId).abort(ref, reason)));
    await federation.ledger.session('GridMSP').submit('learning', 'AbortRound', { ...ref, reason, statements });
    asked.splice(0);
    await openRound(federation, { attempt: 2 });
    await until(() => recordedIn(federation) === 2, 'the update of the second attempt');
    expect(asked[0]).to.equal('other');
  });

  it('does not believe a batcher that promises what the ledger does not show', async () => {
    const federation = new Federation({ vehicles: 1 });
    const liar = await batcher(({ vehicleId }) => ({ status: 200, body: { id: vehicleId, accepted: true } }));
    const calls = start(federation, { batchers: [liar] });
    await openRound(federation);
    await until(() => recordedIn(federation) === 1, 'the update');
    expect(calls.direct).to.equal(1);
  });

  it('does not believe a batcher that refuses without reason', async () => {
    const federation = new Federation({ vehicles: 1 });
    const body = { accepted: false, code: 'VEHICLE_NOT_ACTIVE' };
    const liar = await batcher(({ vehicleId }) => ({ status: 200, body: { id: vehicleId, ...body } }));
    start(federation, { batchers: [liar] });
    await openRound(federation);
    await until(() => recordedIn(federation) === 1, 'the update');
  });

  it('sends again, and is recorded once, where the answer of the batcher is lost', async () => {
    const federation = new Federation({ vehicles: 2 });
    let lost = 0;
    const url = await batcher(async (envelope) => {
      const answer = await honest(federation)(envelope);
      return lost++ < 2 ? { status: 503, body: { code: 'SERVICE_BUSY', detail: '' } } : answer;
    });
    const parts: number[] = [];
    start(federation, {
      batchers: [url],
      directAfterMs: 10_000,
      onTakenPart: (_round, { recorded }) => parts.push(recorded),
    });
    await openRound(federation);
    await until(() => parts.length === 1, 'the end');
    expect(parts).to.deep.equal([2]);
    expect(recordedIn(federation)).to.equal(2);
  });

  it('refuses a model that is not on the ledger', async () => {
    const federation = new Federation({ vehicles: 1 });
    await openRound(federation);
    const session = federation.ledger.session('CityMSP');
    const codes: unknown[] = [];
    const log: ServiceLog = { ...silentLog, warn: (fields) => codes.push((fields as { code?: string }).code) };
    const calls = start(federation, {
      log,
      session: {
        ...session,
        evaluate: (contract, transaction, argument) =>
          transaction === 'GetModel'
            ? Promise.reject(new SevError('MODEL_UNKNOWN', 'none'))
            : session.evaluate(contract, transaction, argument),
      },
    });
    await until(() => codes.includes('MODEL_NOT_ON_LEDGER'), 'the refusal');
    expect(calls.trained).to.equal(0);
  });

  it('refuses model bytes that do not have the hash on the ledger, and takes the right ones later', async () => {
    const federation = new Federation({ vehicles: 1 });
    const { objects } = federation.store;
    const hash = federation.task.model.initialModelHash;
    const right = objects.get(hash)!;
    objects.set(hash, new Uint8Array(right.length));
    const codes: unknown[] = [];
    const log: ServiceLog = { ...silentLog, warn: (fields) => codes.push((fields as { code?: string }).code) };
    const calls = start(federation, { log });
    await openRound(federation);
    await until(() => codes.includes('CONTENT_HASH_MISMATCH'), 'the refusal');
    expect(calls.trained).to.equal(0);
    objects.set(hash, right);
    await until(() => recordedIn(federation) === 1, 'the update');
  });

  it('trains nothing whose features are not those of its data, such as those of other statistics', async () => {
    const federation = new Federation({ vehicles: 3 });
    const codes: unknown[] = [];
    const log: ServiceLog = { ...silentLog, warn: (fields) => codes.push((fields as { code?: string }).code) };
    const calls = { trained: 0, direct: 0 };
    const pool = fakePool(federation, calls);
    const vehicles = pool.vehicles.map((vehicle) => ({ ...vehicle, features: `csv/trips-1-${'ab'.repeat(16)}` }));
    start(federation, { pool: { ...pool, vehicles }, log });
    await openRound(federation);
    await until(() => codes.includes('FEATURES_UNSUPPORTED'), 'the refusal');
    expect(calls.trained).to.equal(0);
  });

  it('leaves a round that is over and goes on with the next attempt', async () => {
    const federation = new Federation({ vehicles: 2 });
    start(federation, { batchers: [NOBODY], directAfterMs: 60_000 });
    await openRound(federation);
    const ref = attemptOf(federation.ledger.rounds.get(1)!);
    const reason = 'OPERATOR';
    const statements = await Promise.all(federation.mspIds.map((mspId) => federation.signer(mspId).abort(ref, reason)));
    const grid = federation.ledger.session('GridMSP');
    await grid.submit('learning', 'AbortRound', { ...ref, reason, statements });
    fleets.at(-1)?.fleet.end();
    await fleets.at(-1)?.running;
    const calls = start(federation, { batchers: [] });
    await openRound(federation, { attempt: 2 });
    await until(() => recordedIn(federation) === 2, 'the updates');
    expect(calls.direct).to.equal(2);
    expect(federation.ledger.writtenUpdates.every(({ attempt }) => attempt === 2)).to.equal(true);
  });

  it('takes no part in a task of mode plain, which any organisation could make, unless told to', async () => {
    const federation = new Federation({ vehicles: 2 });
    const warned: string[] = [];
    const log = {
      ...silentLog,
      warn: (_fields: unknown, text: string) => warned.push(text),
    } as unknown as typeof silentLog;
    const calls = start(federation, { plain: false, log });
    await openRound(federation);
    await until(() => warned.length > 0, 'the warning');
    expect(warned[0]).to.include('mode plain');
    expect(calls.trained).to.equal(0);
  });

  it('takes no part in a task that opens too much of its vehicles, whatever contract took it', async () => {
    const federation = new Federation({ vehicles: 3, minimum: 3, secure: { openedShareMilli: 1_000 } });
    const warned: string[] = [];
    const log = {
      ...silentLog,
      warn: (_fields: unknown, text: string) => warned.push(text),
    } as unknown as typeof silentLog;
    const calls = start(federation, { log });
    await openRound(federation, { opening: { aggregators: [] } });
    await until(() => warned.length > 0, 'the warning');
    expect(warned[0]).to.include('secure.openedShareMilli');
    expect(calls.trained).to.equal(0);
  });

  /** At its second round, in which this list of vehicles is asked. */
  async function drawing(shown: (drawn: readonly string[]) => readonly string[]): Promise<Federation> {
    const validation = { validators: VALIDATORS, pastRounds: 0, quarantineMilli: 1, vehicles: 3 };
    const federation = new Federation({ vehicles: 5, minimum: 3, secure: { projections: 1, validation } });
    const { ledger, task, vehicleIds } = federation;
    await openRound(federation, { opening: { aggregators: [] } });
    const first = ledger.rounds.get(1)!;
    const modelHash = task.model.initialModelHash;
    const members = vehicleIds.map((vehicleId) => ({ vehicleId, updateHash: HASH, weightClass: 0 }));
    ledger.cohorts.set(attemptKey(first), { ...attemptOf(first), docType: 'cohort', schemaVersion: 1, members });
    const secure = { ...first.secure!, cohortHash: HASH };
    const proposal = { ...first.proposal!, modelHash };
    ledger.rounds.set(1, { ...first, state: 'finalised', proposal, secure });
    const place = { taskId: task.taskId, round: 2, baseModelHash: modelHash };
    const { drawn = [] } = drawnVehicles(validation, place, { modelHash, cohort: { members } });
    const opening = { ...first.secure!.opening, validations: [WORD] };
    ledger.rounds.set(2, {
      ...first,
      ...place,
      state: 'open',
      secure: { ...first.secure!, opening, drawn: shown(drawn) },
    });
    expect(drawn).to.have.length(3);
    return federation;
  }

  /** Whom the vehicles of a fleet take to be asked. */
  async function askedIn(federation: Federation, options: Partial<FleetOptions> = {}): Promise<readonly string[]> {
    const orders: TrainingOrder[] = [];
    const train: VehiclePool['train'] = (order) => Promise.resolve(void orders.push(order));
    start(federation, { pool: { ...fakePool(federation, { trained: 0, direct: 0 }), train }, ...options });
    await until(() => orders.length > 0, 'the order');
    return orders[0]!.round.drawn!;
  }

  it('has those asked of its base that the round before draws, and of another list nobody', async () => {
    const federation = await drawing((drawn) => drawn);
    expect(await askedIn(federation)).to.deep.equal(federation.ledger.rounds.get(2)!.secure!.drawn);
    const others: ((drawn: readonly string[]) => readonly string[])[] = [
      ([, ...rest]) => rest,
      (drawn) => [...drawn].reverse(),
      (drawn) => [...drawn, vehicleIdOf(9)],
    ];
    for (const shown of others) {
      expect(await askedIn(await drawing(shown))).to.deep.equal([]);
    }
  });

  it('has nobody asked, and all take part, where the round before cannot be read', async () => {
    const federation = await drawing((drawn) => drawn);
    const session = federation.ledger.session('CityMSP');
    const evaluate: typeof session.evaluate = (contract, transaction, argument) =>
      transaction === 'GetCohort'
        ? Promise.reject(new SevError('LEDGER_UNREACHABLE', 'down'))
        : session.evaluate(contract, transaction, argument);
    expect(await askedIn(federation, { session: { ...session, evaluate } })).to.deep.equal([]);
  });

  it('sends an update again without the word about its base that the ledger refuses', async () => {
    const federation = new Federation({ vehicles: 3 });
    const warned: unknown[] = [];
    const log: ServiceLog = { ...silentLog, warn: (fields) => warned.push((fields as { code?: string }).code) };
    const pool = fakePool(federation, { trained: 0, direct: 0 });
    const [talking] = federation.vehicleIds;
    const train: VehiclePool['train'] = async (order, vehicleIds, listener, signal) => {
      const onUpdate = (update: TrainedUpdate): void => {
        const { vehicleId, envelope: silent } = update;
        const validation = { lossMicro: 1, dataHash: HASH };
        const round = federation.ledger.rounds.get(1)!;
        const envelope = federation.sign(round, vehicleId, silent.updateHash, { validation });
        listener.onUpdate(vehicleId === talking ? { ...update, envelope, silent } : update);
      };
      await pool.train(order, vehicleIds, { ...listener, onUpdate }, signal);
    };
    const parts: number[] = [];
    start(federation, {
      ...{ log, pool: { ...pool, train }, batchers: [await batcher(honest(federation))] },
      onTakenPart: (_round, { recorded }) => parts.push(recorded),
    });
    await openRound(federation);
    await until(() => parts.length === 1, 'the end');
    expect(parts).to.deep.equal([3]);
    expect(warned).to.deep.equal(['VEHICLE_NOT_DRAWN']);
    expect(federation.ledger.writtenUpdates.every(({ validation }) => validation === undefined)).to.equal(true);
  });

  it('trains no vehicle that the ledger bars from the task more than once, and goes on when it is cleared', async () => {
    const validation = { validators: VALIDATORS, pastRounds: 0, quarantineMilli: 1 };
    const federation = new Federation({ vehicles: 4, minimum: 3, secure: { projections: 1, validation } });
    const { ledger } = federation;
    const [barred = '', ...others] = federation.vehicleIds;
    ledger.standings.push({ vehicleId: barred, quarantined: { round: 1, suspicionMilli: 6_000 } });
    const trained: (readonly string[])[] = [];
    const pool = fakePool(federation, { trained: 0, direct: 0 });
    let parts = 0;
    start(federation, {
      pool: {
        ...pool,
        train: (order, vehicleIds, ...rest) => {
          trained.push(vehicleIds);
          return pool.train(order, vehicleIds, ...rest);
        },
        record: (argument, signal) =>
          argument.envelope.vehicleId === barred && ledger.standings.length > 0
            ? Promise.reject(new SevError('VEHICLE_QUARANTINED', 'waits for an incident'))
            : pool.record(argument, signal),
      },
      onTakenPart: () => parts++,
    });
    await openRound(federation, { opening: { aggregators: [] } });
    const first = ledger.rounds.get(1)!;
    const opening = { ...first.secure!.opening, validations: [WORD] };
    const attempt = async (number: number): Promise<void> => {
      const before = parts;
      ledger.rounds.set(1, { ...first, attempt: number, secure: { ...first.secure!, opening } });
      await until(() => parts > before, `attempt ${String(number)}`);
    };
    await attempt(2);
    await attempt(3);
    ledger.standings.splice(0);
    await attempt(4);
    expect(trained).to.deep.equal([federation.vehicleIds, others, federation.vehicleIds]);
  });

  it('ends where the ledger does not accept its identity', async () => {
    const federation = new Federation({ vehicles: 1 });
    const session = federation.ledger.session('CityMSP');
    const fleet = new Fleet({
      session: { ...session, evaluate: () => Promise.reject(new SevError('LEDGER_REFUSED', 'revoked')) },
      store: federation.store,
      pool: fakePool(federation, { trained: 0, direct: 0 }),
      batchers: [],
      log: silentLog,
    });
    expect(await fleet.run().catch((e: unknown) => e)).to.have.property('code', 'LEDGER_REFUSED');
  });
});
