// SPDX-License-Identifier: Apache-2.0
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readConnectionProfile, type ConnectionProfile } from '../config/index.js';
import {
  firstOf,
  folderReader,
  isDataLoss,
  verifyLedger,
  type AuditResult,
  type CheckOptions,
  type ObjectReader,
  type TrustAnchors,
} from '../auditor/index.js';
import { EXIT, SevError, systemCode } from '../errors.js';
import { FileStore, HttpStore, type ObjectStore } from '../store/index.js';
import type { LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';

export function anchorsOfProfile(profile: ConnectionProfile): TrustAnchors {
  const { channel, chaincode, genesisHash, organisations } = profile;
  return { channel, chaincode, genesisHash, organisations };
}

/** A store named by its address or by its folder. */
export async function openStore(where: string): Promise<ObjectStore> {
  return isAddress(where) ? new HttpStore(where) : FileStore.open(where);
}

/**
 * Stores to be audited, each named by its address or by its folder; nothing is created or changed in them.
 *
 * @throws SevError STORE_MISSING where there is no such folder.
 */
export async function openStoresToAudit(places: readonly string[]): Promise<ObjectReader> {
  return firstOf(await Promise.all(places.map(storeToAudit)));
}

async function storeToAudit(where: string): Promise<ObjectReader> {
  if (isAddress(where)) {
    return new HttpStore(where);
  }
  const found = await stat(where).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  });
  if (found?.isDirectory() !== true) {
    throw new SevError('STORE_MISSING', `${where}: no such folder`, {
      hint: 'Name the folder or the address of the store, or leave the store out with --no-store.',
      exitCode: EXIT.usage,
    });
  }
  return folderReader(where);
}

function isAddress(where: string): boolean {
  return /^https?:\/\//.test(where);
}

/** Folder of a store's objects within the homes of a machine that runs everything. */
export function storeFolder(homes: string): string {
  return join(homes, 'store', 'objects');
}

export interface AuditLedgerOptions extends CheckOptions {
  readonly session: LedgerSession;
  /** Hash of block 0 from a better source than the connection profile. */
  readonly genesisHash?: string;
}

/** Audits the ledger up to its present height through a session's gateway. */
export async function auditLedger(options: AuditLedgerOptions): Promise<AuditResult> {
  const { session, genesisHash, ...check } = options;
  const anchors = anchorsOfProfile(await readConnectionProfile());
  const height = await knownHeight(session);
  return verifyLedger({
    anchors: genesisHash === undefined ? anchors : { ...anchors, genesisHash },
    blocks: session.blocks(height === undefined ? {} : { endBlock: height - 1n }),
    ...(height === undefined ? {} : { height: Number(height) }),
    ...check,
  });
}

/** The height, unless it is the newest block itself that the peer cannot read: then the blocks end there anyway. */
async function knownHeight(session: LedgerSession): Promise<bigint | undefined> {
  try {
    return await session.height();
  } catch (error) {
    if (isDataLoss(error)) {
      return undefined;
    }
    throw error;
  }
}

/** The audit as a report tells it. */
export function auditReport(result: AuditResult): Report['audit'] {
  const details = { ...result.checked };
  const checked = Object.values(details).reduce((sum, count) => sum + count, 0);
  const { ok, firstFailure } = result;
  return firstFailure === undefined ? { ok, checked, details } : { ok, checked, details, firstFailure };
}
