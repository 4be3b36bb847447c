// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { appendFile, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Envelope, ItemResult, RoundRecord } from '@sev/chaincode/api';
import { LedgerError } from '../ledger/errors.js';
import { attemptOf } from '../services/attempt.js';
import { silentLog } from '../services/log.js';
import { Federation, until } from '../testing/federation.js';
import type { Hooks } from '../testing/fake-ledger.js';
import { codeOf, eventually, temporaryDirectory } from '../testing/temporary.js';
import { Batcher, type BatcherOptions } from './batcher.js';
import { Outbox } from './outbox.js';

const CITY = 'CityMSP';

describe('Batcher', () => {
  const directory = temporaryDirectory();
  const running: { batcher: Batcher; over: Promise<void> }[] = [];
  const outboxes: Outbox[] = [];

  afterEach(async () => {
    running.forEach(({ batcher }) => {
      batcher.end();
    });
    await Promise.all(running.splice(0).map(({ over }) => over));
    await Promise.all(outboxes.splice(0).map((outbox) => outbox.close()));
  });

  async function openOutbox(home: string): Promise<Outbox> {
    const outbox = await Outbox.open(home);
    outboxes.push(outbox);
    return outbox;
  }

  function newHome(): string {
    return join(directory(), randomUUID());
  }

  async function start(
    federation: Federation,
    options: Partial<BatcherOptions> & { home?: string; hooks?: Hooks; mspId?: string } = {},
  ): Promise<Batcher> {
    const { home = newHome(), hooks = {}, mspId = CITY, ...others } = options;
    const batcher = new Batcher({
      session: federation.ledger.session(mspId, hooks),
      outbox: await openOutbox(home),
      batch: { lingerMs: 5 },
      pollMs: 20,
      log: silentLog,
      ...others,
    });
    running.push({ batcher, over: batcher.run() });
    return batcher;
  }

  function envelopesOf(federation: Federation, round: RoundRecord): Promise<Envelope[]> {
    return Promise.all(federation.vehicleIds.map((id) => federation.envelope(round, id)));
  }

  function submitAll(
    batcher: Batcher,
    round: RoundRecord,
    envelopes: readonly Envelope[],
  ): Promise<(ItemResult | undefined)[]> {
    return Promise.all(envelopes.map((envelope) => batcher.submit(round, envelope)));
  }

  const recordings = (federation: Federation): number =>
    federation.ledger.transactions.filter((name) => name === 'RecordUpdates').length;

  async function abort(federation: Federation, round: RoundRecord): Promise<void> {
    const argument = { ...attemptOf(round), reason: 'OPERATOR' as const };
    const statements = await Promise.all(
      federation.mspIds.map((mspId) => federation.signer(mspId).abort(attemptOf(round), argument.reason)),
    );
    await federation.ledger.session('GridMSP').submit('learning', 'AbortRound', { ...argument, statements });
  }

  /** Fails every recording while it is down. */
  function outage(): { hooks: Hooks; isDown: boolean } {
    const state = {
      isDown: true,
      hooks: {
        before: (transaction: string) => {
          if (state.isDown && transaction === 'RecordUpdates') {
            throw new LedgerError('LEDGER_UNREACHABLE', 'down');
          }
        },
      },
    };
    return state;
  }

  it('records the envelopes of a cohort in one transaction, as soon as the last has come', async () => {
    const federation = new Federation({ vehicles: 20 });
    const batcher = await start(federation, { batch: { lingerMs: 60_000, maxHoldMs: 60_000 } });
    const round = await federation.openRound();
    const results = await submitAll(batcher, round, await envelopesOf(federation, round));
    expect(results.map((result) => [result?.id, result?.accepted])).to.deep.equal(
      federation.vehicleIds.map((id) => [id, true]),
    );
    expect(recordings(federation)).to.equal(1);
  });

  it('records beside another organisation, and waits for nobody once the two together have the cohort', async () => {
    const federation = new Federation({ vehicles: 6 });
    const slow = { batch: { lingerMs: 60_000, maxHoldMs: 60_000 } };
    const [city, maker] = await Promise.all([start(federation), start(federation, { ...slow, mspId: 'MakerMSP' })]);
    const round = await federation.openRound();
    const envelopes = await envelopesOf(federation, round);
    await submitAll(city, round, envelopes.slice(0, 2));
    await submitAll(maker, round, envelopes.slice(2));
    expect(recordings(federation)).to.equal(2);
    expect(federation.ledger.updates(round)).to.have.length(6);
  });

  describe('of a task that bars vehicles', () => {
    const opening = { aggregators: [] };
    const validation = { validators: [], pastRounds: 0, quarantineMilli: 1 };

    function barring() {
      const federation = new Federation({ vehicles: 6, secure: { validation } });
      const [quarantined = '', culprit = '', ...others] = federation.vehicleIds;
      const { standings, culprits } = federation.ledger;
      standings.push({ vehicleId: quarantined, quarantined: { round: 1, suspicionMilli: 6_000 } });
      culprits.push({
        ...{ docType: 'culprit', schemaVersion: 1, taskId: federation.task.taskId, vehicleId: culprit },
        ...{ incidentId: 'incident-1', afterRound: 0, opened: true },
      });
      return { federation, quarantined, culprit, others };
    }

    it('turns them away, waits for none of them and spends no transaction on them', async () => {
      const { federation, quarantined, culprit, others } = barring();
      const batcher = await start(federation, { batch: { lingerMs: 60_000, maxHoldMs: 60_000 } });
      const round = await federation.openRound({ opening });
      const results = await submitAll(batcher, round, await envelopesOf(federation, round));
      expect(results.map((result) => [result?.id, result?.code])).to.deep.equal([
        [quarantined, 'VEHICLE_QUARANTINED'],
        [culprit, 'VEHICLE_NOT_ACTIVE'],
        ...others.map((id) => [id, undefined]),
      ]);
      expect(recordings(federation)).to.equal(1);
      expect(federation.ledger.updates(round).map(({ vehicleId }) => vehicleId)).to.deep.equal(others);
    });

    it('takes a vehicle that was let off from the next attempt on', async () => {
      const { federation, quarantined } = barring();
      const batcher = await start(federation);
      const first = await federation.openRound({ opening });
      const codeIn = async (round: RoundRecord) =>
        (await batcher.submit(round, await federation.envelope(round, quarantined)))?.code;
      expect(await codeIn(first)).to.equal('VEHICLE_QUARANTINED');
      federation.ledger.standings.splice(0);
      expect(await codeIn(first), 'until then the vehicle asks the ledger').to.equal('VEHICLE_QUARANTINED');
      await abort(federation, first);
      await until(() => batcher.status().attempts.length === 0);
      expect(await codeIn(await federation.openRound({ attempt: 2, opening }))).to.equal(undefined);
    });

    it('asks the ledger for them only about rounds that are open', async () => {
      const { federation, others } = barring();
      const asked: string[] = [];
      const batcher = await start(federation, { hooks: { asked: (transaction) => asked.push(transaction) } });
      const round = await federation.openRound({ opening });
      const envelope = await federation.envelope(round, others[0]!);
      await batcher.submit(round, envelope);
      const listed = asked.filter((transaction) => transaction === 'ListStandings').length;
      expect(await codeOf(batcher.submit({ ...round, round: 7 }, envelope))).to.equal('ROUND_STALE');
      expect(asked.filter((transaction) => transaction === 'ListStandings')).to.have.length(listed);
      expect(listed).to.equal(1);
    });
  });

  it('waits for nobody once as many have come as in the round before', async () => {
    const federation = new Federation({ vehicles: 4, target: 100 });
    const batcher = await start(federation, { batch: { lingerMs: 300, maxHoldMs: 300 } });
    const first = await federation.openRound();
    await submitAll(batcher, first, await envelopesOf(federation, first));
    await abort(federation, first);
    await until(() => batcher.status().attempts.length === 0);
    const second = await federation.openRound({ attempt: 2 });
    const envelopes = await envelopesOf(federation, second);
    let answered = 0;
    const results = envelopes.slice(0, 3).map((envelope) => batcher.submit(second, envelope).then(() => answered++));
    await until(() => batcher.waiting === 3);
    expect(answered).to.equal(0);
    await Promise.all([...results, batcher.submit(second, envelopes[3]!)]);
    expect(recordings(federation)).to.equal(2);
  });

  it('refuses envelopes of another task, of an old round and from another base model', async () => {
    const federation = new Federation({ vehicles: 2 });
    const batcher = await start(federation);
    const round = await federation.openRound();
    const [envelope] = await envelopesOf(federation, round);
    const code = (change: object) => codeOf(batcher.submit({ ...round, ...change }, envelope!));
    expect(await code({ taskId: 'other' })).to.equal('TASK_UNKNOWN');
    expect(await code({ baseModelHash: 'f'.repeat(64) })).to.equal('ROUND_STALE');
    expect(await code({ attempt: 0 })).to.equal('ROUND_STALE');
    federation.ledger.advance(round, { state: 'closed' });
    federation.ledger.announce({ type: 'RoundClosed', ...attemptOf(round), modelHash: round.baseModelHash });
    await until(() => batcher.status().attempts.length === 0);
    expect(await code({})).to.equal('ROUND_STATE');
  });

  it('waits for a round that the vehicle heard of first', async () => {
    const federation = new Federation({ vehicles: 1 });
    const batcher = await start(federation);
    const { taskId, model } = federation.task;
    const place = { taskId, round: 1, attempt: 1, baseModelHash: model.initialModelHash };
    const submitted = batcher.submit(place, await federation.envelope(place as RoundRecord, federation.vehicleIds[0]!));
    await federation.openRound();
    expect(await submitted).to.include({ accepted: true });
  });

  it('looks for a round again and again for the next attempt only, and for nobody who signed nothing', async () => {
    const federation = new Federation({ vehicles: 1 });
    let looks = 0;
    const session = federation.ledger.session(CITY);
    const batcher = await start(federation, {
      session: {
        ...session,
        evaluate: (contract, transaction, argument) => {
          looks += transaction === 'GetRound' ? 1 : 0;
          return session.evaluate(contract, transaction, argument);
        },
      },
    });
    const { taskId, model } = federation.task;
    const [vehicleId] = federation.vehicleIds as [string];
    const place = { taskId, round: 1, attempt: 1, baseModelHash: model.initialModelHash };
    const signed = (at: object) => federation.sign({ ...place, ...at } as RoundRecord, vehicleId, 'e'.repeat(64));
    const forged = { ...signed({}), updateHash: 'f'.repeat(64) };
    expect(await batcher.submit(place, forged)).to.include({ code: 'SIGNATURE_INVALID' });
    for (const at of [{ round: 2 }, { attempt: 2 }, { round: 9, attempt: 7 }]) {
      expect(await codeOf(batcher.submit({ ...place, ...at }, signed(at)))).to.equal('ROUND_STALE');
    }
    // One at each attempt that is named, and one at the round before a new one.
    expect(looks).to.equal(5);
  });

  it('spends no transaction on forged envelopes', async () => {
    const federation = new Federation({ vehicles: 2 });
    const batcher = await start(federation, { batch: {} });
    const round = await federation.openRound();
    const [a, b] = await envelopesOf(federation, round);
    const forged = Array.from({ length: 300 }, (_, i) => ({ ...a!, updateHash: i.toString(16).padStart(64, '0') }));
    const unknown = { ...a!, vehicleId: 'v-0000000000000000000000' };
    const refused = await submitAll(batcher, round, [...forged, unknown]);
    expect(new Set(refused.map((result) => result?.code))).to.deep.equal(
      new Set(['SIGNATURE_INVALID', 'VEHICLE_UNKNOWN']),
    );
    expect([batcher.waiting, recordings(federation)]).to.deep.equal([0, 0]);
    await submitAll(batcher, round, [a!, b!]);
    expect(recordings(federation)).to.equal(1);
  });

  it('asks about a vehicle again when the ledger refused it', async () => {
    const federation = new Federation({ vehicles: 2, target: 1 });
    const batcher = await start(federation);
    const round = await federation.openRound();
    const [mine, theirs] = await envelopesOf(federation, round);
    await batcher.submit(round, theirs!);
    federation.ledger.statuses.set(mine!.vehicleId, 'suspended');
    expect(await batcher.submit(round, mine!)).to.include({ accepted: false, code: 'VEHICLE_NOT_ACTIVE' });
    federation.ledger.statuses.delete(mine!.vehicleId);
    expect(await batcher.submit(round, mine!)).to.include({ accepted: true });
    federation.ledger.statuses.set(mine!.vehicleId, 'suspended');
    const before = recordings(federation);
    expect(await batcher.submit(round, mine!), 'the same again').to.include({ accepted: true });
    expect(recordings(federation)).to.equal(before);
  });

  it('answers the same envelope from what it knows, and takes no second one of a vehicle', async () => {
    const federation = new Federation({ vehicles: 1 });
    const batcher = await start(federation);
    const round = await federation.openRound();
    const [vehicleId] = federation.vehicleIds as [string];
    const envelope = await federation.envelope(round, vehicleId);
    const results = await submitAll(batcher, round, [envelope, { ...envelope }]);
    expect(results.map((result) => result?.accepted)).to.deep.equal([true, true]);
    expect(await batcher.submit(round, envelope)).to.include({ accepted: true });
    const other = federation.sign(round, vehicleId, 'e'.repeat(64));
    expect(await batcher.submit(round, other)).to.include({ accepted: false, code: 'UPDATE_DUPLICATE' });
    expect(recordings(federation)).to.equal(1);
  });

  it('turns envelopes away when too many wait', async () => {
    const federation = new Federation({ vehicles: 3 });
    const batcher = await start(federation, { maxWaiting: 2, batch: { lingerMs: 60_000, maxHoldMs: 60_000 } });
    const round = await federation.openRound();
    const [a, b, c] = await envelopesOf(federation, round);
    const held = [batcher.submit(round, a!), batcher.submit(round, b!)];
    await until(() => batcher.waiting === 2);
    expect(await codeOf(batcher.submit(round, c!))).to.equal('SERVICE_BUSY');
    batcher.end();
    expect(
      (await Promise.all(held)).map((result) => result?.accepted),
      'sent at the end',
    ).to.deep.equal([true, true]);
  });

  it('says that an envelope is queued while the ledger is down, and records it when it is back', async () => {
    const federation = new Federation({ vehicles: 3 });
    const down = outage();
    const batcher = await start(federation, { hooks: down.hooks, answerMs: 30 });
    const round = await federation.openRound();
    const envelopes = await envelopesOf(federation, round);
    expect(await submitAll(batcher, round, envelopes)).to.deep.equal([undefined, undefined, undefined]);
    expect(batcher.waiting).to.equal(3);
    down.isDown = false;
    await until(() => federation.ledger.updates(round).length === 3, 'the updates');
    expect(recordings(federation)).to.equal(1);
  });

  it('records after a kill what it had accepted while the ledger was down, once', async () => {
    const federation = new Federation({ vehicles: 5 });
    const home = newHome();
    const killed = await start(federation, { home, hooks: outage().hooks, answerMs: 30 });
    const round = await federation.openRound();
    const envelopes = await envelopesOf(federation, round);
    await submitAll(killed, round, envelopes.slice(0, 4));
    // One got to the ledger by another way.
    await federation.recordBatch(round, envelopes.slice(0, 1));
    await start(federation, { home });
    await until(() => federation.ledger.updates(round).length === 4, 'the updates');
    expect(federation.ledger.writtenUpdates).to.have.length(4);
  });

  it('reads an outbox whose last line was cut off, and goes on with it', async () => {
    const federation = new Federation({ vehicles: 3 });
    const home = newHome();
    const killed = await start(federation, { home, hooks: outage().hooks, answerMs: 30 });
    const round = await federation.openRound();
    const [a, b, c] = await envelopesOf(federation, round);
    await submitAll(killed, round, [a!, b!]);
    const file = join(home, round.taskId, '1-1.jsonl');
    const text = await readFile(file, 'utf8');
    await appendFile(file, text.slice(0, 40));
    const outbox = await openOutbox(home);
    await outbox.keep(round, c!);
    const [kept] = await outbox.kept();
    expect(kept?.envelopes).to.deep.equal([a, b, c]);
  });

  it('forgets envelopes with their attempt, those of an attempt that ended while it was away too', async () => {
    const federation = new Federation({ vehicles: 2 });
    const home = newHome();
    const outbox = await openOutbox(home);
    const round = await federation.openRound();
    const [a, b] = await envelopesOf(federation, round);
    await outbox.keep({ ...round, attempt: 1 }, a!);
    const batcher = await start(federation, { home, batch: { lingerMs: 60_000, maxHoldMs: 60_000 } });
    await until(() => batcher.waiting === 1, 'what was left');
    const held = codeOf(
      batcher.submit(round, b!).then((result) => Promise.reject(new Error(String(result?.accepted)))),
    );
    federation.ledger.advance(round, { state: 'closed' });
    expect(await held).not.to.equal('ROUND_STALE');
    await eventually(async () => (await readdir(join(home, round.taskId))).length === 0);
    const late = await openOutbox(home);
    await late.keep(round, a!);
    await start(federation, { home });
    await eventually(async () => (await readdir(join(home, round.taskId))).length === 0);
  });

  it('keeps no envelope whose attempt ended while its vehicle was looked up', async () => {
    const federation = new Federation({ vehicles: 1 });
    const home = newHome();
    const session = federation.ledger.session(CITY);
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let isAsked = false;
    const batcher = await start(federation, {
      home,
      session: {
        ...session,
        evaluate: async (contract, transaction, argument) => {
          if (transaction === 'FindVehicles') {
            isAsked = true;
            await released;
          }
          return session.evaluate(contract, transaction, argument);
        },
      },
    });
    const round = await federation.openRound();
    const [envelope] = await envelopesOf(federation, round);
    const submitted = codeOf(batcher.submit(round, envelope!));
    await until(() => isAsked, 'the look-up');
    federation.ledger.advance(round, { state: 'closed' });
    await until(() => batcher.status().attempts.length === 0, 'the end');
    release();
    expect(await submitted).to.equal('ROUND_STATE');
    expect(await (await openOutbox(home)).kept()).to.deep.equal([]);
  });

  it('counts what it is sent and what it records, naming no vehicle', async () => {
    const federation = new Federation({ vehicles: 2 });
    const batcher = await start(federation);
    const round = await federation.openRound();
    await submitAll(batcher, round, await envelopesOf(federation, round));
    const text = await batcher.metrics.text();
    expect(text).to.include('sev_batcher_batches_total{result="recorded"} 1');
    expect(text).to.include('sev_batcher_batch_envelopes_sum 2');
    expect(text).to.include('sev_batcher_waiting_envelopes 0');
    expect(text).not.to.include('v-');
  });
});
