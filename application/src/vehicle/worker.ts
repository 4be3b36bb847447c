// SPDX-License-Identifier: Apache-2.0
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { messageOf } from '../errors.js';
import { errorCode } from '../services/log.js';
import type {
  RecordRequest,
  TrainRequest,
  WorkerFailure,
  WorkerMessage,
  WorkerRequest,
  WorkerStart,
} from './messages.js';
import { loadTrainers, type Trainer } from './trainer.js';

/** Entry point of a pool's worker thread: trains the vehicles it was started with, one after the other. */
class PoolWorker {
  readonly #port: MessagePort;
  readonly #start: WorkerStart;
  readonly #trainers: ReadonlyMap<string, Trainer>;
  readonly #cancelled = new Set<number>();

  constructor(port: MessagePort, start: WorkerStart, trainers: ReadonlyMap<string, Trainer>) {
    this.#port = port;
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
        this.#port.postMessage({ type: 'update', job, update } satisfies WorkerMessage, [
          update.bytes.buffer as ArrayBuffer,
        ]);
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

  #send(message: WorkerMessage): void {
    this.#port.postMessage(message);
  }
}

function failureOf(error: unknown): WorkerFailure {
  return { code: errorCode(error) ?? 'VEHICLE_FAILED', message: messageOf(error) };
}

async function main(port: MessagePort): Promise<void> {
  const start = workerData as WorkerStart;
  try {
    const trainers = await loadTrainers(start);
    const worker = new PoolWorker(port, start, trainers);
    port.on('message', (request: WorkerRequest) => {
      void worker.handle(request);
    });
    const vehicles = [...trainers.values()].map(({ vehicleId, mspId, samples }) => ({ vehicleId, mspId, samples }));
    port.postMessage({ type: 'ready', vehicles } satisfies WorkerMessage);
  } catch (error) {
    port.postMessage({ type: 'failed', failure: failureOf(error) } satisfies WorkerMessage);
  }
}

if (parentPort !== null) {
  await main(parentPort);
}
