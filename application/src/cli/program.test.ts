// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '@sev/fl';
import { expect } from 'chai';
import { InvalidArgumentError } from 'commander';
import { SevError } from '../errors.js';
import { EXIT_CODES } from './exit-codes.js';
import { problemOf } from './problem.js';
import { Progress, duration, progressText } from './progress.js';
import { CapturedStream, sev } from '../testing/run.js';
import { Terminal } from './terminal.js';

const COMMANDS = [
  'network up',
  'network down',
  'network status',
  'network clean',
  'network revoke',
  'network rotate',
  'network backup',
  'network restore',
  'network snapshot',
  'network rejoin',
  'vehicle provision',
  'vehicle init',
  'vehicle enroll',
  'vehicle install',
  'vehicle list',
  'vehicle show',
  'vehicle suspend',
  'vehicle reinstate',
  'vehicle revoke',
  'vehicle run',
  'task create',
  'task list',
  'task show',
  'round run',
  'round status',
  'round list',
  'round show',
  'attack list',
  'incident open',
  'incident list',
  'incident show',
  'incident evidence',
  'incident vote',
  'incident correct',
  'rewards show',
  'rewards statement',
  'rewards pay',
  'audit verify',
  'audit history',
  'audit trace',
  'audit export',
  'store run',
  'coordinator run',
  'batcher run',
  'aggregator run',
  'attester run',
];

describe('sev', () => {
  let networkHome: string;
  let before_: string | undefined;

  before(async () => {
    networkHome = await mkdtemp(join(tmpdir(), 'sev-none-'));
    before_ = process.env['SEV_NETWORK_HOME'];
    process.env['SEV_NETWORK_HOME'] = networkHome;
  });

  after(async () => {
    if (before_ === undefined) {
      delete process.env['SEV_NETWORK_HOME'];
    } else {
      process.env['SEV_NETWORK_HOME'] = before_;
    }
    await rm(networkHome, { recursive: true, force: true });
  });

  it('lists its commands and exit codes in the help', async () => {
    const { code, stdout } = await sev('--help');
    expect(code).to.equal(0);
    for (const { code: exitCode, meaning } of Object.values(EXIT_CODES)) {
      expect(stdout).to.contain(`${String(exitCode)}  ${meaning}`);
    }
    expect(stdout).to.contain('network').and.to.contain('round');
  });

  for (const command of COMMANDS) {
    it(`${command} --help has examples and --json`, async () => {
      const { code, stdout } = await sev(...command.split(' '), '--help');
      expect(code).to.equal(0);
      expect(stdout).to.contain('Examples:').and.to.contain(`sev ${command}`).and.to.contain('--json');
    });
  }

  it('answers wrong usage with exit code 2 and nothing on stdout', async () => {
    for (const args of [
      ['round', 'run', '--rounds', 'many'],
      ['vehicle', 'show'],
      ['fly'],
      ['round', 'run', '--fast'],
      ['incident', 'vote', 'incident-1'],
      ['incident', 'vote', 'incident-1', '--step', 'open'],
      ['incident', 'open', '--task', 'price-1', '--vehicle', 'v-1', '--rounds', '5-3'],
    ]) {
      const { code, stdout, stderr } = await sev(...args);
      expect(code, args.join(' ')).to.equal(2);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/^USAGE: /);
    }
  });

  it('lists the attacks that exercises can run, as a table and as JSON', async () => {
    const table = await sev('attack', 'list');
    const { stdout } = await sev('attack', 'list', '--json');
    const attacks = JSON.parse(stdout) as Record<'name' | 'role' | 'description' | 'knows', string>[];
    expect(attacks.map(({ name }) => name)).to.include.members(['label-flip', 'alie', 'fang', 'sybil']);
    for (const { name, role, description, knows } of attacks) {
      expect(table.stdout).to.contain(name).and.to.contain(description).and.to.contain(knows);
      expect(role).to.be.oneOf(['vehicle', 'validator']);
    }
  });

  it('refuses an attack that it does not know with the list of those it knows, and one without an attacker', async () => {
    const vehicle = ['vehicle', 'run', '--store', 'http://none', '--batcher', 'maker=http://none', '--client', '0/1'];
    for (const command of [['round', 'run', '--vehicles', '4'], vehicle]) {
      const unknown = await sev(...command, '--attack', 'flattery');
      expect(unknown.code).to.equal(EXIT_CODES.usage.code);
      expect(unknown.stderr).to.match(/^ATTACK_UNKNOWN: "flattery" is none of label-flip, [^]*\n→ `sev attack list`/);
      const alone = await sev(...command, '--hostile', '2');
      expect(alone.code).to.equal(EXIT_CODES.usage.code);
      expect(alone.stderr).to.match(/^USAGE: --hostile /);
    }
    const validator = await sev(...vehicle, '--attack', 'noisy-validator');
    expect(validator.code).to.equal(EXIT_CODES.usage.code);
    expect(validator.stderr).to.match(/^ATTACK_UNSUITED: /);
    const attester = await sev('attester', 'run', '--org', 'city', '--store', 'http://none', '--attack', 'alie');
    expect(attester.stderr).to.match(/^ATTACK_UNSUITED: alie is run by a vehicle, not by a validator/);
    const many = await sev('round', 'run', '--vehicles', '4', '--attack', 'alie', '--hostile', '5');
    expect(many.stderr).to.match(/^HOSTILE_TOO_MANY: 5 of 4 /);
    const half = await sev('round', 'run', '--vehicles', '4', '--attack', 'alie', '--hostile', '1.5');
    expect(half.stderr).to.match(/^USAGE: .*a share between 0 and 1/);
  });

  it('prints its help where nothing is named, and its version', async () => {
    const { code, stderr } = await sev();
    expect(code).to.equal(2);
    expect(stderr)
      .to.match(/^Usage: sev /)
      .and.not.to.contain('USAGE:');
    const version = await sev('--version');
    expect(version).to.deep.include({ code: 0, stderr: '' });
    expect(version.stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('names the operand that is wrong, and its value', async () => {
    const { code, stderr } = await sev('round', 'show', 'price-1', 'abc');
    expect(code).to.equal(2);
    expect(stderr).to.match(/^USAGE: argument 'round': value 'abc' is invalid\. It must be a whole number/);
  });

  it('shows a group’s help, exit code 2, where no command is named', async () => {
    const { code, stderr } = await sev('round');
    expect(code).to.equal(2);
    expect(stderr).to.contain('run');
  });

  it('says that the network is not running, what to do next, and exits with 4', async () => {
    const { code, stdout, stderr } = await sev('vehicle', 'list');
    expect(code).to.equal(EXIT_CODES.unreachable.code);
    expect(stdout).to.equal('');
    expect(stderr)
      .to.match(/^NETWORK_NOT_RUNNING: /)
      .and.to.match(/\n→ .*sev network up/);
  });

  it('with --json prints errors as one JSON document too', async () => {
    const { code, stdout } = await sev('task', 'list', '--json');
    expect(code).to.equal(4);
    const answer = JSON.parse(stdout) as { error: { code: string; hint: string }; exitCode: number };
    expect(answer.error.code).to.equal('NETWORK_NOT_RUNNING');
    expect(answer.error.hint).to.contain('sev network up');
    expect(answer.exitCode).to.equal(4);
    const usage = await sev('task', 'show', '--json');
    expect(usage.code).to.equal(2);
    expect(JSON.parse(usage.stdout)).to.have.nested.property('error.code', 'USAGE');
  });

  it('tells what is wrong with a file or value that only the command itself looks at', async () => {
    const missing = await sev('audit', 'verify', '--no-store', '--file', join(networkHome, 'none.sev'));
    expect(missing.code).to.equal(2);
    expect(missing.stderr).to.match(/^FILE_UNUSABLE: .*none\.sev/);
    const hash = await sev('audit', 'verify', '--no-store', '--genesis', 'abc');
    expect(hash.code).to.equal(2);
    expect(hash.stderr).to.contain('64 hexadecimal digits');
    const refused = problemOf(new InvalidArgumentError('It must be a whole number from 1 to 10.'));
    expect(refused).to.include({ code: 'USAGE', exitCode: 2 });
    expect(problemOf(new SevError('INTERRUPTED', 'stopped')).exitCode).to.equal(130);
    const large = problemOf(new EngineError('MODEL_TOO_LARGE', 'too many parameters'));
    expect(large).to.include({ code: 'MODEL_TOO_LARGE', message: 'too many parameters', exitCode: 2 });
  });

  it('says which of schema and data a table lacks', async () => {
    const run = ['round', 'run', '--task', 'table'];
    const files = { schema: join(networkHome, 'none.json'), data: join(networkHome, 'none.csv') };
    const bare = await sev(...run, '--data', files.data);
    expect([bare.code, bare.stderr.split('\n')[0]]).to.deep.equal([2, 'USAGE: A task of kind table needs --schema']);
    const empty = await sev(...run, '--schema', files.schema);
    expect([empty.code, empty.stderr.split('\n')[0]]).to.deep.equal([2, 'USAGE: A task of kind table needs --data']);
  });

  it('says that a file is missing, and what writes it', async () => {
    const none = join(networkHome, 'none.json');
    for (const args of [
      ['install', none],
      ['init', '--provisioning', none],
      ['enroll', '--requests', none],
    ]) {
      const { code, stderr } = await sev('vehicle', ...args);
      expect(code).to.equal(2);
      expect(stderr).to.match(/^FILE_UNREADABLE: .*none\.json: no such file\n→ .*`sev vehicle \w+ --out` writes/);
    }
  });

  it('makes no folder where a store or an export was named by mistake', async () => {
    const folder = join(networkHome, 'nowhere');
    const verify = await sev('audit', 'verify', '--store', folder);
    expect(verify.code).to.equal(2);
    expect(verify.stderr).to.match(/^STORE_MISSING: .*nowhere: no such folder\n→ /);
    const written = await sev('audit', 'export', join(folder, 'ledger.sev'));
    expect(written.code).to.equal(2);
    expect(written.stderr).to.match(/^FILE_UNUSABLE: .*nowhere/);
    expect(existsSync(folder)).to.equal(false);
  });
});

describe('terminal', () => {
  const answer = (isTTY: boolean, env: Record<string, string>): string => {
    const stdout = new CapturedStream(isTTY);
    const stderr = new CapturedStream(isTTY);
    const terminal = new Terminal({ stdout, stderr, env, json: false });
    terminal.answer({}, terminal.paint.green('good'));
    terminal.problem({ code: 'X', message: 'bad', exitCode: 1 });
    return stdout.text + stderr.text;
  };

  it('colours what people see', () => {
    expect(answer(true, {})).to.contain('\u001b[');
  });

  it('uses no colour when piped, with NO_COLOR, or on a dumb terminal', () => {
    expect(answer(false, {})).not.to.contain('\u001b[3');
    expect(answer(true, { NO_COLOR: '1' })).not.to.contain('\u001b[3');
    expect(answer(true, { TERM: 'dumb' })).not.to.contain('\u001b[3');
  });
});

describe('progress', () => {
  it('tells rate and remaining time', () => {
    const shape = { label: 'round', unit: 'rounds' };
    expect(progressText(shape, 3, 10, 2)).to.equal('round 3/10 · 2.0 rounds/s · 4 s left');
    expect(progressText(shape, 10, 10, 2, 'R² 0.8')).to.equal('round 10/10 · 2.0 rounds/s · R² 0.8');
    expect(progressText(shape, 7, undefined, 10)).to.equal('round 7 · 10 rounds/s');
  });

  it('writes times as people say them', () => {
    expect([duration(3.2), duration(125), duration(3_780)]).to.deep.equal(['4 s', '2 min 5 s', '1 h 3 min']);
  });

  it('is quiet in a log but for a line every two seconds', () => {
    const lines: string[] = [];
    let now = 0;
    const terminal = { isLive: false, status: (text: string) => lines.push(text) };
    const progress = new Progress({ terminal, label: 'block', unit: 'blocks', now: () => now });
    for (let done = 1; done <= 50; done++) {
      now += 100;
      progress.update(done, 50);
    }
    expect(lines).to.have.length(2);
  });
});
