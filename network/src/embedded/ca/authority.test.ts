// SPDX-License-Identifier: Apache-2.0
import { webcrypto, X509Certificate } from 'node:crypto';
import { x509 } from '../msp/x509.js';
import { expect } from 'chai';
import { CertificateAuthority, newKeyPair } from './authority.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** A root as another program makes it: valid from just now. */
async function rootFromNow(): Promise<CertificateAuthority> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=root',
    notBefore: new Date(),
    notAfter: new Date(Date.now() + 3_600_000),
    keys,
    signingAlgorithm: { ...P256, hash: 'SHA-256' },
    extensions: [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return CertificateAuthority.open({
    certificatePem: certificate.toString('pem'),
    privateKeyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
  });
}

describe('What a CA issues', () => {
  it('begins no earlier and ends no later than its own certificate', async () => {
    const authority = await rootFromNow();
    const { publicKeySpki } = newKeyPair();
    const { pem } = await authority.issue({ commonName: 'a', publicKeySpki, validityMs: 7_200_000 });
    const [root, leaf] = [new X509Certificate(authority.certificatePem), new X509Certificate(pem)];
    expect(Date.parse(leaf.validFrom)).to.be.at.least(Date.parse(root.validFrom));
    expect(Date.parse(leaf.validTo)).to.be.at.most(Date.parse(root.validTo));
  });
});
