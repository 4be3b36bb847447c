// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import { CurrentAttempt } from './current-attempt.js';
import { RoundClock } from './round-clock.js';

describe('CurrentAttempt', () => {
  let federation: Federation;
  let attempt: CurrentAttempt;
  let reads: string[];
  beforeEach(async () => {
    federation = new Federation({ vehicles: 2 });
    const { task } = federation;
    reads = [];
    attempt = new CurrentAttempt({
      task,
      record: await federation.openRound(),
      fetch: (hash) => {
        reads.push(hash);
        return federation.store.get(hash);
      },
      clock: new RoundClock(false),
      seenAtMs: Date.now(),
    });
  });

  it('reads each recorded update once, however often the ledger lists it', async () => {
    const envelope = await federation.envelope(attempt.record, federation.vehicleIds[0]!);
    await federation.recordBatch(attempt.record, [envelope]);
    const listed = federation.ledger.updates(attempt.ref);
    attempt.seeRecorded(listed);
    attempt.seeRecorded(listed);
    await attempt.fetch(envelope.updateHash);
    expect(reads).to.deep.equal([envelope.updateHash]);
    expect(attempt.recorded).to.equal(1);
  });

  it('reads an update again that the store did not have', async () => {
    const envelope = await federation.envelope(attempt.record, federation.vehicleIds[0]!);
    const bytes = federation.store.objects.get(envelope.updateHash)!;
    await federation.recordBatch(attempt.record, [envelope]);
    federation.store.objects.delete(envelope.updateHash);
    attempt.seeRecorded(federation.ledger.updates(attempt.ref));
    const missing = await attempt.fetch(envelope.updateHash).catch((error: unknown) => error);
    expect(missing).to.have.property('code', 'OBJECT_MISSING');
    federation.store.objects.set(envelope.updateHash, bytes);
    expect(await attempt.fetch(envelope.updateHash)).to.deep.equal(bytes);
  });

  it('keeps no bytes of an update that has another length than the model', async () => {
    const tooLong = new Uint8Array(1_000_000);
    const envelope = await federation.envelope(attempt.record, federation.vehicleIds[0]!, tooLong);
    expect(await attempt.fetch(envelope.updateHash)).to.have.length(0);
  });

  it('forgets what failed once the round goes on, or a dispute in it does', () => {
    const { record } = attempt;
    const opening = { aggregators: [] };
    const spent = { openedProjections: 0, chargedMicroRho: 0, shownAttempts: [] };
    const secure = { opening, openingHash: '', ...spent, faulty: [], accused: [], disputes: [] };
    const dispute = { component: 0, phase: 'audit' as const, openedAtMs: 0, said: [] };
    const scored = { ...record, state: 'scored' as const, secure };
    for (const seen of [
      scored,
      { ...scored, secure: { ...secure, disputes: [dispute] } },
      { ...scored, secure: { ...secure, disputes: [{ ...dispute, faulty: [] }] } },
    ]) {
      attempt.stepFailed = 'AGGREGATORS_MISSING';
      attempt.stepFailures = 3;
      attempt.see({ ...attempt.record });
      expect(attempt, 'nothing new').to.include({ stepFailed: 'AGGREGATORS_MISSING', stepFailures: 3 });
      attempt.see(seen);
      expect(attempt).to.include({ stepFailed: undefined, stepFailures: 0 });
    }
  });
});
