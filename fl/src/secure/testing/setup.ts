// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { newRandom, type Random } from '../../random.js';
import type { RandomSource } from '../random.js';
import { seededRandom } from '../random.js';
import type { RingVector } from '../ring.js';
import { newSealingKey, type SealingKey } from '../sealing.js';
import type { Holders } from '../sharing.js';
import type { ShareTerms } from '../share.js';
import { createReport, type Report } from '../report.js';

/** True where long runs are asked for. */
export const FULL = process.env['SEV_TEST_FULL'] === '1';

/** A generator whose seed is printed, or taken from SEV_TEST_SEED to repeat a run. */
export function printedRandom(what: string): Random {
  const given = process.env['SEV_TEST_SEED'];
  const seed = given === undefined ? Date.now() % 0xffff_ffff : Number(given);
  console.log(`      ${what}: SEV_TEST_SEED=${seed}`);
  return newRandom(seed);
}

/** A RandomSource for one test, seeded by the test's generator. */
export function sourceFrom(random: Random): RandomSource {
  return seededRandom(Uint8Array.from({ length: 32 }, () => random.below(256)));
}

export function hexFrom(random: Random): string {
  return Buffer.from(sourceFrom(random).nextBytes(32)).toString('hex');
}

/** Sets of `size` of the indices 0 … n − 1, in lexicographic order. */
export function subsets(n: number, size: number, from = 0): number[][] {
  if (size === 0) {
    return [[]];
  }
  return Array.from({ length: Math.max(0, n - from) }, (_, i) => from + i).flatMap((first) =>
    subsets(n, size - 1, first + 1).map((others) => [first, ...others]),
  );
}

/** One component for each set of t aggregators that do not hold it. */
export function holdersOf(n: number, t: number): Holders {
  const all = Array.from({ length: n }, (_, index) => index);
  return subsets(n, t).map((without) => all.filter((index) => !without.includes(index)));
}

export interface Place {
  readonly task?: string;
  readonly round?: number;
  readonly attempt?: number;
  readonly base?: string;
  readonly vehicle?: string;
}

/** As the caller makes a context: a hash of all that names a report's place. */
export function contextOf({ task = 'price', round = 1, attempt = 1, base = 'a', vehicle = 'v-0' }: Place = {}): string {
  return createHash('sha256')
    .update(JSON.stringify([task, round, attempt, base, vehicle]))
    .digest('hex');
}

/** Aggregators with keys, and a store in memory. */
export interface Scene {
  readonly holders: Holders;
  readonly keys: readonly SealingKey[];
  readonly recipients: ReadonlyMap<number, string>;
  readonly store: Map<string, Uint8Array>;
  readonly fetch: (hash: string) => Promise<Uint8Array>;
}

export async function newScene(n: number, t: number): Promise<Scene> {
  const keys = await Promise.all(Array.from({ length: n }, () => newSealingKey()));
  const store = new Map<string, Uint8Array>();
  return {
    holders: holdersOf(n, t),
    keys,
    recipients: new Map(keys.map(({ publicKey }, index) => [index, publicKey])),
    store,
    fetch: (hash) => {
      const found = store.get(hash);
      return found === undefined ? Promise.reject(new Error('not in the store')) : Promise.resolve(found);
    },
  };
}

/** A report whose ciphertext is in the scene's store. */
export async function reportIn(
  scene: Scene,
  vector: RingVector,
  context: string,
  random: RandomSource,
): Promise<Report> {
  const { holders, recipients } = scene;
  const report = await createReport({ vector, context, holders, recipients, random });
  scene.store.set(report.ciphertextHash, report.ciphertext);
  return report;
}

/** What an aggregator needs to open its share of a report. */
export function termsFor(
  scene: Scene,
  report: Pick<Report, 'root' | 'shares'>,
  aggregator: number,
  { context, length }: { context: string; length: number },
): ShareTerms & { sealed: Uint8Array; privateKey: Uint8Array } {
  const { holders, keys, fetch } = scene;
  const sealed = report.shares.get(aggregator)!;
  const privateKey = keys[aggregator]!.privateKey;
  return { context, root: report.root, aggregator, holders, length, fetch, sealed, privateKey };
}
