// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  canonicalJson,
  drawnAmong,
  sha256Hex,
  type RoundRecord,
  type SecureTerms,
  type VehicleValidation,
} from '../api';
import { CITY, GRID, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, envelopeOf, type Vehicle } from '../testing/fleet';
import { vehicleIdentity } from '../testing/key-changes';
import { INITIAL_MODEL, ROUND_1, type RoundRef } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { AGGREGATORS } from '../testing/secure-learning';
import { roundRef, ValidatedDriver, validatedTask, VALIDATION } from '../testing/validated-learning';

const MAJORITY = [GRID, CITY, REGULATOR];
const DRAWN = 3;
const TASK = validatedTask({ validation: { ...VALIDATION, vehicles: DRAWN }, metrics: [] });

let consortium: TestConsortium;
let driver: ValidatedDriver;
let fleet: Vehicle[];

/** A ledger with a finished first round of five of six vehicles. @returns the model that it ended with. */
async function afterFirstRound(task = TASK): Promise<string> {
  consortium = await TestConsortium.bootstrapped();
  driver = new ValidatedDriver(consortium, task);
  fleet = await enrolledFleet(consortium, 6);
  return driver.runRound(fleet.slice(0, 5), ROUND_1, INITIAL_MODEL);
}

const word = ({ vehicleId }: Vehicle, lossMicro: number): VehicleValidation => ({
  lossMicro,
  dataHash: sha256Hex(`rows of ${vehicleId}`),
});

function vehicleOf(vehicleId: string | undefined): Vehicle {
  return fleet.find((vehicle) => vehicle.vehicleId === vehicleId)!;
}

function drawnIn({ secure }: RoundRecord): Vehicle[] {
  return (secure?.drawn ?? []).map(vehicleOf);
}

/** Records updates, some of which say something. @returns the codes of refusal, '' for none. */
async function record(
  base: string,
  ref: RoundRef,
  vehicles: readonly Vehicle[],
  words: ReadonlyMap<Vehicle, VehicleValidation>,
): Promise<string[]> {
  const envelopes = vehicles.map((vehicle) => {
    const validation = words.get(vehicle);
    const said = validation === undefined ? {} : { validation };
    return envelopeOf(vehicle, driver.content(ref, { baseModelHash: base, ...said }));
  });
  const { results } = await driver.record(envelopes, ref, base);
  return results.map(({ code = '' }) => code);
}

describe('Vehicles drawn to validate', () => {
  let base: string;
  before(async () => {
    base = await afterFirstRound();
  });

  it('are nobody in the first round', async () => {
    expect((await driver.secure(ROUND_1)).drawn).to.deep.equal([]);
  });

  it('are of the cohort that made the base, and the same in each attempt on it', async () => {
    const members = fleet.slice(0, 5).map(({ vehicleId }) => vehicleId);
    const expected = drawnAmong({ taskId: TASK.taskId, round: 2, baseModelHash: base }, members, DRAWN);
    const first = await driver.open(roundRef(2), base);
    expect(first.secure?.drawn).to.deep.equal(expected);
    await driver.abort(roundRef(2));
    const again = await driver.open(roundRef(2, 2), base);
    expect(again.secure?.drawn).to.deep.equal(expected);
  });

  it('say it in their envelopes; whom nobody asks is refused, and takes part without', async () => {
    const ref = roundRef(2, 2);
    const drawn = drawnIn(await driver.round(ref));
    const others = fleet.filter((vehicle) => !drawn.includes(vehicle));
    const [stranger] = others;
    const words = new Map([...drawn, stranger!].map((vehicle, i) => [vehicle, word(vehicle, 1_000 + i)]));
    const codes = await record(base, ref, [...drawn, ...others], words);
    expect(codes).to.deep.equal(['', '', '', 'VEHICLE_NOT_DRAWN', '', '']);
    expect(await record(base, ref, [stranger!], new Map())).to.deep.equal(['']);
    const updates = await driver.recorded(ref);
    const kept = updates.filter(({ validation }) => validation !== undefined);
    expect(kept.map(({ vehicleId }) => vehicleId)).to.have.members(drawn.map(({ vehicleId }) => vehicleId));
    expect(kept.find(({ vehicleId }) => vehicleId === drawn[0]!.vehicleId)?.validation).to.deep.equal(
      word(drawn[0]!, 1_000),
    );
  });

  it('come to a median once the cohort is fixed, whether or not aggregators hold their shares', async () => {
    const ref = roundRef(2, 2);
    expect((await driver.secure(ref)).drawnLosses).to.equal(undefined);
    await driver.close(MAJORITY, ref);
    const [unheld] = drawnIn(await driver.round(ref));
    const lacking = Object.fromEntries(AGGREGATORS.map((mspId) => [mspId, [unheld!.vehicleId]]));
    const holdings = await driver.holdings(AGGREGATORS, lacking, ref);
    const members = (await driver.recorded(ref)).filter(({ vehicleId }) => vehicleId !== unheld!.vehicleId);
    const statements = await driver.cohortStatements(MAJORITY, members, AGGREGATORS, ref);
    const { secure } = await driver.coordinate('FixCohort', { ...ref, holdings, statements });
    expect(secure?.cohortSize).to.equal(5);
    expect(secure?.drawnLosses).to.deep.equal({ heard: 3, medianLossMicro: 1_001, departed: [] });
  });
});

describe('Vehicles that are all drawn', () => {
  let base: string;
  const FIRST = roundRef(2);
  const SECOND = roundRef(3);

  const loss = (vehicle: Vehicle, lossMicro: number): ReadonlyMap<Vehicle, VehicleValidation> =>
    new Map([[vehicle, word(vehicle, lossMicro)]]);

  before(async () => {
    const vehicles = 16;
    base = await afterFirstRound(validatedTask({ validation: { ...VALIDATION, vehicles }, metrics: [] }));
    fleet = fleet.slice(0, 5);
    await driver.open(FIRST, base);
  });

  it('give one word in an attempt', async () => {
    const [vehicle] = fleet;
    const content = driver.content(FIRST, { baseModelHash: base, validation: word(vehicle!, 5) });
    const envelope = envelopeOf(vehicle!, content);
    const codes = async (one: unknown): Promise<(string | undefined)[]> =>
      (await driver.record([one], FIRST, base)).results.map(({ code }) => code);
    expect(await codes(envelope)).to.deep.equal([undefined]);
    expect(await codes(envelope), 'the same again').to.deep.equal([undefined]);
    const other = envelopeOf(vehicle!, { ...content, validation: word(vehicle!, 6) });
    expect(await codes(other)).to.deep.equal(['UPDATE_DUPLICATE']);
    const { validation: _word, ...silent } = content;
    expect(await codes(envelopeOf(vehicle!, silent))).to.deep.equal(['UPDATE_DUPLICATE']);
  });

  it('sign what they say, within its bounds', async () => {
    const [, vehicle] = fleet;
    const content = driver.content(FIRST, { baseModelHash: base, validation: word(vehicle!, 5) });
    const signed = envelopeOf(vehicle!, content);
    const forged: [unknown, string][] = [
      [{ ...signed, validation: word(vehicle!, 6) }, 'SIGNATURE_INVALID'],
      [{ ...signed, validation: undefined }, 'SIGNATURE_INVALID'],
      [envelopeOf(vehicle!, { ...content, validation: word(vehicle!, -1) }), 'ENVELOPE_MALFORMED'],
      [envelopeOf(vehicle!, { ...content, validation: word(vehicle!, 0.5) }), 'ENVELOPE_MALFORMED'],
      [envelopeOf(vehicle!, { ...content, validation: { lossMicro: 5, dataHash: 'x' } }), 'ENVELOPE_MALFORMED'],
    ];
    for (const [envelope, code] of forged) {
      const { results } = await driver.record([envelope], FIRST, base);
      expect(results.map((result) => result.code)).to.deep.equal([code]);
    }
  });

  it('say it in an envelope of no more than 400 bytes', () => {
    const [vehicle] = fleet;
    const validation = word(vehicle!, Number.MAX_SAFE_INTEGER);
    const envelope = envelopeOf(vehicle!, driver.content(FIRST, { baseModelHash: base, validation }));
    expect(canonicalJson(envelope).length).to.be.at.most(400);
  });

  it('are named where their loss departs from that of the others, and nothing follows', async () => {
    const others = fleet.slice(1);
    const words = new Map(others.map((vehicle, index) => [vehicle, word(vehicle, index === 0 ? 100 : 5)]));
    expect(await record(base, FIRST, others, words)).to.deep.equal(['', '', '', '']);
    await driver.close(MAJORITY, FIRST);
    const { proposal, secure } = await driver.finished(FIRST);
    const departed = [others[0]!.vehicleId];
    expect(secure?.drawnLosses).to.deep.equal({ heard: 5, medianLossMicro: 5, departed });
    expect((await driver.standing(others[0]!)).suspicionMilli).to.equal(0);
    base = proposal?.modelHash ?? '';
  });

  it('keep to their data for the whole task', async () => {
    await driver.open(SECOND, base);
    const [vehicle, silent] = fleet;
    const other = { lossMicro: 5, dataHash: sha256Hex('other rows') };
    const changed = await record(base, SECOND, [vehicle!], new Map([[vehicle!, other]]));
    expect(changed).to.deep.equal(['VALIDATION_DATA_CHANGED']);
    expect(await record(base, SECOND, [vehicle!], loss(vehicle!, 9))).to.deep.equal(['']);
    expect(await record(base, SECOND, [silent!], new Map()), 'without a word').to.deep.equal(['']);
  });

  it('say nothing in tasks that draw none', async () => {
    base = await afterFirstRound(validatedTask());
    const opened = await driver.open(FIRST, base);
    expect(opened.secure).not.to.have.property('drawn');
    const [vehicle] = fleet;
    expect(await record(base, FIRST, [vehicle!], loss(vehicle!, 5))).to.deep.equal(['VEHICLE_NOT_DRAWN']);
  });

  it('record their updates themselves by the same rules', async () => {
    const [vehicle] = fleet;
    const envelope = envelopeOf(
      vehicle!,
      driver.content(FIRST, { baseModelHash: base, validation: word(vehicle!, 5) }),
    );
    const argument = { ...FIRST, baseModelHash: base, envelope };
    const caller = await vehicleIdentity(vehicle!, vehicle!.key);
    const submitted = consortium.simulate('learning:RecordUpdate', argument, caller).then((simulated) => {
      consortium.raise(simulated);
    });
    await expectRefusal(submitted, 'VEHICLE_NOT_DRAWN');
  });
});

describe('The term that draws vehicles', () => {
  const refusalOf = async (vehicles: number, metrics: SecureTerms['metrics'] = []): Promise<void> => {
    const task = validatedTask({ validation: { ...VALIDATION, vehicles }, metrics });
    await expectRefusal(new ValidatedDriver(consortium, task).openWith(undefined), 'ARGUMENT_INVALID');
  };
  before(async () => {
    consortium = await TestConsortium.bootstrapped();
  });

  it('is from 3 to 16: what fewer say puts nothing in doubt', async () => {
    for (const vehicles of [0, 1, 2, 17, 3.5]) {
      await refusalOf(vehicles);
    }
  });

  it('is not beside a sum of losses, which less those that are said is one of a few vehicles', async () => {
    await refusalOf(3, ['loss']);
    await refusalOf(3, ['samples', 'loss']);
  });
});
