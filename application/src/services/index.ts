// SPDX-License-Identifier: Apache-2.0
export { timingPath, type RoundTiming } from '../coordinator/round-clock.js';
export type { DataSource } from '../vehicle/data.js';
export { silentLog, type ServiceLog } from './log.js';
export { runAggregator, type RunAggregatorOptions } from './run-aggregator.js';
export { runAttester, type RunAttesterOptions } from './run-attester.js';
export { runBatcher, type RunBatcherOptions } from './run-batcher.js';
export { runCoordinator, type RunCoordinatorOptions } from './run-coordinator.js';
export { runStore, type RunStoreOptions } from './run-store.js';
export { runVehicle, type RunVehicleOptions } from './run-vehicle.js';
export type { RunningService } from './service.js';
