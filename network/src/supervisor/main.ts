// SPDX-License-Identifier: Apache-2.0
// The background process of a network: `main.js HOME TOPOLOGY KIND`. Its output is the network's log.
import { pino } from 'pino';
import { NETWORK_ERROR_CODES, type NetworkErrorCode } from '../errors.js';
import type { NetworkKind } from '../topology/ports.js';
import { runNetwork } from './background.js';
import { writeFailure } from './handshake.js';
import { networkPaths } from './paths.js';

const logger = pino({ name: 'network' }, pino.destination({ fd: 1, sync: true }));

/** What holds up the end of a network that has failed is not waited for longer. */
const STOP_AFTER_FAILURE_MS = 10_000;
const DAMAGE_HINT =
  'Put the files of the ledger back as they were, or delete keys, registrations and ledger together with clean';

function isNetworkErrorCode(code: unknown): code is NetworkErrorCode {
  return typeof code === 'string' && code in NETWORK_ERROR_CODES;
}

/** The code of an error of any part, if it is one that the network's users know. */
function codeOf(error: unknown): NetworkErrorCode {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return isNetworkErrorCode(code) ? code : 'NETWORK_START_FAILED';
}

async function main(home: string, topologyFile: string, kind: NetworkKind): Promise<void> {
  const paths = networkPaths(home, kind);
  let stopping = false;
  const shutDown = (exitCode: number): void => {
    if (stopping) {
      return;
    }
    stopping = true;
    starting
      .then((stop) => stop())
      .then(
        () => {
          logger.info('stopped');
          process.exit(exitCode);
        },
        (error: unknown) => {
          logger.error({ err: error }, 'did not stop in order');
          process.exit(1);
        },
      );
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, 'stopping');
    shutDown(0);
  };
  // A network that cannot commit is of no use, and must not look as if it ran.
  const onFailure = (error: Error): void => {
    logger.fatal({ err: error }, 'stopping: nothing can be committed any longer');
    setTimeout(() => process.exit(1), STOP_AFTER_FAILURE_MS).unref();
    shutDown(1);
  };
  const starting = runNetwork(
    paths,
    topologyFile,
    (level, message, fields) => {
      logger[level](fields ?? {}, message);
    },
    onFailure,
  );
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // Whoever started this process may be gone, and with it the terminal.
  process.on('SIGHUP', () => undefined);

  try {
    await starting;
    logger.info({ pid: process.pid, home }, 'ready');
  } catch (error) {
    logger.fatal({ err: error }, 'did not start');
    const code = codeOf(error);
    const reason = error instanceof Error ? error.message : String(error);
    const message = code === 'DATA_LOSS' ? `${reason}. ${DAMAGE_HINT}` : reason;
    await writeFailure(paths, { pid: process.pid, code, message });
    process.exit(1);
  }
}

const [home, topologyFile, kind] = process.argv.slice(2);
if (home === undefined || topologyFile === undefined || (kind !== 'embedded' && kind !== 'fabric')) {
  logger.fatal('usage: main.js HOME TOPOLOGY embedded|fabric');
  process.exit(2);
}
await main(home, topologyFile, kind);
