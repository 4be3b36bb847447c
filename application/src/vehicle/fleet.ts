// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, drawnVehicles, sha256Hex, weightClassOf, type Task } from '@sev/chaincode/api';
import { parametersFromBytes } from '@sev/fl';
import { earlierRounds } from '../attack/earlier-rounds.js';
import { SevError, hasCode } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, isLater, type AttemptRef } from '../services/attempt.js';
import { drawnBefore } from '../services/drawn-before.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { networkName, type NetworkName } from '../services/network-name.js';
import { followRounds, type RoundEvent } from '../services/round-events.js';
import {
  collect,
  latestRound,
  roundIfAny,
  updatesOf,
  type LearningContract,
  type ServiceSession,
} from '../services/rounds.js';
import type { StatisticsSpent } from '../services/statistics.js';
import { backoffMs, pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import { BarredVehicles } from './barred-vehicles.js';
import { Courier, type CourierOptions, type Delivery } from './courier.js';
import type { OpenRoundRef, TrainingOrder } from './messages.js';
import type { VehiclePool } from './pool.js';
import { ReceiptBook } from './receipts.js';
import { RecordedUpdates } from './recorded-updates.js';
import { CostMeter, type RoundCost } from './round-cost.js';
import { reasonToAbstain, reasonToSitOut, taskChoice } from './task-choice.js';

export interface FleetOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly pool: VehiclePool;
  /** See `CourierOptions`. */
  readonly batchers: CourierOptions['batchers'];
  /** See `CourierOptions`. */
  readonly postShare?: CourierOptions['postShare'];
  /** Only this task; default: every task whose features the vehicles can compute. */
  readonly taskId?: string;
  /** Whether they take part in tasks of mode `plain`, too, which show every update to the organisations. */
  readonly plain?: boolean;
  /** Whether they take part in tasks of mode `he`, too; see `TaskChoice`. */
  readonly he?: boolean;
  /** See `TaskChoice`; default 10. */
  readonly maxEpsilon?: number;
  /** See `TaskChoice`. */
  readonly statistics?: StatisticsSpent;
  /** How often the ledger is looked at beside its events; default 2 s. */
  readonly pollMs?: number;
  /** Whether vehicles of the pool attack on purpose: they are told of earlier rounds, too. */
  readonly hasAttackers?: boolean;
  /** See `CourierOptions`. */
  readonly directAfterMs?: number;
  readonly queuedMs?: number;
  readonly timeoutMs?: number;
  /** Told when the pool's part in an attempt is over, with how many updates ended how. */
  readonly onTakenPart?: (round: OpenRoundRef, deliveries: Readonly<Record<Delivery, number>>, cost: RoundCost) => void;
  readonly log: ServiceLog;
}

interface Participation {
  readonly ref: AttemptRef;
  readonly ending: AbortController;
  readonly over: Promise<void>;
}

/** Refusals of the vehicle's identity: trying again does not mend them. */
const UNWELCOME: ReadonlySet<string> = new Set(['LEDGER_REFUSED', 'CALLER_UNKNOWN', 'ACCESS_DENIED']);

/** A pool of vehicles that takes part in every open round. Keeps nothing: a restarted one looks at the ledger. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #learning: LearningContract;
  readonly #network: NetworkName;
  readonly #courier: Courier;
  readonly #receipts: ReceiptBook;
  readonly #ending = new AbortController();
  readonly #tasks = new Map<string, Task>();
  readonly #participations = new Map<string, Participation>();
  readonly #barred: BarredVehicles;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#learning = learning(options.session);
    this.#network = networkName(options.session);
    this.#receipts = new ReceiptBook(this.#learning, options.log);
    this.#barred = new BarredVehicles(this.#learning);
    this.#courier = new Courier({
      ...options,
      onReceipt: (round, receipt) => {
        this.#receipts.add(round, receipt);
      },
    });
  }

  /** Runs until {@link end}. @throws LedgerError where the ledger does not accept the vehicles' identity. */
  async run(): Promise<void> {
    const { session, log } = this.#options;
    const events = followRounds(session, this.#ending.signal, log, (event) => {
      this.#hear(event);
    });
    try {
      await this.#poll();
    } finally {
      this.end();
      await events;
      await Promise.all([...this.#participations.values()].map(({ over }) => over));
    }
  }

  end(): void {
    this.#ending.abort();
    this.#participations.forEach(({ ending }) => {
      ending.abort();
    });
  }

  #hear(event: RoundEvent): void {
    if (event.type === 'RoundOpened') {
      this.#join({ ...attemptOf(event), baseModelHash: event.modelHash }, true);
    } else if (event.type !== 'UpdatesRecorded' && event.type !== 'ReceiptsShown') {
      this.#leave(event);
      if (event.type === 'RoundClosed') {
        void this.#receipts.watch(event, this.#ending.signal);
      }
    }
  }

  async #poll(): Promise<void> {
    const { pollMs = 2_000, log } = this.#options;
    for (let failures = 0; !this.#isEnding();) {
      try {
        await this.#lookForRounds();
        failures = 0;
        await pause(pollMs, this.#ending.signal);
      } catch (error) {
        if (UNWELCOME.has(errorCode(error) ?? '')) {
          throw error;
        }
        log.warn(failureFields(error), 'looking for open rounds failed');
        await pause(backoffMs(failures++, 100, 5_000), this.#ending.signal);
      }
    }
  }

  async #lookForRounds(): Promise<void> {
    for (const { task } of await collect(this.#learning.tasks())) {
      const known = this.#participations.get(task.taskId)?.ref;
      const round =
        known === undefined
          ? await latestRound(this.#learning, task.taskId)
          : ((await roundIfAny(this.#learning, { ...known, round: known.round + 1 })) ??
            (await roundIfAny(this.#learning, known)));
      if (round?.state === 'open') {
        this.#join({ ...attemptOf(round), baseModelHash: round.baseModelHash }, false);
      } else if (round !== undefined) {
        this.#leave(round);
      }
    }
  }

  /** @param isNew the ledger has only just opened the attempt, so it holds no update yet. */
  #join(round: OpenRoundRef, isNew: boolean): void {
    const { taskId, log } = this.#options;
    const before = this.#participations.get(round.taskId);
    const isNews = before === undefined || isLater(round, before.ref);
    if (this.#isEnding() || !isNews || (taskId !== undefined && taskId !== round.taskId)) {
      return;
    }
    before?.ending.abort();
    const ending = new AbortController();
    const over = this.#takePart(round, isNew, ending.signal).catch((error: unknown) => {
      log.error({ ...attemptOf(round), ...failureFields(error) }, 'taking part failed');
    });
    this.#participations.set(round.taskId, { ref: attemptOf(round), ending, over });
  }

  #leave(ref: AttemptRef): void {
    const present = this.#participations.get(ref.taskId);
    if (present !== undefined && !isLater(present.ref, ref)) {
      present.ending.abort();
    }
  }

  /** Tries until it has worked or the attempt is over: a store or network that is down may come back in time. */
  async #takePart(round: OpenRoundRef, isNew: boolean, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await this.#takePartOnce(round, isNew && failures === 0, signal);
        return;
      } catch (error) {
        if (hasCode(error, 'OPENING_REFUSED')) {
          this.#options.log.warn({ ...attemptOf(round), ...failureFields(error) }, 'vehicles sit an attempt out');
          return;
        }
        this.#options.log.warn({ ...attemptOf(round), ...failureFields(error) }, 'cannot take part yet');
      }
      await pause(backoffMs(failures, 50, 5_000), signal);
    }
  }

  async #takePartOnce(announced: OpenRoundRef, isNew: boolean, signal: AbortSignal): Promise<void> {
    const { pool, log, onTakenPart } = this.#options;
    const reason = reasonToAbstain(await this.#task(announced.taskId), taskChoice(this.#options));
    if (reason !== undefined) {
      log.warn({ ...attemptOf(announced), code: reason.code }, reason.message);
      return;
    }
    const meter = new CostMeter();
    const [order, vehicleIds] = await this.#prepare(announced, isNew);
    const { round } = order;
    const { graceMs } = order.task.deadlines;
    const recorded = new RecordedUpdates(this.#learning, round);
    const outcomes: Promise<Delivery>[] = [];
    const listener: Parameters<VehiclePool['train']>[2] = {
      onUpdate: (update) => {
        meter.sent(update);
        const { vehicleId, unsaid } = update;
        if (unsaid !== undefined) {
          log.warn(
            { vehicleId, code: unsaid.code, error: unsaid.message },
            'the vehicle was drawn and cannot say anything of the base: it takes part without',
          );
        }
        const delivery = this.#courier.deliver(round, update, recorded, signal, graceMs);
        outcomes.push(this.#outcomeOf(delivery, round, vehicleId));
      },
      onSkipped: (vehicleId, failure) => {
        log.warn({ vehicleId, code: failure.code, error: failure.message }, 'the vehicle could not train');
      },
    };
    try {
      await pool.train(order, vehicleIds, listener, signal);
    } finally {
      const counts: Record<Delivery, number> = { recorded: 0, refused: 0, 'too-late': 0 };
      (await Promise.all(outcomes)).forEach((outcome) => counts[outcome]++);
      const { opening, he } = round;
      const shown = JSON.stringify({ opening, he: he?.opening }).length;
      const cost = meter.cost(order.parameters.byteLength + shown + (he?.publicKey.length ?? 0));
      onTakenPart?.(round, counts, cost);
      log.info({ ...attemptOf(round), ...counts, ...cost }, 'took part');
    }
  }

  async #outcomeOf(delivery: Promise<Delivery>, { taskId }: AttemptRef, vehicleId: string): Promise<Delivery> {
    const outcome = await delivery.catch((error: unknown): Delivery => {
      this.#options.log.error({ vehicleId, ...failureFields(error) }, 'the update cannot be delivered');
      return 'refused';
    });
    this.#barred.ended(taskId, vehicleId, outcome);
    return outcome;
  }

  /**
   * Makes sure that the base model is on the ledger and fetches it.
   *
   * @returns what to train and the vehicles that have to.
   * @throws SevError MODEL_NOT_ON_LEDGER, CONTENT_HASH_MISMATCH, OBJECT_MISSING, FEATURES_UNSUPPORTED, OPENING_REFUSED.
   */
  async #prepare(round: OpenRoundRef, isNew: boolean): Promise<readonly [TrainingOrder, readonly string[]]> {
    const task = await this.#task(round.taskId);
    const [consortium, barred, bytes, updates] = await Promise.all([
      this.#network(),
      this.#barred.from(task),
      this.#fetch(round.baseModelHash, 'model'),
      isNew ? [] : updatesOf(this.#learning, round),
      this.#insistOnModel(round),
    ]);
    const features = this.#options.pool.vehicles[0]?.features ?? 'none';
    if (task.features !== features) {
      throw new SevError(
        'FEATURES_UNSUPPORTED',
        `task ${round.taskId} needs ${task.features}; these vehicles have ${features}`,
      );
    }
    if (barred.length > 0) {
      this.#options.log.info({ ...attemptOf(round), vehicles: barred }, 'the ledger bars vehicles: they do not train');
    }
    const out = new Set([...updates.map(({ vehicleId }) => vehicleId), ...barred]);
    const vehicles = this.#options.pool.vehicles.filter(
      ({ vehicleId, samples }) => !out.has(vehicleId) && weightClassOf(task, samples) !== undefined,
    );
    const parameters = parametersFromBytes(bytes, task.model.parameters);
    const [opening, earlier] = await Promise.all([this.#openingOf(task, round), this.#earlier(task, round)]);
    const order = { consortium, task, round: { ...round, ...opening }, parameters, ...earlier };
    return [order, vehicles.map(({ vehicleId }) => vehicleId)];
  }

  async #earlier(task: Task, { round }: OpenRoundRef): Promise<Pick<TrainingOrder, 'earlier'>> {
    const fetch = (hash: string): Promise<Uint8Array> => this.#fetch(hash, 'object');
    return this.#options.hasAttackers === true
      ? { earlier: await earlierRounds(this.#learning, task, round, fetch) }
      : {};
  }

  /**
   * What the ledger shows of the attempt beside its base: its aggregators and whom it draws, or its keys.
   *
   * @throws SevError ROUND_STALE, OPENING_REFUSED.
   */
  async #openingOf(task: Task, round: OpenRoundRef): Promise<Pick<OpenRoundRef, 'opening' | 'drawn' | 'he'>> {
    if (task.privacy === 'plain') {
      return {};
    }
    const record = await roundIfAny(this.#learning, round);
    if (record?.attempt === round.attempt && record.secure !== undefined) {
      const reason = reasonToSitOut(task, record.secure);
      if (reason !== undefined) {
        throw new SevError('OPENING_REFUSED', reason);
      }
      const { opening, drawn = [] } = record.secure;
      return { opening, drawn: await this.#drawnIn(task, round, drawn) };
    }
    if (record?.attempt === round.attempt && record.he !== undefined) {
      const { opening } = record.he;
      return { he: { opening, publicKey: await this.#fetch(opening.publicKeyHash, 'public key') } };
    }
    throw new SevError('ROUND_STALE', `the ledger does not show the opening of ${attemptKey(round)}`);
  }

  /**
   * Whom the attempt asks, where that is whom the round before draws. Of another list, and where that round cannot be read,
   * nobody says anything: a vehicle's word is taken by whoever shows it the list, whatever the ledger makes of it.
   */
  async #drawnIn(task: Task, round: OpenRoundRef, shown: readonly string[]): Promise<readonly string[]> {
    const { log, pool } = this.#options;
    if (!pool.vehicles.some(({ vehicleId }) => shown.includes(vehicleId))) {
      return [];
    }
    try {
      const before = await drawnBefore(this.#learning, round);
      const { drawn = [] } = drawnVehicles(task.secure?.validation, round, before);
      if (canonicalJson(drawn) === canonicalJson(shown)) {
        return shown;
      }
      log.warn(
        { ...attemptOf(round), shown, drawn },
        'the attempt asks other vehicles than are drawn: they say nothing',
      );
    } catch (error) {
      log.warn(
        { ...attemptOf(round), ...failureFields(error) },
        'who is drawn cannot be checked: nobody says anything',
      );
    }
    return [];
  }

  async #task(taskId: string): Promise<Task> {
    const known = this.#tasks.get(taskId) ?? (await this.#learning.task(taskId)).task;
    this.#tasks.set(taskId, known);
    return known;
  }

  async #insistOnModel({ taskId, baseModelHash }: OpenRoundRef): Promise<void> {
    try {
      await this.#learning.model(taskId, baseModelHash);
    } catch (error) {
      throw errorCode(error) === 'MODEL_UNKNOWN'
        ? new SevError('MODEL_NOT_ON_LEDGER', `the ledger holds no model ${baseModelHash} of task ${taskId}`, {
            hint: 'Do not train from it: whoever offers it has not had it attested.',
            cause: error,
          })
        : error;
    }
  }

  async #fetch(hash: string, what: string): Promise<Uint8Array> {
    const bytes = await this.#options.store.get(hash);
    const actual = sha256Hex(bytes);
    if (actual !== hash) {
      throw new SevError('CONTENT_HASH_MISMATCH', `the store gave bytes of ${actual} for ${what} ${hash}`);
    }
    return bytes;
  }

  #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }
}
