// SPDX-License-Identifier: Apache-2.0
import { sha256Hex } from '@sev/chaincode/api';
import { HE_PARAMETERS, ciphertextsFor, parametersFromBytes, parametersToBytes, slotsToBytes } from '@sev/fl';
import { expect } from 'chai';
import { type AuditCode } from './failure.js';
import { failureOfStore } from './testing/checked-store.js';
import { HeScenario, heTask, KEY_HOLDER, MASK_HOLDER, SUMMER } from './testing/he-scenario.js';
import { BASE, codeOf, HASH, INITIAL_MODEL, newKey, publicText, TASK } from './testing/scenario.js';

const begun = (task = heTask()): HeScenario => new HeScenario(task).begin();
const closed = (): HeScenario => begun().closed();
const fixed = (): HeScenario => closed().fix();
const summed = (): HeScenario => fixed().commit();
const MAJORITY = ['AMSP', 'BMSP', 'DMSP'];

describe('audit rules of rounds in mode he', () => {
  it('accept a round from its opening to its model', () => {
    const { counts, finalised } = summed().finaliseHe().replay.state;
    expect(counts).to.deep.include({ updates: 3, rounds: 1, models: 2 });
    expect(finalised[0]?.cohort?.members).to.have.length(3);
  });

  it('accept a vehicle left out by a majority, and the name of who denies its receipt', () => {
    const scenario = closed();
    const cohort = scenario.reporters.slice(1);
    const lacking = { [SUMMER]: [0] };
    scenario.receipt(SUMMER, scenario.reporters[0]!);
    scenario
      .fix({ lacking, cohort, contradicted: [SUMMER], signers: MAJORITY })
      .commit()
      .finaliseHe();
  });

  it('accept a second attempt over the same vehicles, with fresh keys', () => {
    const scenario = summed().abortHe().closed().fix().commit().finaliseHe();
    expect(scenario.he.shownAttempts).to.deep.equal([1, 2].map((attempt) => ({ round: 1, attempt })));
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    ['a task whose sums could wrap around', 'RECORD_MALFORMED', () => begun(heTask({ fractionBits: 24 }))],
    ['a task that gives one organisation two parts', 'RECORD_MALFORMED', () => begun(heTask({ summer: KEY_HOLDER }))],
    ['a task that gives a stranger a part', 'RECORD_UNKNOWN', () => begun(heTask({ summer: 'ZMSP' }))],
    [
      'a round in another mode than its task',
      'RECORD_MALFORMED',
      () => begun().openHe({ record: { privacy: 'plain' } }),
    ],
    ['keys that nobody asked for', 'OPENING_INVALID', () => begun().openHe({ argument: { he: undefined } })],
    ['keys that one of the three did not sign', 'STATEMENT_SIGNATURE', () => begun().openHe({ signers: MAJORITY })],
    ['a record with other keys', 'RECORD_MALFORMED', () => begun().openHe({ he: { openingHash: HASH('4') } })],
    [
      'a record that forgets what was shown',
      'RECORD_MALFORMED',
      () =>
        fixed()
          .abortHe()
          .openHe({ he: { shownAttempts: [] } }),
    ],
    ['a third attempt on a burned base', 'SUMS_TOO_CLOSE', () => fixed().abortHe().closed().fix().abortHe().openHe()],
    [
      'a receipt of the key holder, which takes no reports',
      'RECEIPT_INVALID',
      () => {
        const scenario = closed();
        return scenario.receipt(KEY_HOLDER, scenario.reporters[0]!);
      },
    ],
    ['a cohort without the mask holder', 'COHORT_MISMATCH', () => closed().fix({ receivers: [SUMMER, KEY_HOLDER] })],
    [
      'a cohort with a vehicle that one does not hold',
      'COHORT_MISMATCH',
      () => closed().fix({ lacking: { [MASK_HOLDER]: [1] }, signers: MAJORITY }),
    ],
    [
      'a cohort that leaves a vehicle out without a majority',
      'STATEMENTS_INSUFFICIENT',
      () => {
        const scenario = closed();
        return scenario.fix({ lacking: { [SUMMER]: [0] }, cohort: scenario.reporters.slice(1) });
      },
    ],
    [
      'a cohort below the minimum',
      'COHORT_MISMATCH',
      () => {
        const scenario = closed();
        return scenario.fix({
          ...{ lacking: { [SUMMER]: [0, 1] }, cohort: scenario.reporters.slice(2), signers: MAJORITY },
        });
      },
    ],
    [
      'a cohort of nearly the vehicles whose sum was shown',
      'SUMS_TOO_CLOSE',
      () => {
        const scenario = fixed().abortHe().closed();
        return scenario.fix({
          ...{ lacking: { [SUMMER]: [0] }, cohort: scenario.reporters.slice(1), signers: MAJORITY },
        });
      },
    ],
    ['a name on nobody’s receipt', 'RECORD_MALFORMED', () => closed().fix({ contradicted: [SUMMER] })],
    [
      'a sum that the summer did not sign',
      'STATEMENT_SIGNATURE',
      () => fixed().commit({ by: { [SUMMER]: KEY_HOLDER } }),
    ],
    [
      'masks that their holder did not sign',
      'STATEMENT_SIGNATURE',
      () => fixed().commit({ by: { [MASK_HOLDER]: SUMMER } }),
    ],
    [
      'an opening that the key holder did not sign',
      'STATEMENT_SIGNATURE',
      () => fixed().commit({ by: { [KEY_HOLDER]: SUMMER } }),
    ],
    ['other hashes than those asked for', 'RECORD_MALFORMED', () => fixed().commit({ he: { sumHash: HASH('5') } })],
    ['a cohort that burns nothing', 'RECORD_MALFORMED', () => closed().fix({ he: { shownAttempts: [] } })],
    ['a base that forgets a cohort', 'RECORD_MALFORMED', () => closed().fix({ shown: { attempts: [] } })],
    ['sums before there is a cohort', 'ROUND_TRANSITION', () => closed().commit()],
    ['a model before the sums', 'ROUND_TRANSITION', () => fixed().finaliseHe()],
    ['a model over another cohort', 'COHORT_MISMATCH', () => summed().finaliseHe({ proposal: { cohortSize: 2 } })],
    [
      'a model that a minority attests',
      'STATEMENTS_INSUFFICIENT',
      () => summed().finaliseHe({ signers: ['AMSP', 'BMSP'] }),
    ],
    ['an end that changes the sums', 'RECORD_OVERWRITTEN', () => summed().finaliseHe({ he: { sumHash: HASH('6') } })],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }
});

/** A store, and a round that became final with a model. */
interface Finalised {
  readonly scenario: HeScenario;
  readonly objects: Map<string, Uint8Array>;
}

const { polynomialDegree, plainModulus } = HE_PARAMETERS;
const LENGTH = TASK.model.parameters + 1;

/** Openings of a total in [−2^20, 2^20), and the model that they make, or another one. */
function finalised({ model, spoilt = false }: { model?: Uint8Array; spoilt?: boolean } = {}): Finalised {
  const objects = new Map<string, Uint8Array>([[BASE, INITIAL_MODEL]]);
  const put = (bytes: Uint8Array): string => {
    const hash = sha256Hex(bytes);
    objects.set(hash, bytes);
    return hash;
  };
  const total = Array.from({ length: LENGTH }, (_, i) => ((i * 7_919) % 2 ** 21) - 2 ** 20);
  const size = polynomialDegree - 1;
  const chunks = Array.from({ length: ciphertextsFor(LENGTH, HE_PARAMETERS) }, (_, chunk) => {
    const slots = new Float64Array(polynomialDegree);
    total.slice(chunk * size, (chunk + 1) * size).forEach((value, j) => {
      slots[j] = value < 0 ? value + plainModulus : value;
    });
    slots[size] = slots.reduce((sum, value, j) => (sum + (((j + 1) * value) % plainModulus)) % plainModulus, 0);
    return slots;
  });
  const masks = chunks.map((slots) => slots.map((_, j) => (j * 1_000_003) % plainModulus));
  const masked = chunks.map((slots, c) => slots.map((value, j) => (value + masks[c]![j]!) % plainModulus));
  if (spoilt) {
    masked[0]![0] = (masked[0]![0]! + 1) % plainModulus;
  }
  const hashes = {
    sumHash: put(Buffer.from('a sum of ciphertexts')),
    masksHash: put(slotsToBytes(masks)),
    maskedHash: put(slotsToBytes(masked)),
  };
  const scenario = begun();
  const publicKeyHash = put(Buffer.from('stands for a key'));
  scenario
    .closed({ publicKeyHash, sealingKey: publicText(newKey()) })
    .fix()
    .commit({ hashes });
  const weight = 3 * scenario.roundTask.aggregation.weightClasses[0]!.weight;
  const base = parametersFromBytes(INITIAL_MODEL, TASK.model.parameters);
  const bytes = model ?? parametersToBytes(base.map((value, i) => value + total[i]! / (weight * 2 ** 11)));
  scenario.finaliseHe({ proposal: { modelHash: put(bytes) } });
  return { scenario, objects };
}

const check = ({ scenario, objects }: Finalised) => failureOfStore(scenario, objects);

describe('audit of the store after a round in mode he', () => {
  it('finds the model that the two openings give', async () => {
    const round = finalised();
    expect(await check(round)).to.equal(undefined);
    expect(round.scenario.replay.state.counts).to.include({ aggregations: 1, objects: 6 });
  });

  for (const name of ['sumHash', 'masksHash', 'maskedHash'] as const) {
    it(`names what is missing or changed under ${name}`, async () => {
      const round = finalised();
      const hash = round.scenario.he[name]!;
      round.objects.set(hash, Buffer.from('something else'));
      expect(await check(round)).to.include({ code: 'CONTENT_HASH_MISMATCH' });
      round.objects.delete(hash);
      expect(await check(round)).to.include({ code: 'OBJECT_MISSING' });
    });
  }

  it('names a model that the openings do not give, and openings that do not fit together', async () => {
    const mismatch = { kind: 'model', code: 'AGGREGATION_MISMATCH' };
    const other = parametersToBytes(new Float32Array(TASK.model.parameters));
    expect(await check(finalised({ model: other }))).to.include(mismatch);
    expect(await check(finalised({ spoilt: true }))).to.include(mismatch);
  });
});
