// SPDX-License-Identifier: Apache-2.0
import type { Envelope, RoundRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import { LedgerError } from '../ledger/errors.js';
import type { ServiceSession } from './rounds.js';
import { Federation, vehicleIdOf } from '../testing/federation.js';
import { codeOf } from '../testing/temporary.js';
import { EnvelopeGate } from './envelope-gate.js';

describe('EnvelopeGate', () => {
  const round = { taskId: 'price-test', round: 1, attempt: 1, baseModelHash: 'a'.repeat(64) } as RoundRecord;

  /** A session that counts the lookups of vehicles, and fails as often as it is told. */
  function counted(federation: Federation, failures = 0) {
    const own = federation.ledger.session('GridMSP');
    const lookups: string[] = [];
    const queries: number[] = [];
    let left = failures;
    const session: ServiceSession = {
      ...own,
      evaluate: async (contract, transaction, argument) => {
        if (transaction === 'FindVehicles') {
          const { vehicleIds } = argument as { vehicleIds: string[] };
          queries.push(vehicleIds.length);
          lookups.push(...vehicleIds);
          if (left-- > 0) {
            throw new LedgerError('LEDGER_UNREACHABLE', 'down');
          }
        }
        return own.evaluate(contract, transaction, argument);
      },
    };
    return { session, lookups, queries };
  }

  const signed = (federation: Federation, index = 0): Envelope =>
    federation.sign(round, federation.vehicleIds[index]!, 'b'.repeat(64));

  it('lets genuine envelopes pass, looking each vehicle up once', async () => {
    const federation = new Federation({ vehicles: 3 });
    const { session, lookups } = counted(federation);
    const gate = new EnvelopeGate(session, { maxLookups: 1 });
    for (let time = 0; time < 3; time++) {
      const all = federation.vehicleIds.flatMap((_, i) => [signed(federation, i), signed(federation, i)]);
      const answers = await Promise.all(all.map((envelope) => gate.refusalOf(round, envelope)));
      expect(answers.every((answer) => answer === undefined)).to.equal(true);
    }
    expect(lookups).to.have.members(federation.vehicleIds);
  });

  it('looks vehicles up together that come at a time, up to a hundred with one query', async () => {
    const federation = new Federation({ vehicles: 150 });
    const { session, lookups, queries } = counted(federation);
    const gate = new EnvelopeGate(session);
    const all = federation.vehicleIds.map((_, index) => signed(federation, index));
    const answers = await Promise.all(all.map((envelope) => gate.refusalOf(round, envelope)));
    expect(answers.every((answer) => answer === undefined)).to.equal(true);
    expect(lookups).to.deep.equal(federation.vehicleIds);
    expect(queries).to.deep.equal([100, 50]);
  });

  it('turns away what another key, or the same key for another content, signed', async () => {
    const federation = new Federation({ vehicles: 2 });
    const { session, lookups } = counted(federation);
    const gate = new EnvelopeGate(session);
    const [mine, theirs] = [signed(federation, 0), signed(federation, 1)];
    const forged: [object, Envelope][] = [
      [round, { ...mine, signature: theirs.signature }],
      [round, { ...mine, updateHash: 'c'.repeat(64) }],
      [round, { ...mine, weightClass: 1 }],
      [{ ...round, attempt: 2 }, mine],
      [{ ...round, baseModelHash: 'd'.repeat(64) }, mine],
    ];
    for (const [ref, envelope] of forged) {
      const refusal = await gate.refusalOf(ref as RoundRecord, envelope);
      expect(refusal).to.include({ id: mine.vehicleId, accepted: false, code: 'SIGNATURE_INVALID' });
    }
    expect(lookups).to.deep.equal([mine.vehicleId]);
  });

  it('looks up no more than it may at a time, and lets those pass meanwhile that it knows', async () => {
    const federation = new Federation({ vehicles: 2 });
    let release = (): void => undefined;
    let held = Promise.resolve();
    const { session } = counted(federation);
    const evaluate = session.evaluate.bind(session);
    const slow: ServiceSession = {
      ...session,
      evaluate: async (...call) => {
        await held;
        return evaluate(...call);
      },
    };
    const gate = new EnvelopeGate(slow, { maxWaiting: 2 });
    const [known, other] = [signed(federation, 0), signed(federation, 1)];
    expect(await gate.refusalOf(round, known)).to.equal(undefined);
    held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const unknown = [1, 2].map((n) => gate.refusalOf(round, { ...known, vehicleId: vehicleIdOf(90 + n) }));
    expect(await codeOf(gate.refusalOf(round, other))).to.equal('SERVICE_BUSY');
    expect(await gate.refusalOf(round, known)).to.equal(undefined);
    release();
    await Promise.all(unknown);
    expect(await gate.refusalOf(round, other)).to.equal(undefined);
  });

  it('keeps no key that was looked up before something was heard of its vehicle', async () => {
    const federation = new Federation({ vehicles: 1 });
    const { session, lookups } = counted(federation);
    const gate = new EnvelopeGate(session);
    const passing = gate.refusalOf(round, signed(federation));
    gate.forget(federation.vehicleIds[0]!);
    expect(await passing).to.equal(undefined);
    federation.ledger.statuses.set(federation.vehicleIds[0]!, 'revoked');
    expect(await gate.refusalOf(round, signed(federation))).to.include({ code: 'VEHICLE_NOT_ACTIVE' });
    expect(lookups).to.have.length(2);
  });

  it('turns unknown and inactive vehicles away, and sees when they are let in', async () => {
    const federation = new Federation({ vehicles: 1 });
    const gate = new EnvelopeGate(counted(federation).session);
    const mine = signed(federation);
    const unknown = await gate.refusalOf(round, { ...mine, vehicleId: vehicleIdOf(99) });
    expect(unknown).to.include({ accepted: false, code: 'VEHICLE_UNKNOWN' });
    federation.ledger.statuses.set(mine.vehicleId, 'suspended');
    expect(await gate.refusalOf(round, mine)).to.include({ accepted: false, code: 'VEHICLE_NOT_ACTIVE' });
    federation.ledger.statuses.delete(mine.vehicleId);
    expect(await gate.refusalOf(round, mine)).to.equal(undefined);
    federation.ledger.statuses.set(mine.vehicleId, 'revoked');
    gate.forget(mine.vehicleId);
    expect(await gate.refusalOf(round, mine)).to.include({ code: 'VEHICLE_NOT_ACTIVE' });
  });

  it('looks a vehicle up again where an envelope does not hold with the key it knows, but not all the time', async () => {
    const federation = new Federation({ vehicles: 1 });
    const { session, lookups } = counted(federation);
    const before = signed(federation);
    const gate = new EnvelopeGate(session, { recheckMs: 100 });
    expect(await gate.refusalOf(round, before)).to.equal(undefined);
    federation.rotate(before.vehicleId);
    const after = signed(federation);
    const refusals: string[] = [];
    for (const deadline = Date.now() + 5_000; Date.now() < deadline;) {
      const refusal = await gate.refusalOf(round, after);
      if (refusal === undefined) {
        break;
      }
      refusals.push(refusal.code!);
    }
    expect(await gate.refusalOf(round, after)).to.equal(undefined);
    expect(refusals.every((code) => code === 'SIGNATURE_INVALID')).to.equal(true);
    expect(await gate.refusalOf(round, before)).to.include({ code: 'SIGNATURE_INVALID' });
    expect(lookups).to.have.length(2);
  });

  it('keeps no more keys than it may, those used last', async () => {
    const federation = new Federation({ vehicles: 3 });
    const { session, lookups } = counted(federation);
    const gate = new EnvelopeGate(session, { maxVehicles: 2 });
    for (const index of [0, 1, 0, 2, 0, 1]) {
      expect(await gate.refusalOf(round, signed(federation, index))).to.equal(undefined);
    }
    const [first, second, third] = federation.vehicleIds;
    expect(lookups).to.deep.equal([first, second, third, second]);
  });

  it('passes a failed lookup on to all that it was for, and tries again with the next envelope', async () => {
    const federation = new Federation({ vehicles: 2 });
    const gate = new EnvelopeGate(counted(federation, 1).session);
    const both = [0, 1].map((index) => codeOf(gate.refusalOf(round, signed(federation, index))));
    expect(await Promise.all(both)).to.deep.equal(['LEDGER_UNREACHABLE', 'LEDGER_UNREACHABLE']);
    expect(await gate.refusalOf(round, signed(federation))).to.equal(undefined);
    expect(await gate.refusalOf(round, signed(federation, 1))).to.equal(undefined);
  });
});
