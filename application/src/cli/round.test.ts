// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { VehicleInRound } from '../report/judged-round.js';
import { reportSchema } from '../report/report.js';
import { PRIVACY_NOTE } from '../report/summary.js';
import { exampleRun, sev, type ExampleRun } from '../testing/run.js';

describe('sev round run', function () {
  this.timeout(120_000);
  let run: ExampleRun;
  const onHomes = (...args: string[]): string[] => [...args, '--homes', run.network.homes];

  before(async () => {
    run = await exampleRun();
  });

  it('reports rounds, baselines and an audit that passed', () => {
    const { report } = run;
    expect(report.audit.ok).to.equal(true);
    expect(report.audit.checked).to.be.greaterThan(50);
    expect(report.rounds.map((round) => [round.round, round.cohort, round.excluded])).to.deep.equal([
      [1, 3, 0],
      [2, 3, 0],
    ]);
    expect(new Set(report.rounds.map((round) => round.modelHash)).size).to.equal(2);
    expect(report.rounds.at(-1)!.r2).to.be.greaterThan(report.baselines!.alone.r2 - 0.2);
    const { kind } = run.network.profile.network;
    expect(report.network).to.deep.include({ kind, trust: 'single-operator' });
    expect(report.aggregation).to.equal('secure');
  });

  it('prints exactly one JSON document and writes the same report', async () => {
    const written = JSON.parse(await readFile(join(run.runs, 'latest', 'report.json'), 'utf8')) as unknown;
    expect(JSON.parse(run.answer.stdout)).to.deep.equal(written);
    expect(run.answer.stderr).to.contain(`task price-example · ${PRIVACY_NOTE.secure}\n`).and.not.to.contain('\u001b[');
    expect(run.answer.stderr).to.contain('the network keeps running; `make network-down` stops it');
  });

  it('run again with the same task goes on from the ledger: nothing is trained twice', async () => {
    const again = await sev(...onHomes('round', 'run', '--resume', 'price-example', '--runs', run.runs), '--json');
    expect(again.code).to.equal(0);
    const { rounds } = JSON.parse(again.stdout) as { rounds: { modelHash: string }[] };
    expect(rounds.map((r) => r.modelHash)).to.deep.equal(run.report.rounds.map((r) => r.modelHash));
  });

  it('leaves nothing to vehicles that come when its task is finished: they say so and end', async () => {
    const where = ['--pool', '--home', join(run.network.homes, 'fleet'), '--client', '0/20', '--generate', '400'];
    const peers = ['--store', 'http://127.0.0.1:9', '--batcher', 'maker=http://127.0.0.1:9'];
    const late = await sev('vehicle', 'run', '--task', 'price-example', ...where, ...peers);
    expect(late).to.deep.include({
      code: 0,
      stdout: 'vehicle: task price-example is finished with round 2: there is nothing left to take part in\n',
    });
  });

  it('refuses other options for a task that was started', async () => {
    const changed = ['--task-id', 'price-example', '--vehicles', '4', '--json'];
    const { code, stdout } = await sev(...onHomes('round', 'run', ...changed));
    expect(code).to.equal(2);
    expect(JSON.parse(stdout)).to.have.nested.property('error.code', 'RUN_CONFLICT');
  });

  it('says what is wrong with its input before it starts anything', async () => {
    const cases = [
      { args: ['--data', join(run.runs, 'none.csv')], code: 'DATA_FILE_MISSING' },
      { args: ['--split', 'colour'], code: 'SPLIT_UNKNOWN' },
      { args: ['--task', 'table'], code: 'USAGE' },
      { args: ['--resume', 'price-none'], code: 'RUN_UNKNOWN' },
      { args: ['--vehicles', '2'], code: 'COHORT_TOO_SMALL' },
      { args: ['--vehicles', '4', '--minimum', '5', '--privacy', 'plain'], code: 'COHORT_TOO_SMALL' },
    ];
    for (const { args, code } of cases) {
      const answer = await sev(...onHomes('round', 'run', ...args));
      expect(answer.stderr, code)
        .to.contain(`${code}: `)
        .and.to.match(/\n→ /)
        .and.not.to.match(/^task /m);
      expect(answer.code).to.equal(2);
    }
    const unjudged = ['--vehicles', '4', '--rule', 'uniform', '--attack', 'noisy-validator'];
    const attack = await sev(...onHomes('round', 'run', ...unjudged));
    expect(attack.stderr).to.match(/^ATTACK_UNSUITED: noisy-validator is run by a validator/);
  });

  it('shows tasks, rounds and vehicles, always with the privacy mode of rounds', async () => {
    const status = await sev(...onHomes('round', 'status', 'price-example'));
    expect(status.stdout).to.contain('trust: single-operator');
    for (const args of [
      ['round', 'status', 'price-example'],
      ['round', 'list', 'price-example'],
      ['round', 'show', 'price-example', '1'],
      ['task', 'list'],
      ['task', 'show', 'price-example'],
      ['audit', 'history', 'task', 'price-example'],
    ]) {
      const answer = await sev(...onHomes(...args));
      expect(answer.code, args.join(' ')).to.equal(0);
      expect(answer.stdout).to.contain(PRIVACY_NOTE.secure);
      const json = await sev(...onHomes(...args), '--json');
      expect(() => JSON.parse(json.stdout) as unknown).not.to.throw();
    }
    const vehicles = JSON.parse((await sev(...onHomes('vehicle', 'list'), '--json')).stdout) as unknown[];
    expect(vehicles.length).to.be.at.least(3);
  });

  it('shows in plain words who could see what of a round', async () => {
    const { stdout } = await sev(...onHomes('round', 'show', 'price-example', '1'));
    expect(stdout).to.match(/who could see what\n {2}the vehicle {9,}its own data/);
    expect(stdout.match(/2 of 3 parts of each update: random without part [012]\n/g)).to.have.length(3);
    expect(stdout).to.match(/RegulatorMSP \(arbiter\) +no part of any update\n/);
    expect(stdout).to.match(/organisations +8 random projections of each update \(8 in this task so far\)/);
    expect(stdout).to.contain('every part of the sum was answered for by two aggregators that agree');
  });

  it('audits one task in several stores, and asks for the right store where an object is missing', async () => {
    const empty = await run.network.newHome();
    const verify = (...args: string[]) => sev(...onHomes('audit', 'verify', ...args));
    const stores = ['--store', empty, '--store', run.objects];
    const found = await verify(...stores, '--task', 'price-example');
    expect(found.stdout, found.stderr).to.match(/^audit ok\n[^]*not checked: objects of other tasks\n/);
    const lost = await verify('--store', empty);
    expect(lost.code).to.equal(3);
    expect(lost.stdout).to.match(/OBJECT_MISSING: [^]*\n→ is this the store of that task\? .*--store\n/);
    expect(await readdir(empty)).to.deep.equal([]);
    const unknown = await verify(...stores, '--task', 'price-none');
    expect(unknown.stdout).to.contain('RECORD_UNKNOWN: task price-none');
  });

  it('answers a refusal by the ledger with its code and exit code 3', async () => {
    const answer = await sev(...onHomes('vehicle', 'show', 'v-AAAAAAAAAAAAAAAAAAAAAA'));
    expect(answer.code).to.equal(3);
    expect(answer.stderr).to.match(/^VEHICLE_UNKNOWN: /);
  });

  it('exports the ledger, verifies the file, and fails with 3 once a byte is changed', async () => {
    const file = join(run.runs, 'ledger.sev');
    expect((await sev(...onHomes('audit', 'export', file))).code).to.equal(0);
    const genesis = ['--genesis', run.network.profile.genesisHash];
    const good = await sev(...onHomes('audit', 'verify', '--file', file, ...genesis));
    expect(good.stdout).to.match(/^audit ok\n/);
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
    await writeFile(file, bytes);
    const bad = await sev(...onHomes('audit', 'verify', '--file', file, ...genesis), '--json');
    expect(bad.code).to.equal(3);
    expect(JSON.parse(bad.stdout)).to.have.nested.property('firstFailure.code');
  });

  // Of four: a cohort of three would be too small without it.
  it('takes the weight of a vehicle that learned from false labels, and says so of each round', async () => {
    const exercise = ['--vehicles', '6', '--rounds', '3', '--attack', 'label-flip', '--hostile', '1'];
    const answer = await sev(...onHomes('round', 'run', ...exercise, '--runs', run.runs), '--json');
    expect(answer.code, answer.stderr).to.equal(0);
    const { hostile, taskId, rounds, audit } = reportSchema.parse(JSON.parse(answer.stdout));
    expect(audit.ok).to.equal(true);
    const [attacker] = hostile!.vehicles;
    const shown = await sev(...onHomes('round', 'show', taskId, '3'), '--json');
    const { vehicles } = JSON.parse(shown.stdout) as { vehicles: VehicleInRound[] };
    // In the last round it is in quarantine already, or counts for nothing.
    expect(vehicles.find(({ vehicleId }) => vehicleId === attacker)?.weight ?? 0).to.equal(0);
    expect(vehicles.filter(({ weight }) => weight > 0).length).to.be.at.least(4);
    for (const { judged } of rounds) {
      expect(judged!.lossMicro).to.be.greaterThan(0);
    }
    // An honest validator of few rows may depart once; twice sets it aside.
    const departed = rounds.flatMap(({ judged }) => judged!.departed);
    expect(new Set(departed)).to.have.property('size', departed.length);
    expect(rounds.flatMap(({ judged }) => judged!.quarantined).filter((id) => id !== attacker)).to.deep.equal([]);
    const text = await sev(...onHomes('round', 'show', taskId, '1'));
    expect(text.stdout).to.match(/loss of the base model by validators: CityMSP \d/);
    expect(text.stdout).to.contain(
      'directions that made the reference: CityMSP, GridOperatorMSP, ManufacturerMSP, Regul',
    );
    expect(text.stdout).to.match(
      /8 random projections of each update and its product with one direction \(9 in this task/,
    );
    const task = await sev(...onHomes('task', 'show', taskId));
    expect(task.stdout).to.match(/validated {2}by CityMSP, .*\n[^]*rewards {4}1 units a round/);
  });

  it('has a drawn vehicle attack in an exercise, and says so before, in the report and in its log', async () => {
    const exercise = ['--vehicles', '4', '--rounds', '1', '--attack', 'scaling', '--hostile', '1'];
    const answer = await sev(...onHomes('round', 'run', ...exercise, '--runs', run.runs), '--json');
    expect(answer.code, answer.stderr).to.equal(0);
    const { hostile, taskId, audit } = reportSchema.parse(JSON.parse(answer.stdout));
    expect(audit.ok).to.equal(true);
    expect(hostile).to.include({ attack: 'scaling', share: 0.25 });
    const [attacker = ''] = hostile!.vehicles;
    expect(answer.stderr).to.contain(`warning EXERCISE: 1 of 4 vehicles attack on purpose, by scaling: ${attacker}\n`);
    expect(answer.stderr).to.match(/vehicles: .*"EXERCISE: these vehicles attack on purpose, by scaling"/);
    const round = await sev(...onHomes('round', 'show', taskId, '1'), '--json');
    const { updates } = JSON.parse(round.stdout) as { updates: { envelope?: object; vehicleId: string }[] };
    expect(updates.map(({ vehicleId }) => vehicleId)).to.include(attacker);
  });

  it('ends in order on Ctrl-C with exit code 130, and goes on from there when resumed', async () => {
    const program = fileURLToPath(new URL('../../bin/sev.js', import.meta.url));
    const options = ['--vehicles', '3', '--rounds', '4', '--task-id', 'price-stopped', '--runs', run.runs];
    const child = spawn(process.execPath, [program, ...onHomes('round', 'run', ...options)], {
      env: { ...process.env, SEV_NETWORK_HOME: run.network.networkHome },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const before = log.includes('round 1/4');
      log += text;
      if (!before && log.includes('round 1/4')) {
        child.kill('SIGINT');
      }
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code, log).to.equal(130);
    expect(log).to.contain('INTERRUPTED: ').and.to.contain('→ Go on with: sev round run --resume price-stopped');

    const resumed = await sev(...onHomes('round', 'run', '--resume', 'price-stopped', '--runs', run.runs), '--json');
    expect(resumed.code, resumed.stderr).to.equal(0);
    const report = JSON.parse(resumed.stdout) as {
      rounds: { round: number; attempt: number }[];
      audit: { ok: boolean };
    };
    expect(report.rounds.map((r) => r.round)).to.deep.equal([1, 2, 3, 4]);
    expect(report.audit.ok).to.equal(true);
  });
});

describe('sev vehicle', function () {
  this.timeout(60_000);

  it('enrols a vehicle of its own home by request and certificate, then suspends, reinstates and revokes it', async () => {
    const { network, runs } = await exampleRun();
    const home = await network.newHome();
    const fileOf = (name: string): string => join(runs, `${name}.json`);
    const [car, requests, certificates] = [fileOf('car'), fileOf('requests'), fileOf('certificates')];
    const steps = [
      ['provision', '--home', join(network.homes, 'maker'), '--out', car],
      ['init', '--provisioning', car, '--home', home, '--out', requests],
      ['enroll', '--org', 'city', '--homes', network.homes, '--requests', requests, '--out', certificates],
      ['install', certificates, '--home', home],
    ];
    for (const step of steps) {
      const answer = await sev('vehicle', ...step);
      expect(answer.code, answer.stderr).to.equal(0);
      expect(answer.stdout).not.to.contain('PRIVATE KEY');
      expect(answer.stdout).to.match(/^1 (car|vehicle|certificate|enrolled)\b/);
    }
    expect((await stat(car)).mode & 0o777).to.equal(0o600);
    const [{ vehicleId }] = JSON.parse(await readFile(requests, 'utf8')) as [{ vehicleId: string }];
    expect(await readFile(requests, 'utf8')).not.to.contain('PRIVATE KEY');
    const change = (name: string) =>
      sev('vehicle', name, vehicleId, '--org', 'city', '--homes', network.homes, '--reason', 'test', '--json');
    for (const [name, status] of [
      ['suspend', 'suspended'],
      ['reinstate', 'active'],
      ['revoke', 'revoked'],
    ] as const) {
      const answer = await change(name);
      expect(JSON.parse(answer.stdout), answer.stderr).to.deep.include({ vehicleId, status });
    }
    const again = await sev('vehicle', 'revoke', vehicleId, '--org', 'city', '--homes', network.homes);
    expect(again.code).to.equal(0);
    expect(again.stdout).to.equal(`${vehicleId} is already revoked (test); nothing changed\n`);
    const back = await change('reinstate');
    expect(back.code).to.equal(3);
    expect(JSON.parse(back.stdout)).to.have.nested.property('error.code', 'VEHICLE_STATUS_TRANSITION');
  });
});
