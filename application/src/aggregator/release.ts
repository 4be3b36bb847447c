// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, hash } from '@sev/chaincode/api';
import { seal, unseal, type CommittedComponent, type HeldShare } from '@sev/fl';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf } from '../services/attempt.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Release } from './aggregator-client.js';
import { noiseName, noiseOf, type CohortWork } from './cohort-work.js';
import type { DealPlace } from './deals.js';
import type { SecureRoundRecord } from './ledger-view.js';

/** Plaintext of one object is cut at about this size, whatever the number of reports. */
const OBJECT_BYTES = 8 * 1024 * 1024;
const LENGTH_BYTES = 4;

/** One report's component as its holder releases it, with what the arbiter checks it against. */
export interface ReleasedComponent {
  /** A vehicle's id, or the name of noise as in `reportContext`. */
  readonly reporter: string;
  /** Commitments of all components. */
  readonly leaves: readonly string[];
  readonly released: CommittedComponent;
}

const entryHeader = z.strictObject({
  reporter: z.string(),
  leaves: z.array(hash),
  salt: hash,
  bytes: z.int().min(0),
});

/**
 * Seals one component of every report of the cohort (and of the noise in mode `dp`) to the arbiter, whose key is in the
 * opening, and puts it into the store. Nobody but the arbiter must get it: the other aggregators hold the rest.
 *
 * @throws SevError DISPUTE_UNKNOWN, COMPONENT_NOT_HELD, ARBITER_MISSING, SHARE_LOST, STORE_UNREACHABLE.
 */
export async function releaseComponent(
  work: CohortWork,
  round: SecureRoundRecord,
  { component, mspId, store }: { readonly component: number; readonly mspId: string; readonly store: ObjectStore },
): Promise<Release> {
  const { disputes, opening, seed } = round.secure;
  if (!disputes.some((dispute) => dispute.component === component)) {
    throw new SevError('DISPUTE_UNKNOWN', `the ledger shows no dispute about component ${String(component)}`, {
      exitCode: EXIT.refused,
    });
  }
  if (!work.task.own.includes(component)) {
    throw new SevError('COMPONENT_NOT_HELD', `${mspId} does not hold component ${String(component)}`);
  }
  if (opening.arbiter === undefined) {
    throw new SevError('ARBITER_MISSING', `the opening of ${attemptKey(round)} names no arbiter`);
  }
  const reports = [
    ...work.members.map(({ vehicleId, updateHash }) => ({ reporter: vehicleId, name: vehicleId, root: updateHash })),
    ...(seed === undefined
      ? []
      : noiseOf(round, seed).map(({ reporter, root }) => ({ reporter, name: noiseName(root), root }))),
  ];
  const objects: string[] = [];
  const { sealingKey } = opening.arbiter;
  const flush = async (parts: readonly Uint8Array[]): Promise<void> => {
    const data = associatedData(work.place, mspId, component, objects.length);
    objects.push(await store.put(await seal(sealingKey, Buffer.concat(parts), data)));
  };
  let parts: Uint8Array[] = [];
  let size = 0;
  for (const { reporter, name, root } of reports) {
    const entry = entryOf(reporter, await work.reports.get(name, root), component);
    parts.push(...entry);
    size += entry.reduce((sum, part) => sum + part.length, 0);
    if (size >= OBJECT_BYTES) {
      await flush(parts);
      parts = [];
      size = 0;
    }
  }
  if (parts.length > 0) {
    await flush(parts);
  }
  return { component, objects };
}

/**
 * Opens one object of a release, as the arbiter. What it holds still has to be checked against the signed roots.
 *
 * @param from MSP id of the holder that released it.
 * @param index of the object in the release.
 * @throws SecureError SHARE_UNREADABLE; SevError RELEASE_MALFORMED.
 */
export async function openRelease(
  place: DealPlace,
  release: { readonly from: string; readonly component: number; readonly index: number; readonly sealed: Uint8Array },
  privateKey: Uint8Array,
): Promise<readonly ReleasedComponent[]> {
  const { from, component, index, sealed } = release;
  const bytes = Buffer.from(await unseal(privateKey, sealed, associatedData(place, from, component, index)));
  const entries: ReleasedComponent[] = [];
  for (let at = 0; at < bytes.length;) {
    const { entry, end } = readEntry(bytes, at, component);
    entries.push(entry);
    at = end;
  }
  return entries;
}

/** Length of the header as uint32 (big endian) ‖ header as JSON ‖ content. */
function entryOf(reporter: string, share: HeldShare, component: number): Uint8Array[] {
  const held = share.components.find((one) => one.component === component);
  if (held === undefined) {
    throw new SevError('SHARE_LOST', `the share of ${reporter} lacks component ${String(component)}`, {
      exitCode: EXIT.integrity,
    });
  }
  const salt = Buffer.from(held.salt).toString('hex');
  const header = Buffer.from(JSON.stringify({ reporter, leaves: share.leaves, salt, bytes: held.content.length }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(header.length);
  return [length, header, held.content];
}

function readEntry(bytes: Buffer, at: number, component: number): { entry: ReleasedComponent; end: number } {
  try {
    const headerAt = at + LENGTH_BYTES;
    const contentAt = headerAt + bytes.readUInt32BE(at);
    const header = entryHeader.parse(JSON.parse(bytes.subarray(headerAt, contentAt).toString('utf8')));
    const end = contentAt + header.bytes;
    if (end > bytes.length) {
      throw new RangeError('it ends early');
    }
    const { reporter, leaves, salt } = header;
    const released = { component, salt: Buffer.from(salt, 'hex'), content: bytes.subarray(contentAt, end) };
    return { entry: { reporter, leaves, released }, end };
  } catch (error) {
    throw new SevError('RELEASE_MALFORMED', 'the released object has not the documented form', {
      exitCode: EXIT.integrity,
      cause: error,
    });
  }
}

function associatedData(place: DealPlace, from: string, component: number, index: number): Uint8Array {
  const { consortium, baseModelHash } = place;
  const bound = { type: 'sev/release/v1', consortium, ...attemptOf(place), baseModelHash, from, component, index };
  return Buffer.from(canonicalJson(bound), 'utf8');
}
