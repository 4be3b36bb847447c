// SPDX-License-Identifier: Apache-2.0
import { Worker } from 'node:worker_threads';
import type { RecordUpdate } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import type {
  LoadedVehicle,
  TrainedUpdate,
  TrainRequest,
  WorkerFailure,
  WorkerMessage,
  WorkerRequest,
  WorkerStart,
} from './messages.js';

/** Told of each vehicle's outcome as soon as it is there. */
export interface TrainingListener {
  readonly onUpdate: (update: TrainedUpdate) => void;
  readonly onSkipped: (vehicleId: string, failure: WorkerFailure) => void;
}

interface Job {
  readonly listener?: TrainingListener;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What a lane hears of its worker. */
interface WorkerEvents {
  readonly onMessage: (message: WorkerMessage) => void;
  readonly onError: (error: Error) => void;
  readonly onExit: () => void;
}

interface LaneWorker {
  postMessage(request: WorkerRequest): void;
  terminate(): Promise<unknown>;
}

interface RunningWorker {
  readonly worker: LaneWorker;
  readonly vehicles: readonly LoadedVehicle[];
}

/** One worker thread and its share of the vehicles. A worker that dies is started again by the next request. */
export class Lane {
  readonly vehicleIds: readonly string[];
  readonly #start: WorkerStart;
  readonly #isInline: boolean;
  readonly #jobs = new Map<number, Job>();
  #running: Promise<RunningWorker> | undefined;
  #nextJob = 1;
  #isClosed = false;

  /** @param isInline works in this thread: slower for what else it does, but without the memory of another. */
  constructor(start: WorkerStart, isInline = false) {
    this.#start = start;
    this.#isInline = isInline;
    this.vehicleIds = start.vehicles.map(({ vehicleId }) => vehicleId);
  }

  /** Starts the worker unless it runs. @throws SevError with the code of what is wrong with keys or data. */
  async load(): Promise<readonly LoadedVehicle[]> {
    return (await this.#worker()).vehicles;
  }

  /** @throws SevError VEHICLE_WORKER_LOST where the worker died on the way. */
  train(request: Omit<TrainRequest, 'type' | 'job'>, listener: TrainingListener, signal: AbortSignal): Promise<void> {
    return this.#request((job) => ({ ...request, type: 'train', job }), signal, listener);
  }

  /** @throws SevError with the ledger's code, or VEHICLE_WORKER_LOST. */
  record(argument: RecordUpdate, signal: AbortSignal): Promise<void> {
    return this.#request((job) => ({ type: 'record', job, argument }), signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const running = await this.#running?.catch(() => undefined);
    await running?.worker.terminate();
  }

  async #request(
    requestOf: (job: number) => WorkerRequest,
    signal: AbortSignal,
    listener?: TrainingListener,
  ): Promise<void> {
    const { worker } = await this.#worker();
    const job = this.#nextJob++;
    const cancel = (): void => {
      worker.postMessage({ type: 'cancel', job } satisfies WorkerRequest);
    };
    signal.addEventListener('abort', cancel);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#jobs.set(job, { resolve, reject, ...(listener === undefined ? {} : { listener }) });
        worker.postMessage(requestOf(job));
        if (signal.aborted) {
          cancel();
        }
      });
    } finally {
      signal.removeEventListener('abort', cancel);
      this.#jobs.delete(job);
    }
  }

  #worker(): Promise<RunningWorker> {
    if (this.#isClosed) {
      return Promise.reject(lost('the pool is closed'));
    }
    this.#running ??= this.#launch();
    return this.#running;
  }

  async #launch(): Promise<RunningWorker> {
    let reason = 'its worker ended';
    let isReady = (_message: WorkerMessage): void => undefined;
    const first = new Promise<WorkerMessage>((resolve) => {
      isReady = resolve;
    });
    let isFirst = true;
    const events: WorkerEvents = {
      onMessage: (message) => {
        if (isFirst) {
          isFirst = false;
          isReady(message);
        } else {
          this.#hear(message);
        }
      },
      onError: (error) => {
        reason = `its worker thread failed: ${error.message}`;
      },
      onExit: () => {
        this.#running = undefined;
        isReady({ type: 'failed', failure: { code: 'VEHICLE_WORKER_LOST', message: reason } });
        this.#jobs.forEach((job) => {
          job.reject(lost(reason));
        });
      },
    };
    const worker = this.#isInline ? inlineWorker(this.#start, events) : threadWorker(this.#start, events);
    const message = await first;
    if (message.type !== 'ready') {
      await worker.terminate();
      if (message.type === 'failed' && message.failure.code !== 'VEHICLE_WORKER_LOST') {
        throw unusable(message.failure);
      }
      throw lost(reason);
    }
    return { worker, vehicles: message.vehicles };
  }

  #hear(message: WorkerMessage): void {
    if (message.type === 'ready' || message.type === 'failed') {
      return;
    }
    const job = this.#jobs.get(message.job);
    switch (message.type) {
      case 'update':
        job?.listener?.onUpdate(message.update);
        return;
      case 'skipped':
        job?.listener?.onSkipped(message.vehicleId, message.failure);
        return;
      case 'done':
        if (message.failure === undefined) {
          job?.resolve();
        } else {
          job?.reject(errorOf(message.failure));
        }
    }
  }
}

function threadWorker(start: WorkerStart, { onMessage, onError, onExit }: WorkerEvents): LaneWorker {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: start });
  worker.on('message', onMessage);
  worker.on('error', onError);
  worker.once('exit', onExit);
  return worker;
}

function inlineWorker(start: WorkerStart, { onMessage, onExit }: WorkerEvents): LaneWorker {
  let isOver = false;
  const send = (message: WorkerMessage): void => {
    if (!isOver) {
      onMessage(message);
    }
  };
  const handling = import('./pool-worker.js').then(({ startPoolWorker }) => startPoolWorker(start, send));
  return {
    postMessage: (request) => {
      void handling.then((handle) => handle?.(request));
    },
    terminate: () => {
      isOver = true;
      onExit();
      return handling;
    },
  };
}

/** Keys or data that a worker could not start with: the operator's to mend. */
function unusable({ code, message }: WorkerFailure): SevError {
  const text = message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;
  return new SevError(code, text, {
    hint: 'Mend the data or the options and run the command again.',
    exitCode: EXIT.usage,
  });
}

function errorOf({ code, message }: WorkerFailure): SevError {
  return new SevError(code, message);
}

function lost(reason: string): SevError {
  return new SevError('VEHICLE_WORKER_LOST', `the vehicle cannot work: ${reason}`);
}
