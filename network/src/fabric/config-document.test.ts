// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { z } from 'zod';
import { channelConfigSchema, groupAt, organisationGroups, setValue, valueAt } from './config-document.js';

const document = {
  version: '0',
  groups: {
    Application: { groups: { AMSP: { values: { MSP: { mod_policy: 'Admins', value: { type: 0 } } } }, BMSP: {} } },
    Orderer: { groups: { AMSP: {} }, values: { BatchSize: { value: { max_message_count: 500 } } } },
  },
};

describe('a channel configuration document', () => {
  it('keeps every field of what configtxlator wrote', () => {
    const unknown = { ...document, sequence: '3', values: { X: { value: 1, more: true } } };
    expect(channelConfigSchema.parse(unknown)).to.deep.equal(unknown);
  });

  it('finds the groups of an organisation: two where it may run orderers, else one', () => {
    const config = channelConfigSchema.parse(structuredClone(document));
    expect(organisationGroups(config, 'AMSP')).to.have.length(2);
    expect(organisationGroups(config, 'BMSP')).to.have.length(1);
    expect(organisationGroups(config, 'CMSP')).to.have.length(0);
  });

  it('reads and replaces a value, and names what is missing', () => {
    const config = channelConfigSchema.parse(structuredClone(document));
    const orderer = groupAt(config, 'Orderer');
    const size = z.object({ max_message_count: z.int() });
    expect(valueAt(orderer, 'BatchSize', size)).to.deep.equal({ max_message_count: 500 });
    setValue(orderer, 'BatchSize', { max_message_count: 7 });
    expect(valueAt(orderer, 'BatchSize', size).max_message_count).to.equal(7);
    expect(() => valueAt(orderer, 'Orderers', size)).to.throw(/Orderers/);
    expect(() => groupAt(config, 'Application', 'CMSP')).to.throw(/Application\.CMSP/);
    expect(() => {
      setValue(orderer, 'Orderers', 1);
    }).to.throw(/Orderers/);
  });
});
