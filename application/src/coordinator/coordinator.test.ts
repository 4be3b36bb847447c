// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import type { ConsortiumRecord, RoundRecord } from '@sev/chaincode/api';
import { initialServerState, parametersFromBytes, parametersToBytes, serverStep } from '@sev/fl';
import { Attester } from '../attester/attester.js';
import { LedgerError } from '../ledger/errors.js';
import { silentLog } from '../services/log.js';
import { computeOutcome } from '../services/round-outcome.js';
import { serverOptimiserOf } from '../services/server-step.js';
import { Federation, until } from '../testing/federation.js';
import type { Hooks } from '../testing/fake-ledger.js';
import { Coordinator, type CoordinatorOptions } from './coordinator.js';
import type { RoundTiming } from './round-clock.js';
import { OwnStatementSource } from './statement-sources.js';
import type { StatementSource } from './statements.js';

/** The attesters of the other organisations, called directly. */
function attesters(federation: Federation, mspIds: readonly string[]): StatementSource[] {
  return mspIds.map((mspId) => {
    const attester = new Attester({
      session: federation.ledger.session(mspId),
      store: federation.store,
      signer: federation.signer(mspId),
      log: silentLog,
    });
    return {
      mspId,
      close: (ref) => attester.close(ref),
      abort: (ref, reason) => attester.abort(ref, reason),
      attest: (proposal) => attester.attest(proposal),
      cohort: (request) => attester.cohort(request),
      scores: (request) => attester.scores(request),
    };
  });
}

function newCoordinator(
  federation: Federation,
  options: Partial<CoordinatorOptions> = {},
  mspId = 'GridMSP',
  hooks: Hooks = {},
): Coordinator {
  const others = federation.mspIds.filter((other) => other !== mspId);
  return new Coordinator({
    session: federation.ledger.session(mspId, hooks),
    store: federation.store,
    taskId: federation.task.taskId,
    sources: [new OwnStatementSource(federation.signer(mspId)), ...attesters(federation, others)],
    pollMs: 20,
    log: silentLog,
    ...options,
  });
}

/** Vehicles whose envelopes are recorded, in one batch, as soon as a round is open. */
async function driveVehicles(
  federation: Federation,
  isOver: () => boolean,
  vehicleIds = federation.vehicleIds,
): Promise<void> {
  const served = new Set<RoundRecord>();
  while (!isOver()) {
    for (const round of federation.ledger.rounds.values()) {
      if (round.state === 'open' && !served.has(round)) {
        served.add(round);
        const envelopes = await Promise.all(vehicleIds.map((id) => federation.envelope(round, id)));
        // A round that was ended meanwhile takes none.
        await federation.recordBatch(round, envelopes).catch(() => undefined);
      }
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Does work while vehicles take part, and ends them after it. */
async function withVehicles(
  federation: Federation,
  work: () => Promise<unknown>,
  vehicleIds = federation.vehicleIds,
): Promise<void> {
  let over = false;
  const driving = driveVehicles(federation, () => over, vehicleIds);
  await work();
  over = true;
  await driving;
}

function expectWholeRun(federation: Federation, rounds: number): void {
  const { ledger, task } = federation;
  let base = task.model.initialModelHash;
  for (let number = 1; number <= rounds; number++) {
    const round = ledger.rounds.get(number)!;
    expect(round.state).to.equal('finalised');
    expect(round.baseModelHash).to.equal(base);
    base = round.proposal!.modelHash;
  }
  const keys = ledger.writtenUpdates.map((u) => `${String(u.round)}/${String(u.attempt)}/${u.vehicleId}`);
  expect(new Set(keys).size).to.equal(keys.length);
}

describe('Coordinator', () => {
  it('runs a round in four transactions and four commits', async () => {
    const federation = new Federation({ vehicles: 20 });
    const timings: RoundTiming[] = [];
    const coordinator = newCoordinator(federation, {
      pollMs: 2_000,
      onTiming: (timing) => timings.push(timing),
    });
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 3);
    expect(federation.ledger.transactions).to.have.length(12);
    expect(timings.map((t) => [t.round, t.cohort, t.transactions, t.commits, t.resumed])).to.deep.equal([
      [1, 20, 4, 4, false],
      [2, 20, 4, 4, false],
      [3, 20, 4, 4, false],
    ]);
  });

  it('lets the optimiser of the server make the model of the average, from the moments of the round before', async () => {
    const server = {
      kind: 'adam',
      rateMicro: 50_000,
      beta1Micro: 900_000,
      beta2Micro: 990_000,
      tauMicro: 1_000,
    } as const;
    const federation = new Federation({ server });
    const { store, ledger, task } = federation;
    const coordinator = newCoordinator(federation);
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 3);
    const optimiser = serverOptimiserOf(task);
    const count = task.model.parameters;
    const read = async (hash: string, length: number): Promise<Float32Array> =>
      parametersFromBytes(await store.get(hash), length);
    let parameters = await read(task.model.initialModelHash, count);
    let state = initialServerState(optimiser, count);
    for (const round of ledger.rounds.values()) {
      const average = await computeOutcome(task, round, ledger.updates(round), (hash) => store.get(hash));
      const mean = parametersFromBytes(average.model!.bytes, count);
      ({ parameters, state } = serverStep(optimiser, parameters, mean, state));
      expect(await read(round.proposal!.modelHash, count)).to.deep.equal(parameters);
      expect(parameters).not.to.deep.equal(mean);
      expect(await read(round.proposal!.serverStateHash!, 2 * count)).to.deep.equal(state);
    }
  });

  it('goes on from the ledger wherever it is killed, and counts no update twice', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ afterSubmits: fc.nat(6), committed: fc.boolean() }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 6 }),
        async (crashes, vehicles) => {
          const federation = new Federation({ vehicles });
          let over = false;
          const driving = driveVehicles(federation, () => over);
          for (const crash of [...crashes, undefined]) {
            await runUntilCrash(federation, crash);
          }
          over = true;
          await driving;
          expectWholeRun(federation, 3);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('does no harm beside another coordinator of another organisation', async function () {
    this.timeout(20_000);
    const federation = new Federation({ vehicles: 6 });
    const both = [newCoordinator(federation), newCoordinator(federation, {}, 'CityMSP')];
    await withVehicles(federation, () => Promise.all(both.map((coordinator) => coordinator.run())));
    expectWholeRun(federation, 3);
  });

  it('closes with the minimum cohort when the grace time is over', async () => {
    const federation = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 60 });
    const coordinator = newCoordinator(federation, { lastRound: 1 });
    await withVehicles(federation, () => coordinator.run(), federation.vehicleIds.slice(0, 3));
    expectWholeRun(federation, 1);
    expect(federation.ledger.rounds.get(1)!.proposal!.cohortSize).to.equal(3);
  });

  it('aborts a round whose minimum cohort does not come, and gives up after the attempts allowed', async () => {
    const federation = new Federation({ vehicles: 4, minimum: 2, graceMs: 20, roundMs: 60 });
    const lines: string[] = [];
    const warnings: object[] = [];
    const log = {
      ...silentLog,
      info: (_: object, text: string) => lines.push(text),
      warn: (fields: object) => warnings.push(fields),
    };
    const coordinator = newCoordinator(federation, { maxAttempts: 2, log });
    const error = await coordinator.run().catch((e: unknown) => e);
    expect(error).to.have.property('code', 'ROUND_GIVEN_UP');
    expect(federation.ledger.rounds.get(1)).to.include({ state: 'aborted', attempt: 2 });
    const attempt = ['round open', 'waiting for vehicles: 0 of 2 recorded', 'round aborted'];
    expect(lines).to.deep.equal([...attempt, ...attempt]);
    expect(warnings).to.deep.equal([]);
  });

  it('aborts a closed round whose updates cannot be averaged, with the consent of a majority', async () => {
    const federation = new Federation({ vehicles: 2, minimum: 2 });
    const coordinator = newCoordinator(federation, { maxAttempts: 1 });
    const running = coordinator.run().catch((e: unknown) => e);
    await until(() => federation.ledger.rounds.has(1));
    const round = federation.ledger.rounds.get(1)!;
    const nan = new Uint8Array(4 * federation.task.model.parameters).fill(0xff);
    const [first, second] = federation.vehicleIds as [string, string];
    await federation.recordBatch(round, [
      await federation.envelope(round, first),
      await federation.envelope(round, second, nan),
    ]);
    expect(await running).to.have.property('code', 'ROUND_GIVEN_UP');
    expect(federation.ledger.rounds.get(1)!.abortReason).to.equal('COHORT_TOO_SMALL');
  });

  it('ends with what to do where the ledger opens no further attempt, and does not try again', async () => {
    for (const code of [
      'BASE_BURNED',
      'ATTEMPTS_EXHAUSTED',
      'BASE_TAKEN',
      'PRIVACY_BUDGET_EXCEEDED',
      'PROJECTION_BUDGET_EXCEEDED',
    ]) {
      const federation = new Federation({ vehicles: 2 });
      let asked = 0;
      const hooks: Hooks = {
        before: () => {
          asked++;
          throw new LedgerError(code, 'spent');
        },
      };
      const error = await newCoordinator(federation, {}, 'GridMSP', hooks)
        .run()
        .catch((e: unknown) => e);
      expect(error).to.include({ code: 'ROUND_CANNOT_OPEN', message: `${code}: spent` });
      expect(error).to.have.property('hint').that.is.a('string');
      expect(asked).to.equal(1);
    }
  });

  it('goes on with a majority when an attester is dead', async () => {
    const federation = new Federation({ vehicles: 3 });
    const dead: StatementSource = {
      mspId: 'RegulatorMSP',
      close: () => new Promise(() => undefined),
      abort: () => new Promise(() => undefined),
      attest: () => new Promise(() => undefined),
      cohort: () => new Promise(() => undefined),
      scores: () => new Promise(() => undefined),
    };
    const sources = [
      dead,
      new OwnStatementSource(federation.signer('GridMSP')),
      ...attesters(federation, ['MakerMSP', 'CityMSP']),
    ];
    const coordinator = newCoordinator(federation, { sources });
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 3);
  });

  it('does not take a statement whose signature is not that of the organisation', async () => {
    const federation = new Federation({ vehicles: 2 });
    const impostors = ['MakerMSP', 'CityMSP', 'RegulatorMSP'].map((mspId): StatementSource => {
      const wrong = federation.signer('GridMSP');
      return {
        mspId,
        close: async (ref) => ({ ...(await wrong.close(ref)), mspId }),
        abort: async (ref, reason) => ({ ...(await wrong.abort(ref, reason)), mspId }),
        attest: async (proposal) => ({ ...(await wrong.attest(proposal)), mspId }),
        cohort: async (request) => ({ ...(await wrong.cohort(request.ref, request)), mspId }),
        scores: async (request) => ({ ...(await wrong.scores(request)), mspId }),
      };
    });
    let asked = 0;
    const counted = impostors.map((source) => ({
      ...source,
      close: (ref: Parameters<StatementSource['close']>[0]) => {
        asked++;
        return source.close(ref);
      },
    }));
    const coordinator = newCoordinator(federation, {
      sources: [new OwnStatementSource(federation.signer('GridMSP')), ...counted],
    });
    let over = false;
    const driving = driveVehicles(federation, () => over);
    const running = coordinator.run();
    await until(() => asked >= 6, 'the coordinator asking again');
    coordinator.end();
    over = true;
    await Promise.all([running, driving]);
    expect(federation.ledger.rounds.get(1)!.state).to.equal('open');
    expect(federation.ledger.transactions).not.to.include('CloseRound');
  });

  it('goes on with a later attempt that another coordinator opened after the round it knows', async () => {
    const federation = new Federation({ vehicles: 3 });
    const { ledger, mspIds, task } = federation;
    const own = ledger.session('GridMSP');
    const other = ledger.session('CityMSP');
    let overtaken = false;
    const session: typeof own = {
      ...own,
      submit: async (contract, transaction, argument) => {
        if (transaction === 'OpenRound' && (argument as { round: number }).round === 2 && !overtaken) {
          overtaken = true;
          const ref = { taskId: task.taskId, round: 2, attempt: 1 };
          const reason = 'OPERATOR';
          const statements = await Promise.all(mspIds.map((mspId) => federation.signer(mspId).abort(ref, reason)));
          await other.submit(contract, 'OpenRound', argument);
          await other.submit(contract, 'AbortRound', { ...ref, reason, statements });
          await other.submit(contract, 'OpenRound', { ...(argument as object), attempt: 2 });
        }
        return own.submit(contract, transaction, argument);
      },
    };
    const coordinator = newCoordinator(federation, { session });
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 3);
    expect(ledger.rounds.get(2)!.attempt).to.equal(2);
  });

  it('asks governance again for the members when the statements of those it knew are too few', async () => {
    const federation = new Federation({ vehicles: 2 });
    const own = federation.ledger.session('GridMSP');
    let asked = 0;
    const session: typeof own = {
      ...own,
      evaluate: async (contract, transaction, argument) => {
        const result = await own.evaluate(contract, transaction, argument);
        if (transaction !== 'GetConsortium' || asked++ > 0) {
          return result;
        }
        // As it was before two organisations joined by vote.
        const before = result as ConsortiumRecord;
        return { ...before, organisations: before.organisations.slice(0, 2) };
      },
    };
    const coordinator = newCoordinator(federation, { session, lastRound: 1 });
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 1);
    expect(asked).to.equal(2);
  });

  it('does not abort a closed round past its deadline because the ledger was down', async () => {
    const federation = new Federation({ vehicles: 2 });
    const { rounds, transactions } = federation.ledger;
    let failures = 3;
    const hooks: Hooks = {
      before: (transaction) => {
        if (transaction === 'FinaliseRound' && failures-- > 0) {
          // Down for so long that the deadline passes meanwhile.
          const longAgo = Date.now() - 3_600_000;
          rounds.set(1, { ...rounds.get(1)!, deadlineMs: longAgo, closedAtMs: longAgo });
          throw new LedgerError('LEDGER_UNREACHABLE', 'the gateway is down');
        }
      },
    };
    const coordinator = newCoordinator(federation, { lastRound: 1 }, 'GridMSP', hooks);
    await withVehicles(federation, () => coordinator.run());
    expect(rounds.get(1)).to.include({ state: 'finalised', attempt: 1 });
    expect(transactions).not.to.include('AbortRound');
  });

  it('looks at the store again where the attesters find less in it', async () => {
    const federation = new Federation({ vehicles: 3, minimum: 2 });
    const { ledger, store } = federation;
    const coordinator = newCoordinator(federation, {
      lastRound: 1,
      sources: [
        new OwnStatementSource(federation.signer('GridMSP')),
        ...attesters(federation, ['MakerMSP', 'CityMSP', 'RegulatorMSP']).map((source) => ({
          ...source,
          close: (ref: Parameters<StatementSource['close']>[0]) => {
            // Read by the coordinator when its envelope came, and lost since.
            store.objects.delete(ledger.updates(ref)[0]!.updateHash);
            return source.close(ref);
          },
        })),
      ],
    });
    const running = coordinator.run();
    await until(() => coordinator.status().state === 'open');
    const round = ledger.rounds.get(1)!;
    const envelopes = await Promise.all(federation.vehicleIds.map((id) => federation.envelope(round, id)));
    await federation.recordBatch(round, envelopes);
    await running;
    const { state, proposal } = ledger.rounds.get(1)!;
    expect(state).to.equal('finalised');
    expect(proposal!.excluded.map(({ reason }) => reason)).to.deep.equal(['UPDATE_MISSING']);
  });

  it('is done with the last round that the task plans, whatever it was told', async () => {
    const federation = new Federation({ vehicles: 2 });
    const coordinator = newCoordinator(federation, { lastRound: 9 });
    await withVehicles(federation, () => coordinator.run());
    expectWholeRun(federation, 3);
    expect(federation.ledger.rounds.size).to.equal(3);
    expect(coordinator.status().lastRound).to.equal(3);
  });

  it('makes a model without the update that a vehicle blew up', async () => {
    const federation = new Federation({ vehicles: 3, minimum: 2 });
    const { ledger, store, task } = federation;
    const coordinator = newCoordinator(federation, { lastRound: 1 });
    const running = coordinator.run();
    await until(() => coordinator.status().state === 'open');
    const round = ledger.rounds.get(1)!;
    const [attacker, ...honest] = federation.vehicleIds as [string, string, string];
    const huge = parametersToBytes(new Float32Array(task.model.parameters).fill(3e38));
    const envelopes = await Promise.all([
      federation.envelope(round, attacker, huge),
      ...honest.map((id) => federation.envelope(round, id)),
    ]);
    await federation.recordBatch(round, envelopes);
    await running;
    const { state, proposal } = ledger.rounds.get(1)!;
    expect(state).to.equal('finalised');
    expect(proposal!.excluded).to.deep.equal([{ vehicleId: attacker, reason: 'UPDATE_OUT_OF_RANGE' }]);
    const model = parametersFromBytes(await store.get(proposal!.modelHash), task.model.parameters);
    expect(model.every((value) => Math.abs(value) <= task.aggregation.maxAbsolute)).to.equal(true);
  });
});

interface Crash {
  readonly afterSubmits: number;
  /** Whether the transaction at which the coordinator dies is committed. */
  readonly committed: boolean;
}

/** Runs a coordinator until it is done or dies at the given transaction; a dead one answers nobody any more. */
async function runUntilCrash(federation: Federation, crash: Crash | undefined): Promise<void> {
  let left = crash?.afterSubmits ?? Infinity;
  let isDead = false;
  const die = (): void => {
    if (isDead || left-- <= 0) {
      isDead = true;
      coordinator.end();
      throw new LedgerError('LEDGER_UNREACHABLE', 'the coordinator was killed');
    }
  };
  const hooks: Hooks = crash?.committed === true ? { after: die } : { before: die };
  const coordinator = newCoordinator(federation, {}, 'GridMSP', hooks);
  await coordinator.run();
}
