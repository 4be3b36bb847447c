// SPDX-License-Identifier: Apache-2.0
/**
 * What a chaincode process runs: `node host.js <fabric-shim's cli.js> server …`. It becomes `fabric-chaincode-node`, and
 * ends with the network process however that one ends: a thread of its own watches the pipe to the parent, so that
 * not even a contract that never yields outlives it.
 */
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker } from 'node:worker_threads';

/** File descriptor of the pipe that the parent holds open as long as it lives. */
const PARENT_PIPE = 3;

if (isMainThread) {
  new Worker(fileURLToPath(import.meta.url)).unref();
  const cli = process.argv[2];
  if (cli === undefined) {
    throw new Error('usage: host.js <fabric-shim cli.js> server <options>');
  }
  process.argv.splice(1, 2, cli);
  createRequire(import.meta.url)(cli);
} else {
  const parent = new Socket({ fd: PARENT_PIPE });
  parent.on('error', () => process.kill(process.pid, 'SIGKILL'));
  parent.on('close', () => process.kill(process.pid, 'SIGKILL'));
  parent.resume();
}
