// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { readView } from './orderer-view.js';

const bft = (current: number, next: number): string =>
  [
    '# TYPE consensus_BFT_is_leader gauge',
    'consensus_BFT_is_leader{channel="other"} 0',
    'consensus_BFT_is_leader{channel="sevchannel"} 1',
    `consensus_smartbft_viewchange_current_view{channel="sevchannel"} ${current.toString()}`,
    `consensus_smartbft_viewchange_next_view{channel="sevchannel"} ${next.toString()}`,
    'ledger_blockchain_height{channel="sevchannel"} 16',
    '',
  ].join('\n');

describe("an orderer's view", () => {
  it('is settled where the next view is the current one', () => {
    expect(readView(bft(2, 2), 'sevchannel')).to.deep.equal({ isLeader: true, isSettled: true, height: 16 });
  });

  it('is not settled while it asks for another leader', () => {
    expect(readView(bft(2, 3), 'sevchannel').isSettled).to.equal(false);
  });

  it('is that of Raft, and of a channel alone', () => {
    const raft =
      'consensus_etcdraft_is_leader{channel="sevchannel"} 1\nledger_blockchain_height{channel="sevchannel"} 3\n';
    expect(readView(raft, 'sevchannel')).to.deep.equal({ isLeader: true, isSettled: true, height: 3 });
    expect(readView(raft, 'other')).to.deep.equal({ isLeader: false, isSettled: true, height: 0 });
  });
});
