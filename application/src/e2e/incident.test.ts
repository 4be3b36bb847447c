// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import type { ModelTrace } from '../auditor/trace/trace-model.js';
import { reportSchema, type Report } from '../report/report.js';
import type { RewardTotals } from '../rewards/accounts.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { sev, type CliRun } from '../testing/run.js';

const TASK = 'price-incident';
const VOTERS = ['city', 'grid', 'regulator'];

/** The whole way on a network, by the commands that people type. */
describe('From a bad model to the corrected one', function () {
  this.timeout(600_000);
  let network: TestNetwork;
  let directory: string;
  let homesBefore: string | undefined;

  before(async () => {
    network = await testNetwork();
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    homesBefore = process.env['SEV_HOMES'];
    process.env['SEV_HOMES'] = network.homes;
    directory = await mkdtemp(join(tmpdir(), 'sev-incident-'));
  });
  after(async () => {
    if (homesBefore === undefined) {
      delete process.env['SEV_HOMES'];
    } else {
      process.env['SEV_HOMES'] = homesBefore;
    }
    await rm(directory, { recursive: true, force: true });
  });

  async function run(...args: string[]): Promise<CliRun> {
    const answer = await sev(...args, '--json');
    expect(answer.code, `${args.join(' ')}: ${answer.stderr}`).to.equal(0);
    return answer;
  }
  const answerOf = async <T>(...args: string[]): Promise<T> => JSON.parse((await run(...args)).stdout) as T;
  const rounds = async (...args: string[]): Promise<Report> =>
    reportSchema.parse(JSON.parse((await run('round', 'run', ...args, '--runs', directory)).stdout));
  const as = (org: string): string[] => ['--org', org];

  it('is walked by sev incident, sev rewards and sev audit trace', async () => {
    // Honest for two rounds: what it reports then counts, in one of them at least, and is there to be taken out.
    const exercise = ['--attack', 'root-aligned', '--attack-from', '3', '--hostile', '1'];
    const made = ['--vehicles', '6', '--rounds', '4', '--until', '3', '--task-id', TASK];
    const [hostile] = (await rounds(...made, ...exercise)).hostile!.vehicles as [string];

    const opening = ['--task', TASK, '--vehicle', hostile, '--rounds', '1-3'];
    const { incidentId: id } = await answerOf<IncidentRecord>('incident', 'open', ...opening);
    expect((await sev('incident', 'evidence', id)).stderr).to.include('INCIDENT_STATE');
    for (const step of ['projections', 'vectors']) {
      for (const org of VOTERS) {
        await run('incident', 'vote', id, '--step', step, ...as(org));
      }
    }
    expect((await sev('incident', 'vote', id, '--step', 'confirm')).stderr).to.include('FINDINGS_MISSING');
    const hashes: string[] = [];
    for (const org of VOTERS) {
      hashes.push((await answerOf<{ hash: string }>('incident', 'evidence', id, ...as(org))).hash);
      await run('incident', 'vote', id, '--step', 'confirm', ...as(org));
    }
    expect(new Set(hashes).size).to.equal(1);
    const { record } = await answerOf<{ record: { modelHash: string; attestedBy: string[] } }>(
      ...['incident', 'correct', id],
    );
    expect(record.attestedBy).to.have.length(4);

    const resumed = await rounds('--resume', TASK);
    expect(resumed.audit.ok).to.equal(true);
    expect(resumed.rounds.map(({ cohort }) => cohort)).to.deep.equal([6, 6, 6, 5]);
    const trace = await answerOf<ModelTrace>('audit', 'trace', resumed.rounds[3]!.modelHash);
    expect(trace.rounds[0]!.baseModelHash).to.equal(record.modelHash);
    const culprit = trace.contributors.find(({ vehicleId }) => vehicleId === hostile);
    expect(culprit === undefined || culprit.status === 'revoked').to.equal(true);
    const book = await answerOf<RewardTotals>('rewards', 'show', '--task', TASK);
    expect(book).to.deep.include({ roundsPaid: 4, problems: [] });
    expect((await sev('audit', 'trace', id)).stdout).to.include(`vehicle ${hostile}: enrolled by ManufacturerMSP`);
  });
});
