// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { programProblems } from '../fabric/programs.js';
import { compareObservations } from './compare.js';
import { startFabricParityNetwork } from './fabric-network.js';
import { readRecording } from './fixtures.js';
import { runScenario } from './run.js';
import type { ParityNetwork } from './scenario.js';
import { PARITY_SUITE } from './suite.js';

describe('Real Fabric answers as it did when it was recorded', function () {
  this.timeout(300_000);
  let network: ParityNetwork | undefined;

  before(async function () {
    const problems = await programProblems();
    if (problems.length > 0) {
      process.stdout.write(`skipped: ${problems.map(({ detail }) => detail).join('; ')}\n`);
      this.skip();
    }
    process.env['SEV_PORT_OFFSET'] ??= 'ephemeral';
    network = await startFabricParityNetwork(process.env['PARITY_HOME']);
  });
  after(() => network?.close());

  for (const [theme, scenarios] of Object.entries(PARITY_SUITE)) {
    for (const scenario of scenarios) {
      it(scenario.name, async () => {
        const recorded = (await readRecording(theme))[scenario.name];
        if (recorded === undefined || network === undefined) {
          throw new Error('nothing was recorded; run network/dist/parity/record.js');
        }
        expect(compareObservations(scenario.name, recorded, await runScenario(network, scenario))).to.deep.equal([]);
      });
    }
  }
});
