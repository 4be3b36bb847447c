// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type CommitHeSum, type HeSumStatement } from '@sev/chaincode/api';
import { HeSummer } from '@sev/fl';
import { insistOnSame } from '../aggregator/statement-book.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { heSumTermsOf } from './he-task.js';
import { summedReport } from './intake.js';
import { cohortOf, FROM_COHORT, preparedAttempt, withCodes, type PartyParts } from './parts.js';
import { heldReport } from './party-files.js';
import { readReportMessage } from './report-message.js';

/** The summer: adds the ciphertexts of exactly the ledger's cohort. Has no key. */
export class SummerPart {
  readonly #parts: PartyParts;

  constructor(parts: PartyParts) {
    this.#parts = parts;
  }

  /** See `HePartyClient.sum`. */
  async sum(ref: AttemptRef): Promise<CommitHeSum['sum']> {
    const { book, store, log, runtime } = this.#parts;
    const { task, round, folder, secrets } = await preparedAttempt(this.#parts, ref, FROM_COHORT, 'summer');
    const { members, ids } = await cohortOf(this.#parts, round);
    const terms = heSumTermsOf(task, round.he.opening.publicKeyHash);
    const library = await runtime();
    const summer = await withCodes(() => new HeSummer(library, terms, ids));
    let bytes: Uint8Array;
    try {
      for (const member of members) {
        const { content } = await heldReport(folder, secrets, member);
        await withCodes(() => {
          summer.add(member.vehicleId, member.updateHash, summedReport(task, readReportMessage(content)));
        });
      }
      bytes = Buffer.concat(await withCodes(() => summer.sum()));
    } finally {
      summer.close();
    }
    const content = { cohortHash: round.he.cohortHash ?? '', sumHash: sha256Hex(bytes) };
    const signed = await book.signOnce<HeSumStatement>(folder, 'sev/he-sum/v1', content);
    insistOnSame(ref, signed.statement, content);
    await store.put(bytes);
    log.info({ ...attemptOf(ref), vehicles: ids.length }, 'added ciphertexts');
    return { sumHash: content.sumHash, signature: signed.signature };
  }
}
