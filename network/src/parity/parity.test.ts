// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { compareObservations, explains, type FieldDifference } from './compare.js';
import { KNOWN_DIFFERENCES } from './differences.js';
import { startEmbeddedParityNetwork } from './embedded-network.js';
import { readRecording } from './fixtures.js';
import { runScenario } from './run.js';
import type { ParityNetwork } from './scenario.js';
import { PARITY_SUITE } from './suite.js';

describe('The embedded network answers as real Fabric does', function () {
  this.timeout(120_000);
  let network: ParityNetwork;
  const seen: FieldDifference[] = [];
  let compared = 0;

  before(async () => {
    network = await startEmbeddedParityNetwork();
  });
  after(() => network.close());

  for (const [theme, scenarios] of Object.entries(PARITY_SUITE)) {
    for (const scenario of scenarios) {
      it(scenario.name, async () => {
        const recorded = (await readRecording(theme))[scenario.name];
        expect(recorded, 'nothing was recorded; run network/dist/parity/record.js with Fabric').to.not.equal(undefined);
        const differences = compareObservations(scenario.name, recorded!, await runScenario(network, scenario));
        seen.push(...differences);
        compared += 1;
        const unknown = differences.filter((one) => !KNOWN_DIFFERENCES.some((known) => explains(known, one)));
        expect(unknown).to.deep.equal([]);
      });
    }
  }

  it('apart from differences that are still there', function () {
    if (compared < Object.values(PARITY_SUITE).flat().length) {
      this.skip(); // Not all scenarios were run to their end.
    }
    const gone = KNOWN_DIFFERENCES.filter((known) => !seen.some((one) => explains(known, one)));
    expect(gone).to.deep.equal([]);
  });
});

describe('The recordings of real Fabric', () => {
  it('are of scenarios that exist', async () => {
    for (const [theme, scenarios] of Object.entries(PARITY_SUITE)) {
      expect(Object.keys(await readRecording(theme))).to.deep.equal(scenarios.map(({ name }) => name));
    }
  });

  it('differ in what the documentation says', async () => {
    const page = await readFile(new URL('../../../docs/parity.md', import.meta.url), 'utf8');
    const rows = page
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) =>
        line.split(' | ').map((cell) =>
          cell
            .replace(/^\| |\s*\|$/g, '')
            .replaceAll('`', '')
            .trim(),
        ),
      );
    expect(rows).to.deep.equal(KNOWN_DIFFERENCES.map(({ scenario, field, reason }) => [scenario, field, reason]));
  });
});
