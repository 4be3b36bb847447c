// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  encodeCars,
  generateCarTable,
  parameterCount,
  PRICE_LAYERS,
  PRICE_TRAINING,
  runFederation,
  splitTable,
} from '@sev/fl';
import { compareSecure } from './model-tables.js';
import { noiseTerms } from './noise-terms.js';
import { runNoiseCell } from './noise-cell.js';
import { runSecureFederation } from './secure-federation.js';

const SEED = 1;

describe('A federation in mode secure', function () {
  this.timeout(300_000);

  it('reaches the R² of one in floating point to within .002', () => {
    const { plain, secure } = compareSecure(generateCarTable({ rows: 1_000, seed: SEED }), 'iid', SEED);
    expect(plain).to.be.above(0.7);
    expect(secure).to.be.closeTo(plain, 0.002);
  });

  it('computes the model of one in floating point to within a rounding of the codec', () => {
    const table = generateCarTable({ rows: 300, seed: SEED });
    const clients = splitTable(table, { split: 'iid', clients: 5 }).clients.map(encodeCars);
    const training = { ...PRICE_TRAINING, seed: SEED };
    const common = { layers: PRICE_LAYERS, clients, rounds: 1, training };
    const weights = [4, 6, 21, 64, 64];
    const plain = runFederation({ ...common, test: clients[0]!, weights, evaluateAt: [] }).parameters;
    const format = { fractionBits: 11, clip: 4 };
    const secure = runSecureFederation({ ...common, format, classWeights: weights, projections: 8 });
    secure.forEach((value, i) => expect(value).to.be.closeTo(plain[i]!, 2 ** -11));
    expect(secure).not.to.deep.equal(plain);
  });
});

describe('Noise of mode dp', function () {
  this.timeout(300_000);
  const cell = { vehicles: 20, rowsPerVehicle: 24, layers: PRICE_LAYERS, clip: 0.25, rounds: 2, seed: SEED };

  it('costs no more ε than asked for, and little less', () => {
    for (const epsilon of [2, 8, 32, 128]) {
      const common = { epsilon, parameters: parameterCount(PRICE_LAYERS), rounds: 10, vehicles: 100 };
      const [wide, narrow] = [4, 0.25].map((clip) => noiseTerms({ ...common, clip }));
      expect(wide!.spentEpsilon).to.be.within(0.995 * epsilon, epsilon);
      expect(narrow!.deviation).to.equal(wide!.deviation);
      expect(narrow!.format).to.deep.equal({ fractionBits: 15, clip: 0.25 });
    }
  });

  it('is less for a larger ε and none for ∞, and drowns a model where it is large', () => {
    const [tight, loose, none] = [1, 128, null].map((epsilon) => runNoiseCell({ ...cell, epsilon }));
    expect(none!.noisePerParameter).to.equal(0);
    expect(loose!.noisePerParameter).to.be.above(0);
    expect(tight!.noisePerParameter).to.be.above(20 * loose!.noisePerParameter);
    expect(tight!.r2).to.be.below(none!.r2 - 0.5);
  });
});
