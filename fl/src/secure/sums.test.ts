// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import { secureError } from '../testing/errors.js';
import { componentSum, totalOf } from './aggregate.js';
import { openShare } from './report.js';
import {
  addScaledTo,
  addTo,
  ringBytes,
  ringFromBytes,
  ringView,
  ringZeros,
  subtractFrom,
  toSigned,
  type RingBits,
} from './ring.js';
import { checkComponent, componentOf, heldShareBytes, heldShareFromBytes, type HeldShare } from './share.js';
import {
  contextOf,
  newScene,
  printedRandom,
  reportIn,
  sourceFrom,
  subsets,
  termsFor,
  type Scene,
} from './testing/setup.js';

const LENGTH = 24;
const VEHICLES = 8;
const SHARINGS = [
  [3, 1],
  [5, 2],
] as const;
const ring = fc.uint32Array({ minLength: 6, maxLength: 6 });

/** What every aggregator holds of every vehicle, and the vectors behind it. */
interface Cohort {
  readonly scene: Scene;
  readonly vectors: readonly Int32Array[];
  readonly weights: readonly number[];
  readonly contexts: readonly string[];
  /** held[vehicle][aggregator] */
  readonly held: readonly (readonly HeldShare[])[];
}

async function newCohort(n: number, t: number, bits: RingBits = 32): Promise<Cohort> {
  const random = printedRandom(`n = ${n}, t = ${t}, ${bits} bits`);
  const source = sourceFrom(random);
  const scene = await newScene(n, t);
  const vehicles = Array.from({ length: VEHICLES }, (_, index) => index);
  // Eight vehicles at these edges and the greatest weight stay within half of the ring.
  const [edge, maxWeight] = bits === 32 ? [2 ** 19, 64] : [2 ** 9, 7];
  const vectors = vehicles.map(() => Int32Array.from({ length: LENGTH }, () => random.below(2 * edge) - edge));
  const weights = vehicles.map(() => 1 + random.below(maxWeight));
  const contexts = vehicles.map((vehicle) => contextOf({ vehicle: `v-${vehicle}` }));
  const held: HeldShare[][] = [];
  for (const vehicle of vehicles) {
    const context = contexts[vehicle]!;
    const vector = ringZeros(LENGTH, bits);
    vector.set(vectors[vehicle]!);
    const report = await reportIn(scene, vector, context, source);
    expect(report.ciphertext.length).to.equal((LENGTH * bits) / 8 + 16);
    const shares = scene.keys.map((_, index) =>
      openShare({ ...termsFor(scene, report, index, { context, length: LENGTH }), ringBits: bits }),
    );
    held.push(await Promise.all(shares));
  }
  return { scene, vectors, weights, contexts, held };
}

describe('Secure sums', () => {
  for (const [n, t] of SHARINGS) {
    for (const bits of [32, 16] as const) {
      it(`with n = ${n}, t = ${t} in ${bits} bits are exact for every subset of survivors and of answering aggregators`, async () => {
        const { scene, vectors, weights, contexts, held } = await newCohort(n, t, bits);
        const answering = Array.from({ length: n - t }, (_, more) => subsets(n, t + 1 + more)).flat();
        const values = held.map((byAggregator, vehicle) =>
          byAggregator.map(
            (share) =>
              new Map(
                share.components.map(({ component }) => [
                  component,
                  componentOf(share, component, contexts[vehicle]!, LENGTH, bits),
                ]),
              ),
          ),
        );
        for (let mask = 0; mask < 2 ** VEHICLES; mask++) {
          const survivors = contexts.flatMap((_, vehicle) => (((mask >> vehicle) & 1) === 1 ? [vehicle] : []));
          const expected = Array.from({ length: LENGTH }, (_, i) =>
            survivors.reduce((sum, vehicle) => sum + weights[vehicle]! * vectors[vehicle]![i]!, 0),
          );
          // sums[component][holder]: what each holder would publish.
          const sums = scene.holders.map((group, component) =>
            group.map((aggregator) =>
              componentSum(
                survivors.map((vehicle) => ({
                  values: values[vehicle]![aggregator]!.get(component)!,
                  weight: weights[vehicle]!,
                })),
                LENGTH,
                bits,
              ),
            ),
          );
          for (const present of answering) {
            const chosen = scene.holders.map((group, component) => {
              const holders = group.flatMap((aggregator, index) => (present.includes(aggregator) ? [index] : []));
              return sums[component]![holders[(mask + component) % holders.length]!]!;
            });
            expect([...totalOf(chosen)]).to.deep.equal(expected);
          }
          sums.forEach((byHolder) => {
            byHolder.forEach((sum) => expect(ringBytes(sum)).to.deep.equal(ringBytes(byHolder[0]!)));
          });
        }
      });
    }

    it(`with n = ${n}, t = ${t} leave every set of t aggregators without a component`, async () => {
      const { scene } = await newCohort(n, t);
      for (const set of subsets(n, t)) {
        expect(scene.holders.some((group) => !group.some((aggregator) => set.includes(aggregator)))).to.equal(true);
      }
      for (const set of subsets(n, t + 1)) {
        expect(scene.holders.every((group) => group.some((aggregator) => set.includes(aggregator)))).to.equal(true);
      }
    });
  }

  it('hold after a share went to disk and back, and an arbiter accepts what it releases', async () => {
    const { held, contexts } = await newCohort(3, 1);
    const [share] = held[0]!;
    const back = heldShareFromBytes(heldShareBytes(share!));
    for (const released of back.components) {
      const { component } = released;
      const context = contexts[0]!;
      checkComponent(share!.root, share!.leaves, context, released);
      expect(componentOf(back, component, context, LENGTH)).to.deep.equal(
        componentOf(share!, component, context, LENGTH),
      );
    }
    expect(secureError(() => componentOf(back, 0, contexts[0]!, LENGTH)).code).to.equal('SHARE_INCOMPLETE');
    const bytes = heldShareBytes(share!);
    for (let size = 0; size < bytes.length; size += 7) {
      expect(secureError(() => heldShareFromBytes(bytes.subarray(0, size))).code).to.equal('SHARE_MALFORMED');
    }
  });

  it('need at least one component', () => {
    expect(secureError(() => totalOf([])).code).to.equal('SECURE_OPTION_INVALID');
  });
});

describe('The ring', () => {
  it('adds and subtracts modulo 2^32', () => {
    fc.assert(
      fc.property(ring, ring, (a, b) => {
        const sum = a.slice();
        addTo(sum, b);
        sum.forEach((value, i) => expect(value).to.equal((a[i]! + b[i]!) % 2 ** 32));
        subtractFrom(sum, b);
        expect(sum).to.deep.equal(a);
      }),
    );
  });

  it('adds a weight times a vector as the vector that many times', () => {
    fc.assert(
      fc.property(ring, ring, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (a, b, weight) => {
        const sum = a.slice();
        addScaledTo(sum, b, weight);
        sum.forEach((value, i) =>
          expect(BigInt(value)).to.equal((BigInt(a[i]!) + BigInt(weight) * BigInt(b[i]!)) % 2n ** 32n),
        );
      }),
    );
  });

  it('reads back what it wrote, little-endian, also from bytes at an odd address', () => {
    expect([...ringBytes(Uint32Array.of(1, 0x80000000))]).to.deep.equal([1, 0, 0, 0, 0, 0, 0, 128]);
    expect([...toSigned(Uint32Array.of(0xffffffff))]).to.deep.equal([-1]);
    fc.assert(
      fc.property(ring, (values) => {
        const odd = new Uint8Array(1 + 4 * values.length);
        odd.set(ringBytes(values), 1);
        expect(ringFromBytes(odd.subarray(1), values.length)).to.deep.equal(values);
      }),
    );
  });

  it('of 16 bits adds, subtracts, scales and reads back modulo 2^16', () => {
    const narrow = fc.uint16Array({ minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(narrow, narrow, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (a, b, weight) => {
        const sum = a.slice();
        addTo(sum, b);
        sum.forEach((value, i) => expect(value).to.equal((a[i]! + b[i]!) % 2 ** 16));
        subtractFrom(sum, b);
        expect(sum).to.deep.equal(a);
        addScaledTo(sum, b, weight);
        sum.forEach((value, i) =>
          expect(BigInt(value)).to.equal((BigInt(a[i]!) + BigInt(weight) * BigInt(b[i]!)) % 2n ** 16n),
        );
        const odd = new Uint8Array(1 + 2 * a.length);
        odd.set(ringBytes(a), 1);
        expect(ringFromBytes(odd.subarray(1), a.length, 16)).to.deep.equal(a);
        expect(ringView(odd.subarray(1), a.length, 16)).to.deep.equal(a);
        expect(ringView(ringBytes(a), a.length, 16)).to.deep.equal(a);
      }),
    );
    expect([...toSigned(Uint16Array.of(0xffff, 0x8000, 0x7fff))]).to.deep.equal([-1, -(2 ** 15), 2 ** 15 - 1]);
    expect([...ringBytes(Uint16Array.of(1, 0x8000))]).to.deep.equal([1, 0, 0, 128]);
  });

  it('refuses another length or width, and a weight that is none', () => {
    const calls = [
      () => {
        addTo(new Uint32Array(2), new Uint16Array(2));
      },
      () => ringFromBytes(new Uint8Array(8), 2, 16),
      () => {
        addTo(new Uint32Array(2), new Uint32Array(3));
      },
      () => {
        subtractFrom(new Uint32Array(2), new Uint32Array(1));
      },
      () => {
        addScaledTo(new Uint32Array(2), new Uint32Array(3), 1);
      },
      () => ringFromBytes(new Uint8Array(7), 2),
    ];
    calls.forEach((call) => expect(secureError(call).code).to.equal('RING_LENGTH'));
    [-1, 0.5, 2 ** 31, Number.NaN].forEach((weight) => {
      const call = (): void => {
        addScaledTo(new Uint32Array(1), new Uint32Array(1), weight);
      };
      expect(secureError(call).code).to.equal('SECURE_OPTION_INVALID');
    });
  });
});
