// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import {
  sha256Hex,
  signStatement,
  updateStatement,
  weightClassOf,
  type RoundRecord,
  type Task,
  type VehicleValidation,
} from '@sev/chaincode/api';
import { identity, MAKER, type Identity, type Vehicle } from '@sev/chaincode/testing';
import { parametersFromBytes, predict, type Dataset } from '@sev/fl';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import type { ServiceLog } from '../services/log.js';
import type { ServiceSession } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import type { ObjectStore } from '../store/object-store.js';
import { Courier, type Delivery, type PostShare } from '../vehicle/courier.js';
import type { TrainedUpdate } from '../vehicle/messages.js';
import { ReceiptBook } from '../vehicle/receipts.js';
import { RecordedUpdates } from '../vehicle/recorded-updates.js';
import { secureReport } from '../vehicle/secure-report.js';
import { rowsOf } from './secure-bed-consortium.js';

/** Where a vehicle leaves an attempt: before it shares, after these aggregators have its share, before its envelope. */
export type Drop = 'before-share' | 'before-envelope' | { readonly sharedWith: readonly string[] };

/** Which vehicles leave an attempt, and where; undefined for one that stays. */
export type DropPlan = (index: number, ref: AttemptRef) => Drop | undefined;

export interface FleetOptions {
  readonly task: Task;
  readonly consortium: string;
  readonly store: ObjectStore;
  readonly session: (identity: Identity) => ServiceSession;
  readonly postShare: PostShare;
  /** Runs what takes time. */
  readonly busyWith: <T>(work: () => Promise<T>) => Promise<T>;
  readonly log: ServiceLog;
}

/** What one vehicle sent in an attempt. Secret. */
export interface SentReport {
  readonly vehicleId: string;
  readonly ref: AttemptRef;
  readonly update: TrainedUpdate;
}

/** Vehicles that share whatever they are told to have learnt, with the code of the real ones. */
export class BedFleet {
  readonly vehicles: readonly Vehicle[];
  /** Every training there was: `attempt vehicle`. */
  readonly trainings: string[] = [];
  readonly sent: SentReport[] = [];
  drops: DropPlan = () => undefined;
  /** What a vehicle learns from a base model in place of {@link updateOf}'s numbers, length d in units of 2^−f. */
  learns: ((index: number, base: Float32Array) => Int32Array) | undefined;
  /** The loss that a vehicle says of a base model where it is asked, in millionths; undefined: it says nothing. */
  says: (index: number, round: number) => number | undefined = () => undefined;
  /** So many times its update a vehicle shares, whatever the task's bound. */
  stretch: (index: number) => number = () => 1;
  readonly #options: FleetOptions;
  readonly #learnt = new Map<string, Int32Array>();
  readonly #receipts: ReceiptBook;
  #reader: ServiceSession | undefined;

  constructor(vehicles: readonly Vehicle[], options: FleetOptions, reader: ServiceSession) {
    this.vehicles = vehicles;
    this.#options = options;
    this.#reader = reader;
    this.#receipts = new ReceiptBook(learning(reader), options.log);
  }

  /** The update of a vehicle in a round, in units of 2^−f: from one base model it learns the same each time. */
  updateOf(index: number, round: number): Int32Array {
    const learnt = this.#learnt.get(`${String(index)}/${String(round)}`);
    if (learnt !== undefined) {
      return learnt;
    }
    const bytes = createHash('sha512')
      .update(`${String(index)}/${String(round)}`)
      .digest();
    const { parameters } = this.#options.task.model;
    return Int32Array.from({ length: parameters }, (_, i) => ((bytes[i % bytes.length] ?? 0) % 41) - 20);
  }

  /** All vehicles train and deliver in this attempt; resolves when each has done what it will do. */
  async takePart(round: RoundRecord, signal: AbortSignal): Promise<void> {
    const recorded = new RecordedUpdates(learning(this.#reader!), attemptOf(round));
    await Promise.all(this.vehicles.map((_, index) => this.#takePart(index, round, recorded, signal)));
  }

  /** Shows the receipts of a closed attempt as a pool of vehicles does. */
  showReceipts(ref: AttemptRef, signal: AbortSignal): Promise<void> {
    return this.#receipts.watch(ref, signal);
  }

  async #takePart(
    index: number,
    round: RoundRecord,
    recorded: RecordedUpdates,
    signal: AbortSignal,
  ): Promise<Delivery | 'left'> {
    const drop = this.drops(index, attemptOf(round));
    if (drop === 'before-share') {
      return 'left';
    }
    const update = await this.#options.busyWith(() => this.#train(index, round));
    if (drop === undefined) {
      return this.#courier(index, this.#options.postShare).deliver(placed(round), update, recorded, signal);
    }
    await this.#shareAndLeave(index, round, update, recorded, drop);
    return 'left';
  }

  /** Shares with some and is gone: nothing of it is recorded. */
  async #shareAndLeave(
    index: number,
    round: RoundRecord,
    update: TrainedUpdate,
    recorded: RecordedUpdates,
    drop: Exclude<Drop, 'before-share'>,
  ): Promise<void> {
    const gone = new AbortController();
    const isOut = (mspId: string): boolean => typeof drop === 'object' && !drop.sharedWith.includes(mspId);
    let left = round.secure!.opening.aggregators.length;
    const post: PostShare = async (mspId, submission, signal, path) => {
      try {
        if (isOut(mspId)) {
          throw new Error('the vehicle is gone');
        }
        return await this.#options.postShare(mspId, submission, signal, path);
      } finally {
        left -= 1;
        if (left === 0) {
          gone.abort();
        }
      }
    };
    await this.#courier(index, post, true).deliver(placed(round), update, recorded, gone.signal);
  }

  #courier(index: number, postShare: PostShare, isGone = false): Courier {
    const { store, session, busyWith, log } = this.#options;
    const { vehicleId } = this.vehicles[index]!;
    return new Courier({
      store,
      batchers: [],
      directAfterMs: 0,
      postShare,
      onReceipt: (ref, receipt) => {
        this.#receipts.add(attemptOf(ref), receipt);
      },
      pool: {
        vehicles: [],
        record: async (argument) => {
          if (isGone) {
            throw new Error('the vehicle is gone');
          }
          const own = await busyWith(() => identity(MAKER, 'vehicle', { commonName: vehicleId }));
          await learning(session(own)).recordUpdate(argument);
        },
      },
      log,
    });
  }

  async #train(index: number, round: RoundRecord): Promise<TrainedUpdate> {
    const { task, consortium, store } = this.#options;
    const { vehicleId, key } = this.vehicles[index]!;
    this.trainings.push(`${attemptKey(round)} ${vehicleId}`);
    const base = parametersFromBytes(await store.get(round.baseModelHash), task.model.parameters);
    if (this.learns !== undefined) {
      this.#learnt.set(`${String(index)}/${String(round.round)}`, this.learns(index, base));
    }
    const own = this.updateOf(index, round.round);
    const factor = this.stretch(index);
    const terms = secureTermsOf(task);
    const trained = base.map((value, i) => value + factor * (own[i] ?? 0) * 2 ** -terms.fractionBits);
    const believed = { ...task, secure: { ...terms, clipMilli: Math.abs(factor) * terms.clipMilli } };
    const data = dataOf(index);
    const model = { base, trained, predictions: predict(base, task.model.layers, data) };
    const report = await secureReport(consortium, believed, placed(round), vehicleId, model, data);
    const { baseModelHash } = round;
    const weightClass = weightClassOf(task, rowsOf(index)) ?? 0;
    const said = { vehicleId, updateHash: report.root, weightClass, ...this.#wordOf(index, round) };
    const statement = updateStatement(consortium, { ...attemptOf(round), baseModelHash, ...said });
    const update: TrainedUpdate = {
      vehicleId,
      bytes: report.ciphertext,
      shares: { path: '/shares', needed: secureTermsOf(task).threshold + 1, sealed: report.shares },
      envelope: { ...said, signature: signStatement(statement, key.privateKey) },
    };
    this.sent.push({ vehicleId, ref: attemptOf(round), update });
    return update;
  }

  #wordOf(index: number, { round, secure }: RoundRecord): { readonly validation?: VehicleValidation } {
    const { vehicleId } = this.vehicles[index]!;
    const lossMicro = this.says(index, round);
    const isAsked = secure?.drawn?.includes(vehicleId) === true;
    return lossMicro === undefined || !isAsked
      ? {}
      : { validation: { lossMicro, dataHash: sha256Hex(`rows of ${vehicleId}`) } };
  }
}

function placed(round: RoundRecord) {
  return { ...attemptOf(round), baseModelHash: round.baseModelHash, opening: round.secure!.opening };
}

function dataOf(index: number): Dataset {
  const rows = rowsOf(index);
  return { features: 4, rows, x: new Float32Array(4 * rows), y: new Float32Array(rows) };
}
