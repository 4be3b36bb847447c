// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sha256Hex } from '@sev/chaincode/api';
import { expect } from 'chai';
import fc from 'fast-check';
import { codeOf, eventually, temporaryDirectory } from '../testing/temporary.js';
import { FileStore } from './file-store.js';

describe('file store', () => {
  const temporary = temporaryDirectory();
  const fresh = () => mkdtemp(join(temporary(), 'store-'));
  const pathOf = (directory: string, hash: string) => join(directory, hash.slice(0, 2), hash);

  it('returns what was put, under its SHA-256', async () => {
    const store = await FileStore.open(await fresh());
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1_000 }), async (bytes) => {
        const hash = await store.put(bytes);
        expect(hash).to.equal(sha256Hex(bytes));
        expect(Buffer.from(await store.get(hash)).equals(bytes)).to.equal(true);
        expect(await store.has(hash)).to.equal(true);
      }),
      { numRuns: 25 },
    );
  });

  it('names what is missing, too large, or no hash', async () => {
    const store = await FileStore.open(await fresh(), { maxObjectBytes: 10 });
    expect(await codeOf(store.get('0'.repeat(64)))).to.equal('OBJECT_MISSING');
    expect(await store.has('0'.repeat(64))).to.equal(false);
    expect(await codeOf(store.get('../../etc/passwd'))).to.equal('OBJECT_NAME_INVALID');
    expect(await codeOf(store.put(Buffer.alloc(11)))).to.equal('OBJECT_TOO_LARGE');
    await store.put(Buffer.alloc(10));
  });

  it('finds a file truncated or changed on disk, and putting it again puts it right', async () => {
    const directory = await fresh();
    const store = await FileStore.open(directory);
    const bytes = Buffer.from('a model of some bytes');
    const hash = await store.put(bytes);
    await truncate(pathOf(directory, hash), 5);
    expect(await codeOf(store.get(hash))).to.equal('CONTENT_HASH_MISMATCH');
    await store.put(bytes);
    await store.get(hash);
    const changed = Buffer.from(bytes);
    changed[3]! ^= 1;
    await writeFile(pathOf(directory, hash), changed);
    expect(await codeOf(store.get(hash))).to.equal('CONTENT_HASH_MISMATCH');
  });

  it('takes many writers of the same and of different objects at once', async () => {
    const directory = await fresh();
    const stores = await Promise.all([FileStore.open(directory), FileStore.open(directory)]);
    const contents = Array.from({ length: 10 }, (_, i) => Buffer.alloc(20_000, i));
    const puts = Array.from({ length: 60 }, (_, i) => stores[i % 2]!.put(contents[i % 10]!));
    const hashes = new Set(await Promise.all(puts));
    expect(hashes.size).to.equal(10);
    await Promise.all([...hashes].map((hash) => stores[0].get(hash)));
    expect(await readdir(join(directory, 'tmp'))).to.deep.equal([]);
  });

  it('leaves no partial object when the writer is killed', async function () {
    this.timeout(30_000);
    const directory = await fresh();
    const url = new URL('./file-store.js', import.meta.url).href;
    const program = `
      import { randomBytes } from 'node:crypto';
      const { FileStore } = await import(${JSON.stringify(url)});
      const store = await FileStore.open(process.argv[1]);
      for (;;) await Promise.all([0, 1, 2, 3].map(() => store.put(randomBytes(2_000_000))));`;
    for (let round = 0; round < 3; round++) {
      const before = (await objects(directory)).length;
      const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], { stdio: 'inherit' });
      await eventually(async () => (await objects(directory)).length > before);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    for (const path of await objects(directory)) {
      expect(sha256Hex(await readFile(path))).to.equal(basename(path));
    }
  });

  it('clears away what a dead writer left, and nothing that is being written', async () => {
    const directory = await fresh();
    await FileStore.open(directory);
    const old = join(directory, 'tmp', '.old.tmp');
    await writeFile(old, 'x');
    await writeFile(join(directory, 'tmp', '.new.tmp'), 'x');
    await utimes(old, new Date(0), new Date(0));
    await FileStore.open(directory);
    expect(await readdir(join(directory, 'tmp'))).to.deep.equal(['.new.tmp']);
  });
});

async function objects(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  return names.filter((name) => /^[0-9a-f]{64}$/.test(basename(name))).map((name) => join(directory, name));
}
