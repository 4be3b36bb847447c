// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { TcpRelay } from '../testing/tcp-relay.js';
import { caughtUp, codeOf, eventually, rejection } from '../testing/temporary.js';
import { governance } from './contracts.js';
import { LedgerError } from './errors.js';
import type { LedgerEventEnvelope, LedgerSession } from './session.js';

describe('ledger session', function () {
  this.timeout(180_000);
  let network: TestNetwork;
  let session: LedgerSession;
  let serial = 0;

  before(async () => {
    network = await testNetwork();
    session = await network.session('grid', 'operator');
  });

  const policy = { vehicleQuota: 10_000, enrollmentsPerWindow: 1_000, enrollmentWindowMs: 3_600_000 };
  const propose = (by: LedgerSession, proposalId = `session-${++serial}`) =>
    governance(by).propose({ proposalId, change: { kind: 'set-policy', policy } });
  /** Executes an accepted change, which emits one event. */
  const change = async () => {
    const { result, blockNumber } = await propose(session);
    for (const organisation of ['maker', 'city']) {
      const operator = await network.session(organisation, 'operator');
      await caughtUp(operator, blockNumber);
      const vote = await governance(operator).vote({ proposalId: result.proposalId, approve: true });
      operator.close();
      await caughtUp(session, vote.blockNumber);
    }
    return governance(session).execute(result.proposalId);
  };

  it('submits, and reads what was written', async () => {
    const { result, transactionId, blockNumber, attempts } = await propose(session);
    expect(result).to.include({ docType: 'proposal', state: 'open' });
    expect(transactionId).to.match(/^[0-9a-f]{64}$/);
    expect(blockNumber > 0n).to.equal(true);
    expect(attempts).to.equal(1);
    expect((await governance(session).proposal(result.proposalId)).changeHash).to.equal(result.changeHash);
  });

  it("throws a contract's refusal with its code, on query and on submission", async () => {
    const query = await rejection(governance(session).proposal('unknown'));
    expect(query).to.be.instanceOf(LedgerError).and.include({ code: 'PROPOSAL_UNKNOWN', exitCode: 3 });
    expect(await codeOf(governance(session).execute('unknown'))).to.equal('PROPOSAL_UNKNOWN');
    expect(await codeOf(session.evaluate('governance', 'Nonsense', {}))).to.be.oneOf([
      'ACCESS_DENIED',
      'LEDGER_FAILED',
    ]);
  });

  it('resolves conflicts by itself', async () => {
    const proposalId = `session-${++serial}`;
    const others = await Promise.all(['maker', 'city', 'regulator'].map((o) => network.session(o, 'operator')));
    const { result } = await propose(session, proposalId);
    const votes = await Promise.all(others.map((s) => governance(s).vote({ proposalId, approve: true })));
    expect(votes).to.have.length(3);
    // All read and write the one proposal record: all but one of these are invalidated and made again.
    const executed = await Promise.all([session, ...others].map((s) => governance(s).execute(proposalId)));
    expect(executed.map((e) => e.result.state)).to.deep.equal(Array(4).fill('executed'));
    expect(executed.filter((e) => e.attempts > 1)).to.have.length.at.least(1);
    expect(result.proposalId).to.equal(proposalId);
  });

  it('reads blocks in order, and ends at the block asked for', async () => {
    const height = await session.height();
    const numbers: number[] = [];
    for await (const block of session.blocks({ startBlock: 1n, endBlock: height - 1n })) {
      numbers.push(block.getHeader()!.getNumber());
    }
    expect(numbers).to.deep.equal(Array.from({ length: Number(height) - 1 }, (_, i) => i + 1));
  });

  it('delivers events from a block on, after a transaction, and until it is told to stop', async () => {
    const startBlock = await session.height();
    const first = await change();
    const second = await change();
    const stop = new AbortController();
    const seen: LedgerEventEnvelope[] = [];
    for await (const event of session.events({ startBlock, signal: stop.signal })) {
      seen.push(event);
      if (seen.length === 2) {
        stop.abort();
      }
    }
    expect(seen.map((e) => e.transactionId)).to.deep.equal([first.transactionId, second.transactionId]);
    expect(seen[0]!.event.type).to.equal('ConsortiumChanged');
    const after = session.events({ startBlock: first.blockNumber, afterTransactionId: first.transactionId });
    for await (const event of after) {
      expect(event.transactionId).to.equal(second.transactionId);
      break;
    }
  });

  it('ends its streams when it is closed', async () => {
    const other = await network.session('grid', 'operator');
    const waiting = (async () => {
      let count = 0;
      for await (const _event of other.events()) {
        count += 1;
      }
      return count;
    })();
    other.close();
    expect(await waiting).to.equal(0);
    expect(await codeOf(propose(other))).to.equal('INTERRUPTED');
  });

  it('gives a network that is not there up in time', async () => {
    const organisations = network.profile.organisations.map((o) => ({
      ...o,
      gateway: { ...o.gateway, address: 'localhost:1' },
    }));
    const retry = { reconnectMs: 300 };
    const away = await network.session('grid', 'operator', { profile: { ...network.profile, organisations }, retry });
    expect(await codeOf(governance(away).consortium())).to.equal('LEDGER_UNREACHABLE');
    expect(await codeOf(propose(away))).to.equal('LEDGER_UNREACHABLE');
    expect(await codeOf(away.height())).to.equal('LEDGER_UNREACHABLE');
  });

  describe('whose own gateway goes away', () => {
    let relay: TcpRelay;
    let away: LedgerSession;

    beforeEach(async () => {
      const { organisations } = network.profile;
      relay = new TcpRelay(organisations[0]!.gateway.address);
      await relay.open();
      const [own, ...others] = organisations;
      const gateway = { ...own!.gateway, address: relay.address };
      const profile = { ...network.profile, organisations: [{ ...own!, gateway }, ...others] };
      away = await network.session('grid', 'operator', { profile });
    });
    afterEach(async () => {
      away.close();
      await relay.close();
    });

    it('goes on through other gateways, and back when its own is there again', async () => {
      await propose(away);
      expect(relay.accepted).to.equal(1);
      await relay.close();
      const { result } = await propose(away);
      expect((await governance(away).proposal(result.proposalId)).changeHash).to.equal(result.changeHash);
      expect(relay.accepted).to.equal(1);
      await relay.open();
      await eventually(async () => {
        await governance(away).consortium();
        return relay.accepted > 1;
      });
      expect((await propose(away)).attempts).to.equal(1);
    });

    it('misses no event and no block, and sees none twice', async () => {
      const startBlock = await away.height();
      const stop = new AbortController();
      const seen: string[] = [];
      const blocks: bigint[] = [];
      const listening = (async () => {
        for await (const event of away.events({ startBlock, signal: stop.signal })) {
          seen.push(event.transactionId);
        }
      })();
      const reading = (async () => {
        for await (const block of away.blocks({ startBlock, signal: stop.signal })) {
          blocks.push(BigInt(block.getHeader()!.getNumber()));
        }
      })();
      const executed = [(await change()).transactionId];
      await eventually(() => seen.length === 1);
      await relay.close();
      executed.push((await change()).transactionId);
      await eventually(() => seen.length === 2);
      await relay.open();
      const last = await change();
      executed.push(last.transactionId);
      await eventually(() => seen.length === 3 && blocks.at(-1)! >= last.blockNumber);
      stop.abort();
      await Promise.all([listening, reading]);
      expect(seen).to.deep.equal(executed);
      expect(blocks).to.deep.equal(blocks.map((_, i) => startBlock + BigInt(i)));
    });
  });

  it('survives kill -9 of the network: every submission is committed once, no event is lost or doubled', async () => {
    const startBlock = await session.height();
    const stop = new AbortController();
    const executed: string[] = [];
    const seen: string[] = [];
    const listening = (async () => {
      for await (const event of session.events({ startBlock, signal: stop.signal })) {
        seen.push(event.transactionId);
      }
    })();
    const load = new AbortController();
    const proposed: string[] = [];
    const proposers = Array.from({ length: 4 }, async () => {
      while (!load.signal.aborted) {
        const { result, transactionId } = await propose(session);
        proposed.push(result.proposalId);
        expect(transactionId).to.be.a('string');
      }
    });
    const changes = (async () => {
      while (!load.signal.aborted) {
        executed.push((await change()).transactionId);
      }
    })();
    for (let kill = 0; kill < 2; kill++) {
      await delay(200 + Math.random() * 300);
      await network.kill();
      await network.restart();
    }
    await delay(300);
    load.abort();
    await Promise.all([...proposers, changes]);

    const ids = new Set<string>();
    for await (const proposal of governance(session).proposals()) {
      ids.add(proposal.proposalId);
    }
    expect(proposed.filter((id) => !ids.has(id))).to.deep.equal([]);
    expect(new Set(proposed).size).to.equal(proposed.length);
    const last = await change();
    executed.push(last.transactionId);
    while (!seen.includes(last.transactionId)) {
      await delay(10);
    }
    stop.abort();
    await listening;
    expect(seen).to.deep.equal(executed);
  });
});
