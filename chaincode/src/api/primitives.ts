// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** Building blocks of every message. Integers only: no float reaches the ledger. */
export const hash = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hex');
/** Random enrollment id: `v-` and 16 random bytes in base64url. Says nothing about the car, its owner or its place. */
export const vehicleId = z.string().regex(/^v-[A-Za-z0-9_-]{22}$/, 'v- and 22 characters of base64url');
export const mspId = z.string().regex(/^[A-Za-z][A-Za-z0-9.-]{1,63}$/, 'an MSP id');
export const identifier = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens');
export const publicKey = z.string().regex(/^[A-Za-z0-9+/]{100,200}={0,2}$/, 'base64 of a SubjectPublicKeyInfo');
export const signature = z.string().regex(/^[A-Za-z0-9_-]{86}$/, '64 bytes in base64url');
/** Milliseconds since 1970-01-01T00:00:00Z. */
export const timestampMs = z.int().nonnegative();
export const durationMs = z.int().positive();
export const roundNumber = z.int().min(1).max(1_000_000);
export const attemptNumber = z.int().min(1).max(1_000);
export const reason = z.string().min(1).max(200);
export const bookmark = z.string().max(512);
export const pageSize = z.int().min(1).max(1_000);

export type Hash = z.infer<typeof hash>;
export type VehicleId = z.infer<typeof vehicleId>;

/** Sorted, each name once. */
export function isAscending(names: readonly string[]): boolean {
  return names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name);
}

/** Of an even number of values the lower of the middle two, so that it is one of them; of none 0. */
export function lowerMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
