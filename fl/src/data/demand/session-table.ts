// SPDX-License-Identifier: Apache-2.0
import { checkClientRows, checkedCounts, checkEnoughRows, type LearningTable, type SplitRequest } from '../table.js';
import { hashRank, naturalShares, newLearningTable, sharesByHash, sharesByKey, type Shares } from '../shares.js';
import { encodeSessions, SESSION_FEATURES, SESSION_TARGET, type SessionSet } from './session-features.js';
import { splitSessions, testSessionsFingerprint, type SessionInHistory, type SessionParts } from './session-split.js';
import type { SessionTable } from './sessions.js';

/** `location` and `user`: a client for each; `iid`: uint32(hex digits 8-15 of SHA-256 of the number) mod K. */
export const SESSION_SPLITS = ['location', 'user', 'iid'] as const;
export type SessionSplit = (typeof SESSION_SPLITS)[number];

/** Energy of charging sessions, from what is known at plug-in or at departure. */
export function sessionTable(table: SessionTable, set: SessionSet): LearningTable {
  const parts = splitSessions(table.sessions);
  const facts = {
    source: table.source,
    features: SESSION_FEATURES[set],
    target: SESSION_TARGET,
    splits: SESSION_SPLITS,
    rows: table.sessions.length,
    testFingerprint: testSessionsFingerprint(parts),
  };
  return newLearningTable(
    facts,
    (split, request) => shareSessions(table.source, parts, split, request),
    (rows) => encodeSessions(set, rows),
    hashRank,
  );
}

function shareSessions(
  source: string,
  parts: SessionParts,
  split: SessionSplit,
  request: SplitRequest,
): Shares<SessionInHistory> {
  if (split === 'iid') {
    const counts = checkedCounts(request);
    checkEnoughRows(source, parts.training.length, counts);
    const shares = sharesByHash(parts, counts.clients);
    checkClientRows(shares.clients, counts.minRows);
    return shares;
  }
  const keyOf = ({ session }: SessionInHistory): string => (split === 'location' ? session.location : session.userId);
  return naturalShares(source, sharesByKey(parts, keyOf), request);
}
