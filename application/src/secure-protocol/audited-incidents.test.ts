// SPDX-License-Identifier: Apache-2.0
import { poolAccount, vehicleAccount } from '@sev/chaincode/api';
import {
  CANDIDATE,
  CITY,
  enrolledFleet,
  FINDINGS,
  GRID,
  IncidentDriver,
  INITIAL_MODEL,
  MAKER,
  QUARANTINE_MILLI,
  REGULATOR,
  roundRef,
  type Judgement,
  type Vehicle,
} from '@sev/chaincode/testing';
import { expect } from 'chai';
import { readRecord, type AuditedRecord } from '../auditor/records.js';
import {
  changedField,
  documentOf,
  failureOf,
  forged,
  RecordedConsortium,
  replayed,
  withExtra,
  type Document,
  type Recorded,
} from './testing/contract-history.js';

let history: readonly Recorded[];
let culprit: Vehicle;
let cleared: Vehicle;

/**
 * Two vehicles are suspected; one of them is found to be a culprit and loses what has not vested, the other is cleared and
 * made whole. Some rounds are paid before, some after. The model is corrected, and the task goes on from it.
 */
async function trueHistory(): Promise<readonly Recorded[]> {
  const consortium = await RecordedConsortium.begun();
  const driver = new IncidentDriver(consortium);
  const fleet = await enrolledFleet(consortium, 5);
  const [first, second, ...rest] = fleet as [Vehicle, Vehicle, ...Vehicle[]];
  [culprit, cleared] = [first, second];
  const judgements = (suspicionMilli: number): Record<string, Judgement> => ({
    ...Object.fromEntries(fleet.map(({ vehicleId }, index) => [vehicleId, { contributionMicro: index + 1 }])),
    [cleared.vehicleId]: { contributionMicro: 1, suspicionMilli },
  });
  let model = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, judgements(QUARANTINE_MILLI));
  await driver.pay(1);
  model = await driver.runRound([culprit, ...rest], roundRef(2), model, judgements(0));
  await driver.closed([culprit, ...rest], roundRef(3), model);
  await driver.aggregated(roundRef(3));
  await driver.abort(roundRef(3));

  await driver.openIncident(culprit, [1, 2]);
  await driver.vote(MAKER, 'projections', { approve: false });
  await driver.decide(['projections', 'vectors', 'confirm']);
  await driver.openIncident(culprit, [1, 2]);
  // Its sums would single the culprit out, had it not been opened.
  await driver.closed(rest, roundRef(3, 2), model);
  await driver.finished(roundRef(3, 2), judgements(0));

  const other = { incidentId: 'incident-2' };
  await driver.openIncident(cleared, [1], other);
  await driver.decide(['projections', 'clear'], other);
  await driver.pay(2);
  await driver.pay(3);
  await driver.pay(3);

  const measured = { [GRID]: [30, 20], [CITY]: [31, 19], [MAKER]: [30, 20], [REGULATOR]: [29, 21] } as const;
  await driver.correct(driver.correction(3, INITIAL_MODEL, measured));
  await driver.runRound([cleared, ...rest], roundRef(4), CANDIDATE, judgements(0));
  return consortium.history;
}

const named = (name: string, pick: (argument: Document) => boolean = () => true): number =>
  history.findIndex(({ transaction }) => transaction.name === name && pick(transaction.argument as Document));
/** The vote of the regulator, which takes each step. */
const taking = (step: string): number =>
  history.findIndex(
    ({ transaction: { name, argument, creatorMspId } }) =>
      name === 'incidents:VoteIncident' && creatorMspId === REGULATOR && (argument as Document)['step'] === step,
  );

const FOLLOWED: ReadonlySet<AuditedRecord['docType']> = new Set([
  'incident',
  'incidentVote',
  'culprit',
  'correction',
  'journalEntry',
  'paidRound',
]);

describe('audit rules of incidents, corrections and rewards', () => {
  before(async () => {
    history = await trueHistory();
  });

  it('accept what the contracts do, and come to the same', () => {
    const { state } = replayed(history);
    expect(state.incidents.get('incident-1')).to.include({ state: 'confirmed', correctedWith: CANDIDATE });
    expect(state.incidents.get('incident-2')).to.include({ state: 'cleared', findingsHash: FINDINGS });
    expect(state.vehicles.get(culprit.vehicleId)).to.include({ status: 'revoked' });
    expect(state.standings.get(`price-1/${cleared.vehicleId}`)).to.not.have.property('quarantined');
    expect(state.rounds.get('price-1/4')).to.include({ state: 'finalised', baseModelHash: CANDIDATE });
  });

  it('find that what is paid is conserved', () => {
    const entries = [...replayed(history).state.journal.values()];
    const balances = new Map<string, number>();
    for (const { from, to, amountMicro } of entries) {
      balances.set(from, (balances.get(from) ?? 0) - amountMicro);
      balances.set(to, (balances.get(to) ?? 0) + amountMicro);
    }
    expect(new Set(entries.map(({ kind }) => kind))).to.deep.equal(new Set(['reward', 'forfeit', 'compensation']));
    expect([...balances.values()].reduce((sum, balance) => sum + balance, 0)).to.equal(0);
    const [, ...vehicles] = [...balances.values()].sort((a, b) => a - b);
    expect(Math.min(...vehicles)).to.be.at.least(0);
  });

  it('name every kind of record that is forged in any field, at the transaction that wrote it', () => {
    const kinds = new Set<string>();
    history.forEach(({ values }, index) => {
      for (const { key, value } of values) {
        const record = readRecord(value);
        const kind = JSON.stringify([record?.docType, documentOf(value)['kind'], documentOf(value)['state']]);
        const isNew = record !== undefined && FOLLOWED.has(record.docType) && !kinds.has(kind);
        for (const field of isNew ? Object.keys(record) : []) {
          const found = failureOf(
            forged(history, index, (document, at) => {
              return at === key ? { ...document, [field]: changedField(document[field]) } : document;
            }),
          );
          expect(found?.block, `${kind}.${field}: ${String(found?.code)}`).to.equal(index + 1);
          kinds.add(kind);
        }
      }
    });
    // Of an incident each state, of a movement each kind, and one of each other record.
    expect(kinds.size).to.equal(5 + 3 + 4);
  }).timeout(180_000);

  it('name every record that is left out, at the transaction that should have written it', () => {
    const consequences = new Set(['vehicle', 'standing', 'base', ...FOLLOWED]);
    let omissions = 0;
    history.forEach(({ transaction, values }, index) => {
      const isOurs = /^(incidents|rewards):/.test(transaction.name);
      for (const { key, value } of isOurs ? values : []) {
        const { docType } = documentOf(value);
        if (consequences.has(docType as string)) {
          const found = failureOf(forged(history, index, (document, at) => (at === key ? undefined : document)));
          expect(found?.block, `${String(docType)}: ${String(found?.code)}`).to.equal(index + 1);
          omissions += 1;
        }
      }
    });
    expect(omissions).to.be.above(30);
  }).timeout(180_000);

  it('name what is written by transactions that write no such record', () => {
    const [paid] = history[named('rewards:PayRound')]!.values;
    const reward = history[named('rewards:PayRound')]!.values.map(({ value }) => documentOf(value)).at(-1)!;
    const repeated = named('rewards:PayRound', ({ round }) => round === 3) + 1;
    expect(history[repeated]?.values, 'a repetition writes nothing').to.have.length(0);
    for (const index of [repeated, named('learning:CloseRound'), taking('projections')]) {
      const again = { ...reward, round: 9 };
      expect(failureOf(withExtra(history, index, again))).to.deep.equal({ code: 'REWARD_INVALID', block: index + 1 });
      const pay = { ...documentOf(paid!.value), round: 9 };
      expect(failureOf(withExtra(history, index, pay))).to.deep.equal({ code: 'REWARD_INVALID', block: index + 1 });
    }
    for (const docType of ['incident', 'incidentVote', 'culprit', 'correction']) {
      const { value } = history
        .flatMap(({ values }) => values)
        .find((one) => documentOf(one.value)['docType'] === docType)!;
      const index = named('learning:CloseRound');
      const code = docType === 'correction' ? 'CORRECTION_INVALID' : 'INCIDENT_INVALID';
      expect(failureOf(withExtra(history, index, documentOf(value))), docType).to.deep.equal({
        code,
        block: index + 1,
      });
    }
  });

  it('name a movement that does not lead from one account of its task to the other', () => {
    const index = named('rewards:PayRound');
    const { vehicleId } = cleared;
    const others = vehicleAccount('price-1', vehicleId);
    const pool = poolAccount('price-2');
    for (const change of [{ to: others }, { from: pool }, { from: others, to: others }, { amountMicro: 0 }]) {
      const found = failureOf(
        forged(history, index, (record) =>
          record['docType'] === 'journalEntry' && record['vehicleId'] !== vehicleId ? { ...record, ...change } : record,
        ),
      );
      expect(found).to.deep.equal({ code: 'REWARD_INVALID', block: index + 1 });
    }
  });

  it('name a movement that is written over', () => {
    const index = named('rewards:PayRound');
    const records = history.map((recorded, i) => {
      const values = recorded.values.map((value) => ({ ...value, before: value.value }));
      return i === index ? { ...recorded, values } : recorded;
    });
    expect(failureOf(records)).to.deep.equal({ code: 'RECORD_OVERWRITTEN', block: index + 1 });
  });

  it('name a step that is taken without the regulator, or by fewer than a majority', () => {
    for (const step of ['projections', 'vectors', 'confirm']) {
      const index = taking(step);
      const byMaker = history.map((recorded, i) =>
        i === index ? { ...recorded, transaction: { ...recorded.transaction, creatorMspId: MAKER } } : recorded,
      );
      const records = byMaker.map((recorded, i) => ({
        ...recorded,
        values:
          i === index ? forged(history, index, (record) => asVotedBy(record, MAKER))[index]!.values : recorded.values,
      }));
      expect(failureOf(records), step).to.deep.equal({ code: 'INCIDENT_INVALID', block: index + 1 });
      // Without the vote before it, the regulator's is one of two.
      expect(failureOf(history.filter((_, i) => i !== index - 1)), step).to.deep.equal({
        code: 'INCIDENT_INVALID',
        block: index + 1,
      });
    }
  });

  it('name a vote that confirms without findings, or with others than the rest', () => {
    const index = taking('confirm');
    for (const findings of [{}, { findingsHash: 'f'.repeat(64) }]) {
      const records = history.map((recorded, i) => {
        const { findingsHash: _findings, ...argument } = recorded.transaction.argument as Document;
        const transaction = { ...recorded.transaction, argument: { ...argument, ...findings } };
        return i === index ? { ...recorded, transaction } : recorded;
      });
      expect(failureOf(records)).to.deep.equal({ code: 'INCIDENT_INVALID', block: index + 1 });
    }
  });

  it('name an incident about a vehicle that had no part in what it disputes', () => {
    const index = named('incidents:OpenIncident', ({ incidentId }) => incidentId === 'incident-2');
    for (const change of [
      { disputed: [{ round: 2, attempt: 1 }] },
      { disputed: [{ round: 3, attempt: 1 }] },
      { disputed: [{ round: 4, attempt: 1 }] },
    ]) {
      const records = forged(history, index, (record) => ({ ...record, ...change })).map((recorded, i) => {
        const argument = { ...(recorded.transaction.argument as Document), ...change };
        return i === index ? { ...recorded, transaction: { ...recorded.transaction, argument } } : recorded;
      });
      expect(failureOf(records)).to.deep.equal({ code: 'INCIDENT_INVALID', block: index + 1 });
    }
  });

  it('name a correction that no majority signed, or not all that validate, and a round on a model that was not corrected', () => {
    const index = named('incidents:CorrectModel');
    const without = (count: number) =>
      history.map((recorded, i) => {
        const argument = recorded.transaction.argument as Document & { readonly losses: readonly Document[] };
        const losses = i === index ? argument.losses.slice(count) : [];
        return i === index
          ? { ...recorded, transaction: { ...recorded.transaction, argument: { ...argument, losses } } }
          : recorded;
      });
    expect(failureOf(without(1))).to.deep.equal({ code: 'CORRECTION_INVALID', block: index + 1 });
    expect(failureOf(without(2))).to.deep.equal({ code: 'STATEMENTS_INSUFFICIENT', block: index + 1 });
    const opened = named('learning:OpenRound', ({ round }) => round === 4);
    expect(failureOf(history.filter((_, i) => i !== index))).to.deep.equal({ code: 'MODEL_CHAIN', block: opened + 1 });
  });

  it('name sums that would single out a vehicle that was not opened', () => {
    const fixed = named('learning:FixCohort', ({ round, attempt }) => round === 3 && attempt === 2);
    const isStep = ({ transaction: { name, argument } }: Recorded): boolean =>
      name === 'incidents:VoteIncident' && (argument as Document)['incidentId'] === 'incident-1';
    const found = failureOf(history.filter((recorded) => !isStep(recorded)));
    expect(found).to.deep.equal({ code: 'SUMS_TOO_CLOSE', block: fixed + 1 });
  });
});

/** The records of a vote as another organisation would have cast it. */
function asVotedBy(record: Document, mspId: string): Document {
  if (record['docType'] === 'incidentVote') {
    return { ...record, mspId };
  }
  const decidedBy = Object.entries((record['decidedBy'] ?? {}) as Readonly<Record<string, readonly string[]>>);
  const others = decidedBy.map(([step, by]) => [step, by.map((one) => (one === REGULATOR ? mspId : one)).sort()]);
  return record['docType'] === 'incident' ? { ...record, decidedBy: Object.fromEntries(others) as Document } : record;
}
