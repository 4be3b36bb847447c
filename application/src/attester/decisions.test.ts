// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import { refuseClose } from './decisions.js';

const { task } = new Federation({ vehicles: 4, minimum: 2, target: 4, graceMs: 1_000 });

describe('refuseClose', () => {
  it('has nobody wait for vehicles that the ledger refuses', () => {
    expect(refuseClose({ task, recorded: 3, barred: 0, openForMs: 0 })).to.include({ code: 'GRACE_NOT_OVER' });
    expect(refuseClose({ task, recorded: 3, barred: 1, openForMs: 0 })).to.equal(undefined);
  });

  it('gives the others their time where fewer than the minimum would be left', () => {
    expect(refuseClose({ task, recorded: 1, barred: 3, openForMs: 0 })).to.include({ code: 'COHORT_TOO_SMALL' });
    expect(refuseClose({ task, recorded: 2, barred: 3, openForMs: 0 })).to.equal(undefined);
  });
});
