// SPDX-License-Identifier: Apache-2.0
import { parentPort } from 'node:worker_threads';
import { runNoiseCell, type NoiseCell } from './noise-cell.js';

parentPort?.on('message', (cell: NoiseCell) => {
  parentPort?.postMessage(runNoiseCell(cell));
});
