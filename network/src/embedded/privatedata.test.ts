// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { peer } from '@hyperledger/fabric-protos';
import type { GatewayError } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { effectsOf } from './ledger/transactions.js';
import { actionsOn, privateWrites } from './testing/actions.js';
import { endorsersOf, lastResults } from './testing/blocks.js';
import { rejection, useNetwork } from './testing/harness.js';

const CODE = peer.TxValidationCode;
const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('Private data', function () {
  this.timeout(120_000);
  const harness = useNetwork();
  const { submit, put, ask, advance, shown } = actionsOn(harness);
  const lastBlock = (): number => harness.network.height() - 1;

  it('are read on the peers of members, and nowhere else', async () => {
    expect(await put('pair', 'k', 'secret')).to.equal(CODE.VALID);
    expect(await ask('getPrivate', ['pair', 'k'])).to.equal('secret');
    expect(await ask('getPrivate', ['pair', 'k'], 1)).to.equal('secret');
    const elsewhere = await rejection(ask('getPrivate', ['pair', 'k'], 0, 'CMSP'));
    expect(elsewhere.message).to.match(
      /private data matching public hash version is not available\. Public hash version = \{BlockNum: \d+, TxNum: 0\}, Private data version = <nil>$/,
    );
    expect(await readdir(join(harness.dataDir, 'private'))).to.have.members(['AMSP', 'BMSP']);
  });

  it('are on the ledger by their hashes only, which everybody may ask for', async () => {
    await put('pair', 'hashed', 'nobody else knows');
    const { block, sets } = await lastResults(harness);
    expect(decode(block.serializeBinary())).to.not.contain('nobody else');
    const [collection] = sets[0]!.collections;
    expect(collection!.name).to.equal('pair');
    const [write] = collection!.rwset.getHashedWritesList();
    expect(Buffer.from(write!.getKeyHash_asU8()).toString('hex')).to.equal(sha256('hashed'));
    expect(Buffer.from(write!.getValueHash_asU8()).toString('hex')).to.equal(sha256('nobody else knows'));
    expect(collection!.privateHash).to.have.length(32);
    expect(await ask('privateHash', ['pair', 'hashed'], 2)).to.equal(sha256('nobody else knows'));
    expect(await ask('privateHash', ['pair', 'missing'], 2)).to.equal('');
  });

  it('are read and written for members only where the collection says so', async () => {
    const denied = (access: string, collection: string): RegExp =>
      new RegExp(
        `tx creator does not have ${access} access permission on privatedata in chaincodeName:testcc collectionName: ${collection}`,
      );
    expect((await rejection(ask('getPrivate', ['pair', 'k'], 2, 'AMSP'))).message).to.match(denied('read', 'pair'));
    expect((await rejection(ask('privateRange', ['pair', '', ''], 2))).message).to.match(denied('read', 'pair'));
    expect((await rejection(ask('putPrivateArgument', ['pair', 'k', 'v'], 2))).message).to.match(
      denied('write', 'pair'),
    );
    expect((await rejection(ask('purgePrivate', ['pair', 'k'], 2))).message).to.match(denied('write', 'pair'));
    const stranger = await submit(
      'putPrivateArgument',
      ['alone', 'by-c', 'v'],
      { endorsingOrganizations: ['BMSP', 'CMSP'] },
      2,
    );
    expect(stranger).to.equal(CODE.VALID);
    expect(await ask('getPrivate', ['alone', 'by-c'], 2, 'AMSP')).to.equal('v');
  });

  it('need a collection that is defined, or an organisation’s own', async () => {
    expect((await rejection(ask('getPrivate', ['none', 'k']))).message).to.contain(
      'GET_STATE failed: transaction ID: ',
    );
    expect((await rejection(ask('getPrivate', ['none', 'k']))).message).to.match(
      /: collection testchannel\/testcc\/none could not be found$/,
    );
    expect((await rejection(ask('privateHash', ['none', 'k']))).message).to.match(
      /: collection \[none\] not defined in the collection config for chaincode \[testcc\]$/,
    );
    const mine = { endorsingOrganizations: ['BMSP'] };
    expect(await put('_implicit_org_BMSP', 'own', 'x', mine)).to.equal(CODE.VALID);
    expect(await put('_implicit_org_BMSP', 'own', 'x', { endorsingOrganizations: ['AMSP'] })).to.equal(
      CODE.ENDORSEMENT_POLICY_FAILURE,
    );
    expect(await ask('getPrivate', ['_implicit_org_BMSP', 'own'], 1)).to.equal('x');
    expect((await rejection(ask('getPrivate', ['_implicit_org_BMSP', 'own']))).message).to.contain('not available');
  });

  it('are found by range and by part of a composite key, apart from public state', async () => {
    for (const key of ['r-1', 'r-2', 'r-3']) {
      await put('pair', key, key);
    }
    expect(JSON.parse(await ask('privateRange', ['pair', 'r-', 'r-3']))).to.deep.equal(['r-1', 'r-2']);
    expect(JSON.parse(await ask('privateRange', ['alone', 'r-', 'r.']))).to.deep.equal([]);
    expect(JSON.parse(await ask('range', ['r-', 'r.']))).to.deep.equal([]);
    await submit('putPrivateComposite', ['pair', 'car', 'red', '1']);
    await submit('putPrivateComposite', ['pair', 'car', 'blue', '2']);
    expect(JSON.parse(await ask('listPrivateComposite', ['pair', 'car', 'red']))).to.deep.equal([['red', '1']]);
  });

  it('are not queried by a transaction that writes; no more are pages', async () => {
    const one = 'unsuppored transaction.';
    for (const [collection, these, did] of [
      ['pair', 'Queries on pvt data is', 'queries on pvt data'],
      ['', 'Paginated queries are', 'a paginated query'],
    ] as const) {
      expect((await rejection(ask('putThenQuery', [collection]))).message).to.match(
        new RegExp(`txid \\[[0-9a-f]{64}\\]: ${one} ${these} supported only in a read-only transaction$`),
      );
      expect((await rejection(ask('queryThenPut', [collection]))).message).to.match(
        new RegExp(`${one} Transaction has already performed ${did}\\. Writes are not allowed$`),
      );
    }
  });

  it('conflict like public data: a read is checked by its hash', async () => {
    const proposal = () => harness.client().contract.newProposal('incrementPrivate', { arguments: ['pair', 'n'] });
    const [stale, fresh] = [await proposal().endorse(), await proposal().endorse()];
    const [first, second] = [await stale.submit(), await fresh.submit()];
    expect([(await first.getStatus()).code, (await second.getStatus()).code].sort()).to.deep.equal([
      CODE.VALID,
      CODE.MVCC_READ_CONFLICT,
    ]);
    expect(await ask('getPrivate', ['pair', 'n'], 1)).to.equal('1');
  });

  it('are deleted, and purged with everything that was kept of them', async () => {
    await put('pair', 'gone', 'first');
    await put('pair', 'kept', 'stays');
    const written = lastBlock() - 1;
    expect(await submit('delPrivate', ['pair', 'gone'])).to.equal(CODE.VALID);
    expect(await ask('getPrivate', ['pair', 'gone'])).to.equal('');
    expect(await shown(written)).to.deep.equal(['gone=first']);
    expect(await submit('purgePrivate', ['pair', 'gone'])).to.equal(CODE.VALID);
    expect(effectsOf((await lastResults(harness)).sets).writes).to.deep.include({
      ...{ namespace: 'testcc', collection: 'pair', key: Buffer.from(sha256('gone'), 'hex').toString('base64') },
      ...{ kind: 'value', value: undefined, isPurge: true },
    });
    expect(await shown(written)).to.deep.equal([]);
    expect(await shown(written + 1)).to.deep.equal(['kept=stays']);
    expect((await rejection(ask('purgePrivate', ['', 'gone']))).message).to.contain(
      'collection must be a valid string',
    );
  });

  it('expire after as many blocks as they may live, unless they are written again', async () => {
    await put('brief', 'fleeting', 'a');
    const written = lastBlock();
    await put('brief', 'renewed', 'b');
    await advance(1);
    expect(await ask('getPrivate', ['brief', 'fleeting'])).to.equal('a');
    await put('brief', 'renewed', 'c'); // The third block after 'fleeting', which that one does not survive.
    expect(await ask('getPrivate', ['brief', 'fleeting'])).to.equal('');
    expect(await ask('privateHash', ['brief', 'fleeting'])).to.equal('');
    expect(JSON.parse(await ask('privateRange', ['brief', '', '']))).to.deep.equal(['renewed']);
    expect(await shown(written)).to.deep.equal([]);
    await advance(1);
    expect(await ask('getPrivate', ['brief', 'renewed'])).to.equal('c');
  });

  it('are delivered with their block to members, by peers that have them', async () => {
    await put('pair', 'delivered', 'x');
    const block = lastBlock();
    expect(await shown(block, 0)).to.deep.equal(['delivered=x']);
    expect(await shown(block, 1)).to.deep.equal(['delivered=x']);
    expect(await shown(block, 2)).to.deep.equal([]);
    const stranger = harness.client(0, { mspId: 'CMSP', identity: harness.organisation(2).client });
    const events = await stranger.network.getBlockAndPrivateDataEvents({ startBlock: BigInt(block) });
    for await (const event of events) {
      expect(event.getBlock()!.getHeader()!.getNumber()).to.equal(block);
      expect(privateWrites(event)).to.deep.equal([]);
      break;
    }
    events.close();
  });

  it('are endorsed as the collection wants it, otherwise as the chaincode does', async () => {
    const by = (...endorsingOrganizations: string[]) => ({ endorsingOrganizations });
    expect(await put('pair', 'ep', 'x', by('BMSP'))).to.equal(CODE.VALID);
    expect(await put('pair', 'ep', 'x', by('CMSP'))).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
    expect(await put('alone', 'ep', 'x', by('AMSP'))).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
    expect(await put('alone', 'ep', 'x', by('BMSP', 'CMSP'))).to.equal(CODE.VALID);
    expect(await ask('getPrivate', ['alone', 'ep'])).to.equal('x');
    await put('pair', 'ep', 'y');
    expect(endorsersOf((await lastResults(harness)).block)).to.deep.equal(['AMSP']);
  });

  it('come as transient data from none but members, and are protected from all others', async () => {
    const error = await rejection<GatewayError>(put('alone', 'k', 'x'));
    expect([error.code, error.message]).to.deep.equal([
      status.FAILED_PRECONDITION,
      '9 FAILED_PRECONDITION: requires endorsement from organisation(s) that are not in the distribution policy of the ' +
        'private data collection(s): [alone]; retry specifying trusted endorsing organizations to protect transient data',
    ]);
    const unprotected = await rejection<GatewayError>(submit('incrementPrivate', ['alone', 'k']));
    expect([unprotected.code, unprotected.message]).to.deep.equal([
      status.FAILED_PRECONDITION,
      '9 FAILED_PRECONDITION: no combination of peers can be derived which satisfy the endorsement policy: ' +
        'no peer combination can satisfy the endorsement policy',
    ]);
    expect(await submit('putPrivateArgument', ['alone', 'k', 'no transient data'])).to.equal(CODE.VALID);
  });

  it('are not endorsed where too few other members could keep them', async () => {
    const error = await rejection<GatewayError>(put('wide', 'k', 'x'));
    expect(error.details[0]?.message).to.match(
      /^error in simulation: failed to distribute private collection, txID [0-9a-f]{64}, channel testchannel: could not build private data dissemination plan for chaincode testcc and collection wide: required to disseminate to at least 2 peers, but know of only 1 eligible peers$/,
    );
  });

  it('have keys with policies of their own', async () => {
    await put('pair', 'mine', 'x');
    expect(await submit('setPolicy', ['pair', 'mine', 'BMSP'])).to.equal(CODE.VALID);
    expect(JSON.parse(await ask('getPolicy', ['pair', 'mine']))).to.deep.equal(['BMSP']);
    expect(await ask('getPrivate', ['pair', 'mine'])).to.equal('x');
    expect(await put('pair', 'mine', 'y', { endorsingOrganizations: ['AMSP'] })).to.equal(
      CODE.ENDORSEMENT_POLICY_FAILURE,
    );
    expect(await put('pair', 'mine', 'y')).to.equal(CODE.VALID);
    expect(endorsersOf((await lastResults(harness)).block)).to.deep.equal(['BMSP']);
  });
});
