// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import {
  proposalHash,
  signStatement,
  type AbortStatement,
  type AttestationStatement,
  type CloseStatement,
  type Proposal,
  type SignedBy,
} from '@sev/chaincode/api';
import { attemptOf, type AttemptRef } from './attempt.js';

/** Signs statements about rounds with an organisation's signing key. Decides nothing. */
export class StatementSigner {
  readonly mspId: string;
  readonly #key: KeyObject;

  constructor(mspId: string, key: KeyObject) {
    this.mspId = mspId;
    this.#key = key;
  }

  close(ref: AttemptRef): SignedBy {
    return this.#sign({ type: 'sev/close-round/v1', ...attemptOf(ref), mspId: this.mspId });
  }

  abort(ref: AttemptRef, reason: string): SignedBy {
    return this.#sign({ type: 'sev/abort-round/v1', ...attemptOf(ref), reason, mspId: this.mspId });
  }

  attest(proposal: Proposal): SignedBy {
    const hash = proposalHash(proposal);
    return this.#sign({ type: 'sev/attest-model/v1', ...attemptOf(proposal), proposalHash: hash, mspId: this.mspId });
  }

  #sign(statement: CloseStatement | AbortStatement | AttestationStatement): SignedBy {
    return { mspId: this.mspId, signature: signStatement(statement, this.#key) };
  }
}
