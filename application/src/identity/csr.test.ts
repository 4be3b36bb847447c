// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import { createPublicKey } from 'node:crypto';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { expect } from 'chai';
import fc from 'fast-check';
import { certificateRequest } from './csr.js';
import { derInteger } from './der.js';
import { newPrivateKey } from './keys.js';

describe('certificate requests', () => {
  it('are read and verified by another implementation', async () => {
    const key = newPrivateKey();
    const request = new Pkcs10CertificateRequest(certificateRequest('v-abc_DEF-123', key));
    expect(request.subject).to.equal('CN=v-abc_DEF-123');
    expect(await request.verify()).to.equal(true);
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
    expect(Buffer.from(request.publicKey.rawData).equals(spki)).to.equal(true);
  });

  it('name the hosts that a server is reached by', async () => {
    const request = new Pkcs10CertificateRequest(
      certificateRequest('aggregator', newPrivateKey(), ['localhost', '127.0.0.1', 'a.example']),
    );
    expect(await request.verify()).to.equal(true);
    const extension = request.extensions.find((one) => one instanceof SubjectAlternativeNameExtension);
    expect(extension!.names.items.map(({ type, value }) => [type, value])).to.deep.equal([
      ['dns', 'localhost'],
      ['ip', '127.0.0.1'],
      ['dns', 'a.example'],
    ]);
  });

  it('write integers in the shortest form and never negative (X.690 section 8.3)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const [tag, length, ...digits] = derInteger(bytes);
        expect([tag, length]).to.deep.equal([2, digits.length]);
        expect(BigInt(`0x0${Buffer.from(digits).toString('hex')}`)).to.equal(
          BigInt(`0x0${Buffer.from(bytes).toString('hex')}`),
        );
        expect(digits[0]! < 0x80).to.equal(true);
        expect(digits.length === 1 || digits[0] !== 0 || digits[1]! >= 0x80).to.equal(true);
      }),
    );
  });
});
