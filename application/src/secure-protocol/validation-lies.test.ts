// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { SecureTerms } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { newRandom } from '@sev/fl';
import type { ScoresRequest } from '../coordinator/statements.js';
import { seededRandom } from '../e2e/testing/seed.js';
import { SecureBed } from '../testing/secure-bed.js';
import { codeOf } from '../testing/temporary.js';
import { haveThemLearn } from './testing/learners.js';
import { Liar, LIES, type Lie } from './testing/lies.js';
import { expectSound, namedBy, runToEnd } from './testing/outcome.js';

const ALL = [CITY, GRID, MAKER, REGULATOR];
const VEHICLES = 6;
const validation = { validators: ALL, pastRounds: 3, quarantineMilli: 6_000 };
const judged: Partial<SecureTerms> = { projections: 8, rule: 'capped-trust', validation };

describe('with validators', () => {
  const random = seededRandom('lies with validators');
  let bed: SecureBed;
  afterEach(() => bed.stop());

  const started = async (): Promise<void> => {
    bed = await SecureBed.start({ vehicles: VEHICLES, minimum: 3, terms: judged });
    haveThemLearn(bed);
  };

  for (const lie of LIES) {
    const seed = random.uint32();
    it(`one aggregator that ${lie.name} neither spoils the sum nor has others named (${seed})`, async () => {
      await tell(lie, seed);
    });
  }

  async function tell(lie: Lie, seed: number): Promise<void> {
    const own = newRandom(seed);
    await started();
    const mspId = bed.aggregatorIds[own.below(bed.aggregatorIds.length)]!;
    bed.around.set(mspId, lie.around(new Liar(bed, mspId, own)));
    await runToEnd(bed, { maxAttempts: 2 });
    const { round, members } = await expectSound(bed, [mspId]);
    const why = `${round.abortReason ?? ''} after ${bed.log.lines('warn').slice(-3).join('\n')}`;
    expect([round.state, round.attempt], why).to.deep.equal(['finalised', 1]);
    expect(members).to.have.length(VEHICLES);
    expect(lie.named === 'not on the ledger' ? namedBy(round) : round.secure![lie.named]).to.deep.equal(
      lie.named === 'not on the ledger' ? [] : [mspId],
    );
  }

  describe('a coordinator gets no attester’s word', () => {
    /** What an attester answers to other scores of the second round than the honest ones. */
    async function answerTo(change: (honest: ScoresRequest) => ScoresRequest): Promise<unknown> {
      await started();
      await bed.run();
      const codes: unknown[] = [];
      bed.around.set(`attester/${MAKER}`, async ({ method, args, proceed }) => {
        if (method === 'scores' && codes.length === 0) {
          codes.push(await codeOf(bed.attester(MAKER).scores(change(args[0] as ScoresRequest))));
        }
        return proceed();
      });
      await bed.run({ lastRound: 2 });
      await expectSound(bed);
      return codes[0];
    }
    const withScores =
      (change: (honest: ScoresRequest['scores']) => Partial<ScoresRequest['scores']>) =>
      (honest: ScoresRequest): ScoresRequest => ({
        ...honest,
        scores: { ...honest.scores, ...change(honest.scores) },
      });

    const lies: Readonly<Record<string, readonly [code: string, change: (honest: ScoresRequest) => ScoresRequest]>> = {
      'for suspicion of its choice': [
        'ATTESTATION_REFUSED',
        withScores(({ evidence }) => ({
          evidence: { ...evidence!, suspicionMilli: new Array<number>(VEHICLES).fill(5_000) },
        })),
      ],
      'for contributions of its choice': [
        'ATTESTATION_REFUSED',
        withScores(({ evidence }) => ({
          evidence: { ...evidence!, contributionMicro: new Array<number>(VEHICLES).fill(900_000) },
        })),
      ],
      'against a validator': ['ATTESTATION_REFUSED', withScores(() => ({ astray: [CITY] }))],
      'for a choice of directions': ['REFERENCES_INCOMPLETE', withScores(() => ({ references: [CITY, GRID, MAKER] }))],
      'for directions of a minority': ['REFERENCES_INVALID', withScores(() => ({ references: [GRID] }))],
      'for scores without a direction': [
        'REFERENCES_INVALID',
        ({ scores: { references: _references, ...scores }, ...honest }) => ({ ...honest, scores }),
      ],
      'for scores beside an attempt that is not final': [
        'ATTESTATION_REFUSED',
        withScores(() => ({ past: [{ round: 1, attempt: 2 }] })),
      ],
      'for scores beside a round twice': [
        'ATTESTATION_REFUSED',
        withScores(({ past }) => ({ past: [...past!, ...past!] })),
      ],
    };
    for (const [what, [code, change]] of Object.entries(lies)) {
      it(what, async () => {
        expect(await answerTo(change)).to.equal(code);
      });
    }
  });
});
