// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex, type RoundRecord, type Task } from '@sev/chaincode/api';
import { identity, REGULATOR, START_MS, type TestConsortium } from '@sev/chaincode/testing';
import { Aggregator } from '../aggregator/aggregator.js';
import type { AggregatorClient, Release } from '../aggregator/aggregator-client.js';
import { Inbox } from '../aggregator/inbox.js';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { ArbiterKeys } from '../arbiter/arbiter-keys.js';
import { Arbiter } from '../arbiter/arbiter.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { Attester } from '../attester/attester.js';
import { OwnStatementSource } from '../coordinator/statement-sources.js';
import type { StatementSource } from '../coordinator/statements.js';
import { SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type { LearningContract, ServiceSession } from '../services/rounds.js';
import { StatementSigner } from '../services/statement-signer.js';
import { ContractLedger, type Hooks } from './contract-ledger.js';
import { MemoryStore } from './federation.js';
import { intercepted, type Around } from './secure-bed-around.js';
import { Validator, type ValidatorOptions } from '../validation/validator.js';
import type { ValidatorClient } from '../validation/validator-client.js';
import { bedTask, bootstrap, enrolFleet, validationDataOf, type TaskOptions } from './secure-bed-consortium.js';
import { newCoordinator, type CoordinatorSetup } from './secure-bed-coordinator.js';
import { withoutWaiting } from './secure-bed-files.js';
import { BedLog } from './secure-bed-log.js';
import { BedFleet } from './secure-bed-vehicles.js';
import { VirtualClock } from './virtual-clock.js';

export interface BedOptions extends TaskOptions {
  /** False: no organisation may settle disputes. */
  readonly arbiter?: boolean;
}

/** Virtual time that a run may take: the deadlines of many attempts. */
const WITHIN_MS = 900_000;

/**
 * All organisations of a network and their vehicles in one process: the real coordinator, aggregators, attesters, arbiter
 * and vehicles' code around the real contracts, with a virtual clock. What passes between them can be tampered with.
 */
export class SecureBed {
  readonly clock: VirtualClock;
  readonly task: Task;
  readonly consortium: TestConsortium;
  readonly ledger: ContractLedger;
  readonly store = new MemoryStore();
  readonly log = new BedLog();
  /**
   * Stands between everybody and an aggregator, by MSP id; `arbiter` for the arbiter, `attester/<MSP id>` for attesters,
   * `validator/<MSP id>` for validators, which also `hear` of rounds.
   */
  readonly around = new Map<string, Around>();
  readonly crashed = new Set<string>();
  readonly aggregators = new Map<string, Aggregator>();
  readonly ending = new AbortController();
  /** Objects that were released to the arbiter, and those that liars put into the store. */
  readonly released = new Set<string>();
  readonly planted = new Set<string>();
  readonly #directory: string;
  readonly #attesters = new Map<string, Attester>();
  readonly #validators = new Map<string, Validator>();
  #fleet!: BedFleet;
  #arbiter: Arbiter | undefined;
  #reader!: ServiceSession;

  private constructor(clock: VirtualClock, task: Task, consortium: TestConsortium, directory: string) {
    this.clock = clock;
    this.task = task;
    this.consortium = consortium;
    this.ledger = new ContractLedger(consortium, clock);
    this.#directory = directory;
  }

  static async start(options: BedOptions = {}): Promise<SecureBed> {
    const { task, initial } = bedTask(options);
    const directory = await mkdtemp(join(tmpdir(), 'sev-bed-'));
    const consortium = await bootstrap(task, START_MS, options.arbiter ?? true);
    const vehicles = await enrolFleet(consortium, options.vehicles ?? 8);
    const bed = new SecureBed(VirtualClock.install(START_MS), task, consortium, directory);
    await bed.store.put(initial);
    await bed.#start(vehicles, options.arbiter ?? true);
    return bed;
  }

  get fleet(): BedFleet {
    return this.#fleet;
  }

  get aggregatorIds(): readonly string[] {
    return this.task.secure!.aggregators;
  }

  get learning(): LearningContract {
    return learning(this.#reader);
  }

  round(round = 1): Promise<RoundRecord> {
    return this.learning.round({ taskId: this.task.taskId, round });
  }

  /** A client of an aggregator as everybody sees it, restarted or not: with what stands in between, and dead where it is crashed. */
  client(mspId: string): AggregatorClient & Pick<Aggregator, 'submitShare'> {
    const current = (): Aggregator => this.aggregators.get(mspId)!;
    const around: Around = (call) =>
      this.clock.busyWith(async () => {
        const insistOnLife = (): void => {
          if (this.crashed.has(mspId)) {
            throw new SevError('SERVICE_UNREACHABLE', `${mspId} does not answer`);
          }
        };
        insistOnLife();
        const answer = await (this.around.get(mspId)?.(call) ?? call.proceed());
        insistOnLife();
        this.#note(call.method, answer);
        return answer;
      });
    return intercepted(current(), around, current);
  }

  /** Puts a liar's bytes into the store. @returns their hash. */
  plant(bytes: Uint8Array): string {
    const hash = sha256Hex(bytes);
    this.store.objects.set(hash, bytes);
    this.planted.add(hash);
    return hash;
  }

  arbiterClient(): ArbiterClient | undefined {
    return (
      this.#arbiter &&
      intercepted(this.#arbiter, (call) =>
        this.clock.busyWith(() => this.around.get('arbiter')?.(call) ?? call.proceed()),
      )
    );
  }

  /** Everybody's attester but the coordinator's own, which signs in its process. */
  sources(own: string): StatementSource[] {
    const others = [...this.#attesters].filter(([mspId]) => mspId !== own);
    return [
      ...others.map(([mspId, attester]) => this.#source(mspId, attester)),
      new OwnStatementSource(this.signer(own)),
    ];
  }

  /** Runs a coordinator to its last round, vehicles taking part in every attempt. */
  async run(setup: CoordinatorSetup = {}): Promise<void> {
    const coordinator = await newCoordinator(this, { lastRound: 1, ...setup });
    try {
      await this.clock.run(coordinator.run(), WITHIN_MS);
    } finally {
      coordinator.end();
    }
  }

  signer(mspId: string): StatementSigner {
    const { bootstrapHash } = this.consortium;
    return new StatementSigner(mspId, this.signingKeyOf(mspId), () => Promise.resolve(bootstrapHash));
  }

  signingKeyOf(mspId: string) {
    return this.consortium.signingKeys.get(mspId)!.privateKey;
  }

  /** A session of an organisation's identity with this role. */
  async session(mspId: string, role: string, hooks: Hooks = {}): Promise<ServiceSession> {
    return this.ledger.session(await identity(mspId, role), hooks);
  }

  homeOf(mspId: string): string {
    return join(this.#directory, mspId);
  }

  /** A new process of an aggregator, with what the one before left on its disk. */
  async restart(mspId: string): Promise<void> {
    this.aggregators.get(mspId)?.end();
    const aggregator = new Aggregator({
      session: await this.session(mspId, 'aggregator'),
      store: this.store,
      inbox: await Inbox.open(this.homeOf(mspId), withoutWaiting),
      signingKey: this.signingKeyOf(mspId),
      limits: { viewMs: 0 },
      log: this.log.of(`aggregator of ${mspId}`),
    });
    this.aggregators.set(mspId, aggregator);
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.aggregators.forEach((aggregator) => {
      aggregator.end();
    });
    this.#attesters.forEach((attester) => {
      attester.end();
    });
    this.clock.uninstall();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** An organisation's attester itself, with nothing in between. */
  attester(mspId: string): Attester {
    return this.#attesters.get(mspId)!;
  }

  /** Everybody's validator, as everybody sees it. */
  validators(): ValidatorClient[] {
    return [...this.#validators.values()];
  }

  #validator(mspId: string, options: ValidatorOptions): Validator {
    const validator = intercepted(new Validator(options), (call) =>
      this.clock.busyWith(() => this.around.get(`validator/${mspId}`)?.(call) ?? call.proceed()),
    );
    this.#validators.set(mspId, validator);
    return validator;
  }

  async #start(vehicles: Awaited<ReturnType<typeof enrolFleet>>, withArbiter: boolean): Promise<void> {
    const { consortium, store, task } = this;
    this.#reader = await this.session('GridOperatorMSP', 'operator');
    await Promise.all(this.aggregatorIds.map((mspId) => this.restart(mspId)));
    for (const mspId of consortium.signingKeys.keys()) {
      const session = await this.session(mspId, 'attester');
      const log = this.log.of(`attester of ${mspId}`);
      const signer = this.signer(mspId);
      const data = validationDataOf(task, mspId);
      const validator = data && this.#validator(mspId, { session, store, signer, data, log });
      const attester = new Attester({ session, store, signer, ...(validator && { validator }), log });
      this.#attesters.set(mspId, attester);
      void attester.run();
    }
    if (withArbiter) {
      this.#arbiter = new Arbiter({
        session: await this.session(REGULATOR, 'attester'),
        store,
        keys: new ArbiterKeys(join(this.#directory, 'arbiter')),
        signingKey: this.signingKeyOf(REGULATOR),
        log: this.log.of('arbiter'),
      });
    }
    const options = {
      task,
      consortium: consortium.bootstrapHash,
      store,
      session: (own: Parameters<ContractLedger['session']>[0]) => this.ledger.session(own),
      postShare: (mspId: string, submission: ShareSubmission, signal: AbortSignal) =>
        unless(signal, this.client(mspId).submitShare(submission)),
      busyWith: <T>(work: () => Promise<T>) => this.clock.busyWith(work),
      log: this.log.of('vehicles'),
    };
    this.#fleet = new BedFleet(vehicles, options, await this.session('ManufacturerMSP', 'coordinator'));
    void this.#followRounds();
  }

  async #followRounds(): Promise<void> {
    const { signal } = this.ending;
    let attempt = new AbortController();
    for await (const { event } of this.#reader.events({ signal })) {
      if (event.type === 'RoundOpened') {
        attempt = new AbortController();
        void this.#takePart(attemptOf(event), attempt.signal);
      } else if (event.type === 'RoundClosed' || event.type === 'RoundAborted') {
        attempt.abort();
        if (event.type === 'RoundClosed') {
          void this.#fleet.showReceipts(attemptOf(event), signal);
        }
      }
    }
  }

  async #takePart(ref: AttemptRef, signal: AbortSignal): Promise<void> {
    const round = await this.round(ref.round);
    await this.#fleet.takePart(round, signal);
  }

  #note(method: string, answer: unknown): void {
    if (method === 'release') {
      (answer as Release).objects.forEach((hash) => this.released.add(hash));
    }
  }

  #source(mspId: string, attester: Attester): StatementSource {
    const tracked = intercepted(attester, (call) =>
      this.clock.busyWith(() => this.around.get(`attester/${mspId}`)?.(call) ?? call.proceed()),
    );
    return {
      mspId,
      close: (ref) => tracked.close(ref),
      abort: (ref, reason, evidence) => tracked.abort(ref, reason, evidence),
      attest: (proposal) => tracked.attest(proposal),
      cohort: (request) => tracked.cohort(request),
      scores: (request) => tracked.scores(request),
    };
  }
}

/** An answer, unless the caller gives up before. */
async function unless<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  const givenUp = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(new SevError('SERVICE_TIMEOUT', 'given up'));
    });
  });
  return Promise.race([answer, givenUp]);
}
