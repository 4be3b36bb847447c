// SPDX-License-Identifier: Apache-2.0
import {
  majorityOf,
  projectionsHash,
  proposalHash,
  scoresHash,
  signedBy,
  type AbortReason,
  type AbortStatement,
  type AttestationStatement,
  type CloseStatement,
  type CohortStatement,
  type ConsortiumRecord,
  type FixCohort,
  type Proposal,
  type ScoreRound,
  type ScoresStatement,
  type Signable,
  type SignedBy,
} from '@sev/chaincode/api';
import { SevError, messageOf } from '../errors.js';
import type { AbortEvidence } from '../services/abort-evidence.js';
import type { AttemptRef } from '../services/attempt.js';
import { errorCode } from '../services/log.js';
import { isSigned } from '../services/signed-statements.js';
import { TooEarlyError } from '../services/too-early.js';

/** What a cohort is, and whose holdings say so. */
export interface CohortRequest {
  readonly ref: AttemptRef;
  readonly holdings: FixCohort['holdings'];
  readonly recordedHash: string;
  readonly cohortHash: string;
  readonly holders: readonly string[];
}

/** Scores with all that they follow from. */
export interface ScoresRequest extends Omit<ScoreRound, 'attestations'> {
  /** By component, base64; see `computeScores`. For aggregators and attesters only. */
  readonly numbers: Readonly<Record<string, string>>;
  /** The same of the earlier rounds that the scores name, in their order; absent where the attester has had them. */
  readonly past?: readonly Readonly<Record<string, string>>[] | undefined;
}

/** One organisation that may sign statements about a round: over HTTP, or in this process. */
export interface StatementSource {
  readonly mspId: string;
  close(ref: AttemptRef): Promise<SignedBy>;
  abort(ref: AttemptRef, reason: AbortReason, evidence: AbortEvidence): Promise<SignedBy>;
  attest(proposal: Proposal): Promise<SignedBy>;
  cohort(request: CohortRequest): Promise<SignedBy>;
  scores(request: ScoresRequest): Promise<SignedBy>;
}

/** Why an organisation did not sign. */
export interface Refusal {
  readonly mspId: string;
  readonly code: string;
  readonly detail: string;
  /** Milliseconds after which it would, where it was only too early. */
  readonly leftMs?: number;
}

/** How many organisations signed, of how many that have to, of how many there are. */
interface Tally {
  readonly signed: number;
  readonly needed: number;
  readonly members: number;
}

/** Least time before the same is asked again, so that attesters that answer with a few milliseconds make no busy loop. */
const MIN_RETRY_MS = 250;

/** Fewer than a majority signed. */
export class StatementsError extends SevError {
  readonly refusals: readonly Refusal[];
  /** After this time a majority may sign the same; undefined where time alone does not bring one. */
  readonly retryAfterMs: number | undefined;

  constructor(what: string, { signed, needed, members }: Tally, refusals: readonly Refusal[]) {
    const reasons = refusals.map((r) => `${r.mspId} ${r.code}: ${r.detail}`).join('; ');
    super(
      'STATEMENTS_INSUFFICIENT',
      `${String(needed)} of ${String(members)} organisations needed to sign ${what}, ${String(signed)} did: ${reasons}`,
    );
    this.name = 'StatementsError';
    this.refusals = refusals;
    const left = refusals.flatMap(({ leftMs }) => (leftMs === undefined ? [] : [leftMs])).sort((a, b) => a - b);
    const last = left[needed - signed - 1];
    this.retryAfterMs = last === undefined ? undefined : Math.max(MIN_RETRY_MS, last);
  }
}

/** Gathers signed statements of a majority of the consortium. */
export class StatementGatherer {
  readonly #consortium: ConsortiumRecord;
  readonly #sources: readonly StatementSource[];

  constructor(consortium: ConsortiumRecord, sources: readonly StatementSource[]) {
    this.#consortium = consortium;
    this.#sources = sources;
  }

  /** The members, as they were when this was made. */
  get consortium(): ConsortiumRecord {
    return this.#consortium;
  }

  /** @throws StatementsError */
  close(ref: AttemptRef): Promise<readonly SignedBy[]> {
    const content = { consortium: this.#consortium.bootstrapHash, ...ref };
    return this.#majority(
      'the close of the round',
      (source) => source.close(ref),
      (mspId): CloseStatement => ({ type: 'sev/close-round/v1', ...content, mspId }),
    );
  }

  /** @throws StatementsError */
  abort(ref: AttemptRef, reason: AbortReason, evidence: AbortEvidence = {}): Promise<readonly SignedBy[]> {
    const accused = reason === 'NOISE_FALSE' ? evidence.accused : undefined;
    const why = { reason, ...(accused === undefined ? {} : { accused }) };
    const content = { consortium: this.#consortium.bootstrapHash, ...ref, ...why };
    return this.#majority(
      'the abort of the round',
      (source) => source.abort(ref, reason, evidence),
      (mspId): AbortStatement => ({ type: 'sev/abort-round/v1', ...content, mspId }),
    );
  }

  /** @throws StatementsError */
  attest(proposal: Proposal): Promise<readonly SignedBy[]> {
    const { taskId, round, attempt } = proposal;
    const { bootstrapHash: consortium } = this.#consortium;
    const content = { consortium, taskId, round, attempt, proposalHash: proposalHash(proposal) };
    return this.#majority(
      'the model',
      (source) => source.attest(proposal),
      (mspId): AttestationStatement => ({ type: 'sev/attest-model/v1', ...content, mspId }),
    );
  }

  /** @throws StatementsError */
  cohort(request: CohortRequest): Promise<readonly SignedBy[]> {
    const { ref, recordedHash, cohortHash, holders } = request;
    const content = { consortium: this.#consortium.bootstrapHash, ...ref, recordedHash, cohortHash, holders };
    return this.#majority(
      'the cohort',
      (source) => source.cohort(request),
      (mspId): CohortStatement => ({ type: 'sev/fix-cohort/v1', ...content, mspId }),
    );
  }

  /** @throws StatementsError */
  scores(request: ScoresRequest): Promise<readonly SignedBy[]> {
    const { taskId, round, attempt } = request.scores;
    const { bootstrapHash: consortium } = this.#consortium;
    const hashes = { scoresHash: scoresHash(request.scores), projectionsHash: projectionsHash(request) };
    const content = { consortium, taskId, round, attempt, ...hashes };
    return this.#majority(
      'the weights',
      (source) => source.scores(request),
      (mspId): ScoresStatement => ({ type: 'sev/attest-scores/v2', ...content, mspId }),
    );
  }

  /**
   * Asks everybody at once and goes on as soon as a majority has signed, so that a dead attester costs nothing.
   * Signatures are checked here: one bad signature would spoil the whole transaction.
   */
  #majority(
    what: string,
    ask: (source: StatementSource) => Promise<SignedBy>,
    statementOf: (mspId: string) => Signable,
  ): Promise<readonly SignedBy[]> {
    const members = this.#consortium.organisations.length;
    const needed = majorityOf(members);
    return new Promise((resolve, reject) => {
      const signed: SignedBy[] = [];
      const refusals: Refusal[] = [];
      const settle = (): void => {
        if (signed.length >= needed) {
          resolve(signed.slice(0, needed));
        } else if (signed.length + refusals.length === this.#sources.length) {
          reject(new StatementsError(what, { signed: signed.length, needed, members }, refusals));
        }
      };
      settle();
      for (const source of this.#sources) {
        void this.#checked(source, ask, statementOf)
          .then((one) => signed.push(one))
          .catch((error: unknown) =>
            refusals.push({
              mspId: source.mspId,
              code: errorCode(error) ?? 'FAILED',
              detail: messageOf(error),
              ...(error instanceof TooEarlyError ? { leftMs: error.leftMs } : {}),
            }),
          )
          .then(settle);
      }
    });
  }

  async #checked(
    source: StatementSource,
    ask: (source: StatementSource) => Promise<SignedBy>,
    statementOf: (mspId: string) => Signable,
  ): Promise<SignedBy> {
    const answer = signedBy.safeParse(await ask(source));
    const isOwn = answer.success && answer.data.mspId === source.mspId;
    if (!isOwn || !isSigned(this.#consortium, answer.data, statementOf(source.mspId))) {
      throw new SevError('SIGNATURE_INVALID', `the statement is not signed with the key of ${source.mspId}`);
    }
    return answer.data;
  }
}
