// SPDX-License-Identifier: Apache-2.0
import { SecureError } from './errors.js';
import { contextBytes } from './expand.js';
import type { RandomSource } from './random.js';
import type { RingVector } from './ring.js';
import { seal, unseal } from './sealing.js';
import { readShare, shareBytes, type HeldShare, type ShareTerms } from './share.js';
import { shareVector, type Holders } from './sharing.js';

/** What a vehicle hands in. */
export interface Report {
  /** Root of the commitments; the vehicle signs it. */
  readonly root: string;
  readonly leaves: readonly string[];
  /** The full component, encrypted, for the store: 16 bytes more than its values. */
  readonly ciphertext: Uint8Array;
  /** SHA-256 of the ciphertext. */
  readonly ciphertextHash: string;
  /** One sealed share for each recipient, by the aggregator's index. */
  readonly shares: Map<number, Uint8Array>;
}

/** What a report is made of. */
export interface ReportInput {
  /** Encoded update and metrics, length d + m, in the ring that it is to be shared in. */
  readonly vector: RingVector;
  /** Hex SHA-256 that names consortium, task, round, attempt, base and reporter. */
  readonly context: string;
  readonly holders: Holders;
  /** Sealing keys (SubjectPublicKeyInfo, base64) of the aggregators that take part, by index. */
  readonly recipients: ReadonlyMap<number, string>;
  readonly random: RandomSource;
}

const SHARE_DOMAIN = new TextEncoder().encode('sev/secure/share/v1');

/**
 * Shares a vector among the aggregators. Fixed but for the sealing, which draws its own ephemeral keys from the
 * operating system.
 *
 * @throws SecureError SECURE_OPTION_INVALID where a component has no recipient; SEALING_KEY_INVALID
 */
export async function createReport(input: ReportInput): Promise<Report> {
  const { vector, context, holders, recipients, random } = input;
  const orphan = holders.findIndex((group) => !group.some((aggregator) => recipients.has(aggregator)));
  if (orphan !== -1) {
    throw new SecureError('SECURE_OPTION_INVALID', `nobody would hold component ${String(orphan)}`);
  }
  const shared = shareVector(vector, context, holders, random);
  const sealed = await Promise.all(
    [...recipients].map(async ([aggregator, key]): Promise<[number, Uint8Array]> => {
      const share = shareBytes(shared, aggregator, holders);
      return [aggregator, await seal(key, share, associatedData(context, shared.root, aggregator))];
    }),
  );
  const { root, leaves, ciphertext, ciphertextHash } = shared;
  return { root, leaves, ciphertext, ciphertextHash, shares: new Map(sealed) };
}

/**
 * Opens a sealed share and checks all of it: whoever gets a {@link HeldShare} can vouch for it.
 *
 * @throws SecureError SHARE_UNREADABLE, SHARE_MALFORMED, SHARE_MISMATCH, SHARE_INCOMPLETE, SEALING_KEY_INVALID
 */
export async function openShare(
  terms: ShareTerms & { readonly sealed: Uint8Array; readonly privateKey: Uint8Array },
): Promise<HeldShare> {
  const { sealed, privateKey, context, root, aggregator } = terms;
  return readShare(await unseal(privateKey, sealed, associatedData(context, root, aggregator)), terms);
}

/** "sev/secure/share/v1" ‖ context ‖ commitment root ‖ aggregator's index as one byte. */
function associatedData(context: string, root: string, aggregator: number): Uint8Array {
  return Buffer.concat([SHARE_DOMAIN, contextBytes(context), contextBytes(root), Uint8Array.of(aggregator)]);
}
