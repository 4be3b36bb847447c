// SPDX-License-Identifier: Apache-2.0
import { SERVERS } from '@sev/application';
import { expect } from 'chai';
import { generateCarTable, generateSessions, priceTable } from '@sev/fl';
import type { LearningData } from './data.js';
import { measureDemand } from './demand.js';
import { federate } from './federate.js';
import { measurePrices } from './prices.js';

const cd = generateCarTable({ rows: 400, seed: 1 });
const table = priceTable(cd);
const charging = generateSessions({ sessions: 450, seed: 1, users: 12, locations: 3 });
const data: LearningData = {
  ...{ missing: [], cd, prices: { cd: table, v3: table } },
  ...{ sessions: charging.table, powers: charging.powers },
};

describe('A federation of the tables', () => {
  it('is evaluated after the rounds asked for, the same in every run', () => {
    const request = { kind: 'price', table, split: 'iid', clients: 3, rounds: [1, 3], seed: 1 } as const;
    const { metrics } = federate(request);
    expect(metrics).to.have.length(2);
    expect(metrics[1]?.r2).to.be.greaterThan(metrics[0]?.r2 ?? Number.NaN);
    expect(federate(request).metrics).to.deep.equal(metrics);
  });

  it('departs from the defaults in the optimiser of the server and the proximal term', () => {
    const request = { kind: 'price', table, split: 'iid', clients: 3, rounds: [2], seed: 1 } as const;
    const plain = federate(request).metrics;
    expect(federate({ ...request, variant: { server: SERVERS.momentum } }).metrics).to.not.deep.equal(plain);
    expect(federate({ ...request, variant: { proximal: 1 } }).metrics).to.not.deep.equal(plain);
  });

  it('of prices is averaged over its seeds', () => {
    const one = { file: 'cd', split: 'iid', clients: 3, reference: [0, 0] } as const;
    const { r2, bySeed } = measurePrices(table, one, [1, 2]);
    expect(bySeed).to.have.length(2);
    r2.forEach((mean, at) => {
      expect(mean).to.be.closeTo(((bySeed[0]?.[at] ?? 0) + (bySeed[1]?.[at] ?? 0)) / 2, 1e-12);
    });
  });

  for (const form of ['plug-in', 'departure', 'next-hour', 'day-ahead'] as const) {
    it(`of demand (${form}) tells the error of clients before and after fine-tuning`, async () => {
      const targets = { before: null, after: null };
      const row = await measureDemand(data, { form, split: 'location', rounds: 2, targets }, [1]);
      expect(row.clients).to.equal(3);
      for (const errors of [row.before, row.after]) {
        expect(errors.rows).to.be.greaterThan(0);
        expect(errors.worstTenth).to.be.at.least(errors.clients);
      }
    });
  }
});
