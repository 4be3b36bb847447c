// SPDX-License-Identifier: Apache-2.0
import { chmod, mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readOrMakePrivateKey } from '../identity/keys.js';
import { temporaryDirectory } from '../testing/temporary.js';
import { makePrivateDirectory, removeLeftovers, writeFileOnce } from './files.js';

describe('files', () => {
  const temporary = temporaryDirectory();
  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

  it('makes private directories, and closes those that were open to others', async () => {
    const made = join(temporary(), 'made', 'within');
    await makePrivateDirectory(made);
    expect(await modeOf(made)).to.equal(0o700);
    const open = join(temporary(), 'open');
    await mkdir(open);
    await chmod(open, 0o755);
    await makePrivateDirectory(open);
    expect(await modeOf(open)).to.equal(0o700);
  });

  it('lets one of several writers at once write a file, and leaves nothing else behind', async () => {
    const directory = join(temporary(), 'once');
    await mkdir(directory);
    const path = join(directory, 'file');
    const texts = Array.from({ length: 20 }, (_, i) => `text ${String(i)}`);
    const wrote = await Promise.all(texts.map((text) => writeFileOnce(path, text, { mode: 0o600 })));
    expect(wrote.filter(Boolean)).to.have.length(1);
    expect(await readFile(path, 'utf8')).to.equal(texts[wrote.indexOf(true)]);
    expect(await modeOf(path)).to.equal(0o600);
    expect(await readdir(directory)).to.deep.equal(['file']);
  });

  it('takes away what writers left that were killed before this process began, and nothing else', async () => {
    const directory = join(temporary(), 'leftovers');
    await mkdir(directory);
    const [left, present, other] = ['.key.pem.0123456789ab.tmp', '.key.pem.ba9876543210.tmp', '.key.pem.tmp'] as const;
    const before = new Date(performance.timeOrigin - 1);
    for (const name of [left, present, other, 'key.pem']) {
      await writeFile(join(directory, name), '');
      if (name !== present) {
        await utimes(join(directory, name), before, before);
      }
    }
    await removeLeftovers(directory);
    expect(await readdir(directory)).to.have.members([present, other, 'key.pem']);
    await removeLeftovers(join(directory, 'nowhere'));
  });

  it('gives everybody who makes a private key at the same time the same one', async () => {
    const path = join(temporary(), 'key.pem');
    const keys = await Promise.all(Array.from({ length: 8 }, () => readOrMakePrivateKey(path)));
    expect(keys.every((key) => key.equals(keys[0]!))).to.equal(true);
  });
});
