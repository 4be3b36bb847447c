// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { secureErrorAsync, secureError } from '../testing/errors.js';
import { createReport, openShare, type Report } from './report.js';
import { systemRandom } from './random.js';
import { newSealingKey } from './sealing.js';
import { checkComponent, readShare, shareBytes, type ShareTerms } from './share.js';
import { shareVector, type SharedVector } from './sharing.js';
import { contextOf, newScene, reportIn, termsFor, type Place, type Scene } from './testing/setup.js';

const LENGTH = 10;
const PLACE: Place = { task: 'price', round: 3, attempt: 2, base: 'b', vehicle: 'v-1' };
const context = contextOf(PLACE);
const place = { context, length: LENGTH };
const vector = Uint32Array.from({ length: LENGTH }, (_, i) => i);
/** Bytes of a share of n = 3 before its entries: version, number of leaves, three leaves, number of entries. */
const HEADER = 2 + 3 * 32 + 1;
const ENTRY = 1 + 32 + 32;

async function code(promise: Promise<unknown>): Promise<string> {
  return (await secureErrorAsync(promise)).code;
}

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

describe('A share', () => {
  let scene: Scene;
  let report: Report;
  let shared: SharedVector;
  let terms: ShareTerms;

  before(async () => {
    scene = await newScene(3, 1);
    report = await reportIn(scene, vector, context, systemRandom);
    shared = shareVector(vector, context, scene.holders, systemRandom);
    scene.store.set(shared.ciphertextHash, shared.ciphertext);
    terms = { ...place, root: shared.root, aggregator: 0, holders: scene.holders, fetch: scene.fetch };
  });

  it('opens in its place', async () => {
    for (const aggregator of [0, 1, 2]) {
      await openShare(termsFor(scene, report, aggregator, place));
      await readShare(shareBytes(shared, aggregator, scene.holders), { ...terms, aggregator });
    }
  });

  const elsewhere: Record<string, Place> = {
    'replayed for another vehicle': { ...PLACE, vehicle: 'v-2' },
    'replayed in another task': { ...PLACE, task: 'demand' },
    'of another round': { ...PLACE, round: 4 },
    'of another attempt': { ...PLACE, attempt: 3 },
    'trained from another base': { ...PLACE, base: 'c' },
  };
  for (const [what, other] of Object.entries(elsewhere)) {
    it(`${what} is SHARE_UNREADABLE`, async () => {
      const stale = { ...termsFor(scene, report, 0, place), context: contextOf(other) };
      expect(await code(openShare(stale))).to.equal('SHARE_UNREADABLE');
    });

    it(`${what} and sealed anew is SHARE_MISMATCH`, async () => {
      const stale = { ...terms, context: contextOf(other) };
      expect(await code(readShare(shareBytes(shared, 0, scene.holders), stale))).to.equal('SHARE_MISMATCH');
    });
  }

  it('of another report of the same vehicle is SHARE_UNREADABLE, sealed anew SHARE_MISMATCH', async () => {
    const other = { ...termsFor(scene, report, 0, place), root: shared.root };
    expect(await code(openShare(other))).to.equal('SHARE_UNREADABLE');
    const resealed = readShare(shareBytes(shared, 0, scene.holders), { ...terms, root: report.root });
    expect(await code(resealed)).to.equal('SHARE_MISMATCH');
  });

  it('swapped with that of another aggregator is SHARE_UNREADABLE', async () => {
    const swapped = { ...termsFor(scene, report, 0, place), sealed: report.shares.get(1)! };
    expect(await code(openShare(swapped))).to.equal('SHARE_UNREADABLE');
  });

  it('of one aggregator sealed to the key of another is SHARE_UNREADABLE', async () => {
    const [key0, key1, key2] = scene.keys.map(({ publicKey }) => publicKey);
    const recipients = new Map([
      [0, key1!],
      [1, key0!],
      [2, key2!],
    ]);
    const misKeyed = await createReport({ vector, context, holders: scene.holders, recipients, random: systemRandom });
    const sealed = misKeyed.shares.get(1)!;
    const opening = openShare({ ...termsFor(scene, misKeyed, 0, place), sealed });
    expect(await code(opening)).to.equal('SHARE_UNREADABLE');
  });

  it('does not open with a key of another round: SHARE_UNREADABLE', async () => {
    const { privateKey } = await newSealingKey();
    expect(await code(openShare({ ...termsFor(scene, report, 0, place), privateKey }))).to.equal('SHARE_UNREADABLE');
  });

  it('truncated, prolonged or with any bit changed while sealed is SHARE_UNREADABLE', async () => {
    const good = termsFor(scene, report, 0, place);
    const size = good.sealed.length;
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), async (at) => {
        const cut = { ...good, sealed: good.sealed.subarray(0, at) };
        expect(await code(openShare(cut))).to.equal('SHARE_UNREADABLE');
        expect(await code(openShare({ ...good, sealed: changed(good.sealed, at) }))).to.equal('SHARE_UNREADABLE');
      }),
      { numRuns: 60 },
    );
    const longer = { ...good, sealed: Buffer.concat([good.sealed, Uint8Array.of(0)]) };
    expect(await code(openShare(longer))).to.equal('SHARE_UNREADABLE');
  });

  it('truncated or prolonged before it was sealed is SHARE_MALFORMED', async () => {
    const bytes = shareBytes(shared, 0, scene.holders);
    for (let size = 0; size < bytes.length; size++) {
      expect(await code(readShare(bytes.subarray(0, size), terms))).to.equal('SHARE_MALFORMED');
    }
    const longer = Buffer.concat([bytes, Uint8Array.of(0)]);
    expect(await code(readShare(longer, terms))).to.equal('SHARE_MALFORMED');
  });

  it('of another version or another number of components is SHARE_MALFORMED', async () => {
    const bytes = shareBytes(shared, 0, scene.holders);
    expect(await code(readShare(changed(bytes, 0), terms))).to.equal('SHARE_MALFORMED');
    const five = (await newScene(5, 2)).holders;
    expect(await code(readShare(bytes, { ...terms, holders: five }))).to.equal('SHARE_MALFORMED');
  });

  it('that holds a component twice, or in another order, is SHARE_MALFORMED', async () => {
    const bytes = shareBytes(shared, 2, scene.holders);
    const [header, first, second] = [
      bytes.subarray(0, HEADER),
      bytes.subarray(HEADER, HEADER + ENTRY),
      bytes.subarray(HEADER + ENTRY),
    ];
    const of2 = { ...terms, aggregator: 2 };
    await readShare(Buffer.concat([header, first, second]), of2);
    expect(await code(readShare(Buffer.concat([header, first, first]), of2))).to.equal('SHARE_MALFORMED');
    expect(await code(readShare(Buffer.concat([header, second, first]), of2))).to.equal('SHARE_MALFORMED');
  });

  it('that holds more than its aggregator may is SHARE_MALFORMED, less SHARE_INCOMPLETE', async () => {
    const all = scene.holders.map(() => [0, 1, 2]);
    expect(await code(readShare(shareBytes(shared, 0, all), terms))).to.equal('SHARE_MALFORMED');
    const fewer = [[1, 2], [0], [1]];
    expect(await code(readShare(shareBytes(shared, 0, fewer), terms))).to.equal('SHARE_INCOMPLETE');
  });

  it('with a seed, salt, key or commitment that was changed is SHARE_MISMATCH', async () => {
    const bytes = shareBytes(shared, 0, scene.holders);
    const entry = HEADER + ENTRY;
    for (const at of [2, HEADER - 2, HEADER + 1, HEADER + ENTRY - 1, entry + 1, entry + 33]) {
      expect(await code(readShare(changed(bytes, at), terms)), `byte ${at}`).to.equal('SHARE_MISMATCH');
    }
  });

  it('whose full component is not in the store, or altered there, is SHARE_INCOMPLETE', async () => {
    const bytes = shareBytes(shared, 0, scene.holders);
    const absent = readShare(bytes, { ...terms, fetch: () => Promise.reject(new Error('gone')) });
    expect(await code(absent)).to.equal('SHARE_INCOMPLETE');
    for (const ciphertext of [changed(shared.ciphertext, 3), shared.ciphertext.subarray(1), new Uint8Array()]) {
      const altered = readShare(bytes, { ...terms, fetch: () => Promise.resolve(ciphertext) });
      expect(await code(altered)).to.equal('SHARE_INCOMPLETE');
    }
  });

  it('whose vehicle stored another full component than it committed to is SHARE_MISMATCH', async () => {
    for (const other of [Uint32Array.from(vector, (x) => x + 1), vector.subarray(1)]) {
      const forged = shareVector(other, context, scene.holders, systemRandom);
      scene.store.set(forged.ciphertextHash, forged.ciphertext);
      const { key, ciphertextHash } = forged;
      const bytes = shareBytes({ ...shared, key, ciphertextHash }, 0, scene.holders);
      expect(await code(readShare(bytes, terms))).to.equal('SHARE_MISMATCH');
    }
  });

  it('released to an arbiter with another content, salt, leaf or root is SHARE_MISMATCH', () => {
    const { root, leaves, components } = shared;
    for (const released of components) {
      checkComponent(root, leaves, context, released);
      const forged = [
        () => {
          checkComponent(root, leaves, context, { ...released, content: changed(released.content, 0) });
        },
        () => {
          checkComponent(root, leaves, context, { ...released, salt: changed(released.salt, 0) });
        },
        () => {
          checkComponent(root, leaves, context, { ...released, component: (released.component + 1) % 3 });
        },
        () => {
          checkComponent(root, leaves.toReversed(), context, released);
        },
        () => {
          checkComponent(report.root, leaves, context, released);
        },
      ];
      forged.forEach((call) => expect(secureError(call).code).to.equal('SHARE_MISMATCH'));
    }
  });

  it('is not made for a key that is none, nor where nobody would hold a component', async () => {
    const { holders } = scene;
    const key = (await newSealingKey()).publicKey;
    const input = { vector, context, holders, random: systemRandom };
    const bad = createReport({
      ...input,
      recipients: new Map([
        [0, 'AAAA'],
        [1, key],
      ]),
    });
    expect(await code(bad)).to.equal('SEALING_KEY_INVALID');
    const alone = createReport({ ...input, recipients: new Map([[0, key]]) });
    expect(await code(alone)).to.equal('SECURE_OPTION_INVALID');
    const two = await createReport({
      ...input,
      recipients: new Map([
        [0, key],
        [2, key],
      ]),
    });
    expect([...two.shares.keys()]).to.deep.equal([0, 2]);
  });

  it('names no secret in its errors', async () => {
    const bytes = shareBytes(shared, 0, scene.holders);
    const secrets = shared.components.flatMap(({ salt, content }) => [salt, content.subarray(0, 32)]);
    for (const at of [2, HEADER + 1, HEADER + ENTRY - 1, HEADER + ENTRY + 33]) {
      const error = await secureErrorAsync(readShare(changed(bytes, at), terms));
      const text = `${String(error)} ${String(error.cause)} ${error.stack ?? ''}`;
      secrets.forEach((secret) => expect(text).to.not.include(Buffer.from(secret).toString('hex')));
    }
  });
});
