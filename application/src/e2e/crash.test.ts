// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cohortHash, type Envelope, type ItemResult, type RoundRecord, type UpdateRecord } from '@sev/chaincode/api';
import type { Random } from '@sev/fl';
import { expect } from 'chai';
import type { AuditResult } from '../auditor/index.js';
import type { HistoryEvent } from '../auditor/history.js';
import { inHome, readConnectionProfile } from '../config/index.js';
import { openWallet } from '../identity/index.js';
import { learning, openSession, registry, type LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';
import { collect } from '../services/rounds.js';
import type { AttemptRef } from '../services/attempt.js';
import { Relay, type Exchange } from './testing/relay.js';
import { Sandbox, kill, said, until, type Service } from './testing/sandbox.js';
import { FULL, seededRandom } from './testing/seed.js';
import { readService } from './testing/service-file.js';

const VEHICLES = 8;
const TASK = 'price-crash';
const DATA = ['--generate', '800', '--data-seed', '3'];
/** Kills of each kind. */
const KILLS = FULL ? 10 : 2;
/** One kill a round, from the second round on, and two rounds in peace at the end. */
const ROUNDS = 3 * KILLS + 3;
/** About as long as a round is: a kill falls into any phase of it. */
const SPREAD_MS = 1_200;

/** An envelope that the batcher answered with "accepted". */
interface Acknowledged {
  readonly ref: AttemptRef;
  readonly envelope: Envelope;
}

/** A change of a vehicle's status that the ledger's client answered with a transaction id. */
interface Change {
  readonly transactionId: string;
  readonly status: string;
}

type Victim = 'network' | 'coordinator' | 'batcher';

describe('a run whose network, coordinator and batcher are killed at random points', function () {
  this.timeout(FULL ? 900_000 : 240_000);

  let sandbox: Sandbox;
  let random: Random;
  let session: LedgerSession;
  let registrar: LedgerSession;
  let relay: Relay;
  let coordinator: Service;
  let batcher: Service;
  const acknowledged: Acknowledged[] = [];
  const changes: Change[] = [];
  const heights: { readonly before: bigint; readonly after: bigint }[] = [];
  let newestRound = 0;
  let bystander: string;
  let rounds: RoundRecord[];

  before(async () => {
    random = seededRandom('kills');
    sandbox = await Sandbox.open();
    await sandbox.networkUp();
    const { vehicles } = await sandbox.json<{ vehicles: string[] }>([
      'vehicle',
      'enroll',
      '--count',
      String(VEHICLES + 1),
    ]);
    bystander = vehicles[VEHICLES]!;
    session = await openAs('grid', 'operator');
    registrar = await openAs('maker', 'registrar');
    relay = await Relay.start({ onRequest: noteRound, onAnswer: noteAcknowledged });
    await runUnderFire(vehicles.slice(0, VEHICLES));
    rounds = await collect(learning(session).rounds(TASK));
  });

  after(async () => {
    session.close();
    registrar.close();
    await relay.close();
    await sandbox.close();
  });

  async function openAs(organisation: string, label: string): Promise<LedgerSession> {
    const profile = await readConnectionProfile(sandbox.networkHome);
    const wallet = await openWallet(inHome.wallet(join(sandbox.homes, organisation)));
    return openSession({ profile, identity: await wallet.get(label) });
  }

  function noteRound({ request }: Pick<Exchange, 'request'>): void {
    newestRound = Math.max(newestRound, (JSON.parse(request.toString()) as AttemptRef).round);
  }

  function noteAcknowledged({ status, request, answer }: Exchange): undefined {
    if (status !== 200 || !(JSON.parse(answer.toString()) as ItemResult).accepted) {
      return;
    }
    const { taskId, round, attempt, envelope } = JSON.parse(request.toString()) as AttemptRef & { envelope: Envelope };
    acknowledged.push({ ref: { taskId, round, attempt }, envelope });
  }

  async function runUnderFire(vehicles: readonly string[]): Promise<void> {
    const store = (await sandbox.service(['store', 'run', '--home', join(sandbox.homes, 'store')])).url;
    const attesters = await Promise.all(
      ['maker', 'city', 'regulator'].map(async (name) => {
        const home = ['--home', join(sandbox.homes, name)];
        const { url } = await sandbox.service(['attester', 'run', '--org', name, ...home, '--store', store]);
        return ['--attester', `${name}=${url}`];
      }),
    );
    const size = [
      '--vehicles',
      String(VEHICLES),
      '--rounds',
      String(ROUNDS),
      '--rows',
      '650',
      '--grace',
      '60',
      '--privacy',
      'plain',
    ];
    await sandbox.json(['task', 'create', TASK, ...size, '--store', store]);
    const fleet = ['--pool', '--home', join(sandbox.homes, 'fleet'), ...vehicles.flatMap((id) => ['--vehicle', id])];
    const peers = ['--store', store, '--batcher', `maker=${relay.url}`, '--task', TASK];
    await sandbox.service(['vehicle', 'run', '--plain', ...fleet, ...peers, '--client', `0/${VEHICLES}`, ...DATA]);

    const startCoordinator = async (): Promise<void> => {
      const home = ['--org', 'grid', '--home', join(sandbox.homes, 'grid')];
      coordinator = await sandbox.service([
        'coordinator',
        'run',
        ...home,
        '--task',
        TASK,
        '--store',
        store,
        ...attesters.flat(),
      ]);
    };
    const startBatcher = async (): Promise<void> => {
      batcher = await sandbox.service(['batcher', 'run', '--org', 'maker', '--home', join(sandbox.homes, 'maker')]);
      relay.target = batcher.url;
    };
    await startBatcher();
    await startCoordinator();
    const peace = new AbortController();
    const changing = changeStatus(peace.signal);
    for (const [index, victim] of victims().entries()) {
      await until(() => (newestRound >= index + 2 ? true : undefined), 120_000);
      await delay(random.below(SPREAD_MS));
      if (victim === 'coordinator') {
        await kill(coordinator.pid);
        await startCoordinator();
      } else if (victim === 'batcher') {
        relay.target = undefined;
        await kill(batcher.pid);
        await startBatcher();
      } else {
        const before = await session.height();
        await sandbox.killNetwork();
        await sandbox.networkUp();
        heights.push({ before, after: await session.height() });
      }
    }
    const ending = await coordinator.ended;
    peace.abort();
    await changing;
    expect(ending.exitCode, ending.stderr).to.equal(0);
  }

  /** All kinds equally often, in random order. */
  function victims(): Victim[] {
    const left: Victim[] = (['network', 'coordinator', 'batcher'] as const).flatMap((kind) =>
      Array.from({ length: KILLS }, () => kind),
    );
    const order: Victim[] = [];
    while (left.length > 0) {
      order.push(...left.splice(random.below(left.length), 1));
    }
    return order;
  }

  /** Suspends and reinstates a vehicle that takes no part, over and over, and notes what is acknowledged. */
  async function changeStatus(signal: AbortSignal): Promise<void> {
    for (let change = 0; !signal.aborted; change++) {
      const status = change % 2 === 0 ? 'suspended' : 'active';
      const { transactionId } = await registry(registrar).setVehicleStatus({
        vehicleId: bystander,
        status,
        reason: `change ${change}`,
      });
      changes.push({ transactionId, status });
      await delay(100);
    }
  }

  it('finalise every round', () => {
    const states = rounds.sort((a, b) => a.round - b.round).map(({ round, state }) => [round, state]);
    expect(states).to.deep.equal(Array.from({ length: ROUNDS }, (_, i) => [i + 1, 'finalised']));
    expect(rounds.map(({ proposal }) => proposal!.cohortSize)).to.deep.equal(rounds.map(() => VEHICLES));
  });

  it('lose no update that a vehicle was told is recorded', async () => {
    expect(acknowledged.length).to.be.greaterThan(VEHICLES);
    const updates = await updatesByAttempt(acknowledged.map(({ ref }) => ref));
    for (const { ref, envelope } of acknowledged) {
      const found = updates.get(keyOf(ref))!.filter(({ vehicleId }) => vehicleId === envelope.vehicleId);
      expect(found, `${envelope.vehicleId} in ${keyOf(ref)}`).to.have.length(1);
      expect(found[0]).to.include({ ...ref, ...envelope });
    }
  });

  it('lose or repeat no transaction that was confirmed by its id', async () => {
    expect(changes.length).to.be.greaterThan(2 * KILLS);
    const history = await sandbox.json<HistoryEvent[]>(['audit', 'history', 'vehicle', bystander]);
    // The first entry is the enrollment.
    const later = history.slice(1);
    expect(later.map(({ txId, record }) => ({ txId, status: (record as Change).status }))).to.deep.equal(
      changes.map(({ transactionId, status }) => ({ txId: transactionId, status })),
    );
  });

  it('come back with every block that was committed', () => {
    expect(heights).to.have.length(KILLS);
    for (const { before, after } of heights) {
      expect(after >= before, `${before} blocks before, ${after} after`).to.equal(true);
    }
  });

  it('count each vehicle once in each round', async () => {
    const updates = await updatesByAttempt(rounds);
    for (const round of rounds) {
      const recorded = updates.get(keyOf(round))!;
      expect(new Set(recorded.map(({ vehicleId }) => vehicleId)).size, keyOf(round)).to.equal(recorded.length);
      const { cohortHash: found, cohortSize } = round.proposal!;
      expect({ found, cohortSize }).to.deep.equal({ found: cohortHash(recorded), cohortSize: recorded.length });
    }
    const [{ vehicleId }] = updates.get(keyOf(rounds[0]!)) as [UpdateRecord];
    const ofOne = await collect(learning(session).vehicleUpdates(vehicleId, TASK));
    const attempts = ofOne.map(keyOf);
    expect(new Set(attempts).size).to.equal(attempts.length);
  });

  it('leave a ledger and a store that the auditor finds right', async () => {
    const audit = await sandbox.json<AuditResult>(['audit', 'verify']);
    expect(audit.firstFailure).to.equal(undefined);
    expect(audit.checked).to.include({ rounds: ROUNDS, aggregations: ROUNDS });
    expect(audit.skipped).to.deep.equal([]);
  });

  it('do the same for the main job, which starts its coordinator again by itself', async () => {
    const size = ['--vehicles', String(VEHICLES), '--rounds', '4', '--runs', join(sandbox.directory, 'runs')];
    const job = sandbox.spawn(['round', 'run', ...size, '--task-id', 'price-job', '--json']);
    await said(job, /^round 1\//m);
    await delay(random.below(SPREAD_MS));
    await kill((await readService(join(sandbox.homes, 'grid'))).pid);
    await said(job, /^round 2\//m);
    await delay(random.below(SPREAD_MS));
    await sandbox.killNetwork();
    await sandbox.networkUp();
    const ending = await job.ended;
    expect(ending.exitCode, ending.stderr).to.equal(0);
    const report = JSON.parse(ending.stdout) as Report;
    expect(report.rounds.map(({ round }) => round)).to.deep.equal([1, 2, 3, 4]);
    // A round that lasted longer than its grace time may have closed without all.
    report.rounds.forEach(({ cohort }) => expect(cohort).to.be.within(VEHICLES / 2, VEHICLES));
    expect(report.audit.ok).to.equal(true);
  });

  async function updatesByAttempt(refs: readonly AttemptRef[]): Promise<Map<string, UpdateRecord[]>> {
    const found = new Map<string, UpdateRecord[]>();
    for (const { taskId, round, attempt } of refs) {
      const ref = { taskId, round, attempt };
      if (!found.has(keyOf(ref))) {
        found.set(keyOf(ref), await collect(learning(session).updates(ref)));
      }
    }
    return found;
  }
});

function keyOf({ taskId, round, attempt }: AttemptRef): string {
  return `${taskId}/${round}/${attempt}`;
}
