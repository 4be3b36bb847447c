// SPDX-License-Identifier: Apache-2.0
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { peer } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import { actionsOn } from '../testing/actions.js';
import { endorsersOf, lastResults } from '../testing/blocks.js';
import { TEST_CHAINCODE } from '../testing/consortium.js';
import { NetworkHarness, rejection } from '../testing/harness.js';

const CODE = peer.TxValidationCode;
const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

describe('Private data on disk', function () {
  this.timeout(120_000);
  const harness = new NetworkHarness();
  const { submit, put, ask, shown } = actionsOn(harness);
  before(() => harness.start());
  after(() => harness.remove());

  it('outlive a restart, also between endorsement and commit', async () => {
    await put('pair', 'old', 'x');
    const proposal = harness
      .client()
      .contract.newProposal('putPrivate', { arguments: ['pair', 'new'], transientData: { value: 'y' } });
    const endorsed = (await proposal.endorse()).getBytes();
    await harness.stop();
    await harness.start();
    const submitted = await harness.client().gateway.newTransaction(endorsed).submit();
    expect((await submitted.getStatus()).code).to.equal(CODE.VALID);
    expect(await ask('getPrivate', ['pair', 'old'], 1)).to.equal('x');
    expect(await ask('getPrivate', ['pair', 'new'], 1)).to.equal('y');
  });

  it('are there again after the state was rebuilt, without what was purged', async () => {
    await put('pair', 'purged', 'z');
    const block = harness.network.height() - 1;
    await submit('purgePrivate', ['pair', 'purged']);
    await submit('setPolicy', ['pair', 'old', 'BMSP']);
    await harness.stop();
    await rm(join(harness.dataDir, 'state'), { recursive: true });
    await harness.start();
    expect(await ask('getPrivate', ['pair', 'old'])).to.equal('x');
    expect(JSON.parse(await ask('getPolicy', ['pair', 'old']))).to.deep.equal(['BMSP']);
    expect(await ask('getPrivate', ['pair', 'new'])).to.equal('y');
    expect(await ask('getPrivate', ['pair', 'purged'])).to.equal('');
    expect(await shown(block)).to.deep.equal([]);
  });

  it('stay while another chaincode runs on the ledger, whose state is its own', async () => {
    await harness.stop();
    const endorsementPolicy = "AND('BMSP.peer', 'CMSP.peer')";
    const chaincode = { ...TEST_CHAINCODE, name: 'othercc', version: '2.0', collections: undefined, endorsementPolicy };
    await harness.start({ chaincode });
    const other = harness.client().network.getContract('othercc');
    expect(decode(await other.evaluateTransaction('get', 'advance'))).to.equal('');
    await other.submitTransaction('put', 'theirs', '1');
    expect(endorsersOf((await lastResults(harness)).block)).to.deep.equal(['BMSP', 'CMSP']);
    expect((await rejection(ask('get', ['theirs']))).message).to.contain('no peers available to evaluate');
    await harness.stop();
    await harness.start();
    expect(await ask('getPrivate', ['pair', 'old'])).to.equal('x');
    expect(await ask('get', ['theirs'])).to.equal('');
  });

  it('keep their collections: none is dropped, none lives for another time', async () => {
    await harness.stop();
    const starts = async (change: (all: { name: string; blockToLive: number }[]) => object[]): Promise<string> => {
      const collections = join(harness.dataDir, 'changed.json');
      const all = JSON.parse(await readFile(TEST_CHAINCODE.collections, 'utf8')) as Parameters<typeof change>[0];
      await writeFile(collections, JSON.stringify(change(all)));
      return (await rejection(harness.start({ chaincode: { ...TEST_CHAINCODE, collections } }))).message;
    };
    const first = { name: 'x', policy: "OR('AMSP.member')" };
    expect(await starts((all) => all.slice(1))).to.contain(
      'existing collection [pair] missing in the proposed collection configuration',
    );
    expect(await starts((all) => all.map((one) => ({ ...one, blockToLive: 7 })))).to.contain(
      'the BlockToLive in an existing collection [pair] modified. Existing value [0]',
    );
    for (const [wrong, text] of [
      [[first, first], 'collection-name: x -- found duplicate in collection configuration'],
      [[{ ...first, requiredPeerCount: 2 }], 'maximum peer count (1) cannot be less than the required peer count (2)'],
      [[{ ...first, policy: "AND('AMSP.member', 'BMSP.member')" }], 'signature policy is not an OR concatenation'],
      [[{ ...first, policy: "OR('ZMSP.member')" }], "collection member 'ZMSP' is not part of the channel"],
      [[{ ...first, policy: 'OR(AMSP)' }], "invalid policy string 'OR(AMSP)'"],
      [[{ ...first, name: '_x' }], 'Names can only consist of alphanumerics'],
    ] as const) {
      expect(await starts((all) => [...all, ...wrong])).to.contain(text);
    }
    await harness.start();
  });
});
