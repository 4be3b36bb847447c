// SPDX-License-Identifier: Apache-2.0
import { openedCandidate, sha256Hex, type AggregatorOpening, type RoundOpening } from '@sev/chaincode/api';
import { shareBytes, shareNoise } from '@sev/fl';
import { subsetsBySize } from '../services/subsets.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Revealed } from './aggregator-client.js';
import { newHex32, type AttemptSecrets, type NoiseCandidate } from './attempt-secrets.js';
import { noiseReporter } from './cohort-work.js';
import type { DealPlace } from './deals.js';
import { contextOf } from './held-reports.js';
import type { SecureTask } from './ledger-view.js';

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
  const seed = xorOf(seedParts);
  const context = contextOf(place, noiseReporter(mspId, which));
  const shared = shareNoise(seed, { context, holders, length, deviation: terms.dp?.noiseDeviation ?? 1 });
  await store.put(shared.ciphertext);
  const shares = terms.aggregators.map((_, index) =>
    Buffer.from(shareBytes(shared, index, holders)).toString('base64'),
  );
  return { candidate: { seedParts, shares }, committed: { root: shared.root, seedHash: sha256Hex(seed) } };
}

/** What an aggregator shows of noise once the seed of the round chose: of each pair one candidate, never the other. */
export function openedNoise(
  mspId: string,
  own: NonNullable<AttemptSecrets['noise']>,
  held: Readonly<Record<string, readonly [Parts[string], Parts[string]]>>,
  seed: string,
): Required<Pick<Revealed, 'noiseSeed' | 'noiseSeedParts'>> {
  const noiseSeed = Buffer.from(xorOf(own[openedCandidate(seed, mspId)].seedParts)).toString('hex');
  const parts = Object.entries(held).map(([other, both]) => [other, both[openedCandidate(seed, other)]] as const);
  return { noiseSeed, noiseSeedParts: Object.fromEntries(parts) };
}

/**
 * The seeds of the opened candidates of all aggregators of an opening, in its order, as learning:ScoreRound takes them: as
 * each showed its own or, where one is gone, from the parts that the others hold.
 *
 * @param seed of the round.
 * @returns the seeds, or the aggregators whose seed nobody could show as it was committed to.
 */
export function gatherNoiseSeeds(
  opening: RoundOpening,
  seed: string,
  shown: readonly { readonly mspId: string; readonly revealed: Revealed }[],
): { readonly noiseSeeds?: readonly string[]; readonly missing: readonly string[] } {
  const found = opening.aggregators.map((part) => {
    const committed = part.noise?.[openedCandidate(seed, part.mspId)].seedHash;
    const own = shown.find(({ mspId }) => mspId === part.mspId)?.revealed.noiseSeed;
    const parts = shown.map(({ revealed }) => revealed.noiseSeedParts?.[part.mspId] ?? {});
    const candidates = [...(own === undefined ? [] : [own]), ...combinedSeeds(parts, part.nonceLeaves.length)];
    return candidates.find((value) => sha256Hex(Buffer.from(value, 'hex')) === committed);
  });
  const noiseSeeds = found.flatMap((value) => (value === undefined ? [] : [value]));
  const missing = opening.aggregators.flatMap(({ mspId }, index) => (found[index] === undefined ? [mspId] : []));
  return missing.length === 0 ? { noiseSeeds, missing } : { missing };
}

/**
 * Seeds that several holders' parts of one make. Only the whole seed is committed to, so it does not show whose part is
 * false: every choice of holders that together hold all parts is tried.
 */
function combinedSeeds(shown: readonly Parts[string][], components: number): string[] {
  return subsetsBySize(shown).flatMap((holders) => {
    const merged = Object.assign({}, ...holders) as Parts[string];
    const whole = Array.from({ length: components }, (_, component) => merged[String(component)] ?? []).flat();
    return whole.length === components ? [Buffer.from(xorOf(whole)).toString('hex')] : [];
  });
}

/** XOR of values of 32 bytes in hex. */
function xorOf(values: readonly string[]): Uint8Array {
  const sum = new Uint8Array(32);
  for (const value of values) {
    Buffer.from(value, 'hex').forEach((byte, index) => {
      sum[index] = (sum[index] ?? 0) ^ byte;
    });
  }
  return sum;
}
