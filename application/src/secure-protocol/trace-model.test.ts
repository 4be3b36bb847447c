// SPDX-License-Identifier: Apache-2.0
import {
  CITY,
  enrolledFleet,
  GRID,
  IncidentDriver,
  INITIAL_MODEL,
  MAKER,
  REGULATOR,
  roundRef,
  TestConsortium,
  type Vehicle,
} from '@sev/chaincode/testing';
import { expect } from 'chai';
import { traceModel, type ModelTrace } from '../auditor/trace/trace-model.js';

describe('the trace of a model', () => {
  let consortium: TestConsortium;
  let driver: IncidentDriver;
  let fleet: Vehicle[];
  let suspect: Vehicle;

  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
    driver = new IncidentDriver(consortium);
    fleet = await enrolledFleet(consortium, 5);
    suspect = fleet[0]!;
  });

  const traced = (modelHash: string): Promise<ModelTrace> => {
    const evaluate = (contract: string, name: string, argument: unknown): Promise<never> =>
      consortium.evaluate(`${contract}:${name}`, argument);
    return traceModel({ evaluate, submit: evaluate }, modelHash);
  };
  const suspicionIn = ({ contributors }: ModelTrace): number | undefined =>
    contributors.find(({ vehicleId }) => vehicleId === suspect.vehicleId)?.suspicionMilli;

  it('has the suspicion of a vehicle as its standing has it, set back once it is cleared', async () => {
    const judgement = { [suspect.vehicleId]: { suspicionMilli: 3_000 } };
    const first = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, judgement);
    expect(suspicionIn(await traced(first))).to.equal(3_000);
    await driver.openIncident(suspect, [1]);
    await driver.decide(['clear']);
    expect(suspicionIn(await traced(first))).to.equal(0);
    const second = await driver.runRound(fleet, roundRef(2), first, judgement);
    const { suspicionMilli } = await driver.standing(suspect);
    expect(suspicionMilli).to.equal(3_000);
    expect(suspicionIn(await traced(second))).to.equal(suspicionMilli);
  });

  it('names validators that departed as the ledger does, one that withheld its direction among them', async () => {
    const references = [CITY, GRID, REGULATOR];
    const model = await driver.runRound(fleet, roundRef(1), INITIAL_MODEL, {}, { references });
    expect((await traced(model)).rounds[0]!.departed).to.deep.equal([MAKER]);
    const departed = (await driver.validators()).filter(({ departures }) => departures.length > 0);
    expect(departed.map(({ mspId }) => mspId)).to.deep.equal([MAKER]);
  });
});
