// SPDX-License-Identifier: Apache-2.0
import { reportContext, sha256Hex, type CommitHeSum, type HeMasksStatement } from '@sev/chaincode/api';
import { HeMaskHolder, slotsToBytes, type HeldMask } from '@sev/fl';
import { insistOnSame } from '../aggregator/statement-book.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { heSumTermsOf } from './he-task.js';
import { cohortOf, FROM_COHORT, preparedAttempt, withCodes, type PartyParts } from './parts.js';
import type { PreparedAttempt } from './parts.js';
import { heldReport } from './party-files.js';

/** The mask holder: adds the masks of exactly the ledger's cohort, and never sees a ciphertext. */
export class MaskHolderPart {
  readonly #parts: PartyParts;

  constructor(parts: PartyParts) {
    this.#parts = parts;
  }

  /** See `HePartyClient.masks`. */
  async masks(ref: AttemptRef): Promise<CommitHeSum['masks']> {
    const { book, log } = this.#parts;
    const attempt = await preparedAttempt(this.#parts, ref, FROM_COHORT, 'mask-holder');
    const masksHash = sha256Hex(await this.sum(attempt));
    const content = { cohortHash: attempt.round.he.cohortHash ?? '', masksHash };
    const signed = await book.signOnce<HeMasksStatement>(attempt.folder, 'sev/he-masks/v1', content);
    insistOnSame(ref, signed.statement, content);
    log.info({ ...attemptOf(ref) }, 'added masks');
    return { masksHash, signature: signed.signature };
  }

  /** The sum of the cohort's masks, for the store. @throws SevError SHARE_LOST, COHORT_TOO_SMALL */
  async sum({ task, round, folder, secrets }: PreparedAttempt): Promise<Uint8Array> {
    const { members, ids } = await cohortOf(this.#parts, round);
    const { baseModelHash } = round;
    const place = { consortium: await this.#parts.view.network(), ...attemptOf(round), baseModelHash };
    const masks = new Map<string, HeldMask>();
    for (const member of members) {
      const { content: seed } = await heldReport(folder, secrets, member);
      masks.set(member.vehicleId, { context: reportContext({ ...place, reporter: member.vehicleId }), seed });
    }
    const holder = new HeMaskHolder({
      privateKey: Buffer.from(secrets.sealing?.privateKey ?? '', 'base64'),
      terms: heSumTermsOf(task, round.he.opening.publicKeyHash),
      minimumCohort: task.cohort.minimum,
    });
    return withCodes(() => slotsToBytes(holder.sum(ids, masks)));
  }
}
