// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { extract } from 'tar';
import { readFile } from 'node:fs/promises';
import { NetworkError } from '../errors.js';
import { codeHash, packageChaincode, packageFiles } from './chaincode-package.js';

describe('A chaincode package', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sev-code-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (root: string, files: Record<string, string>): void => {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(root, name, '..'), { recursive: true });
      writeFileSync(join(root, name), content);
    }
  };
  const manifest = (more: object = {}): string =>
    JSON.stringify({ name: 'cc', version: '1.0.0', main: 'dist/index.js', ...more });
  const sources = {
    'dist/index.js': 'exports.contracts = [];',
    'dist/rules.js': '1',
    'dist/rules.test.js': '2',
    'notes.md': 'x',
  };

  it('has the files that its package.json names, and never its dependencies', async () => {
    write(folder, {
      'package.json': manifest({ files: ['dist', '!dist/**/*.test.*'] }),
      ...sources,
      'node_modules/a/index.js': '',
    });
    expect(await packageFiles(folder)).to.deep.equal(['dist/index.js', 'dist/rules.js', 'package.json']);
    write(folder, { 'package.json': manifest() });
    expect(await packageFiles(folder)).to.have.members(['package.json', ...Object.keys(sources)]);
  });

  it('has the same id wherever and whenever it is made of the same code', async () => {
    const other = mkdtempSync(join(tmpdir(), 'sev-code-'));
    try {
      for (const root of [folder, other]) {
        write(root, { 'package.json': manifest(), ...sources });
      }
      utimesSync(join(other, 'dist', 'index.js'), 1, 1);
      const [one, two] = await Promise.all([packageChaincode(folder, 'cc', '1'), packageChaincode(other, 'cc', '1')]);
      expect(two).to.deep.equal(one);
      expect(one.packageId).to.equal(`${one.label}:${createHash('sha256').update(one.bytes).digest('hex')}`);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  it('has another id for other code, even a byte of it', async () => {
    write(folder, { 'package.json': manifest(), ...sources });
    const before = await packageChaincode(folder, 'cc', '1');
    write(folder, { 'dist/rules.js': '2' });
    const after = await packageChaincode(folder, 'cc', '1');
    expect(after.codeSha256).to.not.equal(before.codeSha256);
    expect(after.packageId).to.not.equal(before.packageId);
  });

  it('holds the hash of the code, and places instead of addresses and keys', async () => {
    write(folder, { 'package.json': manifest(), ...sources });
    const built = await packageChaincode(folder, 'cc', '1');
    const out = mkdtempSync(join(tmpdir(), 'sev-out-'));
    try {
      writeFileSync(join(out, 'package.tgz'), built.bytes);
      await extract({ cwd: out, file: join(out, 'package.tgz') });
      await extract({ cwd: out, file: join(out, 'code.tar.gz') });
      expect(JSON.parse(await readFile(join(out, 'metadata.json'), 'utf8'))).to.deep.equal({
        type: 'ccaas',
        label: built.label,
      });
      const connection = JSON.parse(await readFile(join(out, 'connection.json'), 'utf8')) as Record<string, unknown>;
      expect(connection).to.include({
        code_sha256: await codeHash(folder),
        address: '{{.address}}',
        client_key: '{{.key}}',
      });
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });

  it('is refused without a manifest, or without the file that it names', async () => {
    const codeOf = (action: Promise<unknown>): Promise<unknown> =>
      action.then(
        () => 'made',
        (error: unknown) => (error instanceof NetworkError ? error.code : error),
      );
    expect(await codeOf(codeHash(folder))).to.equal('CHAINCODE_INVALID');
    write(folder, { 'package.json': manifest() });
    expect(await codeOf(codeHash(folder))).to.equal('CHAINCODE_INVALID');
    write(folder, { 'package.json': '{}' });
    expect(await codeOf(codeHash(folder))).to.equal('CHAINCODE_INVALID');
    write(folder, { 'package.json': '{' });
    expect(await codeOf(codeHash(folder))).to.equal('CHAINCODE_INVALID');
  });

  it('does not follow links out of its folder', async () => {
    write(folder, { 'package.json': manifest(), ...sources });
    symlinkSync('/etc/hostname', join(folder, 'dist', 'link.js'));
    expect(await packageFiles(folder)).to.not.include('dist/link.js');
  });
});
