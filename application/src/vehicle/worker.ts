// SPDX-License-Identifier: Apache-2.0
import { parentPort, workerData } from 'node:worker_threads';
import type { WorkerMessage, WorkerRequest, WorkerStart } from './messages.js';
import { startPoolWorker } from './pool-worker.js';

/** Entry point of a pool's worker thread. */
if (parentPort !== null) {
  const port = parentPort;
  const handle = await startPoolWorker(workerData as WorkerStart, (message: WorkerMessage) => {
    // Handed over, not copied: the thread does not need them any more.
    port.postMessage(message, message.type === 'update' ? [message.update.bytes.buffer as ArrayBuffer] : []);
  });
  port.on('message', (request: WorkerRequest) => {
    handle?.(request);
  });
}
