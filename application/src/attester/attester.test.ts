// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Proposal, RoundRecord } from '@sev/chaincode/api';
import { attemptOf } from '../services/attempt.js';
import { silentLog } from '../services/log.js';
import { computeOutcome } from '../services/round-outcome.js';
import { Federation, type FederationOptions } from '../testing/federation.js';
import { Attester } from './attester.js';

interface Scene {
  readonly federation: Federation;
  readonly attester: Attester;
  readonly round: () => RoundRecord;
  readonly record: (count: number, bytes?: Uint8Array) => Promise<void>;
  readonly close: () => Promise<void>;
  readonly propose: () => Promise<Proposal>;
}

/** An open round, and the attester of one organisation. */
async function newScene(options: FederationOptions = {}): Promise<Scene> {
  const federation = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 30, ...options });
  const { ledger, store, task } = federation;
  const grid = ledger.session('GridMSP');
  const attester = new Attester({
    session: ledger.session('CityMSP'),
    store,
    signer: federation.signer('CityMSP'),
    log: silentLog,
  });
  const base = { taskId: task.taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
  await grid.submit('learning', 'OpenRound', base);
  const round = (): RoundRecord => ledger.rounds.get(1)!;
  return {
    federation,
    attester,
    round,
    record: async (count, bytes) => {
      const ids = federation.vehicleIds.slice(0, count);
      const envelopes = await Promise.all(ids.map((id) => federation.envelope(round(), id, bytes)));
      await grid.submit('learning', 'RecordUpdates', { ...base, envelopes });
    },
    close: async () => {
      const ref = attemptOf(base);
      const statements = federation.mspIds.map((mspId) => federation.signer(mspId).close(ref));
      await grid.submit('learning', 'CloseRound', { ...ref, statements });
    },
    propose: async () => {
      const outcome = await computeOutcome(task, round(), ledger.updates(round()), (hash) => store.get(hash));
      await store.put(outcome.model!.bytes);
      return outcome.model!.proposal;
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error as { code?: string }).code,
  );
}

const graceOver = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));

describe('Attester', () => {
  it('agrees to close at once with the target cohort', async () => {
    const { attester, record, round } = await newScene();
    await record(4);
    expect(await attester.close(attemptOf(round()))).to.have.property('mspId', 'CityMSP');
  });

  it('agrees to close with the minimum cohort only when it has seen the round open for the grace time', async () => {
    const { attester, record, round } = await newScene();
    await record(2);
    expect(await codeOf(attester.close(attemptOf(round())))).to.equal('GRACE_NOT_OVER');
    await graceOver();
    expect(await codeOf(attester.close(attemptOf(round())))).to.equal(undefined);
  });

  it('does not agree to close below the minimum cohort, nor to abort above it', async () => {
    const { attester, record, round } = await newScene();
    await record(1);
    await codeOf(attester.close(attemptOf(round())));
    await graceOver();
    expect(await codeOf(attester.close(attemptOf(round())))).to.equal('COHORT_TOO_SMALL');
    expect(await codeOf(attester.abort(attemptOf(round()), 'too few'))).to.equal(undefined);
    await record(2);
    expect(await codeOf(attester.abort(attemptOf(round()), 'too few'))).to.equal('COHORT_REACHED');
  });

  it('says nothing about rounds and attempts that its ledger does not show', async () => {
    const { attester, round } = await newScene();
    const ref = attemptOf(round());
    expect(await codeOf(attester.close({ ...ref, round: 9 }))).to.equal('ROUND_STALE');
    expect(await codeOf(attester.close({ ...ref, attempt: 2 }))).to.equal('ROUND_STALE');
    expect(await codeOf(attester.close({ ...ref, taskId: 'other' }))).to.equal('TASK_UNKNOWN');
  });

  it('attests what its own recomputation gives', async () => {
    const { attester, record, close, propose } = await newScene();
    await record(4);
    await close();
    expect(await codeOf(attester.attest(await propose()))).to.equal(undefined);
  });

  it('attests nothing before the round is closed', async () => {
    const { attester, record, propose } = await newScene();
    await record(4);
    expect(await codeOf(attester.attest(await propose()))).to.equal('ROUND_STATE');
  });

  for (const [field, value] of Object.entries({
    modelHash: 'e'.repeat(64),
    cohortHash: 'e'.repeat(64),
    cohortSize: 3,
    baseModelHash: 'e'.repeat(64),
  })) {
    it(`does not attest a proposal with another ${field}, and names it`, async () => {
      const { attester, record, close, propose } = await newScene();
      await record(4);
      await close();
      const lie = { ...(await propose()), [field]: value };
      const error = await attester.attest(lie).catch((e: unknown) => e as Error & { code: string });
      expect(error).to.have.property('code', 'ATTESTATION_REFUSED');
      expect(error).to.have.property('message').that.includes(field);
    });
  }

  it('does not attest an exclusion that it cannot confirm', async () => {
    const { attester, record, close, propose, federation } = await newScene();
    await record(4);
    await close();
    const excluded = [{ vehicleId: federation.vehicleIds[0]!, reason: 'UPDATE_MISSING' as const }];
    expect(await codeOf(attester.attest({ ...(await propose()), excluded }))).to.equal('ATTESTATION_REFUSED');
  });

  it('does not attest a model that is not in the store', async () => {
    const { attester, record, close, propose, federation } = await newScene();
    await record(4);
    await close();
    const proposal = await propose();
    federation.store.objects.delete(proposal.modelHash);
    expect(await codeOf(attester.attest(proposal))).to.equal('ATTESTATION_REFUSED');
  });

  it('excludes missing, short and non-finite updates by name, as the coordinator does', async () => {
    const { attester, close, propose, federation, round } = await newScene();
    const [a, b, c, d] = federation.vehicleIds as [string, string, string, string];
    const length = 4 * federation.task.model.parameters;
    const envelopes = [
      federation.sign(round(), a, 'd'.repeat(64)),
      await federation.envelope(round(), b, new Uint8Array(length - 4)),
      await federation.envelope(round(), c, new Uint8Array(length).fill(0xff)),
      await federation.envelope(round(), d),
    ];
    const { baseModelHash } = round();
    await federation.ledger
      .session('GridMSP')
      .submit('learning', 'RecordUpdates', { ...attemptOf(round()), baseModelHash, envelopes });
    await close();
    const proposal = await propose();
    expect(proposal.excluded).to.deep.equal([
      { vehicleId: a, reason: 'UPDATE_MISSING' },
      { vehicleId: b, reason: 'UPDATE_LENGTH' },
      { vehicleId: c, reason: 'UPDATE_NOT_FINITE' },
    ]);
    expect(await codeOf(attester.attest(proposal))).to.equal(undefined);
    expect(await codeOf(attester.abort(attemptOf(round()), 'too few usable'))).to.equal(undefined);
  });

  it('takes a store that does not answer for an outage and not for missing updates', async () => {
    const { attester, record, close, propose, federation } = await newScene();
    await record(4);
    await close();
    const proposal = await propose();
    const outage = Object.assign(new Error('down'), { code: 'STORE_UNREACHABLE' });
    federation.store.get = () => Promise.reject(outage);
    expect(await codeOf(attester.attest(proposal))).to.equal('STORE_UNREACHABLE');
  });
});
