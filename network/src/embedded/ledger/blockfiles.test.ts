// SPDX-License-Identifier: Apache-2.0
import { appendFile, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { encodeVarint } from '../protocol/varint.js';
import { BlockFiles } from './blockfiles.js';

const START = { file: 0, offset: 0 };

async function frames(directory: string): Promise<{ found: string[]; removed: number }> {
  const files = await BlockFiles.open(directory, START);
  try {
    const found: string[] = [];
    for await (const { bytes } of files.scan()) {
      found.push(bytes.toString('hex'));
    }
    return { found, removed: await files.truncate() };
  } finally {
    await files.close();
  }
}

describe('Block files', function () {
  this.timeout(30_000);
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'blockfiles-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('give back whole blocks, whatever is left of the last', async () => {
    const block = fc.uint8Array({ minLength: 1, maxLength: 400 });
    await fc.assert(
      fc.asyncProperty(fc.array(block, { maxLength: 5 }), block, fc.nat(), async (blocks, torn, cut) => {
        const folder = await mkdtemp(join(directory, 'run-'));
        const files = await BlockFiles.open(folder, START);
        for (const bytes of blocks) {
          const location = await files.append(bytes);
          expect(await files.read(location)).to.deep.equal(Buffer.from(bytes));
        }
        await files.close();
        const frame = Buffer.concat([encodeVarint(torn.length), torn]);
        const rest = frame.subarray(0, cut % frame.length);
        await appendFile(join(folder, 'blockfile_000000'), rest);
        const { found, removed } = await frames(folder);
        expect(found).to.deep.equal(blocks.map((bytes) => Buffer.from(bytes).toString('hex')));
        expect(removed).to.equal(rest.length);
        expect((await frames(folder)).removed).to.equal(0);
      }),
      { numRuns: 30 },
    );
  });

  it('give no block whose length prefix has changed', async () => {
    const files = await BlockFiles.open(directory, START);
    const location = await files.append(Buffer.alloc(200, 7));
    const file = await open(join(directory, 'blockfile_000000'), 'r+');
    await file.write(Buffer.from([0xc9]), 0, 1, 0);
    await file.close();
    const error: unknown = await files.read(location).catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'DATA_LOSS');
    await files.close();
  });

  it('go on in a new file when one is full', async () => {
    const files = await BlockFiles.open(directory, START);
    const large = Buffer.alloc(33 * 1024 * 1024, 7);
    await files.append(large);
    await files.append(large);
    const location = await files.append(Buffer.from('next'));
    expect(location).to.deep.equal({ file: 1, offset: 1, length: 4 });
    expect((await files.read(location)).toString()).to.equal('next');
    await files.close();
    expect(await readdir(directory)).to.deep.equal(['blockfile_000000', 'blockfile_000001']);
    const { found, removed } = await frames(directory);
    expect([found.length, found[2], removed]).to.deep.equal([3, Buffer.from('next').toString('hex'), 0]);
  });
});
