// SPDX-License-Identifier: Apache-2.0
import { newRandom } from '@sev/fl';
import { expect } from 'chai';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { secretsWithin } from '../e2e/testing/secrets.js';
import { attemptOf } from '../services/attempt.js';
import { SecureBed, type BedOptions } from '../testing/secure-bed.js';
import { Liar, LIES } from './testing/lies.js';
import { expectSound, runToEnd } from './testing/outcome.js';
import { lastingSecrets, noncesOnDisk, publicContent, type Secret } from './testing/secrets-of.js';

const DP = { noiseDeviation: 1_000, budgetMicroRho: 1_000_000_000_000, deltaExponent: 6 };
const dp: BedOptions['terms'] & object = { projections: 0, rule: 'uniform', dp: DP };

function found(content: Buffer, secrets: readonly Secret[]): string[] {
  const within = secretsWithin(
    content,
    secrets.map(({ bytes }) => bytes),
  );
  return secrets.filter(({ bytes }) => within.includes(bytes)).map(({ name }) => name);
}

/** Logs of every level, error texts in them, the ledger with all its transactions, and every object of the store. */
describe('what a round writes and says', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  /** Error texts included: services log what they fail with. */
  async function runWith(options: BedOptions, lie?: string): Promise<readonly Secret[]> {
    bed = await SecureBed.start({ vehicles: 4, minimum: 3, ...options });
    const chosen = LIES.find(({ name }) => name === lie);
    const mspId = bed.aggregatorIds[0]!;
    const liar = new Liar(bed, mspId, newRandom(3));
    const tell = chosen?.around(liar);
    let early: string[] | undefined;
    bed.around.set(mspId, async (call) => {
      if (call.method === 'reveal' && early === undefined) {
        early = found(publicContent(bed), await noncesOnDisk(bed, attemptOf(await bed.round())));
      }
      return tell?.(call) ?? call.proceed();
    });
    await runToEnd(bed, { maxAttempts: 1 });
    await expectSound(bed, [mspId]);
    expect(early, 'nonces and noise seeds before the cohort was fixed').to.deep.equal([]);
    return lastingSecrets(bed, attemptOf(await bed.round()));
  }

  it('holds no secret in an undisturbed round', async () => {
    const secrets = await runWith({});
    expect(found(publicContent(bed), secrets)).to.deep.equal([]);
  });

  it('holds no secret in mode dp', async () => {
    const secrets = await runWith({ terms: dp });
    expect(found(publicContent(bed), secrets)).to.deep.equal([]);
  });

  for (const lie of [
    'signs and publishes another sum',
    'shows other nonces',
    'signs something else',
    'releases other bytes in a dispute that it lost',
    'denies a share that it gave a receipt for',
  ]) {
    it(`holds no secret where an aggregator ${lie}`, async () => {
      const secrets = await runWith({}, lie);
      expect(found(publicContent(bed), secrets)).to.deep.equal([]);
    });
  }

  it('holds no secret where shares come damaged and files are lost', async () => {
    bed = await SecureBed.start({ vehicles: 4, minimum: 3 });
    const mspId = bed.aggregatorIds[1]!;
    bed.around.set(mspId, ({ method, args, proceed }) => {
      if (method !== 'submitShare') {
        return proceed();
      }
      const submission = args[0] as ShareSubmission;
      const sealed = Buffer.from(submission.sealed, 'base64');
      sealed[sealed.length - 20]! ^= 1;
      return bed.aggregators.get(mspId)!.submitShare({ ...submission, sealed: sealed.toString('base64') });
    });
    await runToEnd(bed, { maxAttempts: 1 });
    expect(bed.log.lines().join('\n')).to.include('SHARE_UNREADABLE');
    const secrets = await lastingSecrets(bed, attemptOf(await bed.round()));
    expect(found(publicContent(bed), secrets)).to.deep.equal([]);
  });

  it('would be found to hold one: the search sees every secret where it is written', async () => {
    const secrets = await runWith({});
    for (const { name, bytes } of secrets) {
      for (const written of [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64'))]) {
        expect(found(Buffer.concat([Buffer.from('{"x":"'), written, Buffer.from('"}')]), secrets)).to.include(name);
      }
    }
  });
});
