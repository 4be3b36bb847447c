// SPDX-License-Identifier: Apache-2.0
import {
  commitHeSum,
  decodeBitmap,
  fixCohort,
  heOpening,
  heOpeningHash,
  parsePublicKey,
  signedBy,
  type CommitHeSum,
  type ConsortiumRecord,
  type FixCohort,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeOpening,
  type HeSumStatement,
  type HoldingsStatement,
  type OpeningStatement,
  type RoundRecord,
  type Signable,
  type SignedBy,
} from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';
import type { PreparedHePart } from './party-client.js';

/** Who does what in mode `he`, by the names of its terms. */
export type Part = 'keyHolder' | 'summer' | 'maskHolder';

/** Each gives its own field of an opening, and no other's. */
const PREPARED: Readonly<Record<Part, z.ZodType<PreparedHePart>>> = {
  keyHolder: heOpening.pick({ publicKeyHash: true }),
  summer: z.strictObject({}),
  maskHolder: heOpening.pick({ sealingKey: true }),
};

/**
 * Checks what one organisation answers about an attempt, before it becomes part of a transaction that one false answer would
 * spoil for all. Whatever does not hold is thrown.
 *
 * @throws SevError ANSWER_FALSE, from every method.
 */
export class HeAnswers {
  readonly #consortium: ConsortiumRecord;
  readonly #ref: AttemptRef;
  readonly #mspId: string;

  constructor(consortium: ConsortiumRecord, ref: AttemptRef, mspId: string) {
    this.#consortium = consortium;
    this.#ref = attemptOf(ref);
    this.#mspId = mspId;
  }

  prepared(answer: PreparedHePart, part: Part): PreparedHePart {
    const own = this.#formed(PREPARED[part], answer);
    const { sealingKey } = own;
    this.#insist(sealingKey === undefined || parsePublicKey(sealingKey) !== undefined, 'a key that is none');
    return own;
  }

  accepted(answer: SignedBy, baseModelHash: string, opening: HeOpening): SignedBy {
    const signed = this.#formed(signedBy, answer);
    this.#insist(signed.mspId === this.#mspId, `the word of ${signed.mspId}`);
    const content = { ...this.#bound(), baseModelHash, openingHash: heOpeningHash(opening) };
    this.#signed(signed, { type: 'sev/round-opening/v1', ...content } satisfies OpeningStatement);
    return signed;
  }

  /** @param recorded.count of updates, whose hash is `recorded.hash`. */
  holdings(
    answer: FixCohort['holdings'][number],
    recorded: { readonly hash: string; readonly count: number },
  ): FixCohort['holdings'][number] {
    const signed = this.#formed(fixCohort.shape.holdings.element, answer);
    const { held } = signed;
    this.#insist(signed.mspId === this.#mspId, `the word of ${signed.mspId}`);
    this.#insist(decodeBitmap(held, recorded.count) !== undefined, 'holdings of another number of updates');
    const content = { ...this.#bound(), recordedHash: recorded.hash, held };
    this.#signed(signed, { type: 'sev/holdings/v1', ...content } satisfies HoldingsStatement);
    return signed;
  }

  sum(answer: CommitHeSum['sum'], { he }: RoundRecord): CommitHeSum['sum'] {
    const signed = this.#formed(commitHeSum.shape.sum, answer);
    const content = { ...this.#bound(), cohortHash: he?.cohortHash ?? '', sumHash: signed.sumHash };
    this.#signed(signed, { type: 'sev/he-sum/v1', ...content } satisfies HeSumStatement);
    return signed;
  }

  masks(answer: CommitHeSum['masks'], { he }: RoundRecord): CommitHeSum['masks'] {
    const signed = this.#formed(commitHeSum.shape.masks, answer);
    const content = { ...this.#bound(), cohortHash: he?.cohortHash ?? '', masksHash: signed.masksHash };
    this.#signed(signed, { type: 'sev/he-masks/v1', ...content } satisfies HeMasksStatement);
    return signed;
  }

  masked(answer: CommitHeSum['masked'], { he }: RoundRecord, sumHash: string): CommitHeSum['masked'] {
    const signed = this.#formed(commitHeSum.shape.masked, answer);
    const { maskedHash } = signed;
    const content = { ...this.#bound(), cohortHash: he?.cohortHash ?? '', sumHash, maskedHash };
    this.#signed(signed, { type: 'sev/he-masked/v1', ...content } satisfies HeMaskedStatement);
    return signed;
  }

  #bound(): AttemptRef & { readonly consortium: string; readonly mspId: string } {
    return { consortium: this.#consortium.bootstrapHash, ...this.#ref, mspId: this.#mspId };
  }

  #formed<T>(schema: z.ZodType<T>, answer: unknown): T {
    const parsed = schema.safeParse(answer);
    if (!parsed.success) {
      throw this.#false('something of another form');
    }
    return parsed.data;
  }

  #signed({ signature }: { readonly signature: string }, statement: Signable): void {
    const { type } = statement;
    this.#insist(isSigned(this.#consortium, { mspId: this.#mspId, signature }, statement), `a false ${type}`);
  }

  #insist(holds: boolean, what: string): void {
    if (!holds) {
      throw this.#false(what);
    }
  }

  #false(what: string): SevError {
    return new SevError('ANSWER_FALSE', `${this.#mspId} answered with ${what}`);
  }
}
