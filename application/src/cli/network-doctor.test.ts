// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { EXIT_CODES } from './exit-codes.js';
import { sev } from '../testing/run.js';

interface Report {
  readonly ok: boolean;
  readonly running: string;
  readonly errors: number;
  readonly findings: readonly { check: string; level: string; code: string; advice?: string }[];
}

describe('sev network doctor, metrics and systemd', () => {
  const settings = ['SEV_NETWORK_HOME', 'SEV_HOMES', 'SEV_PORT_OFFSET', 'NETWORK'] as const;
  let before_: (string | undefined)[];
  let directory: string;

  beforeEach(async () => {
    before_ = settings.map((name) => process.env[name]);
    directory = await mkdtemp(join(tmpdir(), 'sev-doctor-'));
    process.env['SEV_NETWORK_HOME'] = join(directory, 'network');
    process.env['SEV_HOMES'] = join(directory, 'homes');
    process.env['NETWORK'] = 'embedded';
    // Nobody listens there: ports beyond those of outgoing connections.
    process.env['SEV_PORT_OFFSET'] = '54000';
  });
  afterEach(async () => {
    settings.forEach((name, index) => {
      const value = before_[index];
      if (value === undefined) {
        Reflect.deleteProperty(process.env, name);
      } else {
        process.env[name] = value;
      }
    });
    await rm(directory, { recursive: true, force: true });
  });

  it('ends with 0 where nothing is wrong, and changes nothing', async () => {
    const { code, stdout } = await sev('network', 'doctor', '--json');
    const report = JSON.parse(stdout) as Report;
    expect(report.findings.filter(({ level }) => level === 'error')).to.deep.equal([]);
    expect({ ok: report.ok, running: report.running }).to.deep.equal({ ok: true, running: 'never' });
    expect(code).to.equal(EXIT_CODES.ok.code);
    expect(existsSync(join(directory, 'network'))).to.equal(false);
  });

  it('ends with another code where an error is found, and says what to do', async () => {
    await mkdir(join(directory, 'network', 'embedded'), { recursive: true });
    await writeFile(join(directory, 'network', 'embedded', 'diary.txt'), 'mine');
    const { code, stdout } = await sev('network', 'doctor');
    expect(code).to.equal(EXIT_CODES.failure.code);
    expect(stdout).to.match(/^ERROR +state: STATE_UNREADABLE: .*no network state/m);
    expect(stdout).to.include('Choose another home (SEV_NETWORK_HOME)');
  });

  it('writes figures as Prometheus reads them', async () => {
    const file = join(directory, 'textfile', 'sev.prom');
    const { code } = await sev('network', 'metrics', '--out', file);
    expect(code).to.equal(0);
    expect(await readFile(file, 'utf8')).to.match(/^# TYPE sev_network_up gauge\nsev_network_up 0$/m);
  });

  it('writes no units where no native network lies', async () => {
    const out = join(directory, 'units');
    const { code, stderr } = await sev('network', 'systemd', '--organisation', 'grid', '--out', out);
    expect(code).to.equal(EXIT_CODES.usage.code);
    expect(stderr).to.include('NOT_SUPPORTED');
    expect(existsSync(out)).to.equal(false);
  });
});
