// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { LedgerError } from '../ledger/errors.js';
import { Federation } from '../testing/federation.js';
import { networkName } from './network-name.js';

describe('The network in signed statements', () => {
  it('is read from governance once, and again where that failed', async () => {
    const federation = new Federation({ vehicles: 1 });
    const session = federation.ledger.session('CityMSP');
    let asked = 0;
    const name = networkName({
      ...session,
      evaluate: (contract, transaction, argument) => {
        asked++;
        return asked === 1
          ? Promise.reject(new LedgerError('LEDGER_UNREACHABLE', 'down'))
          : session.evaluate(contract, transaction, argument);
      },
    });
    expect(await name().catch((error: unknown) => error)).to.have.property('code', 'LEDGER_UNREACHABLE');
    expect(await Promise.all([name(), name()])).to.deep.equal([federation.consortium, federation.consortium]);
    expect(await name()).to.equal(federation.consortium);
    expect(asked).to.equal(2);
  });
});
