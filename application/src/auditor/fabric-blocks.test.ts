// SPDX-License-Identifier: Apache-2.0
import { common, peer } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import fc from 'fast-check';
import { verifyLedger, type AuditResult } from './index.js';
import { configBlocksOf, recordedLedger, type RecordedLedger } from './testing/recorded-ledger.js';

describe('audit of real Fabric blocks', function () {
  this.timeout(60_000);
  let bft: RecordedLedger;
  let raft: RecordedLedger;

  before(async () => {
    [bft, raft] = await Promise.all([recordedLedger('bft'), recordedLedger('raft')]);
  });

  const verify = ({ anchors }: RecordedLedger, blocks: readonly common.Block[]): Promise<AuditResult> =>
    verifyLedger({ anchors, blocks });
  for (const name of ['bft', 'raft'] as const) {
    const ledger = (): RecordedLedger => (name === 'bft' ? bft : raft);

    it(`finds nothing wrong with a ${name} ledger: life cycle, transactions, configuration updates`, async () => {
      const result = await verify(ledger(), ledger().blocks);
      expect(result.firstFailure).to.equal(undefined);
      expect(result.height).to.equal(ledger().blocks.length);
      expect(configBlocksOf(ledger())).to.have.length(name === 'bft' ? 4 : 2);
    });

    it(`names the block of one byte changed anywhere in a ${name} ledger`, async () => {
      const { blocks } = ledger();
      const sizes = blocks.map((block) => block.serializeBinary().length);
      const place = fc
        .nat(blocks.length - 1)
        .chain((index) => fc.tuple(fc.constant(index), fc.nat(sizes[index]! - 1), fc.integer({ min: 1, max: 255 })));
      await fc.assert(
        fc.asyncProperty(place, async ([index, at, mask]) => {
          const bytes = blocks[index]!.serializeBinary();
          bytes[at] = bytes[at]! ^ mask;
          const changed = readable(bytes);
          fc.pre(changed !== undefined);
          const { firstFailure } = await verify(ledger(), blocks.with(index, changed));
          expect(firstFailure?.where).to.match(new RegExp(`^block ${String(index)}\\b`));
        }),
        { numRuns: 40 },
      );
    });

    it(`names one byte changed in a signature of a ${name} block`, async () => {
      const { blocks } = ledger();
      for (const part of ['signature', 'header', 'value'] as const) {
        const changed = withSignatures(blocks[5]!, (metadata) => {
          const [first] = metadata.getSignaturesList();
          if (part === 'signature') {
            first!.setSignature(flippedAt(first!.getSignature_asU8(), -3));
          } else if (part === 'value') {
            metadata.setValue(flippedAt(metadata.getValue_asU8(), -1));
          } else if (first!.getSignatureHeader_asU8().length > 0) {
            first!.setSignatureHeader(flippedAt(first!.getSignatureHeader_asU8(), -1));
          } else {
            first!.setIdentifierHeader(flippedAt(first!.getIdentifierHeader_asU8(), -1));
          }
        });
        const { firstFailure } = await verify(ledger(), blocks.with(5, changed));
        expect(firstFailure, part).to.deep.include({ where: 'block 5' });
        expect(firstFailure?.code).to.be.oneOf(['ORDERER_SIGNATURE', 'BLOCK_METADATA']);
      }
    });
  }

  it('finds the codes of conflicting transactions by itself', () => {
    const { MVCC_READ_CONFLICT, VALID } = peer.TxValidationCode;
    expect(flagsOf(raft.blocks)).to.include(MVCC_READ_CONFLICT).and.to.include(VALID);
  });

  it('demands a quorum of the consenters', async () => {
    const few = withSignatures(bft.blocks[5]!, (metadata) => {
      metadata.setSignaturesList(metadata.getSignaturesList().slice(0, 2));
    });
    const { firstFailure } = await verify(bft, bft.blocks.with(5, few));
    expect(firstFailure).to.deep.include({ where: 'block 5', code: 'ORDERER_QUORUM' });
    expect(firstFailure?.detail).to.contain('3 of 4 consenters must sign');
    const none = withSignatures(raft.blocks[5]!, (metadata) => {
      metadata.setSignaturesList([]);
    });
    const unsigned = await verify(raft, raft.blocks.with(5, none));
    expect(unsigned.firstFailure).to.deep.include({ where: 'block 5', code: 'ORDERER_QUORUM' });
  });

  it('counts each consenter once', async () => {
    const doubled = withSignatures(bft.blocks[5]!, (metadata) => {
      const [first, second] = metadata.getSignaturesList();
      metadata.setSignaturesList([first!, second!, second!]);
    });
    const { firstFailure } = await verify(bft, bft.blocks.with(5, doubled));
    expect(firstFailure).to.deep.include({ where: 'block 5', code: 'ORDERER_SIGNATURE' });
    expect(firstFailure?.detail).to.contain('signed twice');
  });

  it('believes no signature in the name of another consenter, of none, or of a consenter that has left', async () => {
    const renamed = (block: common.Block, id: number): common.Block =>
      withSignatures(block, (metadata) => {
        const [first] = metadata.getSignaturesList();
        const header = common.IdentifierHeader.deserializeBinary(first!.getIdentifierHeader_asU8());
        header.setIdentifier(id);
        first!.setIdentifierHeader(header.serializeBinary());
      });
    const signers = consentersOf(bft.blocks[5]!);
    const absent = [1, 2, 3, 4].find((id) => !signers.includes(id))!;
    const other = await verify(bft, bft.blocks.with(5, renamed(bft.blocks[5]!, absent)));
    expect(other.firstFailure).to.deep.include({ where: 'block 5', code: 'ORDERER_SIGNATURE' });
    const stranger = await verify(bft, bft.blocks.with(5, renamed(bft.blocks[5]!, 9)));
    expect(stranger.firstFailure?.detail).to.equal('the channel has no consenter 9');
    const last = bft.blocks.length - 1;
    const gone = await verify(bft, bft.blocks.with(last, renamed(bft.blocks[last]!, 4)));
    expect(gone.firstFailure).to.deep.include({ where: `block ${String(last)}`, code: 'ORDERER_SIGNATURE' });
    expect(gone.firstFailure?.detail).to.equal('the channel has no consenter 4');
  });

  it('needs two of three signatures after a consenter has left', () => {
    const last = bft.blocks.at(-1)!;
    expect(consentersOf(last)).to.not.include(4);
    expect(consentersOf(last).length).to.be.at.least(2);
  });

  it('knows of every organisation that has joined', async () => {
    const anchors = { ...bft.anchors, organisations: bft.anchors.organisations.slice(0, 4) };
    const { firstFailure } = await verifyLedger({ anchors, blocks: bft.blocks });
    expect(firstFailure).to.deep.include({ code: 'CHANNEL_ROOTS' });
    expect(firstFailure?.detail).to.contain('GuestMSP is a member of the channel');
  });
});

function flagsOf(blocks: readonly common.Block[]): number[] {
  return blocks.flatMap((block) => [...block.getMetadata()!.getMetadataList_asU8()[2]!]);
}

function signaturesOf(block: common.Block): common.Metadata {
  return common.Metadata.deserializeBinary(block.getMetadata()!.getMetadataList_asU8()[0]!);
}

function consentersOf(block: common.Block): number[] {
  return signaturesOf(block)
    .getSignaturesList()
    .map((one) => common.IdentifierHeader.deserializeBinary(one.getIdentifierHeader_asU8()).getIdentifier());
}

function withSignatures(block: common.Block, change: (metadata: common.Metadata) => void): common.Block {
  const copy = block.clone();
  const signatures = signaturesOf(copy);
  change(signatures);
  const entries = copy.getMetadata()!.getMetadataList_asU8();
  entries[0] = signatures.serializeBinary();
  copy.getMetadata()!.setMetadataList(entries);
  return copy;
}

function flippedAt(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, bytes.at(at)! ^ 1);
}

/** The block as an export would give it: one that parses to other bytes is refused before the audit. */
function readable(bytes: Uint8Array): common.Block | undefined {
  try {
    const block = common.Block.deserializeBinary(bytes);
    return Buffer.compare(block.serializeBinary(), bytes) === 0 ? block : undefined;
  } catch {
    return undefined;
  }
}
