// SPDX-License-Identifier: Apache-2.0
import { hashOf, sha256Hex, type RoundRecord, type VehicleValidation } from '@sev/chaincode/api';
import {
  CANDIDATE,
  CITY,
  enrolledFleet,
  envelopeOf,
  GRID,
  IncidentDriver,
  INITIAL_MODEL,
  MAKER,
  REGULATOR,
  roundRef,
  validatedTask,
  VALIDATION,
  type Vehicle,
} from '@sev/chaincode/testing';
import { expect } from 'chai';
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

const MAJORITY = [GRID, CITY, REGULATOR];
const DRAWN = 4;
/** What a vehicle says that departs from the others. */
const ODD = 9_000;

let history: readonly Recorded[];
/** Those drawn in rounds 2 to 4. */
let drawn: readonly (readonly string[])[];

/**
 * Two rounds in which the drawn vehicles say what they are asked, one of them something else than the others, one nothing; the first
 * of them at its second attempt. Then the model is corrected, and a round on the corrected one asks nobody.
 */
async function trueHistory(): Promise<readonly Recorded[]> {
  const consortium = await RecordedConsortium.begun();
  const driver = new IncidentDriver(
    consortium,
    validatedTask({ validation: { ...VALIDATION, vehicles: DRAWN }, metrics: [] }),
  );
  const fleet = await enrolledFleet(consortium, 6);
  const asked: string[][] = [];
  const record = async ({ secure }: RoundRecord, ref: ReturnType<typeof roundRef>, base: string): Promise<void> => {
    const [odd, silent] = secure?.drawn ?? [];
    const wordOf = ({ vehicleId }: Vehicle): { validation?: VehicleValidation } => {
      const isAsked = secure?.drawn?.includes(vehicleId) === true && vehicleId !== silent;
      const lossMicro = vehicleId === odd ? ODD : 1_000;
      return isAsked ? { validation: { lossMicro, dataHash: sha256Hex(`rows of ${vehicleId}`) } } : {};
    };
    const envelopes = fleet.map((vehicle) =>
      envelopeOf(vehicle, driver.content(ref, { baseModelHash: base, ...wordOf(vehicle) })),
    );
    await driver.record(envelopes, ref, base);
    asked.push([...(secure?.drawn ?? [])]);
  };
  const round = async (ref: ReturnType<typeof roundRef>, base: string): Promise<string> => {
    await record(await driver.open(ref, base), ref, base);
    await driver.close(MAJORITY, ref);
    return (await driver.finished(ref)).proposal?.modelHash ?? '';
  };
  let model = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL);
  await record(await driver.open(roundRef(2), model), roundRef(2), model);
  await driver.abort(roundRef(2));
  model = await round(roundRef(2, 2), model);
  await round(roundRef(3), model);
  await driver.openIncident(fleet[0]!, [1]);
  await driver.decide(['projections', 'vectors', 'confirm']);
  const measured = { [GRID]: [30, 20], [CITY]: [31, 19], [MAKER]: [30, 20], [REGULATOR]: [29, 21] } as const;
  await driver.correct(driver.correction(3, INITIAL_MODEL, measured));
  fleet.shift();
  await round(roundRef(4), CANDIDATE);
  drawn = asked;
  return consortium.history;
}

/** Paths of the fields that a record of this kind has to have as they are. */
function pathsOf(transaction: string, document: Document): readonly (readonly string[])[] {
  const { docType, validation, secure } = document as {
    readonly docType: string;
    readonly validation?: Document;
    readonly secure?: { readonly drawn?: unknown; readonly drawnLosses?: Document };
  };
  switch (docType) {
    case 'vehicleData':
      return Object.keys(document).map((field) => [field]);
    case 'update':
      return Object.keys(validation ?? {}).map((field) => ['validation', field]);
    case 'round':
      return [
        ...(transaction === 'learning:OpenRound' && secure?.drawn !== undefined ? [['secure', 'drawn']] : []),
        ...Object.keys(secure?.drawnLosses ?? {}).map((field) => ['secure', 'drawnLosses', field]),
      ];
    default:
      return [];
  }
}

/** The document with one field changed, or left out. */
function changedAt(document: Document, [field = '', ...rest]: readonly string[], leavesOut: boolean): Document {
  const { [field]: value, ...others } = document;
  if (rest.length > 0) {
    return { ...others, [field]: changedAt(value as Document, rest, leavesOut) };
  }
  const isEmpty = Array.isArray(value) && value.length === 0;
  const changed = isEmpty ? [`v-${'A'.repeat(22)}`] : changedField(value);
  return leavesOut ? others : { ...others, [field]: changed };
}

describe('audit rules of drawn vehicles on what the contracts write', () => {
  before(async () => {
    history = await trueHistory();
  });

  it('accept it, and come to the same', () => {
    const { state } = replayed(history);
    const { secure } = state.rounds.get('price-1/2')!;
    expect(secure?.drawn).to.deep.equal(drawn[0]).and.to.deep.equal(drawn[1]);
    expect(secure?.drawnLosses).to.deep.equal({ heard: 3, medianLossMicro: 1_000, departed: [drawn[1]![0]] });
    expect(state.rounds.get('price-1/3')?.secure?.drawn).to.deep.equal(drawn[2]);
    expect(state.vehicleData.size).to.be.within(3, 6);
  });

  it('ask nobody about a model that a correction put in the place of the round before', () => {
    const { secure, baseModelHash } = replayed(history).state.rounds.get('price-1/4')!;
    expect(baseModelHash).to.equal(CANDIDATE);
    expect(secure?.drawn).to.deep.equal([]);
  });

  it('name what is forged in any field, or left out, at the transaction that wrote it', () => {
    const kinds = new Set<string>();
    history.forEach(({ transaction, values }, index) => {
      for (const { key, value } of values) {
        const record = documentOf(value);
        for (const path of pathsOf(transaction.name, record)) {
          const kind = `${transaction.name} ${String(record['docType'])}.${path.join('.')}`;
          for (const leavesOut of kinds.has(kind) ? [] : [false, true]) {
            const forge = (document: Document, at: string): Document =>
              at === key && hashOf(document) === hashOf(record) ? changedAt(document, path, leavesOut) : document;
            const found = failureOf(forged(history, index, forge));
            expect(found?.block, `${kind}: ${String(found?.code)}`).to.equal(index + 1);
          }
          kinds.add(kind);
        }
      }
    });
    // Who is drawn; three numbers of the losses with the cohort and each step after; two of an update; five of a vehicle's data.
    expect(kinds.size).to.equal(1 + 3 * 4 + 2 + 5);
  }).timeout(120_000);

  it('name data of a vehicle that are not written, or by a transaction that writes none', () => {
    const isData = ({ value }: Recorded['values'][number]): boolean => documentOf(value)['docType'] === 'vehicleData';
    const first = history.findIndex(({ values }) => values.some(isData));
    const omitted = forged(history, first, (record) => (record['docType'] === 'vehicleData' ? undefined : record));
    expect(failureOf(omitted)).to.deep.equal({ code: 'VALIDATION_INVALID', block: first + 1 });
    const again = documentOf(history[first]!.values.find(isData)!.value);
    const close = history.findIndex(({ transaction }) => transaction.name === 'learning:CloseRound');
    expect(failureOf(withExtra(history, close, again))).to.deep.equal({ code: 'VALIDATION_INVALID', block: close + 1 });
  });
});
