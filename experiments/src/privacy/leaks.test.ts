// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { encodeCars, generateCarTable, type CarRow } from '@sev/fl';
import { marginalGuess, readRecords, scoreGuesses, type GuessScore } from './car-guess.js';
import { measureLeaks, type Leaks } from './leaks.js';

const SEED = 1;
const VICTIMS = 60;
const SHARES = ['fuel', 'seller', 'transmission', 'owner', 'name'] as const;
const ERRORS = ['yearError', 'kilometresError'] as const;
/** Three deviations of a share of 60 records are at most .19. */
const CHANCE = 0.19;

const victims = generateCarTable({ rows: VICTIMS, seed: 3 }).rows;
const market = generateCarTable({ rows: 500, seed: 4 }).rows;

/** Nothing about the records is known better than by whoever sees nothing. */
function expectNothing(score: GuessScore, marginal: GuessScore): void {
  SHARES.forEach((key) => expect(score[key], key).to.be.at.most(marginal[key] + CHANCE));
  ERRORS.forEach((key) => expect(score[key], key).to.be.at.least(0.85 * marginal[key]));
}

describe('An attacker who knows the base model', function () {
  this.timeout(300_000);
  const leaks = new Map<number, Leaks>();
  const leaksOf = (records: number): Leaks => {
    const known = leaks.get(records) ?? measureLeaks({ victims, market, records, seed: SEED });
    leaks.set(records, known);
    return known;
  };

  it('reads a single record exactly out of one step of gradient descent', () => {
    const { gradient } = leaksOf(1);
    SHARES.forEach((key) => expect(gradient[key], key).to.equal(1));
    ERRORS.forEach((key) => expect(gradient[key], key).to.be.below(1e-3));
  });

  for (const records of [1, 4]) {
    const whose = records === 1 ? 'a record' : `most of ${records} records`;

    it(`reads ${whose} out of an update of mode plain`, () => {
      const { plain, marginal } = leaksOf(records);
      expect(plain.fuel).to.be.at.least(0.9);
      expect(plain.seller).to.be.at.least(0.9);
      expect(plain.name).to.be.at.least(0.8);
      expect(plain.yearError).to.be.below(0.67 * marginal.yearError);
      expect(plain.kilometresError).to.be.below(0.33 * marginal.kilometresError);
      expect(marginal.fuel).to.be.below(0.5);
      expect(marginal.name).to.be.below(0.1);
    });

    it(`reads the same out of the shares of two aggregators of mode secure (${records})`, () => {
      const { twoAggregators, marginal } = leaksOf(records);
      expect(twoAggregators.fuel).to.be.at.least(0.9);
      expect(twoAggregators.name).to.be.at.least(0.7);
      expect(twoAggregators.kilometresError).to.be.below(0.5 * marginal.kilometresError);
    });

    it(`reads nothing out of the shares of one (${records})`, () => {
      const { oneAggregator, marginal } = leaksOf(records);
      expectNothing(oneAggregator, marginal);
    });

    it(`reads nothing out of the opened projections (${records})`, () => {
      const { projections, marginal } = leaksOf(records);
      expectNothing(projections, marginal);
    });
  }

  it('finds the car of some vehicles with a single record by guessing cars and comparing projections', () => {
    const { guessAndCheck, marginal } = leaksOf(1);
    expect(guessAndCheck.name).to.be.above(marginal.name + 0.03);
  });

  it('finds no more so than with cars at random where a vehicle has four records', () => {
    const { guessAndCheck, random } = leaksOf(4);
    expectNothing(guessAndCheck, random);
  });
});

describe('The score of guesses', () => {
  const [first, second] = readRecords(encodeCars(victims.slice(0, 2)));

  it('reads features back to what was encoded', () => {
    const records = readRecords(encodeCars(victims));
    records.forEach((record, row) => {
      const { year, kilometres }: Pick<CarRow, 'year' | 'kilometres'> = victims[row]!;
      expect(record.year).to.be.closeTo(year, 1e-5);
      expect(record.logKilometres).to.be.closeTo(Math.log(1 + kilometres), 1e-5);
    });
  });

  it('is perfect for the truth in any order, and for the default where a guess is missing', () => {
    const truth = [first!, second!];
    const perfect = scoreGuesses([{ truth, guesses: [second!, first!] }], first!);
    expect(perfect).to.deep.include({ records: 2, fuel: 1, name: 1, yearError: 0, kilometresError: 0 });
    const half = scoreGuesses([{ truth, guesses: [second!] }], { ...first!, year: first!.year + 4 });
    expect(half.yearError).to.be.closeTo(2, 1e-9);
    expect(half.name).to.equal(1);
  });

  it('takes the most frequent category and the median number of the market for a marginal guess', () => {
    const records = [1, 2, 9].map((year, i) => ({ ...first!, year, fuel: i === 0 ? 3 : 4 }));
    expect(marginalGuess(records)).to.deep.include({ year: 2, fuel: 4 });
  });
});
