// SPDX-License-Identifier: Apache-2.0
import { noiseLeaf, openedCandidate, type AggregatorOpening, type RoundOpening } from '@sev/chaincode/api';
import { shareBytes, shareNoise } from '@sev/fl';
import { attemptOf } from '../services/attempt.js';
import { seedOfParts } from '../services/opened-noise.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Revealed } from './aggregator-client.js';
import { newHex32, type AttemptSecrets, type NoiseCandidate } from './attempt-secrets.js';
import { noiseReporter } from './cohort-work.js';
import type { DealPlace } from './deals.js';
import { contextOf } from './held-reports.js';
import type { SecureTask } from './ledger-view.js';
import { gatherParts, type GatheredNonces, type NoncePlace } from './nonces.js';

/** A candidate of noise with what the opening says of it. */
export interface NewNoise {
  readonly candidate: NoiseCandidate;
  readonly committed: NonNullable<AggregatorOpening['noise']>[number];
}

/** By MSP id, then by component. */
type Parts = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * Draws one candidate of noise: a seed, cut into parts as the nonce is, and all that follows from it. The encrypted part of
 * the report goes into the store.
 *
 * @throws SevError STORE_UNREACHABLE and the like.
 */
export async function newNoise(
  { task, place, store }: { readonly task: SecureTask; readonly place: DealPlace; readonly store: ObjectStore },
  mspId: string,
  which: 0 | 1,
): Promise<NewNoise> {
  const { holders, length, terms } = task;
  const seedParts = holders.map(newHex32);
  const seed = seedOfParts(seedParts);
  const context = contextOf(place, noiseReporter(mspId, which));
  const shared = shareNoise(seed, { context, holders, length, deviation: terms.dp?.noiseDeviation ?? 1 });
  await store.put(shared.ciphertext);
  const shares = terms.aggregators.map((_, index) =>
    Buffer.from(shareBytes(shared, index, holders)).toString('base64'),
  );
  const seedLeaves = seedParts.map((part, component) => leafOf(place, mspId, component, part));
  return { candidate: { seedParts, shares }, committed: { root: shared.root, seedLeaves } };
}

/** True where these are all the committed parts of a seed that a holder of these components is owed. */
export function areSeedParts(
  place: NoncePlace,
  { mspId, noise }: AggregatorOpening,
  which: 0 | 1,
  parts: Parts[string],
  owed: readonly number[],
): boolean {
  const leaves = noise?.[which].seedLeaves ?? [];
  const fits = (component: number): boolean =>
    leaves[component] === leafOf(place, mspId, component, parts[String(component)] ?? '');
  return Object.keys(parts).length === owed.length && owed.every(fits);
}

/** What an aggregator shows of noise once the seed of the round chose: of each pair one candidate, never the other. */
export function openedNoise(
  mspId: string,
  own: NonNullable<AttemptSecrets['noise']>,
  held: Readonly<Record<string, readonly [Parts[string], Parts[string]]>>,
  seed: string,
): Required<Pick<Revealed, 'noiseSeedParts'>> {
  const { seedParts } = own[openedCandidate(seed, mspId)];
  const mine = Object.fromEntries(seedParts.map((part, component) => [String(component), part]));
  const others = Object.entries(held).map(([other, both]) => [other, both[openedCandidate(seed, other)]] as const);
  return { noiseSeedParts: { ...Object.fromEntries(others), [mspId]: mine } };
}

/**
 * The parts of the seeds of the opened candidates of all aggregators of an opening, in its order, as learning:ScoreRound takes
 * them, whoever showed them.
 *
 * @param seed of the round.
 * @returns the parts once all are there; `missing` are aggregators whose seed lacks one, `wrong` those that showed one that its
 *   commitment contradicts.
 */
export function gatherNoiseSeeds(
  place: NoncePlace,
  opening: RoundOpening,
  seed: string,
  shown: readonly { readonly mspId: string; readonly revealed: Revealed }[],
): { readonly noiseSeeds?: string[][] } & Pick<GatheredNonces, 'missing' | 'wrong'> {
  const { values, ...others } = gatherParts(
    opening.aggregators.map(({ mspId, noise }) => ({
      owner: mspId,
      leaves: noise?.[openedCandidate(seed, mspId)].seedLeaves ?? [],
      leafOf: (component, value) => leafOf(place, mspId, component, value),
    })),
    shown.map(({ mspId, revealed }) => ({ mspId, parts: revealed.noiseSeedParts ?? {} })),
  );
  return values === undefined ? others : { noiseSeeds: values, ...others };
}

function leafOf(place: NoncePlace, aggregator: string, component: number, part: string): string {
  return noiseLeaf({ consortium: place.consortium, ...attemptOf(place) }, aggregator, component, part);
}
