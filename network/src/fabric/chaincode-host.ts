// SPDX-License-Identifier: Apache-2.0
/**
 * What a chaincode process runs on a native network: it says which code it runs, then becomes `fabric-chaincode-node`.
 * `node chaincode-host.js <fabric-shim's cli.js> server …`, with SEV_CHAINCODE_PATH and SEV_CHAINCODE_REPORT.
 */
import { writeFileAtomic } from '../durable.js';
import { formatJson } from '../supervisor/json.js';
import { codeHash } from './chaincode-package.js';

const path = process.env['SEV_CHAINCODE_PATH'];
const report = process.env['SEV_CHAINCODE_REPORT'];
if (path === undefined || report === undefined) {
  throw new Error('SEV_CHAINCODE_PATH and SEV_CHAINCODE_REPORT are needed');
}
await writeFileAtomic(report, formatJson({ pid: process.pid, codeSha256: await codeHash(path) }));
await import('../embedded/chaincode/host.js');
