// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { hash, publicKey, signature } from '@sev/chaincode/api';
import { z } from 'zod';
import type { AttemptFolder, ReadOptions } from '../aggregator/inbox.js';
import { EXIT, SevError } from '../errors.js';
import { attemptKey } from '../services/attempt.js';
import { errorCode } from '../services/log.js';

const base64 = z.base64();

/** What a party must keep to itself about an attempt. The key holder's secret key is never on a disk. */
const partySecrets = z.strictObject({
  schemaVersion: z.literal(1),
  createdAtMs: z.int(),
  baseModelHash: hash,
  /** AES-256 key of the attempt's files. */
  storageKey: base64,
  /** Mask holder: PKCS#8 of the key that seeds are sealed to, and its public half. */
  sealing: z.strictObject({ privateKey: base64, publicKey }).optional(),
});
export type PartySecrets = z.infer<typeof partySecrets>;

const heldHeader = z.strictObject({ root: hash, receipt: signature });
const NEWLINE = 0x0a;

/** A vehicle's report as it was checked, with the receipt that was given for it. */
export interface HeldHeReport {
  readonly root: string;
  readonly receipt: string;
  /** Summer: the message as it came. Mask holder: the seed. */
  readonly content: Uint8Array;
}

/** @returns the secrets of the attempt; of two that make them at once, the first to be on disk counts. */
export async function ensureSecrets(
  folder: AttemptFolder,
  baseModelHash: string,
  sealing: () => Promise<PartySecrets['sealing']>,
): Promise<PartySecrets> {
  const before = await secretsOf(folder);
  if (before === undefined) {
    const made = await sealing();
    const storageKey = randomBytes(32).toString('base64');
    const content = { schemaVersion: 1, createdAtMs: Date.now(), baseModelHash, storageKey } as const;
    await folder.keepSecrets({ ...content, ...(made === undefined ? {} : { sealing: made }) });
  }
  const { baseModelHash: base, ...secrets } = before ?? (await requiredSecrets(folder));
  if (base !== baseModelHash) {
    throw new SevError('ROUND_CONFLICT', `${attemptKey(folder.ref)} was prepared from another base model`);
  }
  return { ...secrets, baseModelHash };
}

/** @throws SevError ATTEMPT_UNKNOWN where the attempt was not prepared here or is destroyed; FILE_MALFORMED. */
export async function requiredSecrets(folder: AttemptFolder): Promise<PartySecrets> {
  const secrets = await secretsOf(folder);
  if (secrets === undefined) {
    throw new SevError('ATTEMPT_UNKNOWN', `${attemptKey(folder.ref)} was not prepared here, or is over and destroyed`, {
      exitCode: EXIT.refused,
    });
  }
  return secrets;
}

/** @throws SevError FILE_MALFORMED. */
export async function secretsOf(folder: AttemptFolder): Promise<PartySecrets | undefined> {
  const value = await folder.secrets();
  if (value === undefined) {
    return undefined;
  }
  const parsed = partySecrets.safeParse(value);
  if (!parsed.success) {
    throw new SevError('FILE_MALFORMED', `the secrets of ${attemptKey(folder.ref)} have not the documented form`, {
      exitCode: EXIT.integrity,
    });
  }
  return parsed.data;
}

/** @returns false where there is one of this vehicle already. @throws SevError STORAGE_FULL, STORAGE_FAILED. */
export function keepReport(
  folder: AttemptFolder,
  secrets: PartySecrets,
  vehicleId: string,
  { root, receipt, content }: HeldHeReport,
): Promise<boolean> {
  const bytes = Buffer.concat([Buffer.from(`${JSON.stringify({ root, receipt })}\n`), content]);
  return folder.keepShare(vehicleId, bytes, storageKeyOf(secrets));
}

/** @returns undefined where there is none that is intact. */
export async function findReport(
  folder: AttemptFolder,
  secrets: PartySecrets,
  vehicleId: string,
  options: ReadOptions = {},
): Promise<HeldHeReport | undefined> {
  const bytes = await shareIfIntact(folder, secrets, vehicleId, options);
  if (bytes === undefined) {
    return undefined;
  }
  const end = bytes.indexOf(NEWLINE);
  const { root, receipt } = heldHeader.parse(JSON.parse(bytes.toString('utf8', 0, end)));
  return { root, receipt, content: bytes.subarray(end + 1) };
}

async function shareIfIntact(
  folder: AttemptFolder,
  secrets: PartySecrets,
  vehicleId: string,
  options: ReadOptions,
): Promise<Buffer | undefined> {
  try {
    return await folder.share(vehicleId, storageKeyOf(secrets), options);
  } catch (error) {
    if (errorCode(error) === 'SHARE_DAMAGED') {
      return undefined;
    }
    throw error;
  }
}

/** As `findReport`, of exactly this root. @throws SevError SHARE_LOST where it is not here, or damaged. */
export async function heldReport(
  folder: AttemptFolder,
  secrets: PartySecrets,
  { vehicleId, updateHash }: { readonly vehicleId: string; readonly updateHash: string },
): Promise<HeldHeReport> {
  const found = await findReport(folder, secrets, vehicleId).catch(() => undefined);
  if (found?.root !== updateHash) {
    throw new SevError('SHARE_LOST', `the report of ${vehicleId} is not here, or not as it came`, {
      hint: 'Nobody else has it: the round has to be aborted.',
      exitCode: EXIT.integrity,
    });
  }
  return found;
}

export function storageKeyOf({ storageKey }: PartySecrets): Uint8Array {
  return Buffer.from(storageKey, 'base64');
}
