// SPDX-License-Identifier: Apache-2.0
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { decodeBitmap, signStatement, type HeSumStatement } from '@sev/chaincode/api';
import { HeRuntime, parametersFromBytes } from '@sev/fl';
import { DEFAULT_RETENTION_MS } from '../aggregator/retention.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { computeHeOutcome } from './he-outcome.js';
import { heLengthOf } from './he-task.js';
import { reportBytes } from './report-message.js';
import { HeScene, KEY_HOLDER, MASK_HOLDER, sumOf, SUMMER, type PreparedReport } from './testing/scene.js';

describe('The three organisations of mode he', function () {
  this.timeout(120_000);
  const directory = temporaryDirectory();
  const scenes: HeScene[] = [];
  let runtime: HeRuntime;

  before(async () => {
    runtime = await HeRuntime.load();
  });
  afterEach(async () => {
    await Promise.all(scenes.splice(0).map((scene) => scene.close()));
  });
  after(() => {
    runtime.close();
  });

  let count = 0;
  const start = async (options = {}): Promise<HeScene> => {
    const scene = await HeScene.start(runtime, join(directory(), String(count++)), options);
    scenes.push(scene);
    return scene;
  };

  it('give a sum that is exactly that of the integers, and a model that anybody computes from it', async () => {
    const scene = await start();
    const { task, store, vehicleIds, ledger } = scene.federation;
    const reports = await scene.toCohort();
    await scene.commit();
    const total = await scene.publishedSum();
    expect(total).to.deep.equal(sumOf(reports, vehicleIds));

    const { members } = ledger.cohorts.get('price-test/1/1')!;
    const { model } = await computeHeOutcome(task, scene.round, members, (hash) => store.get(hash));
    const mean = total.slice(0, task.model.parameters).map((value) => value / (4 * 2 ** 11));
    const expected = Float32Array.from(mean, (value) => 0.5 + value);
    expect(parametersFromBytes(model!.bytes, task.model.parameters)).to.deep.equal(expected);
    expect(model!.proposal).to.include({ cohortSize: 4, cohortHash: scene.round.he!.cohortHash });
  });

  it('sum exactly those that both hold, whoever is missing where', async () => {
    const scene = await start();
    const [all, notAtSummer, notAtMaskHolder, unrecorded] = scene.federation.vehicleIds as [
      string,
      string,
      string,
      string,
    ];
    await scene.open();
    const reports = new Map<string, PreparedReport>([
      [all, await scene.takePart(all)],
      [notAtSummer, await scene.takePart(notAtSummer, [MASK_HOLDER])],
      [notAtMaskHolder, await scene.takePart(notAtMaskHolder, [SUMMER])],
    ]);
    const silent = await scene.report(unrecorded);
    await scene.at(SUMMER).submitReport(silent.submissionFor(SUMMER));
    scene.closeRound();
    const holdings = await Promise.all([SUMMER, MASK_HOLDER].map((mspId) => scene.at(mspId).holdings(scene.ref)));
    const recorded = scene.federation.ledger.updates(scene.ref).map(({ vehicleId }) => vehicleId);
    const held = holdings.map(({ held: bits }) => recorded.filter((_, i) => decodeBitmap(bits, recorded.length)![i]));
    expect(held).to.deep.equal([
      recorded.filter((id) => id !== notAtSummer),
      recorded.filter((id) => id !== notAtMaskHolder),
    ]);
    scene.fixCohort([all]);
    expect(await codeOf(scene.at(MASK_HOLDER).masks(scene.ref))).to.equal('COHORT_TOO_SMALL');
    scene.fixCohort([all, notAtMaskHolder]);
    expect(await codeOf(scene.at(MASK_HOLDER).masks(scene.ref))).to.equal('SHARE_LOST');
    expect(reports.size).to.equal(3);
  });

  it('sum the cohort only, not others that took part', async () => {
    const scene = await start();
    const cohort = scene.federation.vehicleIds.slice(1);
    const reports = await scene.toCohort(cohort);
    await scene.commit();
    expect(await scene.publishedSum()).to.deep.equal(sumOf(reports, cohort));
  });

  it('show nothing before the ledger shows that it is time', async () => {
    const scene = await start();
    const { store, vehicleIds } = scene.federation;
    await scene.open();
    for (const vehicleId of vehicleIds) {
      await scene.takePart(vehicleId);
    }
    const before = store.objects.size;
    const [keyHolder, summer, maskHolder] = [KEY_HOLDER, SUMMER, MASK_HOLDER].map((mspId) => scene.at(mspId));
    const { ref } = scene;
    const early = [summer!.holdings(ref), summer!.sum(ref), maskHolder!.masks(ref), keyHolder!.publish(ref)];
    expect(await Promise.all(early.map(codeOf))).to.deep.equal(early.map(() => 'ROUND_STATE'));
    scene.closeRound();
    scene.fixCohort();
    const sum = await summer!.sum(ref);
    await maskHolder!.masks(ref);
    await keyHolder!.decrypt(ref, sum);
    expect([...store.objects.keys()].slice(before)).to.deep.equal([sum.sumHash]);
    expect(await codeOf(keyHolder!.publish(ref))).to.equal('ROUND_STATE');
    expect(await codeOf(maskHolder!.publish(ref))).to.equal('ROUND_STATE');
  });

  it('never show what a sum decrypts to where the masks of the cohort do not fit it', async () => {
    const scene = await start();
    const reports = await scene.toCohort();
    const { ref } = scene;
    const { store, consortium, vehicleIds } = scene.federation;
    const [victim] = vehicleIds as [string];
    const masks = await scene.at(MASK_HOLDER).masks(ref);
    // The summer signs for the report of one vehicle, whose mask the mask holder knows.
    const sumHash = await store.put(Buffer.concat(reports.get(victim)!.report.ciphertexts));
    const content = { consortium, ...ref, mspId: SUMMER, cohortHash: scene.round.he!.cohortHash!, sumHash };
    const statement: HeSumStatement = { type: 'sev/he-sum/v1', ...content };
    const signature = signStatement(statement, scene.federation.organisationKey(SUMMER));
    const { maskedHash } = await scene.at(KEY_HOLDER).decrypt(ref, { sumHash, signature });
    const hashes = { sumHash, masksHash: masks.masksHash, maskedHash };
    scene.federation.ledger.advance(ref, { state: 'aggregated', he: { ...scene.round.he!, ...hashes } });
    expect(await codeOf(scene.at(KEY_HOLDER).publish(ref))).to.equal('OBJECT_MISSING');
    await scene.at(MASK_HOLDER).publish(ref);
    expect(await codeOf(scene.at(KEY_HOLDER).publish(ref))).to.equal('SUM_INVALID');
    expect(await store.has(maskedHash)).to.equal(false);
  });

  it('open one sum once: the same asked again gives the same, another is refused, before and after a restart', async () => {
    const scene = await start();
    await scene.toCohort();
    const { ref } = scene;
    const sum = await scene.at(SUMMER).sum(ref);
    const masks = await scene.at(MASK_HOLDER).masks(ref);
    const masked = await scene.at(KEY_HOLDER).decrypt(ref, sum);
    for (const restarted of [false, true]) {
      for (const mspId of restarted ? [KEY_HOLDER, SUMMER, MASK_HOLDER] : []) {
        await scene.restart(mspId);
      }
      expect(await scene.at(SUMMER).sum(ref)).to.deep.equal(sum);
      expect(await scene.at(MASK_HOLDER).masks(ref)).to.deep.equal(masks);
      expect(await scene.at(KEY_HOLDER).decrypt(ref, sum)).to.deep.equal(masked);
      const other = { ...sum, sumHash: 'b'.repeat(64) };
      expect(await codeOf(scene.at(KEY_HOLDER).decrypt(ref, other))).to.equal('ALREADY_OPENED');
    }
    // The ledger cannot be made to show another cohort; a gateway that lies gets nothing either.
    scene.fixCohort(scene.federation.vehicleIds.slice(1));
    expect(await codeOf(scene.at(SUMMER).sum(ref))).to.equal('STATEMENT_CONFLICT');
    expect(await codeOf(scene.at(MASK_HOLDER).masks(ref))).to.equal('STATEMENT_CONFLICT');
  });

  it('decrypt nothing that the summer did not sign, and do no other part than their own', async () => {
    const scene = await start();
    await scene.toCohort();
    const { ref } = scene;
    const sum = await scene.at(SUMMER).sum(ref);
    const forged = { ...sum, sumHash: 'c'.repeat(64) };
    expect(await codeOf(scene.at(KEY_HOLDER).decrypt(ref, forged))).to.equal('SIGNATURE_INVALID');
    const strange = [scene.at(KEY_HOLDER).sum(ref), scene.at(SUMMER).masks(ref), scene.at(SUMMER).decrypt(ref, sum)];
    expect(await Promise.all(strange.map(codeOf))).to.deep.equal(strange.map(() => 'PART_NOT_HELD'));
  });

  it('lose the round with the key where the key holder restarts, and nothing where the others do', async () => {
    const scene = await start();
    const reports = await scene.toCohort();
    await scene.restart(SUMMER);
    await scene.restart(MASK_HOLDER);
    const { ref } = scene;
    const sum = await scene.at(SUMMER).sum(ref);
    await scene.restart(KEY_HOLDER);
    expect(await codeOf(scene.at(KEY_HOLDER).decrypt(ref, sum))).to.equal('KEY_HOLDER_LOST');
    expect(reports.size).to.equal(4);

    scene.federation.ledger.advance(ref, { state: 'aborted', abortedAtMs: 0 });
    const before = scene.round.he!.opening;
    const { opening } = await scene.opening({ ...ref, attempt: 2 });
    expect(opening.publicKeyHash).to.not.equal(before.publicKeyHash);
    expect(opening.sealingKey).to.not.equal(before.sealingKey);
  });

  it('publish after a restart of the key holder what it has decrypted before', async () => {
    const scene = await start();
    const reports = await scene.toCohort();
    await scene.commit();
    await scene.restart(KEY_HOLDER);
    await scene.restart(MASK_HOLDER);
    expect(await scene.publishedSum()).to.deep.equal(sumOf(reports, scene.federation.vehicleIds));
  });

  it('sign no opening with a key that is not their own, and none beside the one on the ledger', async () => {
    const scene = await start();
    const { opening } = await scene.opening();
    const other = { publicKeyHash: 'd'.repeat(64), sealingKey: opening.sealingKey };
    expect(await codeOf(scene.at(KEY_HOLDER).accept(scene.ref, other))).to.equal('OPENING_INVALID');
    await scene.open();
    expect(await codeOf(scene.at(SUMMER).accept(scene.ref, other))).to.equal('ROUND_CONFLICT');
    expect(await codeOf(scene.at(SUMMER).prepare(scene.ref, scene.base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(scene.at(SUMMER).prepare({ ...scene.ref, attempt: 2 }, scene.base))).to.equal(
      'ROUND_OUT_OF_ORDER',
    );
  });

  it('give receipts for what is checked, the same for the same report, and refuse the rest by name', async () => {
    const scene = await start();
    const [first, second] = scene.federation.vehicleIds as [string, string];
    await scene.open();
    const report = await scene.report(first);
    for (const mspId of [SUMMER, MASK_HOLDER]) {
      const party = scene.at(mspId);
      const submission = report.submissionFor(mspId);
      const receipts = await Promise.all([party.submitReport(submission), party.submitReport(submission)]);
      expect(await (await scene.restart(mspId)).submitReport(submission)).to.deep.equal(receipts[0]);
      const another = (await scene.report(first)).submissionFor(mspId);
      expect(await codeOf(scene.at(mspId).submitReport(another))).to.equal('SHARE_CONFLICT');
    }
    const good = await scene.report(second);
    const changed = (mspId: string, at: number): string => {
      const bytes = Buffer.from(good.submissionFor(mspId).sealed, 'base64');
      bytes[bytes.length - at] = bytes[bytes.length - at]! ^ 1;
      return bytes.toString('base64');
    };
    const cases: [string, Partial<ReturnType<PreparedReport['submissionFor']>>, string][] = [
      [SUMMER, { sealed: changed(SUMMER, 1) }, 'REPORT_MISMATCH'],
      [SUMMER, { sealed: 'AAAA' }, 'SHARE_MALFORMED'],
      [SUMMER, { sealed: good.submissionFor(MASK_HOLDER).sealed }, 'REPORT_MISMATCH'],
      [MASK_HOLDER, { sealed: changed(MASK_HOLDER, 1) }, 'SHARE_UNREADABLE'],
      [SUMMER, { sealed: report.submissionFor(SUMMER).sealed }, 'SHARE_MISMATCH'],
      [SUMMER, { baseModelHash: 'e'.repeat(64) }, 'ROUND_STALE'],
      [SUMMER, { envelope: { ...good.submissionFor(SUMMER).envelope, weightClass: 1 } }, 'SIGNATURE_INVALID'],
      [SUMMER, (await scene.report(second, first)).submissionFor(SUMMER), 'SHARE_MISMATCH'],
      [KEY_HOLDER, {}, 'PART_NOT_HELD'],
    ];
    for (const [mspId, change, code] of cases) {
      const submission = { ...good.submissionFor(mspId), ...change };
      expect(await codeOf(scene.at(mspId).submitReport(submission)), code).to.equal(code);
    }
    scene.closeRound();
    await scene.at(SUMMER).holdings(scene.ref);
    expect(await codeOf(scene.at(SUMMER).submitReport(good.submissionFor(SUMMER)))).to.equal('ROUND_STATE');
  });

  it('destroy keys and reports when the retention of a round that is over has passed', async () => {
    const scene = await start();
    await scene.toCohort();
    expect(await scene.at(SUMMER).clean(Number.MAX_SAFE_INTEGER)).to.deep.equal([]);
    const abortedAtMs = Date.now();
    scene.federation.ledger.advance(scene.ref, { state: 'aborted', abortedAtMs });
    const late = abortedAtMs + DEFAULT_RETENTION_MS;
    expect(await scene.at(SUMMER).clean(late - 1)).to.deep.equal([]);
    expect(await scene.at(SUMMER).clean(late)).to.deep.equal([scene.ref]);
    expect(await readdir(join(scene.homeOf(SUMMER), scene.ref.taskId))).to.deep.equal([]);
  });

  it('destroy what is over though the secrets of it are damaged', async () => {
    const scene = await start();
    await scene.toCohort();
    const { ref } = scene;
    await writeFile(join(scene.homeOf(SUMMER), ref.taskId, '1-1', 'secrets.json'), '{"schemaVersion":9}');
    scene.federation.ledger.advance(ref, { state: 'aborted', abortedAtMs: 0 });
    expect(await scene.at(SUMMER).clean(Number.MAX_SAFE_INTEGER)).to.deep.equal([ref]);
  });

  it('get as many bytes of a report as is counted', async () => {
    const scene = await start();
    await scene.open();
    const report = await scene.report(scene.federation.vehicleIds[0]!);
    const sent = [SUMMER, MASK_HOLDER].map((mspId) => report.submissionFor(mspId).sealed.length);
    expect(sent[0]! + sent[1]!).to.equal(reportBytes(heLengthOf(scene.federation.task)));
  });
});
