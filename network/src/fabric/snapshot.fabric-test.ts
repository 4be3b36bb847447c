// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import { networkUp } from '../supervisor/up.js';
import { networkPaths } from '../supervisor/paths.js';
import { organisationLayout } from './layout.js';
import { rejoinPeer, takeSnapshot } from './snapshot.js';
import { newTestClient } from './testing/client.js';
import { newTestFolder, requireFabric } from './testing/network.js';

const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => 'accepted',
    (error: unknown) => (error instanceof NetworkError ? error.code : error),
  );

describe('A peer that is rebuilt', function () {
  this.timeout(240_000);
  requireFabric(this);
  const folder = newTestFolder();
  const { options } = folder;
  const copy = join(dirname(options.home), 'snapshot');

  after(() => folder.remove());

  const call = async (organisation: string, name: string, ...args: string[]): Promise<string> => {
    const client = await newTestClient(options.home, organisation);
    try {
      return Buffer.from(
        name === 'get'
          ? await client.contract.evaluateTransaction(name, ...args)
          : await client.contract.submitTransaction(name, ...args),
      ).toString();
    } finally {
      client.close();
    }
  };
  /** Whether an organisation's peer can give a block. */
  const hasBlock = async (organisation: string, number: number): Promise<boolean> => {
    const client = await newTestClient(options.home, organisation, 'qscc');
    try {
      await client.contract.evaluateTransaction('GetBlockByNumber', 'sevchannel', number.toString());
      return true;
    } catch {
      return false;
    } finally {
      client.close();
    }
  };
  const awaitValue = (organisation: string, key: string, value: string): Promise<true | undefined> =>
    poll(async () => ((await call(organisation, 'get', key)) === value ? true : undefined), 20_000);

  it('gets a snapshot of another one, made while that runs', async () => {
    await networkUp(options);
    await call('grid', 'put', 'before', 'snapshot');
    const snapshot = await takeSnapshot('regulator', { ...options, copyTo: copy });
    expect(snapshot.lastBlock).to.be.greaterThan(0);
    expect(existsSync(join(copy, 'public_state.data'))).to.equal(true);
    expect(await codeOf(takeSnapshot('regulator', { ...options, copyTo: copy }))).to.equal('ALREADY_EXISTS');
    // The same ledger again: no new one is needed.
    expect((await takeSnapshot('regulator', options)).lastBlockHash).to.equal(snapshot.lastBlockHash);
    await call('maker', 'put', 'after', 'snapshot');
  });

  it('is refused what is no snapshot of the channel, and keeps its ledger', async () => {
    expect(await codeOf(rejoinPeer('city', { ...options, snapshot: options.home }))).to.equal('SNAPSHOT_INVALID');
    const metadata = join(copy, '_snapshot_signable_metadata.json');
    const good = readFileSync(metadata, 'utf8');
    writeFileSync(metadata, good.replace('sevchannel', 'another'));
    expect(await codeOf(rejoinPeer('city', { ...options, snapshot: copy }))).to.equal('SNAPSHOT_INVALID');
    writeFileSync(metadata, good);
    expect(await hasBlock('city', 0)).to.equal(true);
  });

  it('joins from the snapshot: it has all state and later blocks, and no earlier block', async () => {
    const snapshot = await rejoinPeer('city', { ...options, snapshot: copy });
    expect(await awaitValue('city', 'before', 'snapshot')).to.equal(true);
    expect(await awaitValue('city', 'after', 'snapshot')).to.equal(true);
    await call('city', 'put', 'rebuilt', 'written');
    expect(await awaitValue('grid', 'rebuilt', 'written')).to.equal(true);
    const last = snapshot?.lastBlock ?? 0;
    expect(await Promise.all([0, last, last + 1].map((number) => hasBlock('city', number)))).to.deep.equal([
      false,
      false,
      true,
    ]);
    expect(await hasBlock('regulator', 0)).to.equal(true);
  });

  it('joins from the first block where no snapshot is named, and then has them all', async () => {
    expect(await rejoinPeer('city', options)).to.equal(undefined);
    expect(await awaitValue('city', 'rebuilt', 'written')).to.equal(true);
    expect(await hasBlock('city', 0)).to.equal(true);
    const { peer } = organisationLayout(networkPaths(options.home, 'fabric').state, 'city');
    expect(existsSync(join(peer.data, 'lifecycle', 'chaincodes'))).to.equal(true);
  });
});
