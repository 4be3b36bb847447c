// SPDX-License-Identifier: Apache-2.0
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { reportSchema, type Report } from '../report/report.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { sev } from '../testing/run.js';
import { reportBytes } from './report-message.js';

const VEHICLES = 6;
const ROUNDS = 2;

describe('sev round run --privacy he', function () {
  this.timeout(300_000);
  let network: TestNetwork;
  let report: Report;
  let storedBefore: ReadonlySet<string>;

  /** Names of what the store holds; other runs of the process share it. */
  const stored = async (): Promise<string[]> => {
    const objects = join(network.homes, 'store', 'objects');
    const entries = await readdir(objects, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  };

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    const { homes } = network;
    storedBefore = new Set(await stored());
    const folders = ['--homes', homes, '--runs', join(homes, '..', 'he-reports')];
    const size = ['--vehicles', String(VEHICLES), '--rounds', String(ROUNDS), '--task-id', 'price-he'];
    const answer = await sev('round', 'run', '--privacy', 'he', ...size, ...folders, '--json');
    expect(answer.code, answer.stderr).to.equal(0);
    expect(answer.stderr).to.contain('he: no organisation by itself sees an update while all follow the protocol');
    report = reportSchema.parse(JSON.parse(answer.stdout));
  });

  it('learns from all vehicles, and an audit follows it', () => {
    expect(report).to.include({ aggregation: 'he' });
    expect(report.audit.ok).to.equal(true);
    expect(report.rounds.map(({ round, attempt, cohort }) => [round, attempt, cohort])).to.deep.equal([
      [1, 1, VEHICLES],
      [2, 1, VEHICLES],
    ]);
    expect(report.rounds[1]!.r2).to.be.greaterThan(report.rounds[0]!.r2);
    const length = 11_137 + 2;
    expect(report.rounds[0]!.uploadBytesPerVehicle).to.be.within(reportBytes(length), reportBytes(length) + 500);
  });

  it('leaves in the store, beside models, keys, sums and openings and nothing of a single vehicle', async () => {
    const contract = learning(await network.session('grid', 'operator'));
    const { task } = await contract.task('price-he');
    const known = new Set([task.model.initialModelHash]);
    for (const round of [1, 2]) {
      const { he, proposal } = await contract.round({ taskId: 'price-he', round });
      const { opening, sumHash = '', masksHash = '', maskedHash = '' } = he!;
      [opening.publicKeyHash, sumHash, masksHash, maskedHash, proposal!.modelHash].forEach((hash) => known.add(hash));
    }
    const added = (await stored()).filter((name) => !storedBefore.has(name));
    expect(added.filter((name) => !known.has(name))).to.deep.equal([]);
    expect([...known].filter((hash) => !added.includes(hash) && !storedBefore.has(hash))).to.deep.equal([]);
  });

  it('shows the mode wherever it prints a round', async () => {
    for (const what of [
      ['show', 'price-he', '1'],
      ['status', 'price-he'],
      ['list', 'price-he'],
    ]) {
      const answer = await sev('round', ...what, '--homes', network.homes);
      expect(answer.code, answer.stderr).to.equal(0);
      expect(answer.stdout).to.contain('he: no organisation by itself');
    }
    const shown = await sev('round', 'show', 'price-he', '1', '--homes', network.homes);
    expect(shown.stdout).to.contain('of a single update nothing is opened');
  });
});
