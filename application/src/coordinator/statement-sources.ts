// SPDX-License-Identifier: Apache-2.0
import { signedBy, type AbortReason, type Proposal, type SignedBy } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import type { AbortEvidence } from '../services/abort-evidence.js';
import type { AttemptRef } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import { errorCode } from '../services/log.js';
import type { StatementSigner } from '../services/statement-signer.js';
import { TooEarlyError } from '../services/too-early.js';
import type { CohortRequest, ScoresRequest, StatementSource } from './statements.js';

const TIMEOUT_MS = 15_000;

/** Another organisation's attester over HTTP. */
export class HttpStatementSource implements StatementSource {
  readonly mspId: string;
  readonly #url: string;

  constructor(mspId: string, url: string) {
    this.mspId = mspId;
    this.#url = url.replace(/\/+$/, '');
  }

  close(ref: AttemptRef): Promise<SignedBy> {
    return this.#ask('close', ref);
  }

  abort(ref: AttemptRef, reason: AbortReason, evidence: AbortEvidence): Promise<SignedBy> {
    return this.#ask('abort', { ...ref, reason, evidence });
  }

  attest(proposal: Proposal): Promise<SignedBy> {
    return this.#ask('attest', { proposal });
  }

  cohort(request: CohortRequest): Promise<SignedBy> {
    return this.#ask('cohort', request);
  }

  /** Numbers of earlier rounds are sent to an attester that has not seen them, as one that was started again. */
  async scores({ past, ...request }: ScoresRequest): Promise<SignedBy> {
    try {
      return await this.#ask('scores', request);
    } catch (error) {
      if (errorCode(error) !== 'PAST_NUMBERS_MISSING') {
        throw error;
      }
      return this.#ask('scores', { ...request, past });
    }
  }

  async #ask(what: string, body: unknown): Promise<SignedBy> {
    const answer = await postJson(`${this.#url}/statements/${what}`, body, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const { code, detail, leftMs } = problemOf(answer);
      throw leftMs === undefined ? new SevError(code, detail) : new TooEarlyError(code, detail, leftMs);
    }
    const parsed = signedBy.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} did not answer with a signed statement`);
    }
    return parsed.data;
  }
}

/**
 * The coordinator's own organisation: it signs what the coordinator has just decided or computed itself, in the same
 * process and with the organisation's key. The other organisations check on their own.
 */
export class OwnStatementSource implements StatementSource {
  readonly mspId: string;
  readonly #signer: StatementSigner;

  constructor(signer: StatementSigner) {
    this.mspId = signer.mspId;
    this.#signer = signer;
  }

  close(ref: AttemptRef): Promise<SignedBy> {
    return this.#signer.close(ref);
  }

  abort(ref: AttemptRef, reason: AbortReason, { accused }: AbortEvidence): Promise<SignedBy> {
    return this.#signer.abort(ref, reason, reason === 'NOISE_FALSE' ? accused : undefined);
  }

  attest(proposal: Proposal): Promise<SignedBy> {
    return this.#signer.attest(proposal);
  }

  cohort(request: CohortRequest): Promise<SignedBy> {
    return this.#signer.cohort(request.ref, request);
  }

  scores(request: ScoresRequest): Promise<SignedBy> {
    return this.#signer.scores(request);
  }
}
