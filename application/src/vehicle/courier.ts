// SPDX-License-Identifier: Apache-2.0
import type { ItemResult, ShowReceipts, SignedBy } from '@sev/chaincode/api';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { faultKind } from '../services/ledger-faults.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { postJson, problemOf, type JsonAnswer } from '../services/http-client.js';
import { backoffMs, pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import type { OpenRoundRef, SharePath, TrainedUpdate } from './messages.js';
import type { VehiclePool } from './pool.js';
import type { RecordedUpdates } from './recorded-updates.js';
import { refusesWord } from './word-refusal.js';

/** Posts one share to the aggregator of an organisation. @returns the signed receipt. */
export type PostShare = (
  mspId: string,
  submission: ShareSubmission,
  signal: AbortSignal,
  path: SharePath,
) => Promise<SignedBy>;

/** Where the update batcher of an organisation answers. */
export interface BatcherAddress {
  readonly mspId: string;
  /** `http://127.0.0.1:1234`. */
  readonly url: string;
}

export interface CourierOptions {
  readonly store: ObjectStore;
  readonly pool: Pick<VehiclePool, 'record' | 'vehicles'>;
  /** Update batchers: a vehicle's own organisation's is tried first, the others after it in this order. */
  readonly batchers: readonly BatcherAddress[];
  /** Needed for tasks in a secure mode. */
  readonly postShare?: PostShare | undefined;
  readonly onReceipt?: (round: OpenRoundRef, receipt: ShowReceipts['receipts'][number]) => void;
  /** How long batchers are tried before a vehicle records its update itself; default 5 s, at most a third of the grace time. */
  readonly directAfterMs?: number;
  /** How long the ledger may lack an envelope that a batcher has queued before the same is done; default 20 s, bounded alike. */
  readonly queuedMs?: number;
  /** How long one batcher, or the aggregators together, may take to answer; default 15 s. */
  readonly timeoutMs?: number;
  readonly log: ServiceLog;
}

/** How an update's way ended. */
export type Delivery = 'recorded' | 'refused' | 'too-late';

/** A batcher's answer: the ledger's result, that the envelope is on its disk, or that it does not take it. */
type BatcherAnswer = ItemResult | 'queued' | 'not-taken';

/** How long the last aggregators are waited for once enough have given a receipt, and those that were late before. */
const LATE_MS = 3_000;
const LATE_AGAIN_MS = 250;

/** An envelope on its way to a batcher. */
interface Handing {
  readonly round: OpenRoundRef;
  readonly update: TrainedUpdate;
  readonly recorded: RecordedUpdates;
  /** When the vehicle records by itself, unless the ledger shows its update. */
  readonly directAt: number;
  readonly signal: AbortSignal;
}

/** Of a task's grace time, what batchers may take in all: a vehicle that records by itself then is still in time. */
const BATCHERS_SHARE = 1 / 3;
/** A batcher always has this long to answer. */
const LEAST_POST_MS = 500;

/** How long the vehicle's own gateway may lag behind the batcher's before the batcher is not believed. */
const LOOKS = 6;

/**
 * Brings updates to the store and their envelopes to the ledger: through a batcher, which saves transactions, or without
 * one. A batcher is not believed, the ledger is: an update counts as delivered when the ledger shows it.
 */
export class Courier {
  readonly #options: CourierOptions;
  /** By organisation, its own first. */
  readonly #batchers = new Map<string, readonly string[]>();
  readonly #organisations: ReadonlyMap<string, string>;
  /** Aggregators that were late with their last receipt. */
  readonly #late = new Set<string>();
  /** Addresses of batchers that did not answer, or whose answer the ledger did not bear out; tried last. */
  readonly #failing = new Set<string>();

  constructor(options: CourierOptions) {
    const { batchers, pool } = options;
    this.#options = options;
    this.#organisations = new Map(pool.vehicles.map(({ vehicleId, mspId }) => [vehicleId, mspId]));
    for (const mspId of new Set(this.#organisations.values())) {
      const own = batchers.filter((batcher) => batcher.mspId === mspId);
      const others = batchers.filter((batcher) => batcher.mspId !== mspId);
      this.#batchers.set(
        mspId,
        [...own, ...others].map(({ url }) => url),
      );
    }
  }

  /**
   * Goes on until the ledger shows the update, refuses it, or the signal says that the attempt is over.
   *
   * @param graceMs - the task's grace time, of which batchers that lie or stall get a third.
   */
  async deliver(
    round: OpenRoundRef,
    update: TrainedUpdate,
    recorded: RecordedUpdates,
    signal: AbortSignal,
    graceMs = Number.POSITIVE_INFINITY,
  ): Promise<Delivery> {
    const { directAfterMs = 5_000, queuedMs = 20_000 } = this.#options;
    const batchers = this.#batchersFor(update.vehicleId);
    let latestAt = Number.POSITIVE_INFINITY;
    let directAt = latestAt;
    let queuedUntil: number | undefined;
    let isStored = false;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        if (!isStored) {
          if (update.bytes.length > 0) {
            await this.#options.store.put(update.bytes);
          }
          await this.#share(round, update, signal);
          isStored = true;
          latestAt = Date.now() + graceMs * BATCHERS_SHARE;
          directAt = Math.min(latestAt, Date.now() + directAfterMs);
        }
        const url = batchers[failures % Math.max(1, batchers.length)];
        const outcome = await this.#try(url, { round, update, recorded, directAt, signal });
        if (outcome === 'shown') {
          return 'recorded';
        }
        if (outcome === 'queued') {
          directAt = queuedUntil ??= Math.max(directAt, Math.min(latestAt, Date.now() + queuedMs));
        }
        // Neither a refusal nor a promise that the ledger does not bear out is taken from a batcher.
        if (outcome === 'decided' || Date.now() >= directAt) {
          return await this.#record(round, update, recorded, signal);
        }
      } catch (error) {
        if (faultKind(error) === 'fatal') {
          throw error;
        }
        this.#options.log.debug({ vehicleId: update.vehicleId, ...failureFields(error) }, 'trying again');
      }
      await pause(backoffMs(failures, 50, 2_000), signal);
    }
    return 'too-late';
  }

  /**
   * Brings the shares of an update to the aggregators. All of them should have it; with those of t + 1 it can be summed,
   * so one that does not answer in time is left out.
   *
   * @throws SevError SHARES_NOT_TAKEN where fewer gave a receipt.
   */
  async #share(
    round: OpenRoundRef,
    { shares, envelope, vehicleId }: TrainedUpdate,
    signal: AbortSignal,
  ): Promise<void> {
    const { postShare, onReceipt, timeoutMs = 15_000, log } = this.#options;
    if (shares === undefined) {
      return;
    }
    const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const post = async (mspId: string, sealed: string): Promise<boolean> => {
      try {
        const content = { ...placeOf(round), envelope, sealed };
        const receipt = await postShare?.(mspId, content, within, shares.path);
        if (receipt !== undefined) {
          onReceipt?.(round, { vehicleId, mspId, signature: receipt.signature });
        }
        return receipt !== undefined;
      } catch (error) {
        log.debug({ vehicleId, aggregator: mspId, ...failureFields(error) }, 'an aggregator did not take the share');
        return false;
      }
    };
    const posts = new Map(Object.entries(shares.sealed).map(([mspId, sealed]) => [mspId, post(mspId, sealed)]));
    const count = await this.#enough(posts, shares.needed);
    if (count < shares.needed) {
      const detail = `${String(count)} aggregators took the share; ${String(shares.needed)} are needed`;
      throw new SevError('SHARES_NOT_TAKEN', detail);
    }
  }

  /**
   * Waits for all, but once there are enough for no one long: a share that is on its way goes on arriving. Who was late is
   * hardly waited for until it is in time again.
   *
   * @returns how many have taken theirs.
   */
  async #enough(posts: ReadonlyMap<string, Promise<boolean>>, needed: number): Promise<number> {
    const missing = new Set(posts.keys());
    let count = 0;
    await new Promise<void>((resolve) => {
      for (const [mspId, post] of posts) {
        void post.then((isTaken) => {
          missing.delete(mspId);
          count += isTaken ? 1 : 0;
          if (missing.size === 0) {
            resolve();
          } else if (count >= needed) {
            const isKnown = [...missing].every((other) => this.#late.has(other));
            setTimeout(resolve, isKnown ? LATE_AGAIN_MS : LATE_MS);
          }
        });
      }
    });
    for (const mspId of posts.keys()) {
      if (missing.has(mspId)) {
        this.#late.add(mspId);
      } else {
        this.#late.delete(mspId);
      }
    }
    return count;
  }

  /** In the order in which they are tried. */
  #batchersFor(vehicleId: string): readonly string[] {
    const all = this.#batchers.get(this.#organisations.get(vehicleId) ?? '') ?? [];
    const isFailing = (url: string): boolean => this.#failing.has(url);
    return [...all.filter((url) => !isFailing(url)), ...all.filter(isFailing)];
  }

  /** Hands an envelope to one batcher, and remembers one that does not answer or promises what does not come. */
  async #try(
    url: string | undefined,
    { round, update, recorded, directAt, signal }: Handing,
  ): Promise<'shown' | 'queued' | 'decided' | 'nothing'> {
    const answer = url === undefined ? 'not-taken' : await this.#post(url, round, update, directAt, signal);
    if (url === undefined || answer === 'not-taken') {
      return 'nothing';
    }
    if (isPromise(answer) && (await this.#isShown(update, recorded, signal))) {
      this.#failing.delete(url);
      return 'shown';
    }
    const isDecided = typeof answer === 'object';
    // Who refuses may be right: the ledger is asked at once.
    if (!signal.aborted && !(isDecided && !answer.accepted)) {
      this.#failing.add(url);
    }
    return isDecided ? 'decided' : (answer ?? 'nothing');
  }

  /**
   * Asks one batcher, no longer than until the vehicle would record by itself.
   *
   * @returns undefined where it has no answer about this envelope; `not-taken` where it says so.
   */
  async #post(
    url: string,
    round: OpenRoundRef,
    { envelope, vehicleId }: TrainedUpdate,
    directAt: number,
    signal: AbortSignal,
  ): Promise<BatcherAnswer | undefined> {
    const { log } = this.#options;
    const leftMs = Math.max(LEAST_POST_MS, directAt - Date.now());
    const timeoutMs = Math.ceil(Math.min(this.#options.timeoutMs ?? 15_000, leftMs));
    try {
      const answer = await postJson(`${url}/envelopes`, { ...placeOf(round), envelope }, { timeoutMs, signal });
      if (answer.status === 200 || answer.status === 202) {
        return answerOf(answer, vehicleId);
      }
      log.debug({ vehicleId, url, ...problemOf(answer) }, 'the batcher did not take the envelope');
      return 'not-taken';
    } catch (error) {
      if (!signal.aborted) {
        log.debug({ vehicleId, url, ...failureFields(error) }, 'the batcher did not answer');
      }
    }
    return undefined;
  }

  async #isShown({ vehicleId }: TrainedUpdate, recorded: RecordedUpdates, signal: AbortSignal): Promise<boolean> {
    for (let look = 0; look < LOOKS && !signal.aborted; look++) {
      if (await recorded.has(vehicleId)) {
        return true;
      }
      await pause(20 * 2 ** look, signal);
    }
    return false;
  }

  /** Records the update with the vehicle's own identity, without a word about the base where the ledger takes none. */
  async #record(
    round: OpenRoundRef,
    { envelope, silent, vehicleId }: Pick<TrainedUpdate, 'envelope' | 'silent' | 'vehicleId'>,
    recorded: RecordedUpdates,
    signal: AbortSignal,
  ): Promise<Delivery> {
    if (await recorded.has(vehicleId)) {
      return 'recorded';
    }
    try {
      await this.#options.pool.record({ ...placeOf(round), envelope }, signal);
      this.#options.log.debug({ vehicleId, round: round.round }, 'recorded without a batcher');
      return 'recorded';
    } catch (error) {
      if (silent !== undefined && refusesWord(error)) {
        this.#options.log.warn(
          { vehicleId, round: round.round, ...failureFields(error) },
          'the ledger refused what the vehicle says of the base: it goes on without',
        );
        return this.#record(round, { envelope: silent, vehicleId }, recorded, signal);
      }
      const kind = faultKind(error);
      if (kind === 'transient') {
        throw error;
      }
      const code = errorCode(error);
      if (code === 'UPDATE_DUPLICATE' && (await recorded.has(vehicleId))) {
        return 'recorded';
      }
      const fields = { vehicleId, round: round.round, ...failureFields(error) };
      if (kind === 'overtaken') {
        this.#options.log.info(fields, 'the update comes too late');
        return 'too-late';
      }
      this.#options.log.warn(fields, 'the ledger refused the update');
      return 'refused';
    }
  }
}

/** What messages name an attempt by. */
function placeOf(round: OpenRoundRef): Omit<OpenRoundRef, 'opening' | 'drawn' | 'he'> {
  return { ...attemptOf(round), baseModelHash: round.baseModelHash };
}

/** Whether the ledger has, or is to have, the envelope. */
function isPromise(answer: BatcherAnswer | undefined): boolean {
  return answer === 'queued' || (typeof answer === 'object' && answer.accepted);
}

/** @throws SevError SERVICE_ANSWER_MALFORMED. */
function answerOf({ status, body }: JsonAnswer, vehicleId: string): BatcherAnswer {
  if (typeof body === 'object' && body !== null && 'id' in body && body.id === vehicleId) {
    if (status === 202) {
      return 'queued';
    }
    if ('accepted' in body && typeof body.accepted === 'boolean') {
      return body as ItemResult;
    }
  }
  throw new SevError('SERVICE_ANSWER_MALFORMED', 'the batcher did not answer with a result');
}
