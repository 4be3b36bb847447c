// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { eventually, useNetwork } from './testing/harness.js';

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

describe('A contract on the embedded network', function () {
  this.timeout(60_000);
  const harness = useNetwork();
  const submit = async (name: string, ...args: string[]): Promise<string> =>
    decode(await harness.client().contract.submitTransaction(name, ...args));
  const evaluate = async (name: string, ...args: string[]): Promise<string> =>
    decode(await harness.client().contract.evaluateTransaction(name, ...args));

  it('reads what another organisation committed', async () => {
    expect(await submit('put', 'shared', 'value')).to.equal('value');
    const other = harness.client(1).contract;
    expect(decode(await other.evaluateTransaction('get', 'shared'))).to.equal('value');
  });

  it('knows the creator of a transaction and the organisation of its peer', async () => {
    const transaction = await harness.client(1).contract.evaluateTransaction('identity');
    expect(JSON.parse(decode(transaction))).to.deep.equal({ creator: 'BMSP', peer: 'BMSP' });
    const elsewhere = await harness.client(1).contract.evaluate('identity', { endorsingOrganizations: ['CMSP'] });
    expect(JSON.parse(decode(elsewhere))).to.deep.equal({ creator: 'BMSP', peer: 'CMSP' });
  });

  it('does not read its own writes', async () => {
    expect(await submit('putThenGet', 'own', 'new')).to.equal('');
    expect(await evaluate('get', 'own')).to.equal('new');
  });

  it('writes nothing by an evaluation', async () => {
    await evaluate('put', 'evaluated', 'value');
    expect(await evaluate('get', 'evaluated')).to.equal('');
  });

  it('deletes, and an empty value deletes too', async () => {
    await submit('put', 'gone', 'value');
    await submit('del', 'gone');
    expect(await evaluate('get', 'gone')).to.equal('');
    await submit('put', 'emptied', 'value');
    await submit('put', 'emptied', '');
    expect(JSON.parse(await evaluate('range', 'emptied', 'emptiee'))).to.deep.equal([]);
  });

  it('gets ranges in the order of UTF-8 bytes, beyond one batch of results', async () => {
    await submit('putMany', 'many-', '251');
    const keys = JSON.parse(await evaluate('range', 'many-', 'many.')) as string[];
    expect(keys).to.have.length(251);
    expect(keys[250]).to.equal('many-0250');

    for (const key of ['order-\u{ff5a}', 'order-\u{1f697}', 'order-a']) {
      await submit('put', key, '1');
    }
    expect(JSON.parse(await evaluate('range', 'order-', 'order.'))).to.deep.equal([
      'order-a',
      'order-\u{ff5a}',
      'order-\u{1f697}',
    ]);
  });

  it('commits a transaction that read a range of many keys', async () => {
    await submit('putMany', 'big-', '120');
    expect(await submit('countInto', 'big-', 'big.', 'big-count')).to.equal('120');
  });

  it('gets pages that follow each other by bookmark', async () => {
    await submit('putMany', 'page-', '5');
    const pages: string[][] = [];
    let bookmark = '';
    do {
      const page = JSON.parse(await evaluate('page', 'page-', 'page.', '2', bookmark)) as {
        keys: string[];
        bookmark: string;
        fetchedRecordsCount: number;
      };
      expect(page.fetchedRecordsCount).to.equal(page.keys.length);
      pages.push(page.keys);
      bookmark = page.bookmark;
    } while (bookmark !== '');
    expect(pages).to.deep.equal([['page-0000', 'page-0001'], ['page-0002', 'page-0003'], ['page-0004']]);
  });

  it('finds composite keys by their first parts, apart from simple keys', async () => {
    await submit('putComposite', 'car', 'blue', '1');
    await submit('putComposite', 'car', 'blue', '2');
    await submit('putComposite', 'car', 'red', '1');
    expect(JSON.parse(await evaluate('listComposite', 'car', 'blue'))).to.deep.equal([
      ['blue', '1'],
      ['blue', '2'],
    ]);
    expect(await evaluate('range', '', '')).to.not.contain('blue');
    expect(JSON.parse(await evaluate('listComposite', 'car', 'red'))).to.deep.equal([['red', '1']]);
  });

  it('gets the history of a key, newest first, with transaction ids and times', async () => {
    const contract = harness.client().contract;
    const ids: string[] = [];
    for (const value of ['one', 'two']) {
      const committed = await contract.submitAsync('put', { arguments: ['told', value] });
      ids.unshift(committed.getTransactionId());
      await committed.getStatus();
    }
    await submit('put', 'told2', 'another key');
    await submit('del', 'told');
    const history = JSON.parse(await evaluate('history', 'told')) as {
      txId: string;
      value: string;
      isDelete: boolean;
      timestamp: { seconds: number };
    }[];
    expect(history.map(({ value, isDelete }) => [value, isDelete])).to.deep.equal([
      ['', true],
      ['two', false],
      ['one', false],
    ]);
    expect(history.slice(1).map(({ txId }) => txId)).to.deep.equal(ids);
    expect(history[0]?.timestamp.seconds).to.be.closeTo(Date.now() / 1000, 60);
  });

  it('gets transient data', async () => {
    const result = await harness
      .client()
      .contract.evaluate('transient', { arguments: ['secret'], transientData: { secret: 'value' } });
    expect(decode(result)).to.equal('value');
  });

  it('is started again when its process ends, and then answers', async () => {
    const before = harness.network.chaincodeStatus()[0]?.pid;
    await harness
      .client()
      .contract.evaluate('crash', { endorsingOrganizations: ['AMSP'] })
      .catch(() => undefined);
    await eventually('the chaincode process of AMSP runs again', () => {
      const status = harness.network.chaincodeStatus()[0];
      return status?.running === true && status.pid !== before ? true : undefined;
    });
    expect(await submit('put', 'after-crash', 'value')).to.equal('value');
  });

  it('commits many transactions at once, each exactly once', async () => {
    const contract = harness.client().contract;
    const height = harness.network.height();
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        contract.submitTransaction('put', `parallel-${String(index)}`, String(index)),
      ),
    );
    expect(JSON.parse(await evaluate('range', 'parallel-', 'parallel.'))).to.have.length(60);
    expect(harness.network.height() - height).to.be.lessThan(61);
  });
});
