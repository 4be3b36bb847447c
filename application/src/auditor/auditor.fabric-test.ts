// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseNetwork, networkStatus } from '@sev/network';
import { expect } from 'chai';
import { governance, type LedgerEventEnvelope, type LedgerSession } from '../ledger/index.js';
import { auditLedger } from '../run/audit-ledger.js';
import { FileStore } from '../store/index.js';
import type { ExampleRun } from '../testing/run.js';
import { caughtUp, eventually } from '../testing/temporary.js';
import { exportLedger, manifestOf, verifyExport } from './index.js';

describe('on real Fabric, client and audit', function () {
  this.timeout(300_000);
  let run: ExampleRun;
  let regulator: LedgerSession;
  let folder: string;

  before(async function () {
    try {
      await chooseNetwork('fabric');
    } catch (error) {
      process.stdout.write(`  skipped: ${String(error)}\n`);
      this.skip();
    }
    folder = await mkdtemp(join(tmpdir(), 'sev-audit-'));
    // Read when it is loaded.
    process.env['SEV_TEST_NETWORK'] = 'fabric';
    const { exampleRun } = await import('../testing/run.js');
    run = await exampleRun();
    expect(run.network.profile.network).to.include({ kind: 'fabric', trust: 'single-operator' });
    regulator = await run.network.session('regulator', 'auditor');
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const policy = { vehicleQuota: 10_000, enrollmentsPerWindow: 1_000, enrollmentWindowMs: 3_600_000 };
  const propose = (by: LedgerSession, proposalId: string) =>
    governance(by).propose({ proposalId, change: { kind: 'set-policy', policy } });

  it('find nothing wrong with a run of two rounds, its models and updates', async () => {
    const result = await auditLedger({ session: regulator, store: await FileStore.open(run.objects) });
    expect(result.firstFailure).to.equal(undefined);
    expect(result.skipped).to.deep.equal([]);
    expect(result.checked).to.include({ vehicles: 3, updates: 6, rounds: 2, aggregations: 2 });
    expect(result.checked.endorsements).to.be.greaterThan(result.checked.blocks);
    // A quorum of three of four consenters signs every block after the first.
    expect(result.checked.signatures).to.be.greaterThan(3 * (result.checked.blocks - 1));
  });

  it('find the same in an export, offline', async () => {
    const path = join(folder, 'ledger.sev');
    const endBlock = (await regulator.height()) - 1n;
    await exportLedger(regulator.blocks({ startBlock: 0n, endBlock }), manifestOf(run.network.profile), path);
    const result = await verifyExport({ path, genesisHash: run.network.profile.genesisHash });
    expect(result).to.deep.include({ ok: true, height: Number(endBlock) + 1, skipped: ['store'] });
  });

  it('find the same blocks at every organisation', async () => {
    const last = (await regulator.height()) - 1n;
    const hashes = await Promise.all(
      ['grid', 'maker', 'city'].map(async (organisation) => {
        const session = await run.network.session(organisation, 'operator');
        for await (const block of session.blocks({ startBlock: last })) {
          return Buffer.from(block.getHeader()!.getDataHash_asU8()).toString('hex');
        }
        return '';
      }),
    );
    expect(new Set(hashes).size).to.equal(1);
  });

  it('go on when the peer of the own organisation is killed, and lose or double nothing', async () => {
    const session = await run.network.session('grid', 'operator');
    const startBlock = await session.height();
    const stop = new AbortController();
    const blocks: bigint[] = [];
    const reading = (async () => {
      for await (const block of session.blocks({ startBlock, signal: stop.signal })) {
        blocks.push(BigInt(block.getHeader()!.getNumber()));
      }
    })();
    const peers = (await networkStatus({ home: run.network.networkHome })).nodes.filter(({ kind }) => kind === 'peer');
    const own = peers.find(({ organisation }) => organisation === 'grid');
    const submitted: string[] = [];
    let longestMs = 0;
    for (let i = 0; i < 12; i++) {
      if (i === 4) {
        process.kill(own!.pid!, 'SIGKILL');
      }
      const startedAt = Date.now();
      submitted.push((await propose(session, `kill-${i}`)).result.proposalId);
      longestMs = Math.max(longestMs, Date.now() - startedAt);
    }
    expect(longestMs).to.be.lessThan(8_000);
    const found: string[] = [];
    for await (const { proposalId } of governance(session).proposals()) {
      found.push(proposalId);
    }
    expect(found).to.include.members(submitted);
    const { blockNumber } = await propose(session, 'kill-last');
    await eventually(() => blocks.at(-1)! >= blockNumber);
    stop.abort();
    await reading;
    expect(blocks).to.deep.equal(blocks.map((_, i) => startBlock + BigInt(i)));
    const result = await auditLedger({ session });
    expect(result.firstFailure).to.equal(undefined);
  });

  it('deliver events of all transactions, each once', async () => {
    const session = await run.network.session('maker', 'operator');
    const startBlock = await session.height();
    const submitted = await Promise.all([0, 1, 2].map((i) => propose(session, `event-${i}`)));
    const stop = new AbortController();
    const seen: LedgerEventEnvelope[] = [];
    const listening = (async () => {
      for await (const event of session.events({ startBlock, signal: stop.signal })) {
        seen.push(event);
      }
    })();
    for (const organisation of ['grid', 'city']) {
      const operator = await run.network.session(organisation, 'operator');
      await caughtUp(operator, submitted[0]!.blockNumber);
      const { blockNumber } = await governance(operator).vote({ proposalId: 'event-0', approve: true });
      await caughtUp(session, blockNumber);
    }
    const { transactionId } = await governance(session).execute('event-0');
    await eventually(() => seen.some((event) => event.transactionId === transactionId));
    stop.abort();
    await listening;
    expect(seen.filter((event) => event.transactionId === transactionId)).to.have.length(1);
    expect(submitted.every(({ blockNumber }) => blockNumber >= startBlock)).to.equal(true);
  });
});
