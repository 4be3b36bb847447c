// SPDX-License-Identifier: Apache-2.0
import { createCipheriv, createHash, hkdfSync, webcrypto } from 'node:crypto';
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';
import { expect } from 'chai';
import { secureErrorAsync } from '../testing/errors.js';
import { expandSeed, keyStream } from './expand.js';
import { deriveKeyPair, openBase, sealBase } from './hpke.js';
import { seededRandom } from './random.js';
import { ringBytes } from './ring.js';
import { newSealingKey, seal, unseal } from './sealing.js';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const arrayBuffer = (value: Uint8Array): ArrayBuffer => new Uint8Array(value).buffer;
const hex = (value: ArrayBuffer | Uint8Array): string => Buffer.from(value as Uint8Array).toString('hex');

describe('Primitives of secure aggregation', () => {
  it('SHA-256 gives the examples of FIPS 180-4', () => {
    const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
    expect(digest('abc')).to.equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(digest('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')).to.equal(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    );
  });

  it('HKDF-SHA256 gives the test cases 1 and 3 of RFC 5869, appendix A', () => {
    const ikm = Buffer.alloc(22, 0x0b);
    expect(
      hex(hkdfSync('sha256', ikm, bytes('000102030405060708090a0b0c'), bytes('f0f1f2f3f4f5f6f7f8f9'), 42)),
    ).to.equal('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
    expect(hex(hkdfSync('sha256', ikm, '', '', 42))).to.equal(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });

  const nistKey = bytes('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4');
  const nistPlain = bytes(`6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
    30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`);

  it('AES-256-CTR gives NIST SP 800-38A, F.5.5', () => {
    const cipher = createCipheriv('aes-256-ctr', nistKey, bytes('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'));
    expect(hex(cipher.update(nistPlain))).to.equal(
      hex(
        bytes(`601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
          2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6`),
      ),
    );
  });

  it('a key stream is AES-256 of the blocks 0, 1, 2, … (the block cipher as in SP 800-38A, F.1.5)', () => {
    const block = (input: Uint8Array): Buffer =>
      createCipheriv('aes-256-ecb', nistKey, null).setAutoPadding(false).update(input);
    expect(hex(block(nistPlain.subarray(0, 16)))).to.equal('f3eed1bdb5d2a03c064b5a7e3db181f8');
    const counters = Buffer.alloc(48);
    counters[31] = 1;
    counters[47] = 2;
    expect(hex(keyStream(nistKey, 41))).to.equal(hex(block(counters).subarray(0, 41)));
  });

  it('AES-256-GCM gives test case 14 of McGrew and Viega', () => {
    const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12));
    expect(hex(cipher.update(Buffer.alloc(16)))).to.equal('cea7403d4d606b6e074ec5d3baf39d18');
    cipher.final();
    expect(hex(cipher.getAuthTag())).to.equal('d0d1c8a799996bf0265b98b5d48ab919');
  });

  it('expansion is HKDF, then the key stream, and another seed, context or component gives another one', () => {
    const seed = Buffer.alloc(32, 7);
    const context = 'ab'.repeat(32);
    const info = Buffer.concat([bytes(context), Uint8Array.of(2)]);
    const key = new Uint8Array(hkdfSync('sha256', seed, 'sev/secure/expand/v1', info, 32));
    expect(hex(ringBytes(expandSeed(seed, context, 2, 5)))).to.equal(hex(keyStream(key, 20)));
    const others = [
      expandSeed(Buffer.alloc(32, 8), context, 2, 5),
      expandSeed(seed, 'ac'.repeat(32), 2, 5),
      expandSeed(seed, context, 1, 5),
    ];
    expect(new Set([expandSeed(seed, context, 2, 5), ...others].map((values) => hex(ringBytes(values)))).size).to.equal(
      4,
    );
  });

  it('a seeded source gives one stream however it is cut', () => {
    const whole = seededRandom(Buffer.alloc(32, 1)).nextBytes(100);
    const source = seededRandom(Buffer.alloc(32, 1));
    expect(
      hex(Buffer.concat([source.nextBytes(1), source.nextBytes(0), source.nextBytes(40), source.nextBytes(59)])),
    ).to.equal(hex(whole));
  });
});

describe('Sealing', () => {
  const vector = {
    info: bytes('4f6465206f6e2061204772656369616e2055726e'),
    ikmE: bytes('4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e'),
    ikmR: bytes('668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550'),
    skRm: 'f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2',
    pkRm: bytes(`04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a
      826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0`),
    enc: bytes(`04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325a
      c98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4`),
    plaintext: bytes('4265617574792069732074727574682c20747275746820626561757479'),
    aad: '436f756e742d30',
    ct: '5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434',
  };

  it('gives RFC 9180, appendix A.3.1, in both directions', () => {
    const { info, plaintext } = vector;
    const recipient = deriveKeyPair(vector.ikmR);
    expect(hex(recipient.getPrivateKey())).to.equal(vector.skRm);
    expect(hex(recipient.getPublicKey())).to.equal(hex(vector.pkRm));
    const terms = { aead: 'aes-128-gcm', info, associatedData: bytes(vector.aad) } as const;
    const sealed = sealBase(vector.pkRm, deriveKeyPair(vector.ikmE), plaintext, terms);
    expect(hex(sealed)).to.equal(hex(vector.enc) + vector.ct);
    expect(hex(openBase(recipient, sealed, terms))).to.equal(hex(plaintext));
  });

  it('with AES-256-GCM is opened by another implementation, and opens what that sealed', async () => {
    const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
    const info = arrayBuffer(Buffer.from('sev/secure/seal/v1', 'ascii'));
    const plaintext = Buffer.from('a share');
    const associatedData = Buffer.from('its place');
    const { publicKey, privateKey } = await newSealingKey();
    const curve = { name: 'ECDH', namedCurve: 'P-256' } as const;
    const recipientKey = {
      privateKey: await webcrypto.subtle.importKey('pkcs8', privateKey, curve, true, ['deriveBits']),
      publicKey: await webcrypto.subtle.importKey('spki', Buffer.from(publicKey, 'base64'), curve, true, []),
    };

    const sealed = await seal(publicKey, plaintext, associatedData);
    expect(sealed.length).to.equal(65 + plaintext.length + 16);
    const enc = arrayBuffer(sealed.subarray(0, 65));
    const recipient = await suite.createRecipientContext({ recipientKey, enc, info });
    const opened = await recipient.open(arrayBuffer(sealed.subarray(65)), arrayBuffer(associatedData));
    expect(hex(opened)).to.equal(hex(plaintext));

    const sender = await suite.createSenderContext({ recipientPublicKey: recipientKey.publicKey, info });
    const ciphertext = await sender.seal(arrayBuffer(plaintext), arrayBuffer(associatedData));
    const theirs = Buffer.concat([Buffer.from(sender.enc), Buffer.from(ciphertext)]);
    expect(hex(await unseal(privateKey, theirs, associatedData))).to.equal(hex(plaintext));
  });

  it('takes a point in one form only, and none beside the curve', async () => {
    const { publicKey, privateKey } = await newSealingKey();
    const spki = Buffer.from(publicKey, 'base64');
    const point = spki.subarray(26);
    const hybrid = Buffer.from(point);
    hybrid[0] = 6 + (point[64]! & 1);
    const beside = Buffer.from(point);
    beside[64] = point[64]! ^ 1;
    const message = await seal(publicKey, Buffer.from('a'), Buffer.from('b'));
    for (const other of [hybrid, beside, Buffer.alloc(65), Buffer.alloc(65, 4)]) {
      const key = Buffer.concat([spki.subarray(0, 26), other]).toString('base64');
      const error = await secureErrorAsync(seal(key, Buffer.from('a'), Buffer.from('b')));
      expect(error.code).to.equal('SEALING_KEY_INVALID');
      const sealed = Buffer.concat([other, message.subarray(65)]);
      const refusal = await secureErrorAsync(unseal(privateKey, sealed, Buffer.from('b')));
      expect(refusal.code).to.equal('SHARE_UNREADABLE');
    }
  });

  it('refuses a private key that is none', async () => {
    const { privateKey } = await newSealingKey();
    const zero = Buffer.from(privateKey).fill(0, 36, 68);
    const marked = Buffer.from(privateKey).fill(0, 68, 73);
    for (const key of [zero, marked, privateKey.subarray(1), new Uint8Array()]) {
      const error = await secureErrorAsync(unseal(key, new Uint8Array(100), Buffer.from('b')));
      expect(error.code).to.equal('SEALING_KEY_INVALID');
    }
  });

  it('seals the same share twice to different bytes', async () => {
    const { publicKey } = await newSealingKey();
    const [one, two] = await Promise.all([0, 1].map(() => seal(publicKey, Buffer.from('a'), Buffer.from('b'))));
    expect(hex(one!)).to.not.equal(hex(two!));
  });
});
