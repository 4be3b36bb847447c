// SPDX-License-Identifier: Apache-2.0
import { parentPort, workerData } from 'node:worker_threads';
import { runNoiseCell, type NoiseCell } from './noise-cell.js';

parentPort?.postMessage(runNoiseCell(workerData as NoiseCell));
