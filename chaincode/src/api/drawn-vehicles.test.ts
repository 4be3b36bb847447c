// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalJson } from './canonical';
import { drawnAmong, drawnLosses, drawnVehicles, isBaseDoubted, type DrawPlace } from './drawn-vehicles';
import { updateStatement } from './update-statement';

const PLACE: DrawPlace = { taskId: 'price-1', round: 2, baseModelHash: 'b'.repeat(64) };
const HASH = 'a'.repeat(64);

function nameOf(index: number): string {
  return `v-${String(index).padStart(22, '0')}`;
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => nameOf(index));
}

function members(count: number): { vehicleId: string; updateHash: string; weightClass: number }[] {
  return names(count).map((vehicleId) => ({ vehicleId, updateHash: HASH, weightClass: 0 }));
}

function said(losses: readonly (number | undefined)[]) {
  return losses.map((lossMicro, index) => ({
    vehicleId: nameOf(index),
    ...(lossMicro === undefined ? {} : { validation: { lossMicro, dataHash: HASH } }),
  }));
}

describe('The draw of vehicles', () => {
  it('does not depend on the order in which they are named', () => {
    const lists = fc.uniqueArray(fc.nat(999), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 16 }), (indices, count) => {
        const ids = indices.map(nameOf);
        const drawn = drawnAmong(PLACE, ids, count);
        expect(drawnAmong(PLACE, [...ids].reverse(), count)).to.deep.equal(drawn);
        expect(new Set(drawn).size).to.equal(Math.min(count, ids.length));
        expect(ids).to.include.members([...drawn]);
      }),
    );
  });

  it('goes on where fewer are drawn: the first of more are the same', () => {
    const ten = drawnAmong(PLACE, names(40), 10);
    expect(drawnAmong(PLACE, names(40), 3)).to.deep.equal(ten.slice(0, 3));
  });

  it('is another one of another base, another round and another task', () => {
    const draw = (change: Partial<DrawPlace>): readonly string[] => drawnAmong({ ...PLACE, ...change }, names(200), 8);
    const draws = [{}, { baseModelHash: HASH }, { round: 3 }, { taskId: 'price-2' }].map((change) =>
      draw(change).join(),
    );
    expect(new Set(draws).size).to.equal(4);
  });

  it('is frozen: every peer and every audit comes to the same', () => {
    expect(drawnAmong(PLACE, names(6), 3).map((id) => id.slice(-1))).to.deep.equal(['5', '2', '1']);
  });

  it('takes every vehicle about as often as any other', () => {
    const counts = new Map<string, number>();
    for (let round = 1; round <= 600; round += 1) {
      for (const id of drawnAmong({ ...PLACE, round }, names(10), 2)) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
    // 120 times on average, with a standard deviation below 10.
    for (const count of counts.values()) {
      expect(count).to.be.within(70, 170);
    }
    expect(counts.size).to.equal(10);
  });

  const cohort = { members: members(8) };
  const modelHash = PLACE.baseModelHash;

  it('is from the cohort of the round that made the base', () => {
    const { drawn } = drawnVehicles({ vehicles: 2 }, PLACE, { modelHash, cohort });
    expect(drawn).to.deep.equal(drawnAmong(PLACE, names(8), 2));
  });

  it('finds nobody where no round made the base, or its cohort is not known', () => {
    for (const previous of [
      { modelHash: undefined, cohort: undefined },
      { modelHash: HASH, cohort },
      { modelHash, cohort: undefined },
    ]) {
      expect(drawnVehicles({ vehicles: 2 }, PLACE, previous)).to.deep.equal({ drawn: [] });
    }
  });

  it('is not there where the task draws none', () => {
    expect(drawnVehicles({}, PLACE, { modelHash, cohort })).to.deep.equal({});
    expect(drawnVehicles(undefined, PLACE, { modelHash, cohort })).to.deep.equal({});
  });
});

describe('What drawn vehicles say of a base', () => {
  it('comes to the lower median of those that say it', () => {
    const { drawnLosses: losses } = drawnLosses(said([4, undefined, 3, 2, undefined, 1]));
    expect(losses).to.deep.equal({ heard: 4, medianLossMicro: 2, departed: [] });
  });

  it('comes to nothing where none of the cohort says it', () => {
    expect(drawnLosses(said([undefined, undefined]))).to.deep.equal({});
  });

  it('names who departs by the rule of validators, of three and more', () => {
    expect(drawnLosses(said([100, 100, 301])).drawnLosses?.departed).to.deep.equal([nameOf(2)]);
    expect(drawnLosses(said([100, 33, 100])).drawnLosses?.departed).to.deep.equal([nameOf(1)]);
    expect(drawnLosses(said([100, 100, 300])).drawnLosses?.departed).to.deep.equal([]);
    expect(drawnLosses(said([1, 100])).drawnLosses?.departed).to.deep.equal([]);
  });

  const doubted = (organisations: number, vehicles: number, heard: number): boolean =>
    isBaseDoubted({
      validated: { medianLossMicro: organisations },
      drawnLosses: { heard, medianLossMicro: vehicles },
    });

  it('puts the word of organisations in doubt from nine times on, of three and more', () => {
    expect(doubted(901, 100, 3)).to.equal(true);
    expect(doubted(100, 901, 3)).to.equal(true);
    expect(doubted(900, 100, 3)).to.equal(false);
    expect(doubted(100, 900, 3)).to.equal(false);
    expect(doubted(901, 100, 2)).to.equal(false);
    expect(isBaseDoubted({ validated: { medianLossMicro: 901 } })).to.equal(false);
  });
});

describe('What a vehicle signs for an update', () => {
  const content = {
    ...{ taskId: 'price-1', round: 2, attempt: 1, baseModelHash: HASH },
    ...{ vehicleId: nameOf(1), updateHash: HASH, weightClass: 0 },
  };

  it('keeps its bytes where it says nothing of the base', () => {
    const bytes = `{"attempt":1,"baseModelHash":"${HASH}","consortium":"c","round":2,"taskId":"price-1","type":"sev/update/v1","updateHash":"${HASH}","vehicleId":"${nameOf(1)}","weightClass":0}`;
    expect(canonicalJson(updateStatement('c', content))).to.equal(bytes);
    expect(canonicalJson(updateStatement('c', { ...content, validation: undefined }))).to.equal(bytes);
  });

  it('covers what it says', () => {
    const validation = { lossMicro: 7, dataHash: HASH };
    expect(updateStatement('c', { ...content, validation }).validation).to.deep.equal(validation);
  });
});
