// SPDX-License-Identifier: Apache-2.0
import { hkdfSync } from 'node:crypto';
import { contextBytes } from '../secure/expand.js';
import { seededRandom, type RandomSource } from '../secure/random.js';
import { createReport, type Report, type ReportInput } from '../secure/report.js';
import { shareVector, type Holders, type SharedVector } from '../secure/sharing.js';
import { discreteGaussian } from './discrete-gaussian.js';
import { PrivacyError } from './errors.js';

const NOISE_SALT = 'sev/privacy/noise/v1';
const SEED_BYTES = 32;

/** What a noise report is made of beside its seed; the same for whoever recomputes it. */
export interface NoiseTerms {
  /** Hex SHA-256 that names consortium, task, round, attempt, base, aggregator and candidate. */
  readonly context: string;
  readonly holders: Holders;
  /** d + m: whatever is summed gets noise. */
  readonly length: number;
  /** σ of each coordinate, in units of the quantised update. */
  readonly deviation: number;
}

/**
 * An aggregator's noise as the report of a pseudo-client, added to the sums with weight 1. Every aggregator adds the full
 * noise, so one honest aggregator is enough for the stated privacy, and the sum's variance is their number times σ².
 *
 * Vector, component seeds, salts and the key of the full component all come from the seed,
 *
 *   key_p = HKDF-SHA256(ikm = seed, salt = "sev/privacy/noise/v1", info = context ‖ p),  p = "vector" | "sharing"
 *
 * each expanded by AES-256-CTR, so whoever is shown the seed recomputes the root. Of two candidates the ledger's
 * randomness opens one and uses the other: noise that is not drawn from its seed is caught with probability ½ in every
 * round, and always where both candidates are false.
 *
 * @param seed 32 uniform bytes. Secret of the aggregator; whoever has it can take the noise out again.
 * @throws SecureError, PrivacyError as {@link createReport} and {@link discreteGaussian}; PRIVACY_PARAMETER where the seed
 *   has not 32 bytes.
 */
export async function noiseReport(
  seed: Uint8Array,
  terms: NoiseTerms & Pick<ReportInput, 'recipients'>,
): Promise<Report> {
  const { context, holders, recipients } = terms;
  return createReport({
    vector: noiseVector(seed, terms),
    context,
    holders,
    recipients,
    random: derivedRandom(seed, context, 'sharing'),
  });
}

/** The noise itself, modulo 2^32, length d + m. @throws PrivacyError, SecureError */
export function noiseVector(seed: Uint8Array, { context, length, deviation }: NoiseTerms): Uint32Array {
  const noise = discreteGaussian(deviation, length, derivedRandom(seed, context, 'vector'));
  return new Uint32Array(noise.buffer, noise.byteOffset, noise.length);
}

/** The root of the noise report that a seed gives. @throws PrivacyError, SecureError */
export function noiseRoot(seed: Uint8Array, terms: NoiseTerms): string {
  return shareNoise(seed, terms).root;
}

/**
 * The noise report before its shares are sealed, for whoever seals them in another way than {@link noiseReport}. Secret.
 *
 * @throws PrivacyError, SecureError
 */
export function shareNoise(seed: Uint8Array, terms: NoiseTerms): SharedVector {
  const { context, holders } = terms;
  return shareVector(noiseVector(seed, terms), context, holders, derivedRandom(seed, context, 'sharing'));
}

/**
 * Checks an opened candidate.
 *
 * @param root what the aggregator committed to when the round opened.
 * @throws PrivacyError NOISE_MISMATCH where the seed gives another root; others as {@link noiseRoot}.
 */
export function checkNoise(seed: Uint8Array, root: string, terms: NoiseTerms): void {
  if (noiseRoot(seed, terms) !== root) {
    throw new PrivacyError('NOISE_MISMATCH', 'the shown seed does not give the committed root; count this noise out');
  }
}

function derivedRandom(seed: Uint8Array, context: string, purpose: 'vector' | 'sharing'): RandomSource {
  if (seed.length !== SEED_BYTES) {
    throw new PrivacyError('PRIVACY_PARAMETER', `a seed of noise has ${SEED_BYTES} bytes, not ${seed.length}`);
  }
  const info = Buffer.concat([contextBytes(context), Buffer.from(purpose, 'ascii')]);
  return seededRandom(new Uint8Array(hkdfSync('sha256', seed, NOISE_SALT, info, 32)));
}
