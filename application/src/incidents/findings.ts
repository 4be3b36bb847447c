// SPDX-License-Identifier: Apache-2.0
import { hashOf, sha256Hex, type IncidentFindings } from '@sev/chaincode/api';
import { cosine, directionNorm, estimateNorm, project, projectionVectors, ringBytes, toSigned } from '@sev/fl';
import type { AttemptRef } from '../services/attempt.js';

/** What was opened of one disputed update. */
export type Opened =
  | { readonly kind: 'projections'; readonly seed: string; readonly values: Int32Array }
  | { readonly kind: 'vectors'; readonly values: Int32Array };

/** An opened update with what it is measured by. */
export interface OpenedUpdate {
  readonly ref: AttemptRef;
  readonly opened: Opened;
  /** The round's reference direction, length d; undefined where its task has none. */
  readonly reference: Int32Array | undefined;
  /** The weight it entered the round's sum with. */
  readonly weight: number;
}

export interface FindingsTerms {
  readonly incidentId: string;
  /** f. */
  readonly fractionBits: number;
  /** d. */
  readonly parameters: number;
}

type Finding = IncidentFindings['updates'][number];

/**
 * What opened updates come to, in integers. Every organisation computes the same from the same openings: sums, products,
 * quotients and square roots only. From projections norm and cosine are estimates, whose deviation at 64 of them is an
 * eighth.
 */
export function findingsOf(terms: FindingsTerms, updates: readonly OpenedUpdate[]): IncidentFindings {
  return {
    type: 'sev/incident-findings/v1',
    incidentId: terms.incidentId,
    updates: updates.map((update) => findingOf(terms, update)),
  };
}

/** What votes name: SHA-256 of the canonical JSON. */
export function findingsHash(findings: IncidentFindings): string {
  return hashOf(findings);
}

function findingOf(terms: FindingsTerms, update: OpenedUpdate): Finding {
  const { ref, opened, weight } = update;
  const { cosine, norm } =
    opened.kind === 'vectors' ? exact(terms, opened, update.reference) : estimated(terms, opened, update.reference);
  return {
    round: ref.round,
    attempt: ref.attempt,
    ...(opened.kind === 'vectors' ? { vectorHash: vectorHash(opened.values.subarray(0, terms.parameters)) } : {}),
    cosineMilli: milli(cosine),
    normMilli: milli(norm / 2 ** terms.fractionBits),
    weight,
  };
}

interface Measured {
  readonly cosine: number;
  readonly norm: number;
}

function exact({ parameters }: FindingsTerms, { values }: Opened, reference: Int32Array | undefined): Measured {
  const update = values.subarray(0, parameters);
  const norm = directionNorm(update);
  return { norm, cosine: reference === undefined ? 0 : cosine(update, reference) };
}

/** E⟨u, v⟩⟨r, v⟩ = ⟨u, r⟩ / 2 and E⟨u, v⟩² = ‖u‖² / 2 for the random vectors that projections are along. */
function estimated(
  { parameters }: FindingsTerms,
  { seed, values }: Extract<Opened, { kind: 'projections' }>,
  reference: Int32Array | undefined,
): Measured {
  const norm = estimateNorm(values);
  if (reference === undefined) {
    return { norm, cosine: 0 };
  }
  const vectors = projectionVectors(seed, values.length, parameters);
  const projected = toSigned(project(Uint32Array.from(reference), vectors));
  return { norm, cosine: cosine(values, projected) };
}

function milli(value: number): number {
  const rounded = Math.round(1_000 * value);
  return rounded === 0 ? 0 : rounded;
}

/** Of the quantised update as little-endian int32, without its metrics. */
function vectorHash(update: Int32Array): string {
  return sha256Hex(ringBytes(Uint32Array.from(update)));
}
