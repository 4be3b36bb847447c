// SPDX-License-Identifier: Apache-2.0
/** A network in a process of its own: `node child.js <data folder> <file with the consortium's material>`. */
import { readFile } from 'node:fs/promises';
import { startEmbeddedNetwork } from '../network.js';
import { EXIT_CODE_OF_FAILURE, networkConfig, type OrganisationMaterial } from './consortium.js';

/** What the process says once the network is ready. */
export interface ChildReady {
  readonly ports: readonly (readonly [string, number])[];
  readonly chaincodePids: readonly (number | undefined)[];
}

const [dataDir, materialFile] = process.argv.slice(2);
if (dataDir === undefined || materialFile === undefined) {
  throw new Error('usage: child.js <data folder> <material file>');
}
const consortium = JSON.parse(await readFile(materialFile, 'utf8')) as OrganisationMaterial[];
const network = await startEmbeddedNetwork(
  networkConfig(dataDir, consortium, { onFailure: () => process.exit(EXIT_CODE_OF_FAILURE) }),
);
const ready: ChildReady = {
  ports: [...network.gatewayPorts],
  chaincodePids: network.chaincodeStatus().map(({ pid }) => pid),
};
process.stdout.write(`${JSON.stringify(ready)}\n`);
