// SPDX-License-Identifier: Apache-2.0
import { MAX_DISPUTED } from '@sev/chaincode/api';
import { expect } from 'chai';
import { disputedRounds, sinceSuspicionRose, type RoundOfVehicle } from './suspected-rounds.js';

/** A vehicle's rounds with this evidence, from round 1 on. */
function rounds(...suspicions: (number | undefined)[]): RoundOfVehicle[] {
  return suspicions.map((suspicionMilli, index) => ({
    ...{ round: index + 1, attempt: 1, updateHash: '', baseModelHash: '', modelHash: '', weight: 6 },
    ...(suspicionMilli === undefined ? {} : { suspicionMilli }),
  }));
}
const since = (...suspicions: (number | undefined)[]): number[] =>
  sinceSuspicionRose(rounds(...suspicions)).map(({ round }) => round);
const codeOfCall = (call: () => unknown): string => {
  try {
    call();
    return 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('The rounds that an incident disputes', () => {
  it('are those since the suspicion was last nothing', () => {
    expect(since(3_000, 2_000, 1_000)).to.deep.equal([1, 2, 3]);
    expect(since(-500, 1_000, -2_000, 3_000, 2_500)).to.deep.equal([4, 5]);
    expect(since(1_000, -400, 2_000), 'what is not made up for still counts').to.deep.equal([1, 2, 3]);
    expect(since(1_000, 2_000, -3_000)).to.deep.equal([]);
    expect(since(undefined, undefined)).to.deep.equal([]);
  });

  it('are the newest where they are too many for one incident', () => {
    const many = since(...Array.from({ length: MAX_DISPUTED + 5 }, () => 1_000));
    expect(many).to.have.length(MAX_DISPUTED);
    expect(many.at(-1)).to.equal(MAX_DISPUTED + 5);
  });

  it('may be named, as long as the vehicle has a part in them', () => {
    const all = rounds(-500, 1_000, -2_000);
    expect(disputedRounds(all, [1, 3])).to.deep.equal([
      { round: 1, attempt: 1 },
      { round: 3, attempt: 1 },
    ]);
    expect(codeOfCall(() => disputedRounds(all, [1, 4]))).to.equal('ROUNDS_UNSUITED');
    expect(codeOfCall(() => disputedRounds(all, undefined))).to.equal('SUSPICION_NONE');
  });
});
