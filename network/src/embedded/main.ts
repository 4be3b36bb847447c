// SPDX-License-Identifier: Apache-2.0
// The background process of the embedded network: `main.js HOME TOPOLOGY`. Its output is the network's log.
import { pino } from 'pino';
import { NETWORK_ERROR_CODES, type NetworkErrorCode } from '../errors.js';
import { runNetwork } from '../supervisor/background.js';
import { writeFailure } from '../supervisor/handshake.js';
import { networkPaths } from '../supervisor/paths.js';

const logger = pino({ name: 'network' }, pino.destination({ fd: 1, sync: true }));

function isNetworkErrorCode(code: unknown): code is NetworkErrorCode {
  return typeof code === 'string' && code in NETWORK_ERROR_CODES;
}

/** The code of an error of any part, if it is one that the network's users know. */
function codeOf(error: unknown): NetworkErrorCode {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return isNetworkErrorCode(code) ? code : 'NETWORK_START_FAILED';
}

async function main(home: string, topologyFile: string): Promise<void> {
  const paths = networkPaths(home);
  const starting = runNetwork(paths, topologyFile, (level, message, fields) => {
    logger[level](fields ?? {}, message);
  });

  let stopping = false;
  const shutDown = (signal: NodeJS.Signals): void => {
    if (stopping) {
      return;
    }
    stopping = true;
    logger.info({ signal }, 'stopping');
    starting
      .then((stop) => stop())
      .then(
        () => {
          logger.info('stopped');
          process.exit(0);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'did not stop in order');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', shutDown);
  process.on('SIGINT', shutDown);
  // Whoever started this process may be gone, and with it the terminal.
  process.on('SIGHUP', () => undefined);

  try {
    await starting;
    logger.info({ pid: process.pid, home }, 'ready');
  } catch (error) {
    logger.fatal({ err: error }, 'did not start');
    const message = error instanceof Error ? error.message : String(error);
    await writeFailure(paths, { pid: process.pid, code: codeOf(error), message });
    process.exit(1);
  }
}

const [home, topologyFile] = process.argv.slice(2);
if (home === undefined || topologyFile === undefined) {
  logger.fatal('usage: main.js HOME TOPOLOGY');
  process.exit(2);
}
await main(home, topologyFile);
