// SPDX-License-Identifier: Apache-2.0
import type { IncidentFindings } from '@sev/chaincode/api';
import { EXIT, SevError, hasCode } from '../errors.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { mapConcurrently } from '../services/concurrency.js';
import type { FetchObject } from '../services/round-outcome.js';
import { directionIfAny } from '../validation/directions.js';
import type { DisputedUpdates, OpenedRound } from './disputed-updates.js';
import { findingsHash, findingsOf } from './findings.js';

/** Disputed updates opened at a time. */
const OPENED_AT_A_TIME = 4;

/** What an incident's votes have opened, and what it comes to. */
export interface Evidence {
  readonly findings: IncidentFindings;
  readonly hash: string;
  /** Of each update in the findings: how far the aggregators bear it out. */
  readonly sources: readonly Pick<OpenedRound, 'ref' | 'alone' | 'refuted' | 'silent'>[];
  /** Disputed attempts that can no longer be opened; the findings are without them. */
  readonly lost: readonly { readonly round: number; readonly attempt: number; readonly message: string }[];
  readonly hasReference: boolean;
}

/**
 * Opens all disputed updates that can still be had and measures them. Who does the same with the same aggregators gets the
 * same findings.
 *
 * @throws SevError INCIDENT_STATE before a vote, EVIDENCE_DISAGREES, EVIDENCE_INCOMPLETE where nothing can be opened.
 */
export async function gatherEvidence(updates: DisputedUpdates, fetch: FetchObject): Promise<Evidence> {
  const { task, terms, incident } = updates;
  const results = await mapConcurrently(updates.refs, OPENED_AT_A_TIME, (ref) => tryToOpen(updates, ref, fetch));
  const found = results.flatMap(({ measured }) => measured ?? []);
  const lost = results.flatMap(({ ref, error }) => (error === undefined ? [] : [{ ref, error }]));
  const [first] = lost;
  if (found.length === 0 && first !== undefined) {
    throw first.error;
  }
  const { incidentId } = incident;
  const findings = findingsOf(
    { incidentId, fractionBits: terms.fractionBits, parameters: task.model.parameters },
    found.map(({ opened, reference }) => ({ ...opened, reference })),
  );
  return {
    findings,
    hash: findingsHash(findings),
    sources: found.map(({ opened: { ref, alone, refuted, silent } }) => ({ ref, alone, refuted, silent })),
    lost: lost.map(({ ref, error }) => ({ round: ref.round, attempt: ref.attempt, message: error.message })),
    hasReference: found.some(({ reference }) => reference !== undefined),
  };
}

interface Tried {
  readonly ref: AttemptRef;
  readonly measured?: { readonly opened: OpenedRound; readonly reference: Int32Array | undefined };
  readonly error?: SevError;
}

async function tryToOpen(updates: DisputedUpdates, ref: AttemptRef, fetch: FetchObject): Promise<Tried> {
  const disputed = await updates.round(ref);
  try {
    const opened = await updates.open(disputed);
    const { secure } = disputed.round;
    const { parameters } = updates.task.model;
    const reference = await directionIfAny(secure, secure.references, parameters, fetch);
    return { ref, measured: { opened, reference } };
  } catch (error) {
    if (hasCode(error, 'EVIDENCE_INCOMPLETE')) {
      return { ref, error };
    }
    throw error;
  }
}

/**
 * A vehicle is revoked on what two aggregators say alike, or on the update that it signed itself: not on numbers that one
 * organisation alone answers for.
 *
 * @throws SevError EVIDENCE_ALONE
 */
export function insistOnBorneOut({ sources }: Pick<Evidence, 'sources'>): void {
  const resting = sources.filter(({ alone }) => alone.length > 0);
  if (resting.length > 0) {
    const where = resting.map(({ ref, alone }) => `${attemptKey(ref)}: component ${alone.join(', ')}`).join('; ');
    throw new SevError('EVIDENCE_ALONE', `one aggregator alone answers for the projections of ${where}`, {
      hint: 'Ask again when the others answer, or open the updates: `sev incident vote <incident> --step vectors`.',
      exitCode: EXIT.refused,
    });
  }
}

/**
 * @param named hash that somebody else computed.
 * @throws SevError FINDINGS_DIFFER
 */
export function insistOnSameFindings({ hash }: Pick<Evidence, 'hash'>, named: string): void {
  if (named !== hash) {
    throw new SevError('FINDINGS_DIFFER', `the opened updates come to findings ${hash}, not ${named}`, {
      hint: 'Run `sev incident evidence` again: more may be opened now, or an aggregator that answers now did not before.',
    });
  }
}
