// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { acceptBundle } from '../fabric/accept.js';
import { composeChannel } from '../fabric/compose.js';
import { scrapeFile } from '../fabric/monitoring.js';
import { exportPart, initOrganisation } from '../fabric/organisation-home.js';
import { newTestFolder, requireFabric } from '../fabric/testing/network.js';
import { networkClean, networkDown } from '../supervisor/down.js';
import { networkPaths } from '../supervisor/paths.js';
import { poll } from '../supervisor/poll.js';
import { networkUp } from '../supervisor/up.js';
import { pickFreePort } from '../topology/ports.js';
import { networkDoctor } from './doctor.js';

const NAMES = ['grid', 'maker', 'city', 'regulator'] as const;
const MACHINE = ['DISK_LOW', 'DISK_FULL', 'INODES_LOW', 'MEMORY_LOW', 'FILE_LIMIT_LOW', 'CLOCK_UNSYNCHRONISED'];

describe('sev network doctor in a home of one organisation', function () {
  this.timeout(300_000);
  requireFabric(this);
  const folder = newTestFolder();
  const directory = mkdtempSync(join(tmpdir(), 'sev-doctor-apart-'));
  const topologyPath = join(directory, 'consortium.yaml');
  const at = (name: string) => ({ home: join(directory, name), topologyPath, network: 'fabric' as const });
  const offset = process.env['SEV_PORT_OFFSET'];

  before(async () => {
    // Every home has to know the others' ports: they stand in the topology.
    delete process.env['SEV_PORT_OFFSET'];
    const taken = new Set<number>();
    let text = readFileSync(folder.options.topologyPath, 'utf8');
    for (const port of new Set(text.match(/\b(7|8|9|10)05\d\b/g))) {
      text = text.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), (await pickFreePort(taken)).toString());
    }
    writeFileSync(topologyPath, text);
    const parts = NAMES.map((name) => join(directory, `${name}.json`));
    for (const [index, name] of NAMES.entries()) {
      await initOrganisation(name, at(name));
      await exportPart(parts[index] ?? '', at(name));
    }
    await composeChannel(parts, join(directory, 'bundle'), at('grid'));
    for (const name of NAMES) {
      await acceptBundle(join(directory, 'bundle'), [], at(name));
    }
    await Promise.all(NAMES.map((name) => networkUp(at(name))));
  });
  after(async () => {
    await Promise.all(NAMES.map((name) => networkClean(at(name))));
    rmSync(directory, { recursive: true, force: true });
    await folder.remove();
    process.env['SEV_PORT_OFFSET'] = offset ?? 'ephemeral';
  });

  const problems = async (name: string): Promise<string[]> => {
    const { findings } = await networkDoctor({ ...at(name), homes: join(directory, 'homes') });
    const codes = findings.filter(({ level }) => level !== 'ok').map(({ code }) => code);
    return codes.filter((code) => !MACHINE.includes(code)).sort();
  };
  const becomes = async (name: string, expected: readonly string[]): Promise<void> => {
    await poll(async () => JSON.stringify(await problems(name)) === JSON.stringify(expected) || undefined, 60_000);
    expect(await problems(name)).to.deep.equal(expected);
  };

  it('finds nothing wrong with a healthy one', async () => {
    for (const name of NAMES) {
      await becomes(name, []);
    }
  });

  it('watches the nodes of its own home only', () => {
    const text = readFileSync(scrapeFile(networkPaths(at('city').home, 'fabric')), 'utf8');
    expect(text.match(/127\.0\.0\.1:\d+/g)).to.have.length(3);
    expect(text).to.include('peer.city').and.not.to.include('peer.grid');
  });

  it("warns that another organisation's orderer is away, and says when consensus has no quorum", async () => {
    await networkDown(at('city'));
    await becomes('grid', ['ORDERER_UNREACHABLE']);
    expect((await networkDoctor(at('grid'))).ok).to.equal(true);
    await networkDown(at('maker'));
    await becomes('grid', ['ORDERERS_NO_QUORUM', 'ORDERER_UNREACHABLE', 'ORDERER_UNREACHABLE']);
    expect((await networkDoctor(at('grid'))).ok).to.equal(false);
    await Promise.all([networkUp(at('city')), networkUp(at('maker'))]);
    await becomes('grid', []);
  });
});
