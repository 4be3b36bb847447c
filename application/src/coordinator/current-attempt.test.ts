// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { learning } from '../ledger/contracts.js';
import { Federation } from '../testing/federation.js';
import { CurrentAttempt } from './current-attempt.js';
import { RoundClock } from './round-clock.js';

describe('CurrentAttempt', () => {
  let federation: Federation;
  let attempt: CurrentAttempt;
  let reads: string[];
  beforeEach(async () => {
    federation = new Federation({ vehicles: 2 });
    const contract = learning(federation.ledger.session('GridMSP'));
    const { task } = federation;
    const ref = { taskId: task.taskId, round: 1, attempt: 1 };
    const { result } = await contract.openRound({ ...ref, baseModelHash: task.model.initialModelHash });
    reads = [];
    attempt = new CurrentAttempt({
      task,
      record: result,
      learning: contract,
      fetch: (hash) => {
        reads.push(hash);
        return federation.store.get(hash);
      },
      clock: new RoundClock(false),
      batch: { maxBatch: 1 },
      seenAtMs: Date.now(),
      onRecorded: () => undefined,
    });
  });

  it('reads the update of a recorded envelope once', async () => {
    const envelope = await federation.envelope(attempt.record, federation.vehicleIds[0]!);
    expect(await attempt.add(envelope)).to.include({ accepted: true });
    await attempt.fetch(envelope.updateHash);
    expect(reads).to.deep.equal([envelope.updateHash]);
  });

  it('keeps nothing of an envelope that the ledger refused', async () => {
    const [first, second] = federation.vehicleIds as [string, string];
    const envelope = await federation.envelope(attempt.record, first);
    expect(await attempt.add({ ...envelope, vehicleId: second })).to.include({ accepted: false });
    await attempt.fetch(envelope.updateHash);
    expect(reads).to.have.length(2);
  });

  it('keeps no bytes of an update that has another length than the model', async () => {
    const tooLong = new Uint8Array(1_000_000);
    const envelope = await federation.envelope(attempt.record, federation.vehicleIds[0]!, tooLong);
    await attempt.add(envelope);
    expect(await attempt.fetch(envelope.updateHash)).to.have.length(0);
  });
});
