// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { verifyStatement, type CloseStatement, type Proposal, type RoundRecord } from '@sev/chaincode/api';
import { parametersToBytes } from '@sev/fl';
import { createPublicKey } from 'node:crypto';
import { attemptOf } from '../services/attempt.js';
import { silentLog } from '../services/log.js';
import { networkName } from '../services/network-name.js';
import { computeOutcome } from '../services/round-outcome.js';
import { StatementSigner } from '../services/statement-signer.js';
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

interface SceneOptions extends FederationOptions {
  /** The attester's own clock. */
  readonly clock?: () => number;
}

/** An open round, and the attester of one organisation. */
async function newScene({ clock, ...options }: SceneOptions = {}): Promise<Scene> {
  const federation = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 30, ...options });
  const { ledger, store, task } = federation;
  const grid = ledger.session('GridMSP');
  const session = ledger.session('CityMSP');
  const key = federation.organisationKey('CityMSP');
  const attester = new Attester({
    session,
    store,
    signer: new StatementSigner('CityMSP', key, networkName(session)),
    ...(clock === undefined ? {} : { nowMs: clock }),
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
      const statements = await Promise.all(federation.mspIds.map((mspId) => federation.signer(mspId).close(ref)));
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

  it('does not agree to close below the minimum cohort, nor to abort before the deadline or above it', async () => {
    const { attester, record, round } = await newScene({ roundMs: 500 });
    await record(1);
    await codeOf(attester.close(attemptOf(round())));
    await graceOver();
    expect(await codeOf(attester.close(attemptOf(round())))).to.equal('COHORT_TOO_SMALL');
    const early = await attester.abort(attemptOf(round()), 'COHORT_TOO_SMALL').catch((error: unknown) => error);
    expect(early).to.include({ code: 'ROUND_DEADLINE_NOT_REACHED' });
    expect(early).to.have.property('leftMs').that.is.within(1, 500);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await codeOf(attester.abort(attemptOf(round()), 'COHORT_TOO_SMALL'))).to.equal(undefined);
    await record(2);
    expect(await codeOf(attester.abort(attemptOf(round()), 'COHORT_TOO_SMALL'))).to.equal('COHORT_REACHED');
  });

  it('agrees to abort for want of a majority only when it has seen a closed round without one for a round', async () => {
    let nowMs = 0;
    const hoursAgo = () => Date.now() - 2 * 3_600_000;
    const { attester, record, round, close } = await newScene({ now: hoursAgo, clock: () => nowMs, roundMs: 60_000 });
    const abort = () => codeOf(attester.abort(attemptOf(round()), 'NO_MAJORITY'));
    await record(4);
    expect(await abort(), 'while it is open').to.equal('REASON_NOT_CONFIRMED');
    await close();
    expect(await abort(), 'closed hours ago, says the ledger').to.equal('REASON_NOT_CONFIRMED');
    nowMs = 59_999;
    expect(await abort()).to.equal('REASON_NOT_CONFIRMED');
    nowMs = 60_000;
    expect(await abort()).to.equal(undefined);
  });

  it('does not decide for its operator', async () => {
    const { attester, record, round } = await newScene();
    await graceOver();
    expect(await codeOf(attester.abort(attemptOf(round()), 'OPERATOR'))).to.equal('REASON_NOT_CONFIRMED');
    await record(4);
    expect(await codeOf(attester.abort(attemptOf(round()), 'OPERATOR'))).to.equal('REASON_NOT_CONFIRMED');
  });

  it('signs for the network that its own ledger names', async () => {
    const { attester, record, round, federation } = await newScene();
    await record(4);
    const { mspId, signature } = await attester.close(attemptOf(round()));
    const key = createPublicKey(federation.organisationKey(mspId));
    const statement = (consortium: string): CloseStatement => ({
      type: 'sev/close-round/v1',
      ...{ consortium, ...attemptOf(round()), mspId },
    });
    expect(verifyStatement(statement(federation.consortium), signature, key)).to.equal(true);
    expect(verifyStatement(statement('f'.repeat(64)), signature, key)).to.equal(false);
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

  it('excludes missing, short, non-finite and boundless updates by name, as the coordinator does', async () => {
    const { attester, close, propose, federation, round } = await newScene({ vehicles: 5 });
    const [a, b, c, d, e] = federation.vehicleIds as [string, string, string, string, string];
    const length = 4 * federation.task.model.parameters;
    const envelopes = [
      federation.sign(round(), a, 'd'.repeat(64)),
      await federation.envelope(round(), b, new Uint8Array(length - 4)),
      await federation.envelope(round(), c, new Uint8Array(length).fill(0xff)),
      await federation.envelope(round(), d, parametersToBytes(new Float32Array(length / 4).fill(3e38))),
      await federation.envelope(round(), e),
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
      { vehicleId: d, reason: 'UPDATE_OUT_OF_RANGE' },
    ]);
    expect(await codeOf(attester.attest(proposal))).to.equal(undefined);
    expect(await codeOf(attester.abort(attemptOf(round()), 'COHORT_TOO_SMALL'))).to.equal(undefined);
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
