// SPDX-License-Identifier: Apache-2.0
import { appendFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../testing/temporary.js';
import { appendDurably, ShareLog, type Append } from './share-log.js';

describe('A log of shares', () => {
  const directory = temporaryDirectory();
  const data = (length: number, byte: number): Buffer => Buffer.alloc(length, byte);
  const newDirectory = (): Promise<string> => mkdtemp(join(directory(), 'log-'));
  const reopened = (path: string): ShareLog => new ShareLog(path, appendDurably);

  it('gives back what was written, at once and in the next process', async () => {
    const path = await newDirectory();
    const log = reopened(path);
    expect(await log.read('v-1')).to.equal(undefined);
    const lengths = [0, 1, 300, 70_000];
    await Promise.all(lengths.map((length, index) => log.write(`v-${String(index)}`, data(length, index))));
    for (const one of [log, reopened(path)]) {
      expect(await one.names()).to.deep.equal(['v-0', 'v-1', 'v-2', 'v-3']);
      for (const [index, length] of lengths.entries()) {
        expect((await one.read(`v-${String(index)}`))?.equals(data(length, index))).to.equal(true);
      }
    }
    expect(await reopened(join(path, 'missing')).names()).to.deep.equal([]);
  });

  it('keeps the first of a name, however close the second comes', async () => {
    const path = await newDirectory();
    const log = reopened(path);
    const kept = await Promise.all([1, 2, 3].map((byte) => log.write('v-1', data(10, byte))));
    expect(kept).to.deep.equal([true, false, false]);
    expect(await log.write('v-1', data(10, 4))).to.equal(false);
    const next = reopened(path);
    expect(await next.write('v-1', data(10, 5))).to.equal(false);
    expect(await next.read('v-1')).to.deep.equal(data(10, 1));
  });

  it('writes together what comes at the same time', async () => {
    let appends = 0;
    const log = new ShareLog(await newDirectory(), (...file) => {
      appends++;
      return appendDurably(...file);
    });
    await Promise.all(Array.from({ length: 50 }, (_, index) => log.write(`v-${String(index)}`, data(100, 1))));
    expect(appends).to.equal(1);
    expect((await log.names()).length).to.equal(50);
  });

  it('forgets a record that was cut off at whatever byte, and goes on in another file', async () => {
    const path = await newDirectory();
    await reopened(path).write('v-1', data(20, 1));
    const whole = await reopened(path).names();
    expect(whole).to.deep.equal(['v-1']);
    await reopened(path).write('v-2', data(20, 2));
    const [first, second] = (await readdir(path)).sort();
    expect((await stat(join(path, second!))).size).to.equal((await stat(join(path, first!))).size);
    for (let size = (await stat(join(path, second!))).size - 1; size >= 0; size--) {
      await truncate(join(path, second!), size);
      expect(await reopened(path).names()).to.deep.equal(['v-1']);
    }
    const again = reopened(path);
    expect(await again.write('v-2', data(20, 3))).to.equal(true);
    expect(await reopened(path).read('v-2')).to.deep.equal(data(20, 3));
    expect((await readdir(path)).length).to.equal(3);
  });

  it('appends no more to a file in which an append failed half way', async () => {
    const path = await newDirectory();
    let fails = true;
    const half: Append = async (file, bytes) => {
      if (fails) {
        await appendDurably(file, bytes.subarray(0, bytes.length - 5));
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      }
      await appendDurably(file, bytes);
    };
    const log = new ShareLog(path, half);
    const failed = await Promise.allSettled([log.write('v-1', data(20, 1)), log.write('v-2', data(20, 1))]);
    expect(failed.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(await log.read('v-1')).to.equal(undefined);
    fails = false;
    // The first of the two reached the disk whole, but nobody was told so.
    expect(await log.write('v-1', data(20, 2))).to.equal(true);
    expect(await log.write('v-2', data(20, 2))).to.equal(true);
    for (const one of [log, reopened(path)]) {
      expect(await one.read('v-1')).to.deep.equal(data(20, 2));
      expect(await one.read('v-2')).to.deep.equal(data(20, 2));
    }
  });

  it('passes over a record that is damaged, and has those after it', async () => {
    const path = await newDirectory();
    const log = reopened(path);
    await Promise.all([1, 2, 3].map((byte) => log.write(`v-${String(byte)}`, data(300, byte))));
    const [name] = await readdir(path);
    const file = await readFile(join(path, name!));
    const at = file.indexOf(data(300, 2));
    for (const [from, to] of [
      [at, at + 300],
      [at + 299, at + 300],
      [at - 1, at],
    ] as const) {
      await writeFile(join(path, name!), Buffer.from(file).fill(0, from, to));
      expect(await reopened(path).names()).to.deep.equal(['v-1', 'v-3']);
    }
    const again = reopened(path);
    expect(await again.write('v-2', data(300, 4))).to.equal(true);
    expect(await reopened(path).read('v-2')).to.deep.equal(data(300, 4));
  });

  it('takes another in the place of one that is not intact, once', async () => {
    const path = await newDirectory();
    const log = reopened(path);
    await log.write('v-1', data(20, 1));
    const isIntact = (before: Buffer): boolean => before[0] !== 1;
    const written = await Promise.all([2, 3, 4].map((byte) => log.write('v-1', data(20, byte), isIntact)));
    expect(written.filter(Boolean)).to.have.length(1);
    const kept = await log.read('v-1');
    expect(kept).to.deep.equal(data(20, 2 + written.indexOf(true)));
    expect(await reopened(path).read('v-1')).to.deep.equal(kept);
  });

  it('has nothing of a record whose file was cut or is gone', async () => {
    const path = await newDirectory();
    const log = reopened(path);
    await log.write('v-1', data(20, 1));
    const [name] = await readdir(path);
    await truncate(join(path, name!), 0);
    expect(await log.read('v-1')).to.have.length(0);
    await rm(join(path, name!));
    expect(await log.read('v-1')).to.have.length(0);
  });

  it('has what earlier versions kept: a file for each record, or records without a checksum', async () => {
    const path = await newDirectory();
    await writeFile(join(path, 'v-1'), data(20, 1));
    await writeFile(join(path, '.v-2.tmp'), data(20, 1));
    for (const byte of [3, 4]) {
      await appendFile(join(path, '000001.log'), Buffer.from([3, 0, 0, 0, 20]));
      await appendFile(join(path, '000001.log'), Buffer.concat([Buffer.from(`v-${String(byte)}`), data(20, byte)]));
    }
    const log = reopened(path);
    expect(await log.names()).to.deep.equal(['v-1', 'v-3', 'v-4']);
    for (const byte of [1, 3, 4]) {
      expect(await log.read(`v-${String(byte)}`)).to.deep.equal(data(20, byte));
      expect(await log.write(`v-${String(byte)}`, data(20, 9))).to.equal(false);
    }
    expect(await log.write('v-2', data(20, 2))).to.equal(true);
    expect(await reopened(path).names()).to.deep.equal(['v-1', 'v-2', 'v-3', 'v-4']);
  });

  it('is for its owner only', async () => {
    const path = await newDirectory();
    await reopened(path).write('v-1', data(20, 1));
    const [name] = await readdir(path);
    expect((await stat(join(path, name!))).mode & 0o777).to.equal(0o600);
    expect((await readFile(join(path, name!))).includes(data(20, 1))).to.equal(true);
  });
});
