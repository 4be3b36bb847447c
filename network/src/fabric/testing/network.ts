// SPDX-License-Identifier: Apache-2.0
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Suite } from 'mocha';
import { networkClean } from '../../supervisor/down.js';
import { programProblems } from '../programs.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const SHIPPED_TOPOLOGY = join(ROOT, 'test-network-config', 'consortium.yaml');
const CHAINCODE = join(ROOT, 'network', 'fixtures', 'testcc');

/** Skips a suite, saying why, where Fabric's programs are absent. */
export function requireFabric(suite: Suite): void {
  suite.beforeAll(async function () {
    const problems = await programProblems();
    if (problems.length > 0) {
      process.stdout.write(`  skipped: ${problems.map(({ detail }) => detail).join('; ')}\n`);
      this.skip();
    }
  });
}

/** A folder for one native network under test: topology, chaincode of its own, home. */
export interface TestFolder {
  readonly options: { readonly home: string; readonly topologyPath: string; readonly network: 'fabric' };
  /** A copy of the test chaincode, to be changed at will. */
  readonly chaincode: string;
  remove(): Promise<void>;
}

/** @param change of the shipped topology's text */
export function newTestFolder(change: (topology: string) => string = (text) => text): TestFolder {
  process.env['SEV_PORT_OFFSET'] = 'ephemeral';
  const directory = mkdtempSync(join(tmpdir(), 'sev-fabric-'));
  const chaincode = join(directory, 'testcc');
  cpSync(CHAINCODE, chaincode, { recursive: true });
  // The copy's dependencies are the workspace's.
  symlinkSync(join(ROOT, 'node_modules'), join(chaincode, 'node_modules'));
  const topologyPath = join(directory, 'consortium.yaml');
  const shipped = readFileSync(SHIPPED_TOPOLOGY, 'utf8');
  const own = shipped.replace(/^chaincode: .*$/m, `chaincode: { name: testcc, version: "1.0", path: ${chaincode} }`);
  writeFileSync(topologyPath, change(own));
  const options = { home: join(directory, 'home'), topologyPath, network: 'fabric' as const };
  return {
    options,
    chaincode,
    remove: async () => {
      await networkClean(options);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
