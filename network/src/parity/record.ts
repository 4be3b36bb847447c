// SPDX-License-Identifier: Apache-2.0
// Records what real Fabric answers: `node network/dist/parity/record.js [theme…]`. PARITY_HOME names a folder in which the
// network stays up afterwards; otherwise it is brought up for this and removed again.
import { startFabricParityNetwork } from './fabric-network.js';
import { writeRecording, writeSource } from './fixtures.js';
import { runScenario } from './run.js';
import { PARITY_SUITE } from './suite.js';
import type { Observation } from './scenario.js';

const asked = process.argv.slice(2);
const unknown = asked.filter((theme) => !(theme in PARITY_SUITE));
if (unknown.length > 0) {
  process.stderr.write(`no such theme: ${unknown.join(', ')}; there are ${Object.keys(PARITY_SUITE).join(', ')}\n`);
  process.exit(2);
}
process.env['SEV_PORT_OFFSET'] ??= 'ephemeral';
const network = await startFabricParityNetwork(process.env['PARITY_HOME']);
try {
  for (const [theme, scenarios] of Object.entries(PARITY_SUITE)) {
    if (asked.length > 0 && !asked.includes(theme)) {
      continue;
    }
    const recording: Record<string, Observation> = {};
    for (const scenario of scenarios) {
      process.stdout.write(`${scenario.name}\n`);
      recording[scenario.name] = await runScenario(network, scenario);
    }
    await writeRecording(theme, recording);
  }
  await writeSource(network.description);
} finally {
  await network.close();
}
