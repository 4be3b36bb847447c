// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestConsortium } from './consortium';
import { runSampleHistory } from './sample-history';

/** What a fixture of a version's state holds: keys as Fabric stores them, values as the contracts wrote them. */
export interface StateFixture {
  readonly chaincodeVersion: string;
  readonly bootstrapHash: string;
  readonly nowMs: number;
  readonly state: Readonly<Record<string, unknown>>;
}

/** Runs the sample on the contracts as they are and keeps the state: `node chaincode/dist/testing/write-fixture.js`. */
async function writeFixture(): Promise<string> {
  const root = join(__dirname, '..', '..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const consortium = new TestConsortium();
  await runSampleHistory(consortium);
  const { ledger, bootstrapHash, nowMs } = consortium;
  const keys = ledger.range('', '\u{10ffff}');
  const state = Object.fromEntries(keys.map((key) => [key, JSON.parse(ledger.get(key)?.toString() ?? '') as unknown]));
  const fixture: StateFixture = { chaincodeVersion: version, bootstrapHash, nowMs, state };
  const path = join(root, 'fixtures', `state-${version}.json`);
  writeFileSync(path, `${JSON.stringify(fixture, null, 2)}\n`);
  return path;
}

if (require.main === module) {
  void writeFixture().then((path) => {
    process.stdout.write(`${path}\n`);
  });
}
