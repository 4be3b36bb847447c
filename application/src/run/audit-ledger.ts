// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { readConnectionProfile, type ConnectionProfile } from '../config/index.js';
import { isDataLoss, verifyLedger, type AuditProgress, type AuditResult, type TrustAnchors } from '../auditor/index.js';
import { FileStore, HttpStore, type ObjectStore } from '../store/index.js';
import type { LedgerSession } from '../ledger/index.js';
import type { Report } from '../report/report.js';

export function anchorsOfProfile(profile: ConnectionProfile): TrustAnchors {
  const { channel, chaincode, genesisHash, organisations } = profile;
  return { channel, chaincode, genesisHash, organisations };
}

/** A store named by its address or by its folder. */
export async function openStore(where: string): Promise<ObjectStore> {
  return /^https?:\/\//.test(where) ? new HttpStore(where) : FileStore.open(where);
}

/** Folder of a store's objects within the homes of a machine that runs everything. */
export function storeFolder(homes: string): string {
  return join(homes, 'store', 'objects');
}

export interface AuditLedgerOptions {
  readonly session: LedgerSession;
  readonly store?: ObjectStore;
  /** Hash of block 0 from a better source than the connection profile. */
  readonly genesisHash?: string;
  readonly onProgress?: (progress: AuditProgress) => void;
}

/** Audits the ledger up to its present height through a session's gateway. */
export async function auditLedger(options: AuditLedgerOptions): Promise<AuditResult> {
  const { session, store, genesisHash, onProgress } = options;
  const anchors = anchorsOfProfile(await readConnectionProfile());
  const height = await knownHeight(session);
  return verifyLedger({
    anchors: genesisHash === undefined ? anchors : { ...anchors, genesisHash },
    blocks: session.blocks(height === undefined ? {} : { endBlock: height - 1n }),
    ...(height === undefined ? {} : { height: Number(height) }),
    ...(store === undefined ? {} : { store }),
    ...(onProgress === undefined ? {} : { onProgress }),
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
