// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import {
  addScaledTo,
  componentOf,
  createReport,
  encodeUpdate,
  newSealingKey,
  openShare,
  project,
  projectionVectors,
  ringZeros,
  systemRandom,
  type FixedPoint,
  type HeldShare,
  type Report,
  type RingBits,
  type SealingKey,
} from '@sev/fl';
import { cpuMs } from '../cpu.js';
import { median, rounded, type Benchmark, type Figure } from '../figure.js';

/** n = 3, t = 1: component i is held by all but aggregator i. */
export const HOLDERS = [
  [1, 2],
  [0, 2],
  [0, 1],
] as const;
const PARAMETERS = 100_000;
const VEHICLES = 100;
const PROJECTIONS = 8;
const WEIGHT = 21;
const FORMAT: FixedPoint = { fractionBits: 11, clip: 4 };
/** The median of so many passes; those before warm the compiler up. */
const PASSES = 15;
const WARM_UP = 5;

/** What a vehicle and an aggregator compute for a private round, without network and disk. */
export const secureCore: Benchmark = {
  name: 'secure-core',
  run: async () => {
    const keys = await Promise.all(HOLDERS.map(() => newSealingKey()));
    return [...(await vehicleFigures(keys)), ...(await aggregatorFigures(keys))];
  },
};

/** Somewhere in the middle of what training gives: a norm above the clip, so that clipping has work. */
export function randomUpdate(parameters: number): Float32Array {
  const scale = (1.5 * FORMAT.clip) / Math.sqrt(parameters / 3);
  return Float32Array.from({ length: parameters }, () => (2 * Math.random() - 1) * scale);
}

/** What a vehicle does once it has trained: clip, encode, share, seal. */
export async function reportOf(
  update: Float32Array,
  context: string,
  keys: readonly SealingKey[],
  bits: RingBits = 32,
): Promise<Report> {
  const vector = ringZeros(update.length, bits);
  vector.set(encodeUpdate(update, FORMAT, systemRandom));
  const recipients = new Map(keys.map(({ publicKey }, index) => [index, publicKey]));
  return createReport({ vector, context, holders: HOLDERS, recipients, random: systemRandom });
}

async function vehicleFigures(keys: readonly SealingKey[]): Promise<Figure[]> {
  const update = randomUpdate(PARAMETERS);
  const context = randomBytes(32).toString('hex');
  const passes: number[] = [];
  for (let pass = 0; pass < WARM_UP + PASSES; pass++) {
    const before = cpuMs();
    await reportOf(update, context, keys);
    passes.push(cpuMs() - before);
  }
  const perFloat = async (bits: RingBits): Promise<number> => {
    const { ciphertext, shares } = await reportOf(update, context, keys, bits);
    const bytes = [...shares.values()].reduce((sum, share) => sum + share.length, ciphertext.length);
    return rounded(bytes / (4 * PARAMETERS), 4);
  };
  const vector = '100,000 parameters';
  return [
    lower(
      'vehicle-share-cpu',
      rounded(median(passes.slice(WARM_UP)), 2),
      'ms',
      12,
      `clip, encode, share, seal; ${vector}`,
    ),
    lower('vehicle-upload', await perFloat(32), '× float32', 1.02, `ciphertext and three sealed shares; ${vector}`),
    lower('vehicle-upload-16-bit', await perFloat(16), '× float32', 0.52, 'the same in the ring of 16 bits'),
  ];
}

/** One aggregator's work on a round: each report opened and checked, projected, and once more expanded and summed. */
async function aggregatorFigures(keys: readonly SealingKey[]): Promise<Figure[]> {
  await aggregate(keys, WARM_UP);
  const { open, projecting, summing } = await aggregate(keys, VEHICLES);
  const note = '100 vehicles × 100,000 parameters, K = 8';
  return [
    lower('aggregator-cpu', rounded(open + projecting + summing, 0), 'ms', 400, `opening to sums; ${note}`),
    lower('aggregator-open-cpu', rounded(open, 0), 'ms', null, 'of which opening and checking'),
    lower('aggregator-project-cpu', rounded(projecting, 0), 'ms', null, 'of which expanding and projecting'),
    lower('aggregator-sum-cpu', rounded(summing, 0), 'ms', null, 'of which expanding and summing'),
  ];
}

async function aggregate(
  keys: readonly SealingKey[],
  vehicles: number,
): Promise<{ open: number; projecting: number; summing: number }> {
  const privateKey = keys[0]?.privateKey ?? new Uint8Array();
  const contexts = Array.from({ length: vehicles }, () => randomBytes(32).toString('hex'));
  const held: HeldShare[] = [];
  let open = 0;
  for (const context of contexts) {
    const { root, ciphertext, shares } = await reportOf(randomUpdate(PARAMETERS), context, keys);
    const sealed = shares.get(0) ?? new Uint8Array();
    const fetch = (): Promise<Uint8Array> => Promise.resolve(ciphertext);
    const place = { context, root, aggregator: 0, holders: HOLDERS, length: PARAMETERS, fetch };
    const before = cpuMs();
    held.push(await openShare({ ...place, sealed, privateKey }));
    open += cpuMs() - before;
  }
  const eachComponent = (visit: (component: number, values: ReturnType<typeof componentOf>) => void): number => {
    const before = cpuMs();
    held.forEach((share, index) => {
      for (const { component } of share.components) {
        visit(component, componentOf(share, component, contexts[index] ?? '', PARAMETERS));
      }
    });
    return cpuMs() - before;
  };
  const started = cpuMs();
  const vectors = projectionVectors(contexts[0] ?? '', PROJECTIONS, PARAMETERS);
  const making = cpuMs() - started;
  const projecting = eachComponent((_, values) => {
    project(values, vectors);
  });
  const sums = HOLDERS.map(() => ringZeros(PARAMETERS, 32));
  const summing = eachComponent((component, values) => {
    addScaledTo(sums[component] ?? ringZeros(0, 32), values, WEIGHT);
  });
  return { open, projecting: making + projecting, summing };
}

function lower(name: string, value: number, unit: string, target: number | null, note: string): Figure {
  return { name, value, unit, target, better: 'lower', note };
}
