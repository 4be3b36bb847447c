// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { compareKeys, groupBy } from '../shares.js';
import type { Session } from './sessions.js';

/** A session among those of its user. */
export interface SessionInHistory {
  /** SHA-256 of the session's number, hex: decides the client of the split `iid`. */
  readonly hash: string;
  readonly session: Session;
  /** All sessions of the user, by (time of plug-in, number). */
  readonly own: readonly Session[];
  /** Position of the session among them. */
  readonly index: number;
}

export interface SessionParts {
  readonly training: readonly SessionInHistory[];
  readonly test: readonly SessionInHistory[];
}

/** Users with fewer sessions than this are for training alone. */
const MIN_SESSIONS_FOR_TEST = 10;

/** Each user's sessions sorted by (time of plug-in, number); the last fifth, from floor(4n/5) on, is for test. */
export function splitSessions(sessions: readonly Session[]): SessionParts {
  const training: SessionInHistory[] = [];
  const test: SessionInHistory[] = [];
  for (const own of groupBy(sessions, ({ userId }) => userId).values()) {
    own.sort((a, b) => a.pluggedInAt - b.pluggedInAt || compareKeys(a.sessionId, b.sessionId));
    const firstTest = own.length < MIN_SESSIONS_FOR_TEST ? own.length : Math.floor((4 * own.length) / 5);
    own.forEach((session, index) => {
      const row = { hash: sha256Hex(session.sessionId), session, own, index };
      (index < firstTest ? training : test).push(row);
    });
  }
  return { training, test };
}

/** SHA-256, hex, of the sorted numbers of the test sessions joined by line feeds. */
export function testSessionsFingerprint({ test }: Pick<SessionParts, 'test'>): string {
  const ids = test.map(({ session }) => session.sessionId).sort(compareKeys);
  return sha256Hex(ids.join('\n'));
}

/**
 * The earlier sessions of the user that had ended at plug-in: with two cars one may be plugged in while the other
 * charges, and that session's energy is not known yet.
 */
export function earlierSessions({ session, own, index }: SessionInHistory): readonly Session[] {
  return own.slice(0, index).filter(({ pluggedOutAt }) => pluggedOutAt <= session.pluggedInAt);
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
