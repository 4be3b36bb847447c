// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { caError } from './ca.js';

describe('errors of certificate authorities', () => {
  const table: [string, object, string][] = [
    ['connect ECONNREFUSED', { code: 'ECONNREFUSED' }, 'CA_UNREACHABLE'],
    ['Calling enroll endpoint failed, CONNECTION Timeout', {}, 'CA_UNREACHABLE'],
    ['fabric-ca request', { errors: [{ code: 20, message: 'Authentication failure' }] }, 'CA_REFUSED'],
    ['fabric-ca request', { errors: [{ code: 71, message: 'Authorization failure' }] }, 'CA_REFUSED'],
    [
      'fabric-ca request',
      { errors: [{ code: 74, message: "Identity 'a' is already registered" }] },
      'CA_ALREADY_REGISTERED',
    ],
    ['fabric-ca request', { errors: [{ code: 9, message: 'bad CSR' }] }, 'CA_FAILED'],
  ];
  for (const [message, fields, expected] of table) {
    it(`reads ${message} ${JSON.stringify(fields)} as ${expected}`, () => {
      const error = caError({ name: 'grid' }, Object.assign(new Error(message), fields));
      expect(error.code).to.equal(expected);
      expect(error.message).to.include('grid');
      expect(error.hint).to.be.a('string');
    });
  }
});
