// SPDX-License-Identifier: Apache-2.0
import type { ItemResult, ShowReceipts, SignedBy } from '@sev/chaincode/api';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { faultKind } from '../services/ledger-faults.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { postJson, problemOf } from '../services/http-client.js';
import { backoffMs, pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import type { OpenRoundRef, TrainedUpdate } from './messages.js';
import type { VehiclePool } from './pool.js';
import type { RecordedUpdates } from './recorded-updates.js';

/** Posts one share to the aggregator of an organisation. @returns the signed receipt. */
export type PostShare = (mspId: string, submission: ShareSubmission, signal: AbortSignal) => Promise<SignedBy>;

export interface CourierOptions {
  readonly store: ObjectStore;
  readonly pool: Pick<VehiclePool, 'record'>;
  /** Coordinators to try, in this order. */
  readonly coordinators: readonly string[];
  /** Needed for tasks in a secure mode. */
  readonly postShare?: PostShare | undefined;
  readonly onReceipt?: (round: OpenRoundRef, receipt: ShowReceipts['receipts'][number]) => void;
  /** How long coordinators are tried before a vehicle records its update itself; default 5 s. */
  readonly directAfterMs?: number;
  /** How long one coordinator may take to answer; default 15 s. */
  readonly timeoutMs?: number;
  readonly log: ServiceLog;
}

/** How an update's way ended. */
export type Delivery = 'recorded' | 'refused' | 'too-late';

/** How long the vehicle's own gateway may lag behind the coordinator's before the coordinator is not believed. */
const LOOKS = 6;

/**
 * Brings updates to the store and their envelopes to the ledger: through a coordinator, which saves transactions, or
 * without one. A coordinator is not believed, the ledger is: an update counts as delivered when the ledger shows it.
 */
export class Courier {
  readonly #options: CourierOptions;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** Goes on until the ledger shows the update, refuses it, or the signal says that the attempt is over. */
  async deliver(
    round: OpenRoundRef,
    update: TrainedUpdate,
    recorded: RecordedUpdates,
    signal: AbortSignal,
  ): Promise<Delivery> {
    const directAt = Date.now() + (this.#options.directAfterMs ?? 5_000);
    let isStored = false;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        if (!isStored) {
          await this.#options.store.put(update.bytes);
          await this.#share(round, update, signal);
          isStored = true;
        }
        const result = await this.#post(round, update, failures, signal);
        if (result?.accepted === true && (await this.#isShown(update, recorded, signal))) {
          return 'recorded';
        }
        // Neither a refusal nor a promise that the ledger does not bear out is taken from a coordinator.
        if (result !== undefined || Date.now() >= directAt) {
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
    const taken = await Promise.all(
      Object.entries(shares.sealed).map(async ([mspId, sealed]) => {
        try {
          const content = { ...placeOf(round), envelope, sealed };
          const receipt = await postShare?.(mspId, content, within);
          if (receipt !== undefined) {
            onReceipt?.(round, { vehicleId, mspId, signature: receipt.signature });
          }
          return receipt !== undefined;
        } catch (error) {
          log.debug({ vehicleId, aggregator: mspId, ...failureFields(error) }, 'an aggregator did not take the share');
          return false;
        }
      }),
    );
    const count = taken.filter(Boolean).length;
    if (count < shares.needed) {
      const detail = `${String(count)} aggregators took the share; ${String(shares.needed)} are needed`;
      throw new SevError('SHARES_NOT_TAKEN', detail);
    }
  }

  /** Asks one coordinator after the other; undefined where none has an answer about this envelope. */
  async #post(
    round: OpenRoundRef,
    { envelope, vehicleId }: TrainedUpdate,
    failures: number,
    signal: AbortSignal,
  ): Promise<ItemResult | undefined> {
    const { coordinators, timeoutMs = 15_000, log } = this.#options;
    const url = coordinators[failures % Math.max(1, coordinators.length)];
    if (url === undefined) {
      return undefined;
    }
    try {
      const answer = await postJson(`${url}/envelopes`, { ...placeOf(round), envelope }, { timeoutMs, signal });
      if (answer.status === 200) {
        return itemResultOf(answer.body, vehicleId);
      }
      log.debug({ vehicleId, url, ...problemOf(answer) }, 'the coordinator did not take the envelope');
    } catch (error) {
      if (!signal.aborted) {
        log.debug({ vehicleId, url, ...failureFields(error) }, 'the coordinator did not answer');
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

  /** Records the update with the vehicle's own identity. */
  async #record(
    round: OpenRoundRef,
    { envelope, vehicleId }: TrainedUpdate,
    recorded: RecordedUpdates,
    signal: AbortSignal,
  ): Promise<Delivery> {
    if (await recorded.has(vehicleId)) {
      return 'recorded';
    }
    try {
      await this.#options.pool.record({ ...placeOf(round), envelope }, signal);
      this.#options.log.debug({ vehicleId, round: round.round }, 'recorded without a coordinator');
      return 'recorded';
    } catch (error) {
      const kind = faultKind(error);
      if (kind === 'transient') {
        throw error;
      }
      const code = errorCode(error);
      if (code === 'UPDATE_DUPLICATE' && (await recorded.has(vehicleId))) {
        return 'recorded';
      }
      this.#options.log.warn(
        { vehicleId, round: round.round, ...failureFields(error) },
        'the ledger refused the update',
      );
      return kind === 'overtaken' ? 'too-late' : 'refused';
    }
  }
}

/** What messages name an attempt by. */
function placeOf(round: OpenRoundRef): Omit<OpenRoundRef, 'opening'> {
  return { ...attemptOf(round), baseModelHash: round.baseModelHash };
}

function itemResultOf(body: unknown, vehicleId: string): ItemResult {
  if (
    typeof body === 'object' &&
    body !== null &&
    'id' in body &&
    body.id === vehicleId &&
    'accepted' in body &&
    typeof body.accepted === 'boolean'
  ) {
    return body as ItemResult;
  }
  throw new SevError('SERVICE_ANSWER_MALFORMED', 'the coordinator did not answer with a result');
}
