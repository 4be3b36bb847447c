// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { isBaseDoubted, type RoundRecord, type SecureTerms } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { judgedRound } from '../report/judged-round.js';
import { SecureBed } from '../testing/secure-bed.js';
import { haveThemLearn } from './testing/learners.js';
import { expectSound } from './testing/outcome.js';

const VEHICLES = 8;
const DRAWN = 4;
const validation = { validators: [CITY, GRID, MAKER, REGULATOR], pastRounds: 0, quarantineMilli: 6_000 };
const terms: Partial<SecureTerms> = {
  projections: 8,
  rule: 'capped-trust',
  validation: { ...validation, vehicles: DRAWN },
};

describe('rounds that draw vehicles to validate', () => {
  let bed: SecureBed;
  beforeEach(async () => {
    bed = await SecureBed.start({ terms, vehicles: VEHICLES, plannedRounds: 4 });
    haveThemLearn(bed);
  });
  afterEach(() => bed.stop());

  /** The validators' median of a round. */
  const medianOf = ({ secure }: RoundRecord): number => secure!.validated!.medianLossMicro;
  const idsOf = (indices: readonly number[]): string[] => indices.map((index) => bed.fleet.vehicles[index]!.vehicleId);
  const drawnIndices = ({ secure }: RoundRecord): number[] =>
    secure!.drawn!.map((id) => bed.fleet.vehicles.findIndex(({ vehicleId }) => vehicleId === id));

  it('ask some of the cohort before, and keep what they say with the cohort', async () => {
    bed.fleet.says = (index) => 1_000 + index;
    await bed.run({ lastRound: 2 });
    await expectSound(bed);
    expect((await bed.round(1)).secure!.drawn).to.deep.equal([]);
    const round = await bed.round(2);
    const drawn = drawnIndices(round);
    expect(new Set(drawn).size).to.equal(DRAWN);
    const [, middle] = [...drawn].sort((a, b) => a - b);
    expect(round.secure!.drawnLosses).to.deep.equal({ heard: DRAWN, medianLossMicro: 1_000 + middle!, departed: [] });
  });

  it('go on where some of them say nothing, or do not take part', async () => {
    let gone: number | undefined;
    bed.fleet.says = (index) => (index % 2 === 0 ? 7 : undefined);
    await bed.run({ lastRound: 2 });
    const silent = drawnIndices(await bed.round(2)).filter((index) => index % 2 === 1).length;
    expect((await bed.round(2)).secure!.drawnLosses?.heard ?? 0).to.equal(DRAWN - silent);
    bed.fleet.says = () => 7;
    bed.fleet.drops = (index, { round }) => {
      if (round === 3 && gone === undefined) {
        gone = index;
      }
      return round === 3 && index === gone ? 'before-share' : undefined;
    };
    await bed.run({ lastRound: 3 });
    await expectSound(bed);
    const round = await bed.round(3);
    const isAsked = drawnIndices(round).includes(gone!);
    expect(round.secure!.drawnLosses?.heard).to.equal(isAsked ? DRAWN - 1 : DRAWN);
  });

  it('name whose loss departs, and take nothing from it', async () => {
    let odd: number | undefined;
    bed.fleet.says = (index) => {
      odd ??= index;
      return index === odd ? 4_000 : 1_000;
    };
    await bed.run({ lastRound: 2 });
    await expectSound(bed);
    const round = await bed.round(2);
    const expected = drawnIndices(round).includes(odd!) ? idsOf([odd!]) : [];
    expect(round.secure!.drawnLosses!.departed).to.deep.equal(expected);
    for (const vehicleId of expected) {
      const standing = await bed.learning.standing(bed.task.taskId, vehicleId);
      expect(standing.quarantined).to.equal(undefined);
    }
  });

  it('tell where organisations say something else of the model than the vehicles', async () => {
    bed.fleet.says = () => Number.MAX_SAFE_INTEGER;
    await bed.run({ lastRound: 2 });
    const round = await bed.round(2);
    expect(isBaseDoubted(round.secure!)).to.equal(true);
    const judged = await judgedRound(
      { learning: bed.learning, incidents: { incidents: async function* () {} } },
      round,
    );
    expect(judged?.drawn).to.deep.include({ asked: DRAWN, heard: DRAWN, isDoubted: true });
    expect(judged?.lossMicro).to.equal(medianOf(round));
    await expectSound(bed);
  });
});
