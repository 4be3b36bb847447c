// SPDX-License-Identifier: Apache-2.0
import { setImmediate as nextTurn } from 'node:timers/promises';
import { failureOf } from './failure.js';
import type { RecordRequest, TrainRequest, WorkerMessage, WorkerRequest, WorkerStart } from './messages.js';
import { loadTrainers, type Trainer } from './trainer.js';

type Send = (message: WorkerMessage) => void;

/** Trains the vehicles it was started with, one after the other. */
class PoolWorker {
  readonly #send: Send;
  readonly #start: WorkerStart;
  readonly #trainers: ReadonlyMap<string, Trainer>;
  readonly #cancelled = new Set<number>();

  constructor(send: Send, start: WorkerStart, trainers: ReadonlyMap<string, Trainer>) {
    this.#send = send;
    this.#start = start;
    this.#trainers = trainers;
  }

  async handle(request: WorkerRequest): Promise<void> {
    if (request.type === 'cancel') {
      this.#cancelled.add(request.job);
      return;
    }
    const { job } = request;
    try {
      await (request.type === 'train' ? this.#train(request) : this.#record(request));
      this.#send({ type: 'done', job });
    } catch (error) {
      this.#send({ type: 'done', job, failure: failureOf(error) });
    } finally {
      this.#cancelled.delete(job);
    }
  }

  async #train({ job, order, vehicleIds }: TrainRequest): Promise<void> {
    for (const vehicleId of vehicleIds) {
      if (this.#cancelled.has(job)) {
        return;
      }
      try {
        const trainer = this.#trainer(vehicleId);
        await trainer.refresh();
        const update = await trainer.train(order);
        this.#send({ type: 'update', job, update });
      } catch (error) {
        this.#send({ type: 'skipped', job, vehicleId, failure: failureOf(error) });
      }
      // Lets a cancellation in before the next vehicle.
      await nextTurn();
    }
  }

  #record({ argument }: RecordRequest): Promise<void> {
    return this.#trainer(argument.envelope.vehicleId).record(this.#start.profile, argument);
  }

  #trainer(vehicleId: string): Trainer {
    const trainer = this.#trainers.get(vehicleId);
    if (trainer === undefined) {
      throw new RangeError(`this worker does not hold ${vehicleId}`);
    }
    return trainer;
  }
}

/**
 * Loads the vehicles and says so, or what is wrong with them.
 *
 * @returns takes requests; undefined where loading failed.
 */
export async function startPoolWorker(
  start: WorkerStart,
  send: Send,
): Promise<((request: WorkerRequest) => void) | undefined> {
  try {
    const trainers = await loadTrainers(start);
    const worker = new PoolWorker(send, start, trainers);
    const vehicles = [...trainers.values()].map(({ vehicleId, mspId, samples, features }) => ({
      ...{ vehicleId, mspId, samples, features },
    }));
    send({ type: 'ready', vehicles });
    return (request) => void worker.handle(request);
  } catch (error) {
    send({ type: 'failed', failure: failureOf(error) });
    return undefined;
  }
}
