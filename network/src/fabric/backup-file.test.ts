// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { create } from 'tar';
import { NetworkError } from '../errors.js';
import { packBackup, unpackBackup } from './backup-file.js';
import { copyDatabase } from './database-copy.js';
import { rejectionOf } from './testing/rejection.js';

const description = {
  organisation: 'city',
  ledgers: false,
  createdAtMs: 1,
  state: {
    kind: 'sev-fabric-network' as const,
    schemaVersion: 1 as const,
    name: 'test',
    channel: 'testchannel',
    organisations: [{ name: 'city', mspId: 'CityMSP' }],
    portPlan: { offset: 0, ports: {} },
    createdAtMs: 1,
  },
};

describe('a backup file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sev-backup-'));
    mkdirSync(join(directory, 'files', 'keys'), { recursive: true });
    writeFileSync(join(directory, 'files', 'keys', 'key.pem'), 'a secret', { mode: 0o600 });
    writeFileSync(join(directory, 'files', 'public.pem'), 'a certificate');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const at = (name: string): string => join(directory, name);
  const pack = () => packBackup(at('files'), description, at('backup.tar'));

  it('holds every file as it was, and is for its owner only', async () => {
    const manifest = await pack();
    expect(Object.keys(manifest.files)).to.deep.equal(['keys/key.pem', 'public.pem']);
    expect(statSync(at('backup.tar')).mode & 0o777).to.equal(0o600);
    expect(await unpackBackup(at('backup.tar'), at('restored'))).to.deep.equal(manifest);
    expect(readFileSync(at('restored/keys/key.pem'), 'utf8')).to.equal('a secret');
    expect(statSync(at('restored/keys/key.pem')).mode & 0o777).to.equal(0o600);
    expect(statSync(at('restored')).mode & 0o077).to.equal(0);
  });

  it('is refused when a byte of it changed, when its end is missing, and when it is none', async () => {
    await pack();
    const whole = readFileSync(at('backup.tar'));
    const changed = Buffer.from(whole);
    changed.write('b', changed.indexOf('a secret'));
    const files = { changed, cut: whole.subarray(0, whole.indexOf('a certificate')), text: Buffer.from('hello') };
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(at(name), bytes);
      const error = await rejectionOf(unpackBackup(at(name), at(`restored-${name}`)));
      expect(error instanceof NetworkError ? error.code : error, name).to.equal('BACKUP_INVALID');
    }
  });

  it('is refused with a file that its list does not have', async () => {
    await pack();
    await unpackBackup(at('backup.tar'), at('again'));
    writeFileSync(at('again/keys/more.pem'), 'not of the organisation');
    await create({ file: at('mixed.tar'), cwd: at('again') }, ['keys', 'public.pem']);
    expect(String(await rejectionOf(unpackBackup(at('mixed.tar'), at('mixed'))))).to.match(/no manifest/);
    writeFileSync(at('files/keys/more.pem'), 'not of the organisation');
    await create({ file: at('longer.tar'), cwd: at('files') }, ['manifest.json', 'keys', 'public.pem']);
    expect(String(await rejectionOf(unpackBackup(at('longer.tar'), at('longer'))))).to.match(/more\.pem is not as/);
  });
});

describe('the copy of a database', () => {
  it('waits until nobody writes', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sev-database-'));
    try {
      const [database, copy] = [join(directory, 'ca.db'), join(directory, 'copy.db')];
      writeFileSync(database, Buffer.alloc(4_096));
      writeFileSync(`${database}-journal`, 'a change is under way');
      const copying = copyDatabase(database, copy);
      const changed = Buffer.alloc(4_096, 7);
      writeFileSync(database, changed);
      rmSync(`${database}-journal`);
      await copying;
      expect(readFileSync(copy).equals(changed)).to.equal(true);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
