// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { floorProblem, secureTermsProblem, validationTerms } from '@sev/chaincode/api';
import { priceTask } from './learning-task.js';
import { defaultValidatingVehicles, insistOnValidating, judgedBy, plannedValidating } from './validation-plan.js';

const VALIDATORS = ['AMSP', 'BMSP', 'CMSP', 'DMSP'];

describe('Vehicles that a task draws to validate', () => {
  it('are a quarter of the fleet, at most five, and nobody where that is fewer than three', () => {
    const counts = [1, 4, 8, 11, 12, 16, 19, 20, 1_000].map(defaultValidatingVehicles);
    expect(counts).to.deep.equal([0, 0, 0, 0, 3, 4, 4, 5, 5]);
  });

  it('are in its terms, unless they are none or it has no validators', () => {
    const termsOf = (rule: 'capped-trust' | 'norm-scaling', validating: number) =>
      judgedBy(rule, VALIDATORS, 20, validating).terms.validation;
    expect(termsOf('capped-trust', 5)).to.include({ vehicles: 5 });
    expect(termsOf('capped-trust', 0)).not.to.have.property('vehicles');
    expect(termsOf('norm-scaling', 5)).to.equal(undefined);
  });

  it('leave a task one that the contract takes', () => {
    for (const vehicles of [5, 12, 20, 200]) {
      const judged = judgedBy('capped-trust', VALIDATORS, vehicles, defaultValidatingVehicles(vehicles));
      const { task } = priceTask({
        ...{ taskId: 'price-1', vehicles, rounds: 10, seed: 1, trainingRows: 100 * vehicles, minimumCohort: 3 },
        ...{ privacy: 'secure', aggregators: ['AMSP', 'BMSP', 'CMSP'], judged },
      });
      expect(validationTerms.safeParse(task.secure?.validation).success).to.equal(true);
      expect(secureTermsProblem(task) ?? floorProblem(task)).to.equal(undefined);
      expect(task.secure?.metrics, 'no sum of losses beside single ones').to.deep.equal(vehicles < 12 ? ['loss'] : []);
    }
  });

  it('stay as many as the run was begun with', () => {
    const planned = (asked?: number, earlier?: { validatingVehicles?: number }) =>
      plannedValidating('capped-trust', 20, asked, earlier).validatingVehicles;
    expect(planned()).to.equal(5);
    expect(planned(0)).to.equal(0);
    expect(planned(undefined, { validatingVehicles: 3 })).to.equal(3);
    expect(planned(undefined, {}), 'begun before there was a choice').to.equal(undefined);
    expect(plannedValidating('norm-scaling', 20, undefined, undefined)).to.deep.equal({});
    expect(plannedValidating(undefined, 20, undefined, undefined)).to.deep.equal({});
  });

  it('are refused where nobody validates', () => {
    const refused = (rule: 'capped-trust' | 'uniform' | undefined, count: number | undefined) => () => {
      insistOnValidating(rule, count);
    };
    expect(refused('uniform', 3)).to.throw().with.property('code', 'USAGE');
    expect(refused(undefined, 3)).to.throw().with.property('code', 'USAGE');
    expect(refused('uniform', 0)).not.to.throw();
    expect(refused('capped-trust', 3)).not.to.throw();
    expect(refused(undefined, undefined)).not.to.throw();
  });
});
