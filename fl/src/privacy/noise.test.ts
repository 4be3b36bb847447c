// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { componentSum, totalOf } from '../secure/aggregate.js';
import { createReport, openShare } from '../secure/report.js';
import { componentOf } from '../secure/share.js';
import {
  contextOf,
  FULL,
  hexFrom,
  holdersOf,
  newScene,
  printedRandom,
  sourceFrom,
  termsFor,
} from '../secure/testing/setup.js';
import { PrivacyError } from './errors.js';
import { checkNoise, noiseReport, noiseRoot, noiseVector, type NoiseTerms } from './noise.js';

const LENGTH = 50;
const seed = new Uint8Array(32).fill(7);
const terms: NoiseTerms = {
  context: contextOf({ vehicle: 'noise/CityMSP/0' }),
  holders: holdersOf(3, 1),
  length: LENGTH,
  deviation: 500,
};

describe('A noise report', () => {
  it('has the root that anyone recomputes from its seed', async () => {
    const { recipients } = await newScene(3, 1);
    const report = await noiseReport(seed, { ...terms, recipients });
    expect(noiseRoot(seed, terms)).to.equal(report.root);
    checkNoise(seed, report.root, terms);
  });

  it('has this very root and noise on every machine', () => {
    expect(noiseRoot(seed, terms)).to.equal('360d314e900feeff595341ec73047ee6efb64980f470d4601686bfa3720958e8');
    expect(Array.from(new Int32Array(noiseVector(seed, terms).buffer)).slice(0, 8)).to.deep.equal([
      -23, -660, -5, 266, -617, -226, -251, 63,
    ]);
  });

  it('is opened and summed as any vehicle’s report', async () => {
    const scene = await newScene(3, 1);
    const report = await noiseReport(seed, { ...terms, recipients: scene.recipients });
    scene.store.set(report.ciphertextHash, report.ciphertext);
    const vector = Uint32Array.from({ length: LENGTH }, (_, i) => i * 1_000);
    const { context } = terms;
    const vehicleContext = contextOf();
    const vehicle = await createReport({
      vector,
      context: vehicleContext,
      holders: scene.holders,
      recipients: scene.recipients,
      random: sourceFrom(printedRandom('vehicle')),
    });
    scene.store.set(vehicle.ciphertextHash, vehicle.ciphertext);
    const sums = await Promise.all(
      scene.holders.map(async (group, component) => {
        const holder = group[0]!;
        const noise = await openShare(termsFor(scene, report, holder, { context, length: LENGTH }));
        const share = await openShare(termsFor(scene, vehicle, holder, { context: vehicleContext, length: LENGTH }));
        return componentSum(
          [
            { values: componentOf(share, component, vehicleContext, LENGTH), weight: 3 },
            { values: componentOf(noise, component, context, LENGTH), weight: 1 },
          ],
          LENGTH,
        );
      }),
    );
    const noise = new Int32Array(noiseVector(seed, terms).buffer);
    expect(Array.from(totalOf(sums))).to.deep.equal(Array.from(noise, (value, i) => value + 3_000 * i));
  });

  it('is another one for another seed, place, length, deviation or sharing', () => {
    const root = noiseRoot(seed, terms);
    const other = new Uint8Array(32).fill(8);
    const changed: readonly [Uint8Array, Partial<NoiseTerms>][] = [
      [other, {}],
      [seed, { context: contextOf({ vehicle: 'noise/CityMSP/1' }) }],
      [seed, { length: LENGTH + 1 }],
      [seed, { deviation: 501 }],
      [seed, { holders: holdersOf(5, 2) }],
    ];
    for (const [usedSeed, change] of changed) {
      expect(noiseRoot(usedSeed, { ...terms, ...change })).not.to.equal(root);
      expect(() => {
        checkNoise(usedSeed, root, { ...terms, ...change });
      }).to.throw(PrivacyError, /^NOISE_MISMATCH: /);
    }
  });

  it('is detected where its vector is not drawn from the seed', async () => {
    const { recipients, holders } = await newScene(3, 1);
    const random = sourceFrom(printedRandom('false noise'));
    const zero = await createReport({
      vector: new Uint32Array(LENGTH),
      context: terms.context,
      holders,
      recipients,
      random,
    });
    expect(() => {
      checkNoise(seed, zero.root, terms);
    }).to.throw(PrivacyError, /^NOISE_MISMATCH: /);
    // Half the noise, everything else as prescribed.
    expect(() => {
      checkNoise(seed, noiseRoot(seed, { ...terms, deviation: 250 }), terms);
    }).to.throw(PrivacyError, /^NOISE_MISMATCH: /);
  });

  it('is caught whenever the false one of two candidates is opened, in half of the trials', () => {
    const random = printedRandom('cut and choose');
    const trials = FULL ? 10_000 : 600;
    let caught = 0;
    for (let trial = 0; trial < trials; trial++) {
      const seeds = [sourceFrom(random).nextBytes(32), sourceFrom(random).nextBytes(32)] as const;
      const candidates = seeds.map((_, index) => ({
        ...terms,
        length: 4,
        context: contextOf({ round: trial, vehicle: `noise/CityMSP/${index}` }),
      }));
      const falseOne = random.below(2);
      const roots = candidates.map((candidate, index) =>
        noiseRoot(seeds[index]!, index === falseOne ? { ...candidate, deviation: 1 } : candidate),
      );
      // The ledger's choice: a bit of what all aggregators' nonces give, drawn after the commitments.
      const opened = Number.parseInt(hexFrom(random).slice(0, 2), 16) & 1;
      const honest = noiseRoot(seeds[opened]!, candidates[opened]!) === roots[opened];
      expect(honest).to.equal(opened !== falseOne);
      caught += honest ? 0 : 1;
    }
    console.log(`      caught in ${caught} of ${trials} trials`);
    expect(Math.abs(caught - trials / 2)).to.be.lessThan(5 * Math.sqrt(trials / 4));
  });

  it('refuses a seed of another length', () => {
    expect(() => noiseRoot(new Uint8Array(31), terms)).to.throw(PrivacyError, /^PRIVACY_PARAMETER: /);
  });
});
