// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { aggregatorOpening, hash, roundOpening, signature } from '@sev/chaincode/api';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { attemptKey } from '../services/attempt.js';
import type { AttemptFolder } from './inbox.js';

const base64 = z.base64();
const hexOf32 = hash;

const noiseCandidate = z.strictObject({
  /** Parts of the seed, one a component of the sharing; their XOR is the seed. */
  seedParts: z.array(hexOf32),
  /** What each aggregator of the task gets of the report, base64, by its index. */
  shares: z.array(base64),
});
export type NoiseCandidate = z.infer<typeof noiseCandidate>;

/** What an aggregator must keep to itself about an attempt, and what it committed itself to with it. */
const attemptSecrets = z.strictObject({
  schemaVersion: z.literal(1),
  createdAtMs: z.int(),
  baseModelHash: hash,
  /** PKCS#8 of the round key. */
  sealingKey: base64,
  /** AES-256 key of the attempt's share files. */
  storageKey: base64,
  /** Components of its own nonce, in their order. */
  nonce: z.array(hexOf32),
  /** Mode `dp`: its two candidates of noise. */
  noise: z.tuple([noiseCandidate, noiseCandidate]).optional(),
  part: aggregatorOpening,
  /** Over the part. */
  signature,
});
export type AttemptSecrets = z.infer<typeof attemptSecrets>;

/** An opening that was accepted, with what others dealt. */
const acceptedOpening = z.strictObject({
  opening: roundOpening,
  /** Nonce components of others, by MSP id, then by component. */
  held: z.record(z.string(), z.record(z.string(), hexOf32)),
  /** Mode `dp`: parts of the seeds of others' two candidates of noise, by MSP id, then by component. */
  heldNoise: z.record(z.string(), z.tuple([z.record(z.string(), hexOf32), z.record(z.string(), hexOf32)])).optional(),
});
export type AcceptedOpening = z.infer<typeof acceptedOpening>;

export const newStorageKey = (): string => randomBytes(32).toString('base64');
export const newHex32 = (): string => randomBytes(32).toString('hex');

/** Key of the attempt's share files. */
export function storageKeyOf(secrets: AttemptSecrets): Uint8Array {
  return Buffer.from(secrets.storageKey, 'base64');
}

/** @throws SevError ATTEMPT_UNKNOWN where the attempt was not prepared here or is destroyed; FILE_MALFORMED. */
export async function readSecrets(folder: AttemptFolder): Promise<AttemptSecrets> {
  const secrets = await secretsIfAny(folder);
  if (secrets === undefined) {
    throw new SevError('ATTEMPT_UNKNOWN', `${attemptKey(folder.ref)} was not prepared here, or is over and destroyed`, {
      exitCode: EXIT.refused,
    });
  }
  return secrets;
}

/** What was read of a folder is never changed there; every share needs it. A destroyed folder is not asked again. */
const secretsOf = new WeakMap<AttemptFolder, AttemptSecrets>();
const openingsOf = new WeakMap<AttemptFolder, Map<string, AcceptedOpening>>();

/** @throws SevError FILE_MALFORMED. */
export async function secretsIfAny(folder: AttemptFolder): Promise<AttemptSecrets | undefined> {
  const known = secretsOf.get(folder);
  if (known !== undefined) {
    return known;
  }
  const value = await folder.secrets();
  if (value === undefined) {
    return undefined;
  }
  const secrets = parsed(attemptSecrets, value, folder, 'secrets');
  secretsOf.set(folder, secrets);
  return secrets;
}

/** @throws SevError OPENING_UNKNOWN where it was not accepted here; FILE_MALFORMED. */
export async function readOpening(folder: AttemptFolder, openingHash: string): Promise<AcceptedOpening> {
  const openings = openingsOf.get(folder) ?? new Map<string, AcceptedOpening>();
  const known = openings.get(openingHash);
  if (known !== undefined) {
    return known;
  }
  const value = await folder.opening(openingHash);
  if (value === undefined) {
    throw new SevError('OPENING_UNKNOWN', `the opening of ${attemptKey(folder.ref)} was not accepted here`, {
      exitCode: EXIT.refused,
    });
  }
  const opening = parsed(acceptedOpening, value, folder, 'opening');
  openingsOf.set(folder, openings.set(openingHash, opening));
  return opening;
}

/** The message names no value: these files hold secrets. */
function parsed<T>(schema: z.ZodType<T>, value: unknown, folder: AttemptFolder, what: string): T {
  const result = schema.safeParse(value);
  if (!result.success) {
    const where = result.error.issues[0]?.path.join('.') ?? '';
    throw new SevError('FILE_MALFORMED', `the ${what} of ${attemptKey(folder.ref)}: ${where} has not its form`, {
      exitCode: EXIT.integrity,
    });
  }
  return result.data;
}
