// SPDX-License-Identifier: Apache-2.0
import type { common } from '@hyperledger/fabric-protos';
import { hasCode, type SevError } from '../errors.js';
import { AuditError, newAuditCounts, type AuditCounts, type AuditFailure } from './failure.js';
import { anchorsOf, openExport, type LedgerExport } from './export.js';
import type { DomainState } from './domain-context.js';
import type { ObjectReader } from './objects.js';
import { LedgerReplay, type TrustAnchors } from './replay.js';
import { checkStore } from './store-check.js';

/** What is being checked, how far it is; total is unknown while blocks are still coming. */
export interface AuditProgress {
  readonly stage: 'blocks' | 'rounds';
  readonly done: number;
  readonly total?: number;
}

export interface CheckOptions {
  /** Without a store, models and updates are not looked at, and the result says so. */
  readonly store?: ObjectReader;
  /** Task whose objects are looked for in the store; blocks and records are checked of all tasks in any case. */
  readonly storeTaskId?: string;
  readonly onProgress?: (progress: AuditProgress) => void;
}

export interface VerifyOptions extends CheckOptions {
  readonly anchors: TrustAnchors;
  /** All blocks from number 0 on, from a gateway or an export. */
  readonly blocks: AsyncIterable<common.Block> | Iterable<common.Block>;
  /** Number of blocks, where known; only for progress. */
  readonly height?: number;
}

/** What can be left out: the store, or the objects of all tasks but one. */
export type SkippedPart = 'store' | 'objects-of-other-tasks';

export interface AuditResult {
  readonly ok: boolean;
  readonly checked: Readonly<AuditCounts>;
  /** Hex of the last good block's hash, to be compared with what others have. */
  readonly lastBlockHash: string;
  readonly height: number;
  /** Parts that were not looked at. */
  readonly skipped: readonly SkippedPart[];
  readonly firstFailure?: AuditFailure;
  /** Finalised rounds by `task/round`, as far as the audit came. */
  readonly rounds: ReadonlyMap<string, AuditedRound>;
}

/** A finalised round as the blocks tell it. */
export interface AuditedRound {
  readonly attempt: number;
  readonly modelHash: string;
  /** Valid transactions of the attempt, and the distinct blocks that hold them. */
  readonly transactions: number;
  readonly commits: number;
}

/**
 * Checks a ledger as a stranger would who has nothing but the connection profile's roots and genesis hash: the chain
 * of blocks, every signature and validation code, the contracts' rules replayed from the requests, and the store's
 * objects against the recorded hashes. Stops at the first thing that does not hold.
 *
 * @throws only where blocks or store cannot be read at all; what does not hold is in the result.
 */
export async function verifyLedger(options: VerifyOptions): Promise<AuditResult> {
  const counts = newAuditCounts();
  let replay: LedgerReplay;
  try {
    replay = new LedgerReplay(options.anchors, counts);
  } catch (error) {
    return unread(error, options);
  }
  const firstFailure = await firstFailureOf(options, replay);
  return {
    ok: firstFailure === undefined,
    checked: counts,
    lastBlockHash: replay.lastHash,
    height: replay.height,
    skipped: skippedBy(options),
    ...(firstFailure === undefined ? {} : { firstFailure }),
    rounds: roundsOf(replay.domain.state),
  };
}

function roundsOf({ finalised, activity }: DomainState): ReadonlyMap<string, AuditedRound> {
  return new Map(
    finalised.map(({ record: { taskId, round, attempt, proposal } }) => {
      const key = `${taskId}/${String(round)}`;
      const cost = activity.get(`${key}/${String(attempt)}`);
      const modelHash = proposal?.modelHash ?? '';
      return [key, { attempt, modelHash, transactions: cost?.transactions ?? 0, commits: cost?.blocks.size ?? 0 }];
    }),
  );
}

export interface VerifyExportOptions extends CheckOptions {
  readonly path: string;
  /** Hash of block 0 from a better source than the export itself. */
  readonly genesisHash?: string;
}

/** Checks an export as {@link verifyLedger} checks a ledger; damage to the file itself is a failure like any other. */
export async function verifyExport({ path, genesisHash, ...check }: VerifyExportOptions): Promise<AuditResult> {
  let file: LedgerExport;
  try {
    file = await openExport(path);
  } catch (error) {
    return unread(error, check);
  }
  const own = anchorsOf(file.manifest);
  const anchors = genesisHash === undefined ? own : { ...own, genesisHash };
  return verifyLedger({ anchors, blocks: file.blocks(), ...check });
}

function skippedBy({ store, storeTaskId }: CheckOptions): AuditResult['skipped'] {
  if (store === undefined) {
    return ['store'];
  }
  return storeTaskId === undefined ? [] : ['objects-of-other-tasks'];
}

/** The result of an audit that failed before the first block. @throws whatever is not a finding. */
function unread(error: unknown, options: CheckOptions): AuditResult {
  if (!(error instanceof AuditError)) {
    throw error;
  }
  const { failure: firstFailure } = error;
  return {
    ok: false,
    checked: newAuditCounts(),
    lastBlockHash: '',
    height: 0,
    skipped: skippedBy(options),
    firstFailure,
    rounds: new Map(),
  };
}

async function firstFailureOf(options: VerifyOptions, replay: LedgerReplay): Promise<AuditFailure | undefined> {
  const { blocks, height, store, storeTaskId, onProgress } = options;
  const total = height === undefined ? {} : { total: height };
  try {
    for await (const block of blocks) {
      replay.add(block);
      onProgress?.({ stage: 'blocks', done: replay.height, ...total });
    }
    if (replay.height === 0) {
      throw new AuditError({ kind: 'block', where: 'block 0', code: 'LEDGER_EMPTY', detail: 'no block was read' });
    }
    replay.finish();
    if (store !== undefined) {
      await checkStore(replay.domain.state, {
        store,
        ...(storeTaskId === undefined ? {} : { taskId: storeTaskId }),
        progress: (done, rounds) => {
          onProgress?.({ stage: 'rounds', done, total: rounds });
        },
      });
    }
    return undefined;
  } catch (error) {
    if (error instanceof AuditError) {
      return error.failure;
    }
    if (isDataLoss(error)) {
      // What stands before the damage was delivered.
      return {
        kind: 'block',
        where: `block ${String(replay.height)}`,
        code: 'BLOCK_UNREADABLE',
        detail: error.message,
      };
    }
    throw error;
  }
}

/** True where a peer that checks its own files says that the bytes of a block have changed. */
export function isDataLoss(error: unknown): error is SevError {
  return hasCode(error, 'LEDGER_FAILED') && /\bDATA_LOSS\b/.test(error.message);
}
