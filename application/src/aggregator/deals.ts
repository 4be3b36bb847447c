// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, hash } from '@sev/chaincode/api';
import { seal, unseal } from '@sev/fl';
import { z } from 'zod';
import type { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { attemptOf } from '../services/attempt.js';
import { errorCode } from '../services/log.js';
import type { Deal } from './aggregator-client.js';
import type { AttemptSecrets, NoiseCandidate } from './attempt-secrets.js';
import type { SecureTask } from './ledger-view.js';
import type { NoncePlace } from './nonces.js';

const components = z.record(z.string().regex(/^\d{1,2}$/), hash);
const dealtNoise = z.strictObject({
  /** What the other gets of the report, base64. */
  share: z.base64(),
  /** Parts of the seed that the other holds, so that the opened candidate's can be shown though the dealer is gone. */
  seedParts: components,
});

/** What one aggregator deals to another. */
const dealContent = z.strictObject({
  /** Components of the dealer's nonce that the other holds. */
  nonce: components,
  /** Mode `dp`: of the dealer's two candidates of noise. */
  noise: z.tuple([dealtNoise, dealtNoise]).optional(),
});
export type DealContent = z.infer<typeof dealContent>;

/** Where a deal belongs: nothing dealt for one attempt or base opens for another. */
export interface DealPlace extends NoncePlace {
  readonly baseModelHash: string;
}

/** What an aggregator's secrets hold for another one. */
export function dealFor(task: SecureTask, secrets: AttemptSecrets, to: string): DealContent {
  const index = task.terms.aggregators.indexOf(to);
  const held = task.holders.flatMap((by, component) => (by.includes(index) ? [component] : []));
  const partsOf = (values: readonly string[]): Record<string, string> =>
    Object.fromEntries(held.map((component) => [String(component), values[component] ?? '']));
  const nonce = partsOf(secrets.nonce);
  if (secrets.noise === undefined) {
    return { nonce };
  }
  const noiseOf = ({ seedParts, shares }: NoiseCandidate) => ({
    share: shares[index] ?? '',
    seedParts: partsOf(seedParts),
  });
  const [first, second] = secrets.noise;
  return { nonce, noise: [noiseOf(first), noiseOf(second)] };
}

/** Seals a deal to the round key of its reader. */
export async function sealDeal(
  place: DealPlace,
  from: string,
  to: { readonly mspId: string; readonly sealingKey: string },
  content: DealContent,
): Promise<Deal> {
  const plaintext = Buffer.from(JSON.stringify(content));
  const sealed = await seal(to.sealingKey, plaintext, associatedData(place, from, to.mspId));
  return { from, to: to.mspId, sealed: Buffer.from(sealed).toString('base64') };
}

/** @throws SevError DEAL_INVALID where it was not dealt for this place, dealer and reader, or has another form. */
export async function openDeal(place: DealPlace, deal: Deal, privateKey: Uint8Array): Promise<DealContent> {
  const sealed = Buffer.from(deal.sealed, 'base64');
  let plaintext: Uint8Array;
  try {
    plaintext = await unseal(privateKey, sealed, associatedData(place, deal.from, deal.to));
  } catch (error) {
    if (errorCode(error) !== 'SHARE_UNREADABLE') {
      throw error;
    }
    throw dealInvalid(deal.from, 'it does not open with the round key', error);
  }
  const parsed = dealContent.safeParse(jsonOf(plaintext));
  if (!parsed.success) {
    throw dealInvalid(deal.from, 'it has not the documented form');
  }
  return parsed.data;
}

export function dealInvalid(from: string, detail: string, cause?: unknown): SevError {
  return new AccusationError('DEAL_INVALID', `the deal of ${from}: ${detail}`, from, cause);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

function associatedData(place: DealPlace, from: string, to: string): Uint8Array {
  const { consortium, baseModelHash } = place;
  return Buffer.from(
    canonicalJson({ type: 'sev/deal/v1', consortium, ...attemptOf(place), baseModelHash, from, to }),
    'utf8',
  );
}
