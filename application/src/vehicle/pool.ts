// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os';
import type { RecordUpdate } from '@sev/chaincode/api';
import { Lane, type TrainingListener } from './lane.js';
import type { LoadedVehicle, TrainingOrder, WorkerStart } from './messages.js';

export interface PoolOptions extends WorkerStart {
  /** Default: one for each core, and no more than there are vehicles. */
  readonly workers?: number;
  /** All in this thread, one vehicle after the other: half the memory. */
  readonly lowMemory?: boolean | undefined;
}

/** What the main thread can have its vehicles do. */
export interface VehiclePool {
  readonly vehicles: readonly LoadedVehicle[];
  /** Trains these vehicles; resolves when every one has been reported. @throws SevError VEHICLE_WORKER_LOST. */
  train(
    order: TrainingOrder,
    vehicleIds: readonly string[],
    listener: TrainingListener,
    signal: AbortSignal,
  ): Promise<void>;
  /** Has a vehicle record its update itself. @throws SevError with the ledger's code. */
  record(argument: RecordUpdate, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/**
 * Vehicles spread over worker threads. Each worker reads the keys and encodes the rows of its own vehicles; the main
 * thread sees neither.
 *
 * @throws SevError with the code of what is wrong with a vehicle's key or data.
 */
export async function startPool(options: PoolOptions): Promise<VehiclePool> {
  const { vehicles, lowMemory = false } = options;
  const count = lowMemory ? 1 : Math.max(1, Math.min(options.workers ?? availableParallelism(), vehicles.length));
  const lanes = Array.from({ length: count }, (_, lane) => {
    const share = vehicles.filter((_vehicle, index) => index % count === lane);
    const { home, profile, plan, validates, attack } = options;
    return new Lane({ home, profile, plan, validates, attack, vehicles: share }, lowMemory);
  });
  const close = async (): Promise<void> => {
    await Promise.all(lanes.map((lane) => lane.close()));
  };
  const results = await Promise.allSettled(lanes.map((lane) => lane.load()));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await close();
    throw failed.reason;
  }
  return {
    vehicles: results.flatMap((result) => (result.status === 'fulfilled' ? result.value : [])),
    close,
    train: async (order, vehicleIds, listener, signal) => {
      // Shared, so that each worker reads the same memory instead of a copy of its own.
      const parameters = new Float32Array(new SharedArrayBuffer(order.parameters.byteLength));
      parameters.set(order.parameters);
      const wanted = new Set(vehicleIds);
      await Promise.all(
        lanes.map(async (lane) => {
          const share = lane.vehicleIds.filter((id) => wanted.has(id));
          if (share.length > 0) {
            await lane.train({ order: { ...order, parameters }, vehicleIds: share }, listener, signal);
          }
        }),
      );
    },
    record: async (argument, signal) => {
      const lane = lanes.find(({ vehicleIds }) => vehicleIds.includes(argument.envelope.vehicleId));
      if (lane === undefined) {
        throw new RangeError(`the pool does not hold ${argument.envelope.vehicleId}`);
      }
      await lane.record(argument, signal);
    },
  };
}
