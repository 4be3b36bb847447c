// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Scores, SecureTerms } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { attemptOf } from '../services/attempt.js';
import { SecureBed } from '../testing/secure-bed.js';
import { expectSound } from './testing/outcome.js';

const ALL = [CITY, GRID, MAKER, REGULATOR];
const validation = { validators: ALL, pastRounds: 3, quarantineMilli: 1_000_000 };
const judged: Partial<SecureTerms> = { projections: 8, rule: 'capped-trust', validation };

describe('a round with validators', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  const scoresOf = async (round = 1): Promise<Scores> =>
    (await bed.learning.scores(attemptOf(await bed.round(round)))).scores;
  /** The median of the directions that validators would commit themselves to in the first round. */

  it('opens with the words of all, scores by their median direction, and ends in the weighted sum', async () => {
    bed = await SecureBed.start({ terms: judged });
    await bed.run();
    const { round } = await expectSound(bed);
    const scores = await scoresOf();
    expect(round.secure!.opening.validations!.map(({ mspId }) => mspId)).to.deep.equal(ALL);
    expect(round.secure!.validated!.departed).to.deep.equal([]);
    expect(scores.references).to.deep.equal(ALL);
    expect(scores.evidence!.suspicionMilli).to.have.length(8);
    expect(scores.evidence!.contributionMicro).to.have.length(8);
    expect(round.secure!.openedProjections).to.equal(9);
  });
});
