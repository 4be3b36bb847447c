// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { common } from '@hyperledger/fabric-protos';
import { canonicalJson, type RoundRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import fc from 'fast-check';
import { hasCode } from '../errors.js';
import { learning, type LedgerSession } from '../ledger/index.js';
import { anchorsOfProfile, auditLedger } from '../run/audit-ledger.js';
import { FileStore } from '../store/index.js';
import { exampleRun, type ExampleRun } from '../testing/run.js';
import {
  AUDIT_CODES,
  auditHistory,
  exportLedger,
  manifestOf,
  openExport,
  verifyExport,
  verifyLedger,
  type AuditResult,
  type TrustAnchors,
} from './index.js';

/** Fields of an export file and where its blocks lie in it. */
interface ExportLayout {
  readonly bytes: Buffer;
  readonly blocks: readonly { readonly start: number; readonly end: number }[];
  readonly closing: number;
}

function layoutOf(bytes: Buffer): ExportLayout {
  let at = bytes.indexOf('\n', bytes.indexOf('\n') + 1) + 1;
  const blocks: { start: number; end: number }[] = [];
  for (let length = bytes.readUInt32BE(at); length > 0; length = bytes.readUInt32BE(at)) {
    blocks.push({ start: at + 4, end: at + 4 + length });
    at += 4 + length;
  }
  return { bytes, blocks, closing: at + 4 };
}

/** The file with one byte changed; `resealed` writes the checksum that belongs to the changed content. */
function flipped(layout: ExportLayout, at: number, mask: number, resealed: boolean): Buffer {
  const copy = Buffer.from(layout.bytes);
  copy[at] = copy[at]! ^ mask;
  if (!resealed) {
    return copy;
  }
  const content = copy.subarray(0, layout.closing);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const closing = `${canonicalJson({ blocks: layout.blocks.length, sha256 })}\n`;
  return Buffer.concat([content, Buffer.from(closing)]);
}

describe('audit', function () {
  this.timeout(120_000);
  let run: ExampleRun;
  let session: LedgerSession;
  let store: FileStore;
  let folder: string;
  let blocks: common.Block[];
  let anchors: TrustAnchors;
  let layout: ExportLayout;

  const verifyBytes = async (bytes: Buffer): Promise<AuditResult> => {
    const path = join(folder, 'changed.sev');
    await writeFile(path, bytes);
    return verifyExport({ path, genesisHash: anchors.genesisHash });
  };

  before(async () => {
    run = await exampleRun();
    folder = await mkdtemp(join(tmpdir(), 'sev-audit-'));
    session = await run.network.session('regulator', 'auditor');
    store = await FileStore.open(run.objects);
    anchors = anchorsOfProfile(run.network.profile);
    const operators = await Promise.all(['grid', 'city'].map((org) => run.network.session(org, 'coordinator')));
    await raceForRound(operators);
    const path = join(folder, 'ledger.sev');
    const endBlock = (await session.height()) - 1n;
    await exportLedger(session.blocks({ startBlock: 0n, endBlock }), manifestOf(run.network.profile), path);
    blocks = [];
    for await (const block of (await openExport(path)).blocks()) {
      blocks.push(block);
    }
    layout = layoutOf(await readFile(path));
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Two coordinators open the same round at once: one of the transactions becomes invalid and stays in its block. */
  async function raceForRound(sessions: readonly LedgerSession[]): Promise<void> {
    const contract = learning(sessions[0]!);
    const { task } = await contract.task('price-example');
    const taskId = 'price-race';
    // In plain mode, whose rounds need no aggregators to open them.
    const { secure: _terms, ...plain } = task;
    await contract.createTask({ ...plain, taskId, privacy: 'plain' });
    const request = { taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
    const opened = await Promise.allSettled(sessions.map((s) => learning(s).openRound(request)));
    const refused = opened.flatMap((o) => (o.status === 'rejected' ? [o.reason as unknown] : []));
    expect(refused.every((error) => hasCode(error, 'ROUND_CONFLICT', 'ROUND_STATE'))).to.equal(true);
  }

  it('finds nothing wrong with a real run, ledger and store', async () => {
    const result = await auditLedger({ session, store });
    expect(result.firstFailure).to.equal(undefined);
    expect(result.ok).to.equal(true);
    expect(result.checked).to.deep.include({
      vehicles: 3,
      updates: 6,
      rounds: 2,
      models: 4,
      aggregations: 2,
      objects: 9,
    });
    expect(result.checked.endorsements).to.be.greaterThan(2 * (result.checked.blocks - 1));
    expect(result.skipped).to.deep.equal([]);
  });

  it('says the same of an export, offline', async () => {
    const result = await verifyBytes(layout.bytes);
    expect(result.ok).to.equal(true);
    expect(result.skipped).to.deep.equal(['store']);
    expect(result.checked.blocks).to.equal(blocks.length);
  });

  it('names one byte changed anywhere in an export', async () => {
    const position = fc.integer({ min: 0, max: layout.bytes.length - 1 });
    await fc.assert(
      fc.asyncProperty(position, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const { ok, firstFailure } = await verifyBytes(flipped(layout, at, mask, false));
        expect(ok).to.equal(false);
        expect(AUDIT_CODES).to.have.property(firstFailure!.code);
      }),
      { numRuns: 60 },
    );
  });

  it('names the block of one byte changed anywhere in the blocks, whatever the checksum of the file says', async () => {
    const place = fc.nat(blocks.length - 1).chain((index) => {
      const { start, end } = layout.blocks[index]!;
      return fc.tuple(fc.constant(index), fc.integer({ min: start, max: end - 1 }), fc.integer({ min: 1, max: 255 }));
    });
    await fc.assert(
      fc.asyncProperty(place, async ([index, at, mask]) => {
        const { ok, firstFailure } = await verifyBytes(flipped(layout, at, mask, true));
        expect(ok).to.equal(false);
        expect(firstFailure?.where).to.match(new RegExp(`^block ${String(index)}\\b`));
      }),
      { numRuns: 100 },
    );
  });

  it('misses no block: left out, doubled, exchanged or cut off at the front', async () => {
    const [first, second, third, ...others] = blocks;
    const orders: common.Block[][] = [
      [first!, third!, ...others],
      [first!, second!, second!, third!, ...others],
      [first!, third!, second!, ...others],
      [second!, third!, ...others],
      [],
    ];
    const codes = await Promise.all(
      orders.map(async (order) => (await verifyLedger({ anchors, blocks: order })).firstFailure?.code),
    );
    expect(codes).to.deep.equal(['BLOCK_NUMBER', 'BLOCK_NUMBER', 'BLOCK_NUMBER', 'BLOCK_NUMBER', 'LEDGER_EMPTY']);
  });

  it('believes neither another genesis block nor other roots', async () => {
    const other = await verifyLedger({ anchors: { ...anchors, genesisHash: '0'.repeat(64) }, blocks });
    expect(other.firstFailure).to.deep.include({ code: 'GENESIS_MISMATCH', where: 'block 0' });
    const [one, two, ...rest] = anchors.organisations;
    const swapped = [
      { mspId: one!.mspId, identityCaCert: two!.identityCaCert },
      { mspId: two!.mspId, identityCaCert: one!.identityCaCert },
      ...rest,
    ];
    const strangers = await verifyLedger({ anchors: { ...anchors, organisations: swapped }, blocks });
    expect(strangers.firstFailure).to.deep.include({ code: 'CHANNEL_ROOTS', where: 'block 0' });
  });

  it('believes no roots that the channel does not name, and no smaller or larger consortium', async () => {
    const [one, two, ...rest] = anchors.organisations;
    const added = { mspId: one!.mspId, identityCaCert: `${one!.identityCaCert}${two!.identityCaCert}` };
    const stranger = { mspId: 'StrangerMSP', identityCaCert: one!.identityCaCert };
    const results = await Promise.all(
      [
        [added, two!, ...rest],
        [two!, ...rest],
        [one!, two!, ...rest, stranger],
      ].map((organisations) => verifyLedger({ anchors: { ...anchors, organisations }, blocks: blocks.slice(0, 1) })),
    );
    for (const { firstFailure } of results) {
      expect(firstFailure).to.deep.include({ code: 'CHANNEL_ROOTS', where: 'block 0' });
    }
  });

  it('names a validation code that a peer changed', async () => {
    const changed = blocks.map((block) => block.clone());
    const metadata = changed[5]!.getMetadata()!;
    const entries = metadata.getMetadataList_asU8();
    entries[2] = Uint8Array.from(entries[2]!, () => 11);
    metadata.setMetadataList(entries);
    const { firstFailure } = await verifyLedger({ anchors, blocks: changed });
    expect(firstFailure?.code).to.equal('VALIDATION_FLAG');
    expect(firstFailure?.where).to.match(/^block 5, transaction 0/);
    expect(firstFailure?.detail).to.contain('recorded MVCC_READ_CONFLICT, found VALID');
  });

  describe('of the store', () => {
    const objectPath = async (hash: string): Promise<string> => {
      const names = await readdir(run.objects, { recursive: true });
      const name = names.find((candidate) => candidate.endsWith(hash));
      return join(run.objects, name!);
    };
    const auditWith = async (hash: string, change: (path: string, bytes: Buffer) => Promise<void>) => {
      const path = await objectPath(hash);
      const bytes = await readFile(path);
      try {
        await change(path, bytes);
        return (await verifyLedger({ anchors, blocks, store })).firstFailure;
      } finally {
        await writeFile(path, bytes);
      }
    };
    const round = (): Promise<RoundRecord> => learning(session).round({ taskId: 'price-example', round: 2 });

    it('names a model with one byte changed', async () => {
      const { modelHash } = (await round()).proposal!;
      const failure = await auditWith(modelHash, async (path, bytes) => {
        const copy = Buffer.from(bytes);
        copy[1_234] = copy[1_234]! ^ 1;
        await writeFile(path, copy);
      });
      expect(failure).to.deep.include({ kind: 'object', code: 'CONTENT_HASH_MISMATCH' });
      expect(failure?.where).to.contain(modelHash);
    });

    it('names a sum of shares that is missing', async () => {
      const [[sum] = []] = (await round()).secure!.sums!;
      let ofOtherTask: AuditResult | undefined;
      const failure = await auditWith(sum!, async (path) => {
        await rm(path);
        ofOtherTask = await verifyLedger({ anchors, blocks, store, storeTaskId: 'price-race' });
      });
      expect(failure).to.deep.include({ kind: 'object', code: 'OBJECT_MISSING' });
      expect(failure?.where).to.contain(sum).and.to.contain('price-example/2');
      expect(ofOtherTask).to.deep.include({ ok: true, skipped: ['objects-of-other-tasks'] });
      expect(ofOtherTask?.checked).to.include({ objects: 1, aggregations: 0 });
    });
  });

  describe('history', () => {
    it('follows a round through its states, with the transactions', async () => {
      const events = await auditHistory(session, { kind: 'round', taskId: 'price-example', round: 1 });
      expect(events.map((e) => (e.record as RoundRecord).state)).to.deep.equal([
        ...['open', 'closed', 'cohort', 'scored', 'aggregated', 'finalised'],
      ]);
      expect(events.every((e) => /^[0-9a-f]{64}$/.test(e.txId))).to.equal(true);
    });

    it('follows a model back to the initial one, and a task through its rounds', async () => {
      const { modelHash } = run.report.rounds.at(-1)!;
      const models = await auditHistory(session, { kind: 'model', taskId: 'price-example', modelHash });
      expect(models.map((m) => m.what.split(':')[0])).to.deep.equal([
        'initial model',
        'model of round 1',
        'model of round 2',
      ]);
      const task = await auditHistory(session, { kind: 'task', taskId: 'price-example' });
      expect(task[0]?.what).to.equal('created by GridOperatorMSP');
      expect(task.filter((e) => e.what.includes('finalised'))).to.have.length(2);
    });

    it('follows a vehicle and its updates', async () => {
      const updates = learning(session).updates({ taskId: 'price-example', round: 1, attempt: 1 });
      const { value } = await updates[Symbol.asyncIterator]().next();
      const { vehicleId } = value as { vehicleId: string };
      const events = await auditHistory(session, { kind: 'vehicle', vehicleId, taskId: 'price-example' });
      expect(events.filter((e) => e.what.startsWith('update '))).to.have.length(2);
      expect(events.some((e) => e.what.startsWith('active'))).to.equal(true);
    });
  });
});
