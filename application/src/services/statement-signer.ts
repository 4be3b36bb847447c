// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import {
  projectionsHash,
  proposalHash,
  scoresHash,
  signStatement,
  type AbortReason,
  type AbortStatement,
  type AttestationStatement,
  type CloseStatement,
  type CohortStatement,
  type CorrectionStatement,
  type Proposal,
  type ScoreRound,
  type ScoresStatement,
  type SignedBy,
  type ValidationStatement,
} from '@sev/chaincode/api';
import { attemptOf, type AttemptRef } from './attempt.js';
import type { NetworkName } from './network-name.js';

/** Signs statements about rounds of one network with an organisation's signing key. Decides nothing. */
export class StatementSigner {
  readonly mspId: string;
  readonly #key: KeyObject;
  readonly #network: NetworkName;

  constructor(mspId: string, key: KeyObject, network: NetworkName) {
    this.mspId = mspId;
    this.#key = key;
    this.#network = network;
  }

  async close(ref: AttemptRef): Promise<SignedBy> {
    const { mspId } = this;
    return this.#sign({ type: 'sev/close-round/v1', consortium: await this.#network(), ...attemptOf(ref), mspId });
  }

  /** @param accused with `NOISE_FALSE`, sorted. */
  async abort(ref: AttemptRef, reason: AbortReason, accused?: readonly string[]): Promise<SignedBy> {
    const why = { reason, ...(accused === undefined ? {} : { accused }) };
    const content = { consortium: await this.#network(), ...attemptOf(ref), ...why, mspId: this.mspId };
    return this.#sign({ type: 'sev/abort-round/v1', ...content });
  }

  async attest(proposal: Proposal): Promise<SignedBy> {
    const hash = proposalHash(proposal);
    const content = { consortium: await this.#network(), ...attemptOf(proposal), proposalHash: hash };
    return this.#sign({ type: 'sev/attest-model/v1', ...content, mspId: this.mspId });
  }

  async cohort(
    ref: AttemptRef,
    { recordedHash, cohortHash, holders }: Pick<CohortStatement, 'recordedHash' | 'cohortHash' | 'holders'>,
  ): Promise<SignedBy> {
    const { mspId } = this;
    const attempt = { consortium: await this.#network(), ...attemptOf(ref) };
    return this.#sign({ type: 'sev/fix-cohort/v1', ...attempt, recordedHash, cohortHash, holders, mspId });
  }

  /** @param attested the weights, and what they follow from. */
  async scores(attested: Omit<ScoreRound, 'attestations'>): Promise<SignedBy> {
    const { mspId } = this;
    const attempt = { consortium: await this.#network(), ...attemptOf(attested.scores) };
    const hashes = { scoresHash: scoresHash(attested.scores), projectionsHash: projectionsHash(attested) };
    return this.#sign({ type: 'sev/attest-scores/v2', ...attempt, ...hashes, mspId });
  }

  /** @param word what it says of the base model. */
  async validation(
    ref: AttemptRef,
    word: Pick<ValidationStatement, 'baseModelHash' | 'dataHash' | 'lossMicro' | 'directionHash'>,
  ): Promise<SignedBy> {
    const { mspId } = this;
    return this.#sign({
      type: 'sev/validation/v1',
      consortium: await this.#network(),
      ...attemptOf(ref),
      ...word,
      mspId,
    });
  }

  /** @param measured both models, and what they are worth on the organisation's data. */
  async correction(measured: Omit<CorrectionStatement, 'type' | 'consortium' | 'mspId'>): Promise<SignedBy> {
    const { mspId } = this;
    return this.#sign({ type: 'sev/correct-model/v1', consortium: await this.#network(), ...measured, mspId });
  }

  #sign(
    statement:
      | CloseStatement
      | AbortStatement
      | AttestationStatement
      | CohortStatement
      | ScoresStatement
      | ValidationStatement
      | CorrectionStatement,
  ): SignedBy {
    return { mspId: this.mspId, signature: signStatement(statement, this.#key) };
  }
}
