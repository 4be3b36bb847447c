// SPDX-License-Identifier: Apache-2.0
import { Shim } from 'fabric-shim';

/** The shim's loggers that write for every message between chaincode and peer. */
const PER_MESSAGE = [
  'lib/handler.js',
  'lib/stub.js',
  'lib/iterators.js',
  'lib/chaincode.js',
  'contracts-spi/chaincodefromcontract.js',
  'contracts-spi/datamarshall.js',
];

/**
 * Makes the messages that the level (CORE_CHAINCODE_LOGGING_LEVEL) leaves out cost nothing: the logger formats a
 * message first and looks at its level afterwards, which took a fifth of the time of a transaction.
 */
export function skipUnwantedLogging(): void {
  for (const name of PER_MESSAGE) {
    const logger = Shim.newLogger(name);
    for (const level of ['debug', 'info'] as const) {
      if (!logger.isLevelEnabled(level)) {
        logger[level] = () => logger;
      }
    }
  }
}
