// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { expandSeed } from './expand.js';
import { encodeUpdate } from './fixed-point.js';
import { projectionVectors } from './projection.js';
import { seededRandom } from './random.js';
import { createReport, openShare } from './report.js';
import { newSealingKey, unseal } from './sealing.js';
import { componentOf, heldShareBytes, shareBytes } from './share.js';
import { shareVector } from './sharing.js';
import { holdersOf } from './testing/setup.js';

/** Fixed for good: with another byte here, vehicles and aggregators of two versions no longer understand each other. */
const CONTEXT = '5e'.repeat(32);
const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);
const VECTOR = Uint32Array.from([0, 1, -1, 2 ** 31, 123_456_789, -42]);

const FROZEN = [
  {
    n: 3,
    t: 1,
    root: 'e0a10bd259af3096bdc4509415b969a68e202e544e079910adff2f34afedfcb8',
    ciphertext: '5592308740b9fc0338bcabbe57dbee3c31052a66b5055cc397a162be6dd2662419fa99c774d09e4a',
    ciphertextHash: '23a619eb9f17319813d0bcfa825de13215d4020ba3334dbc48e1672ff0df9d92',
    shares: [
      '38a135788ecb8935934130aa9e3c7fba31163b362532968ae7d970e07e263145',
      '80cf9178942760b28eff2c2bbef551b35e3236f6801974b0df3db80f01c79115',
      '1f5aa9a9f4e1b6ec27fbb4d9face1b7ac2c532efcfe8b8e7eade8036f07e9eb4',
    ],
  },
  {
    n: 5,
    t: 2,
    root: '19e9935301457f560eca16afc3c58019722b2cf78bb380adbe055071a80c058a',
    ciphertext: '4965602b9f856587ae69725483915684ecee934e471836a8dc02ac711462f0aa265645959df86875',
    ciphertextHash: 'c6155d32ed2cce94985103718af6a05c27bc54b2c70a4e834793ce5ff2b774ba',
    shares: [
      '8088fb14bd3a2113e8990b3e4aedf22511ec9e2e40bdc4e81f4cdd5908f17d0b',
      'cc0c3ce72175e7907b17a20f96ec19b96e1c9b44439a50d7e047a5f4d68f035f',
      'e6c44769e35d1eff866593c47ec820d8c2f7bed4fd0679081cd1372afb5a44b9',
      'acf32b9c9bb675407ef9f6d2ccc1fd3579b58e1e5b93d8b0743e9ed4638491da',
      'fcf64a50ff9bd598d4df98fa32c2bda5e48728b5a48e25083485bc96e8d1b8e0',
    ],
  },
];

/** Aggregator 0 of n = 3: version, 3 leaves, 2 entries: component 1 with its seed, component 2 with key and hash. */
const SHARE_OF_0 = [
  '0103',
  '3bbb89820099145727fdfd9d4e598748f32bfd9a78c587faeefc1faaa3ba3acc',
  'a621efc7f7ad705a05f119a202939ce4880a46a7618646f9c3333829c37ed97f',
  '8b932c07e8a625737c3cbee4c7b84a059085a6fb985312db8cba74202d11e777',
  '02',
  '01',
  'e96f3e0a91d150e2d389d3c7162448995d15369920a8454134a61443fe5fd1b0',
  '4e5fe6bc2af2b80633c371f5c1ce694ea90741e6797146a550b63f264a604ee4',
  '02',
  'd7514e072c5feca9197966348324ba5d2cbd526be87c119cd01227fa64243b82',
  '7ebe968ceb290f791c66d8fb40a7863a21584d7fdeaac3e6870a79526e666ee2',
  '23a619eb9f17319813d0bcfa825de13215d4020ba3334dbc48e1672ff0df9d92',
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('The wire format', () => {
  it('of expanded seeds, projection vectors and rounding is frozen', () => {
    expect([...expandSeed(SEED, CONTEXT, 1, 4)]).to.deep.equal([2475735763, 432856688, 2722554439, 3800330028]);
    expect(projectionVectors(CONTEXT, 2, 12).map((vector) => [...vector])).to.deep.equal([
      [0, 0, 0, 0, -1, 1, 1, 1, -1, 1, 0, 0],
      [0, -1, -1, 1, -1, 0, 0, 0, 0, 0, -1, -1],
    ]);
    const encoded = encodeUpdate(Float32Array.of(0.1, -0.2, 3), { fractionBits: 3, clip: 4 }, seededRandom(SEED));
    expect([...encoded]).to.deep.equal([1, 2 ** 32 - 1, 24]);
  });

  for (const { n, t, root, ciphertext, ciphertextHash, shares } of FROZEN) {
    it(`of a report with n = ${n}, t = ${t} is frozen`, () => {
      const holders = holdersOf(n, t);
      const shared = shareVector(VECTOR, CONTEXT, holders, seededRandom(SEED));
      expect(shared.root).to.equal(root);
      expect(hex(shared.ciphertext)).to.equal(ciphertext);
      expect(shared.ciphertextHash).to.equal(ciphertextHash);
      expect(shares.map((_, aggregator) => sha256(shareBytes(shared, aggregator, holders)))).to.deep.equal(shares);
    });
  }

  it('of a report in the ring of 16 bits is frozen', () => {
    expect([...expandSeed(SEED, CONTEXT, 1, 4, 16)]).to.deep.equal([60505, 18557, 3417, 15269]);
    const holders = holdersOf(3, 1);
    const vector = Uint16Array.from([0, 1, -1, 2 ** 15, 12_345, -42]);
    const shared = shareVector(vector, CONTEXT, holders, seededRandom(SEED));
    expect(shared.root).to.equal('f045fbaa874c99ab7bcbc4a2659669b32bb65d6795983db121c77036b423fa97');
    expect(hex(shared.ciphertext)).to.equal('6969dc496d386d90e76e0d0856f7112583e57b35dc744f06cf416b61');
    expect(holders.map((_, aggregator) => sha256(shareBytes(shared, aggregator, holders)))).to.deep.equal([
      'ceca889aca2c4fcc958376e801688e475847bb0e9953d11bad652a264dabb8a1',
      '13f4b192833a8ea9f5bd906b3180be6bd1a1fd641a215bb725f583b51838e1dd',
      '2affea8add57930bab431f42be91ac99f96166916c77ef2590cbd052e3367c16',
    ]);
  });

  it('of one share is frozen byte by byte, of a stored share by its hash', async () => {
    const holders = holdersOf(3, 1);
    const { publicKey, privateKey } = await newSealingKey();
    const recipients = new Map([0, 1, 2].map((aggregator) => [aggregator, publicKey]));
    const random = seededRandom(SEED);
    const report = await createReport({ vector: VECTOR, context: CONTEXT, holders, recipients, random });
    const { root, ciphertext } = report;
    const associatedData = Buffer.concat([
      Buffer.from('sev/secure/share/v1', 'ascii'),
      Buffer.from(CONTEXT, 'hex'),
      Buffer.from(root, 'hex'),
      Uint8Array.of(0),
    ]);
    const sealed = report.shares.get(0)!;
    expect(hex(await unseal(privateKey, sealed, associatedData))).to.equal(SHARE_OF_0.join(''));

    const fetch = (): Promise<Uint8Array> => Promise.resolve(ciphertext);
    const place = { context: CONTEXT, root, aggregator: 0, holders, length: VECTOR.length };
    const held = await openShare({ ...place, sealed, privateKey, fetch });
    expect(sha256(heldShareBytes(held))).to.equal('0d9a91d114869e967783a07d823fdf8ed70fd4c876f9f845d1ce8aa204440963');
    expect([...componentOf(held, 1, CONTEXT, 4)]).to.deep.equal([
      ...expandSeed(held.components[0]!.content, CONTEXT, 1, 4),
    ]);
  });
});
