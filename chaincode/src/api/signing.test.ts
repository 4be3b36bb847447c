// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { parsePublicKey, publicKeyText, signStatement, verifyStatement, type Signable } from './signing';

describe('Signed statements', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const statement: Signable & { n: number } = { type: 'sev/test/v1', n: 1 };
  const signature = signStatement(statement, privateKey);

  it('hold for their content, type and key only', () => {
    expect(signature).to.match(/^[A-Za-z0-9_-]{86}$/);
    expect(verifyStatement(statement, signature, publicKey)).to.equal(true);
    expect(verifyStatement({ ...statement, n: 2 } as Signable, signature, publicKey)).to.equal(false);
    expect(verifyStatement({ ...statement, type: 'sev/test/v2' }, signature, publicKey)).to.equal(false);
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    expect(verifyStatement(statement, signature, other)).to.equal(false);
  });

  it('do not depend on the order of properties', () => {
    expect(verifyStatement({ n: 1, type: 'sev/test/v1' } as Signable, signature, publicKey)).to.equal(true);
  });

  it('take one spelling of a signature', () => {
    const bytes = Buffer.from(signature, 'base64url');
    // The last character of 86 carries two unused bits: another spelling of the same bytes.
    const last = signature.at(-1)!;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const respelt = signature.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1]!;
    expect(Buffer.from(respelt, 'base64url')).to.deep.equal(bytes);
    for (const text of ['', 'x', respelt, bytes.toString('base64'), bytes.toString('hex'), `${signature}=`]) {
      expect(verifyStatement(statement, text, publicKey), text).to.equal(false);
    }
  });

  it('take P-256 keys in one spelling', () => {
    const text = publicKeyText(publicKey);
    expect(parsePublicKey(text)?.equals(publicKey)).to.equal(true);
    const onP384 = publicKeyText(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey);
    const rsa = publicKeyText(createPublicKey(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey));
    const offCurve = `${text.slice(0, -4)}${text.endsWith('AAAA') ? 'AAEA' : 'AAAA'}`;
    for (const wrong of ['', offCurve, 'AAAA', `${text}AAAA`, text.slice(0, -4), onP384, rsa]) {
      expect(parsePublicKey(wrong), wrong).to.equal(undefined);
    }
  });
});
