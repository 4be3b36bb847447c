// SPDX-License-Identifier: Apache-2.0
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { common, msp, peer } from '@hyperledger/fabric-protos';
import { checkpointers, type CloseableAsyncIterable } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { BLOCK_METADATA, blockDataHash, blockHeaderBytes, blockHeaderHash } from '../protocol/block.js';
import { readConfiguration } from '../protocol/genesis.js';
import { unpackEnvelope, unpackResults, unpackTransaction } from '../protocol/transaction.js';
import { rejection, useNetwork } from '../testing/harness.js';

describe('Delivered blocks', function () {
  this.timeout(60_000);
  const harness = useNetwork();
  let blocks: common.Block[];

  before(async () => {
    const { contract, network } = harness.client();
    await contract.submitTransaction('put', 'a', '1');
    await contract.submitTransaction('event', 'name', 'payload');
    const invalid = contract.newProposal('put', {
      arguments: ['b', '1'],
      endorsingOrganizations: ['AMSP'],
    });
    await (await (await invalid.endorse()).submit()).getStatus();
    blocks = [];
    const height = harness.network.height();
    const events = await network.getBlockEvents({ startBlock: 0n });
    for await (const block of events) {
      blocks.push(block);
      if (blocks.length === height) {
        break;
      }
    }
    events.close();
  });

  it('are chained by their header hashes, and hold the transactions that their headers say', () => {
    let previous = Buffer.alloc(0) as Buffer;
    blocks.forEach((block, number) => {
      const header = block.getHeader()!;
      expect(header.getNumber()).to.equal(number);
      expect(previous.equals(header.getPreviousHash_asU8())).to.equal(true);
      const data = block.getData()!.getDataList_asU8();
      expect(blockDataHash(data).equals(header.getDataHash_asU8())).to.equal(true);
      previous = blockHeaderHash(header);
    });
    expect(blockHeaderHash(blocks[0]!.getHeader()!).toString('hex')).to.equal(harness.network.genesisHash);
  });

  it('are signed by an orderer over metadata value, signature header and block header', () => {
    for (const block of blocks) {
      const metadata = common.Metadata.deserializeBinary(
        block.getMetadata()!.getMetadataList_asU8()[BLOCK_METADATA.signatures]!,
      );
      const [signature] = metadata.getSignaturesList();
      const header = common.SignatureHeader.deserializeBinary(signature!.getSignatureHeader_asU8());
      const signer = msp.SerializedIdentity.deserializeBinary(header.getCreator_asU8());
      const message = Buffer.concat([
        metadata.getValue_asU8(),
        signature!.getSignatureHeader_asU8(),
        blockHeaderBytes(block.getHeader()!),
      ]);
      expect(isSignedBy(signer, message, signature!.getSignature_asU8())).to.equal(true);
    }
  });

  it('say of every transaction whether it is valid', () => {
    const flags = blocks
      .slice(1)
      .flatMap((block) => [...block.getMetadata()!.getMetadataList_asU8()[BLOCK_METADATA.transactionsFilter]!]);
    expect(flags).to.deep.equal([
      peer.TxValidationCode.VALID,
      peer.TxValidationCode.VALID,
      peer.TxValidationCode.ENDORSEMENT_POLICY_FAILURE,
    ]);
  });

  it('hold endorsements of a majority of peers over results and proposal', () => {
    const [bytes] = blocks[1]!.getData()!.getDataList_asU8();
    const { payload, channelHeader, header } = unpackEnvelope(common.Envelope.deserializeBinary(bytes!));
    const action = unpackTransaction(payload.getData_asU8());
    const endorsers = action.endorsements.map((endorsement) => {
      const endorser = endorsement.getEndorser_asU8();
      const identity = msp.SerializedIdentity.deserializeBinary(endorser);
      const message = Buffer.concat([action.responsePayload, endorser]);
      expect(isSignedBy(identity, message, endorsement.getSignature_asU8())).to.equal(true);
      return identity.getMspid();
    });
    expect(new Set(endorsers).size).to.equal(2);
    expect(endorsers).to.include('AMSP');
    const hash = createHash('sha256')
      .update(header.getChannelHeader_asU8())
      .update(header.getSignatureHeader_asU8())
      .update(action.proposalPayload);
    expect(hash.digest().equals(action.proposalHash)).to.equal(true);
    expect(channelHeader.getChannelId()).to.equal('testchannel');
    expect([action.chaincodeName, action.chaincodeVersion]).to.deep.equal(['testcc', '1.0']);
    const [set] = unpackResults(action.results);
    expect(set!.namespace).to.equal('testcc');
    expect(set!.rwset.getWritesList()[0]!.getKey()).to.equal('a');
  });

  it('begin with the configuration: channel, members and their roots', () => {
    const { channel, members } = readConfiguration(blocks[0]!);
    expect(channel).to.equal('testchannel');
    expect([...members.keys()]).to.deep.equal(['AMSP', 'BMSP', 'CMSP']);
    expect(members.get('BMSP')).to.equal(harness.organisation(1).identityCa.certificatePem);
  });

  it('come as they are committed', async () => {
    const events = await harness.client().network.getBlockEvents();
    const next = (async () => {
      for await (const block of events) {
        return block.getHeader()!.getNumber();
      }
      return undefined;
    })();
    const height = harness.network.height();
    // The stream may begin a little after the first of these; it must then see the next.
    const committed = (async () => {
      for (;;) {
        await harness.client().contract.submitTransaction('put', 'live', '1');
        if (harness.network.height() > height + 1) {
          return;
        }
      }
    })();
    expect(await next).to.be.at.least(height);
    await committed;
    events.close();
  });

  it('come filtered: which transactions, how they were judged, and the names of their events', async () => {
    const events = await harness.client(1).network.getFilteredBlockEvents({ startBlock: 1n });
    const filtered: peer.FilteredBlock[] = [];
    for await (const block of events) {
      filtered.push(block);
      if (filtered.length === 3) {
        break;
      }
    }
    events.close();
    expect(filtered.map((block) => [block.getChannelId(), block.getNumber()])).to.deep.equal([
      ['testchannel', 1],
      ['testchannel', 2],
      ['testchannel', 3],
    ]);
    const transactions = filtered.flatMap((block) => block.getFilteredTransactionsList());
    const { VALID, ENDORSEMENT_POLICY_FAILURE } = peer.TxValidationCode;
    expect(transactions.map((one) => one.getTxValidationCode())).to.deep.equal([
      VALID,
      VALID,
      ENDORSEMENT_POLICY_FAILURE,
    ]);
    expect(transactions[0]!.getTxid()).to.match(/^[0-9a-f]{64}$/);
    expect(transactions[0]!.getType()).to.equal(common.HeaderType.ENDORSER_TRANSACTION);
    const shown = transactions.map((one) =>
      one
        .getTransactionActions()!
        .getChaincodeActionsList()
        .map((action) => action.getChaincodeEvent()!.toObject()),
    );
    const txId = transactions[1]!.getTxid();
    expect(shown).to.deep.equal([[], [{ chaincodeId: 'testcc', txId, eventName: 'name', payload: '' }], []]);
  });

  it('go on where a checkpoint stands, in whatever form they come', async () => {
    const { network } = harness.client();
    const checkpoint = checkpointers.inMemory();
    await checkpoint.checkpointBlock(1n);
    const numberOf = async <T>(opened: Promise<CloseableAsyncIterable<T>>, number: (event: T) => number) => {
      const events = await opened;
      for await (const event of events) {
        events.close();
        return number(event);
      }
      return undefined;
    };
    const whole = (block: common.Block | undefined): number => block!.getHeader()!.getNumber();
    expect(await numberOf(network.getBlockEvents({ checkpoint }), whole)).to.equal(2);
    expect(await numberOf(network.getFilteredBlockEvents({ checkpoint }), (block) => block.getNumber())).to.equal(2);
    expect(
      await numberOf(network.getBlockAndPrivateDataEvents({ checkpoint }), (event) => whole(event.getBlock())),
    ).to.equal(2);
  });

  it('are refused to those who may not read', async () => {
    const thief = harness.client(0, {
      signingKeyPem: harness.organisation(1).client.privateKeyPem,
    });
    const events = await thief.network.getBlockEvents({ startBlock: 0n });
    const first = (async () => {
      for await (const _block of events) {
        break;
      }
    })();
    expect((await rejection(first)).message).to.contain('403');
  });
});

function isSignedBy(signer: msp.SerializedIdentity, message: Uint8Array, signature: Uint8Array): boolean {
  const certificate = new X509Certificate(signer.getIdBytes_asU8());
  const key = createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' }));
  return verify('sha256', message, key, signature);
}
