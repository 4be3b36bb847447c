// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Change } from '../api';
import {
  CITY,
  GRID,
  MAKER,
  ROOMY,
  SYBIL_KINDS,
  TestConsortium,
  enroll,
  enrollmentOf,
  inMemoryPort,
  newVehicle,
  prepareGround,
  runCampaign,
  spendMakerSecret,
  type Vehicle,
} from '../testing';

const ATTEMPTS = 1_000;

describe('one physical car, one identity in a domain', function () {
  this.timeout(120_000);
  const given = process.env['SEV_TEST_SEED'];
  const seed = given === undefined ? Date.now() % 0xffff_ffff : Number(given);

  it(`holds against ${ATTEMPTS} attempts at a second one, by vehicles and organisations`, async () => {
    console.log(`      ${SYBIL_KINDS.length} kinds of attempts: SEV_TEST_SEED=${seed}`);
    const ground = await prepareGround(await inMemoryPort(ROOMY), ROOMY);
    const result = await runCampaign(ground, { attempts: ATTEMPTS, seed });
    const { gotIn, unexplained, changed, kinds } = result;
    expect({ gotIn, unexplained, changed }, JSON.stringify(kinds, null, 1)).to.deep.equal({
      gotIn: 0,
      unexplained: 0,
      changed: 0,
    });
    for (const kind of kinds) {
      expect(kind.unexpected, JSON.stringify(kind)).to.equal(0);
      expect(kind.tried, kind.kind).to.be.within(Math.floor(ATTEMPTS / kinds.length), ATTEMPTS / kinds.length + 1);
    }
    expect(new Set(SYBIL_KINDS.map(({ name }) => name)).size, 'names of kinds').to.equal(SYBIL_KINDS.length);
  });

  it("bounds whoever has a maker's secret by the quota of the organisation that enrols", async () => {
    const policy = { ...ROOMY, vehicleQuota: 60 };
    const ground = await prepareGround(await inMemoryPort(policy), policy);
    const spent = await spendMakerSecret(ground, CITY, 200);
    expect(spent).to.deep.equal({ tried: 200, quota: 60, gotIn: 60, refused: { QUOTA_EXCEEDED: 140 } });
  });

  it('holds for a car whose maker lost its accreditation and got it back', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const decide = async (proposalId: string, change: Change): Promise<void> => {
      await consortium.submit('governance:Propose', { proposalId, change }, GRID, 'operator');
      for (const mspId of [CITY, MAKER]) {
        await consortium.submit('governance:Vote', { proposalId, approve: true }, mspId, 'operator');
      }
      await consortium.submit('governance:Execute', { proposalId }, GRID, 'operator');
    };
    const car = newVehicle();
    const codeOf = async (vehicle: Vehicle, slot: number): Promise<string | undefined> => {
      const { results } = await enroll(consortium, [enrollmentOf(consortium, vehicle, { slot })]);
      return results[0]?.code;
    };
    expect(await codeOf(car, 0)).to.equal(undefined);
    const again = { ...newVehicle(), tag: car.tag };
    await decide('p-1', { kind: 'remove-maker', makerKeyId: 'maker-1' });
    expect(await codeOf(again, 1)).to.equal('MAKER_UNKNOWN');
    const { publicKey } = consortium.makerKey;
    await decide('p-2', { kind: 'put-maker', maker: { makerKeyId: 'maker-1', mspId: MAKER, publicKey } });
    expect(await codeOf(again, 1)).to.equal('TAG_ALREADY_ENROLLED');
  });
});
