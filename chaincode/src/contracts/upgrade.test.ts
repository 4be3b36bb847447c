// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  canonicalJson,
  type ConsortiumRecord,
  type HistoryEntry,
  type Page,
  type ProposalRecord,
  type ProposalView,
  type RoundRecord,
  type TaskRecord,
  type VehicleRecord,
} from '../api';
import { schemaVersionOf } from '../ledger/migrations';
import { CITY, GRID, MAKER, MSPS, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, envelopeOf } from '../testing/fleet';
import { signingKey } from '../testing/identities';
import { recover, recoveryOf, rotate } from '../testing/key-changes';
import { RoundDriver } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import {
  namedKey,
  SAMPLE_OPEN_PROPOSAL,
  SAMPLE_OPEN_ROUND,
  SAMPLE_VEHICLES,
  sampleConsortium,
  sampleVehicle,
  type SampleVehicle,
} from '../testing/sample-history';
import type { StateFixture } from '../testing/write-fixture';

const FIXTURES = join(__dirname, '..', '..', 'fixtures');
const MAJORITY = [GRID, CITY, REGULATOR];

function fixtureOf(file: string): StateFixture {
  return JSON.parse(readFileSync(join(FIXTURES, file), 'utf8')) as StateFixture;
}

/** The state as the contracts of that version left it, byte for byte: they wrote canonical JSON. */
function consortiumOn({ bootstrapHash, nowMs, state }: StateFixture): TestConsortium {
  const consortium = new TestConsortium();
  sampleConsortium(consortium);
  const entries = Object.entries(state).map(([key, value]) => [key, canonicalJson(value)] as const);
  consortium.ledger.load(Object.fromEntries(entries), nowMs);
  consortium.bootstrapHash = bootstrapHash;
  consortium.nowMs = nowMs + 1_000;
  return consortium;
}

for (const file of readdirSync(FIXTURES).filter((name) => name.startsWith('state-'))) {
  const fixture = fixtureOf(file);
  describe(`On the state that version ${fixture.chaincodeVersion} of the contracts left`, () => {
    let consortium: TestConsortium;
    beforeEach(() => {
      consortium = consortiumOn(fixture);
    });
    const recordOf = (name: SampleVehicle): Promise<VehicleRecord> =>
      consortium.evaluate('registry:GetVehicle', { vehicleId: sampleVehicle(name).vehicleId });
    const list = async <T>(transaction: string): Promise<readonly T[]> =>
      (await consortium.evaluate<Page<T>>(transaction, { pageSize: 100, bookmark: '' })).items;
    const written = (docType: string, ...attributes: string[]): Record<string, unknown> => {
      const key = `\0${[docType, ...attributes].map((part) => `${part}\0`).join('')}`;
      return JSON.parse(consortium.ledger.get(key)!.toString()) as Record<string, unknown>;
    };

    it('everything reads as of the present version', async () => {
      const record = await consortium.evaluate<ConsortiumRecord>('governance:GetConsortium', {});
      expect(record.bootstrapHash).to.equal(fixture.bootstrapHash);
      expect(record.organisations.map(({ mspId }) => mspId)).to.have.members([...MSPS]);
      expect(record.organisations[0]).to.have.all.keys('name', 'mspId', 'signingKey', 'roles');
      const vehicles = await list<VehicleRecord>('registry:ListVehicles');
      expect(vehicles).to.have.length(SAMPLE_VEHICLES.length);
      for (const vehicle of vehicles) {
        expect(vehicle.schemaVersion).to.equal(schemaVersionOf('vehicle'));
        expect(vehicle).to.include({ keyRotations: 0, previousKeyHash: null, keySetBy: 'enrollment' });
        expect(vehicle.keySetAtMs).to.equal(vehicle.enrolledAtMs);
      }
      expect(await recordOf('voted-out')).to.include({ status: 'suspended', statusSetBy: 'consortium' });
      expect(await recordOf('revoked')).to.include({ status: 'revoked' });
      const proposals = await list<ProposalRecord>('governance:ListProposals');
      expect(proposals.map(({ state }) => state)).to.have.members(['executed', 'executed', 'open']);
      expect(await list<TaskRecord>('learning:ListTasks')).to.have.length(2);
      const round = await consortium.evaluate<RoundRecord>('learning:GetRound', { taskId: 'price-1', round: 1 });
      expect(round).to.include({ state: 'finalised' });
      const argument = { vehicleId: sampleVehicle('first').vehicleId, pageSize: 5, bookmark: '' };
      const history = await consortium.evaluate<Page<HistoryEntry<VehicleRecord>>>('registry:VehicleHistory', argument);
      expect(history.items[0]?.value).to.include({ keyRotations: 0 });
    });

    it('reading writes nothing, and writing brings only what it writes to the present version', async () => {
      const before = written('vehicle', sampleVehicle('second').vehicleId);
      await list('registry:ListVehicles');
      const { vehicleId } = sampleVehicle('first');
      const suspend = { vehicleId, status: 'suspended', reason: 'r' };
      await consortium.submit('registry:SetVehicleStatus', suspend, MAKER, 'registrar');
      expect(written('vehicle', vehicleId)).to.include({ schemaVersion: 2, status: 'suspended', keyRotations: 0 });
      expect(written('vehicle', sampleVehicle('second').vehicleId)).to.deep.equal(before);
      const reinstate = { vehicleId: sampleVehicle('voted-out').vehicleId, status: 'active', reason: 'r' };
      const call = consortium.submit('registry:SetVehicleStatus', reinstate, MAKER, 'registrar');
      await expectRefusal(call, 'VEHICLE_STATUS_TRANSITION');
    });

    it('vehicles rotate and recover their keys', async () => {
      const first = sampleVehicle('first');
      const next = signingKey();
      const rotated = await rotate(consortium, first, next);
      expect(rotated).to.include({ schemaVersion: 2, keyRotations: 1, publicKey: next.publicKey });
      const maker = { makerKeyId: 'maker-1', key: namedKey('maker') };
      const recovery = recoveryOf(consortium, sampleVehicle('suspended'), signingKey(), { maker });
      expect(await recover(consortium, recovery)).to.include({ keyRotations: 1, keySetBy: 'maker' });
      const taken = rotate(consortium, sampleVehicle('second'), first.key);
      await expectRefusal(taken, 'PUBLIC_KEY_ALREADY_ENROLLED');
    });

    it('the open round goes on to its model, and another follows', async () => {
      const driver = new RoundDriver(consortium);
      const { baseModelHash } = await consortium.evaluate<RoundRecord>('learning:GetRound', SAMPLE_OPEN_ROUND_KEY);
      const next = signingKey();
      await rotate(consortium, sampleVehicle('third'), next);
      const fleet = [sampleVehicle('second'), { ...sampleVehicle('third'), key: next }];
      const content = () => driver.content(SAMPLE_OPEN_ROUND, { baseModelHash });
      const envelopes = [...fleet, sampleVehicle('third')].map((vehicle) => envelopeOf(vehicle, content()));
      const { results } = await driver.record(envelopes, SAMPLE_OPEN_ROUND, baseModelHash);
      expect(results.map(({ code }) => code)).to.deep.equal([undefined, undefined, 'UPDATE_DUPLICATE']);
      await driver.close(MAJORITY, SAMPLE_OPEN_ROUND);
      const proposal = await driver.proposal(SAMPLE_OPEN_ROUND);
      expect(proposal.cohortSize, 'with the update from before').to.equal(3);
      await driver.finalise(proposal, MAJORITY);
      const third = { taskId: 'price-1', round: 3, attempt: 1 };
      await driver.coordinate('OpenRound', { ...third, baseModelHash: proposal.modelHash });
      const [joined] = await enrolledWithSampleMaker(consortium);
      const last = await driver.record(
        driver.envelopes([joined!], third, proposal.modelHash),
        third,
        proposal.modelHash,
      );
      expect(last.results[0]?.accepted).to.equal(true);
    });

    it('votes cast before count, and an organisation can be admitted and removed', async () => {
      const proposalId = SAMPLE_OPEN_PROPOSAL;
      const view = await consortium.evaluate<ProposalView>('governance:GetProposal', { proposalId });
      expect(view.votes.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID]);
      const asOperator = (transaction: string, argument: unknown, mspId: string): Promise<ProposalRecord> =>
        consortium.submit(`governance:${transaction}`, argument, mspId, 'operator');
      await asOperator('Vote', { proposalId, approve: true }, REGULATOR);
      expect(await asOperator('Execute', { proposalId }, GRID)).to.include({ state: 'executed' });
      const change = { kind: 'remove-organisation', mspId: GRID };
      await asOperator('Propose', { proposalId: 'remove', change }, CITY);
      await asOperator('Vote', { proposalId: 'remove', approve: true }, MAKER);
      await asOperator('Vote', { proposalId: 'remove', approve: true }, REGULATOR);
      expect(await asOperator('Execute', { proposalId: 'remove' }, CITY)).to.include({ state: 'executed' });
    });
  });
}

const SAMPLE_OPEN_ROUND_KEY = { taskId: SAMPLE_OPEN_ROUND.taskId, round: SAMPLE_OPEN_ROUND.round };

describe('On a ledger that newer contracts have written', () => {
  it('a transaction that reads one of their records is refused by name', async () => {
    const consortium = consortiumOn(fixtureOf('state-0.1.0.json'));
    const { vehicleId } = sampleVehicle('first');
    const key = `\0vehicle\0${vehicleId}\0`;
    const newer = { ...(JSON.parse(consortium.ledger.get(key)!.toString()) as object), schemaVersion: 99 };
    consortium.ledger.load({ [key]: canonicalJson(newer) }, consortium.nowMs);
    const read = consortium.evaluate('registry:GetVehicle', { vehicleId });
    await expectRefusal(read, 'STATE_NEWER');
    const write = { vehicleId, status: 'revoked', reason: 'r' };
    await expectRefusal(consortium.submit('registry:SetVehicleStatus', write, MAKER, 'registrar'), 'STATE_NEWER');
    const other = { vehicleId: sampleVehicle('second').vehicleId };
    expect(await consortium.evaluate('registry:GetVehicle', other)).to.include({ status: 'active' });
  });
});

async function enrolledWithSampleMaker(consortium: TestConsortium): ReturnType<typeof enrolledFleet> {
  return enrolledFleet(consortium, 1, 50, { makerKeyId: 'maker-1', key: namedKey('maker') });
}
