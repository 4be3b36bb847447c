// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { nextText } from './incident-text.js';

describe('sev incident vote', () => {
  const incident = { incidentId: 'incident-1', vehicleId: 'v-1' };
  const decidedBy = { projections: ['GridMSP'], confirm: ['GridMSP'] };

  it('says how the model is mended and the certificate revoked, once a vehicle is found guilty', () => {
    const lines = nextText({ ...incident, state: 'confirmed', decidedBy }, 'confirm').split('\n→ ');
    expect(lines[1]).to.equal('sev incident correct incident-1');
    expect(lines[2]).to.match(/sev network revoke v-1 --reason "incident incident-1"$/);
  });

  it('says what to look at once something was opened, and nothing more once it is cleared', () => {
    const { projections } = decidedBy;
    expect(nextText({ ...incident, state: 'projections', decidedBy: { projections } }, 'projections')).to.equal(
      '\n→ sev incident evidence incident-1',
    );
    expect(nextText({ ...incident, state: 'cleared', decidedBy: { clear: projections } }, 'clear')).to.equal('');
  });

  it('names no next step where the vote has not taken its own', () => {
    expect(nextText({ ...incident, state: 'vectors', decidedBy: {} }, 'confirm')).to.equal(
      ': no majority with the regulator yet',
    );
  });
});
