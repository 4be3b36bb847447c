// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { common } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import { blockHeaderHash } from '../embedded/protocol/block.js';
import { lastConfigNumber, LedgerFiles, LedgerFilesError } from './ledger-files.js';

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}
const bytes = (content: Uint8Array): Buffer => Buffer.concat([varint(content.length), content]);
const list = (items: readonly Uint8Array[]): Buffer => Buffer.concat([varint(items.length), ...items.map(bytes)]);

const DATA_HASH = Buffer.alloc(32, 1);
const PREVIOUS = Buffer.alloc(32, 2);

/** A block as Fabric's peers and orderers store it. */
function stored(number: number, envelope: string, lastConfig = 0): Buffer {
  const config = new common.LastConfig();
  config.setIndex(lastConfig);
  const value = new common.OrdererBlockMetadata();
  value.setLastConfig(config);
  const signatures = new common.Metadata();
  signatures.setValue(value.serializeBinary());
  return bytes(
    Buffer.concat([
      varint(number),
      bytes(DATA_HASH),
      bytes(PREVIOUS),
      list([Buffer.from(envelope)]),
      list([signatures.serializeBinary(), new Uint8Array()]),
    ]),
  );
}

describe('The files of a ledger', () => {
  const root = mkdtempSync(join(tmpdir(), 'sev-ledger-'));
  const folder = (name: string): string => {
    mkdirSync(join(root, name));
    return join(root, name);
  };
  after(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it('give blocks by number, and the last one, over several files', async () => {
    const where = folder('whole');
    const big = 'x'.repeat(70_000);
    writeFileSync(join(where, 'blockfile_000000'), Buffer.concat([stored(0, 'a'), stored(1, big), stored(2, 'c')]));
    writeFileSync(join(where, 'blockfile_000001'), Buffer.concat([stored(3, 'd'), stored(300, 'e', 2)]));
    writeFileSync(join(where, '.bytecount'), 'not a file of blocks');
    const files = await LedgerFiles.open(where);
    const last = await files!.last();
    expect(last.number).to.equal(300);
    expect(lastConfigNumber(last)).to.equal(2);
    const block = await files!.at(1);
    expect(Buffer.from(block!.envelopes[0]!).toString()).to.equal(big);
    expect((await files!.at(3))?.number).to.equal(3);
    expect(await files!.at(200)).to.equal(undefined);
    const header = new common.BlockHeader();
    header.setNumber(300);
    header.setDataHash(DATA_HASH);
    header.setPreviousHash(PREVIOUS);
    expect(last.hash).to.equal(blockHeaderHash(header).toString('hex'));
  });

  it('leave out a block that is just being written', async () => {
    const where = folder('growing');
    const file = join(where, 'blockfile_000000');
    writeFileSync(file, Buffer.concat([stored(0, 'a'), stored(1, 'b')]));
    appendFileSync(file, stored(2, 'c').subarray(0, -1));
    expect((await (await LedgerFiles.open(where))!.last()).number).to.equal(1);
  });

  it('may begin later, as those of a peer that joined by a snapshot do', async () => {
    const where = folder('snapshot');
    writeFileSync(join(where, 'blockfile_000000'), stored(17, 'a', 3));
    const files = await LedgerFiles.open(where);
    expect(await files!.at(3)).to.equal(undefined);
    expect((await files!.last()).number).to.equal(17);
  });

  it('are none where there is no block yet', async () => {
    const where = folder('empty');
    writeFileSync(join(where, 'blockfile_000000'), '');
    expect(await LedgerFiles.open(where)).to.equal(undefined);
    expect(await LedgerFiles.open(join(root, 'nowhere'))).to.equal(undefined);
  });

  it('are refused where they hold something else', async () => {
    const where = folder('damaged');
    const damaged = stored(0, 'abcdef');
    damaged.fill(0xff, 40, 80);
    writeFileSync(join(where, 'blockfile_000000'), damaged);
    const files = await LedgerFiles.open(where);
    const error: unknown = await files!.last().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(LedgerFilesError);
  });
});
