// SPDX-License-Identifier: Apache-2.0
import { reportContext, type ReceiptStatement, type SignedBy } from '@sev/chaincode/api';
import { ciphertextsFor, ciphertextsFromBytes, HE_PARAMETERS, HeMaskHolder, heReportRoot, HeSummer } from '@sev/fl';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { TakingIn } from '../aggregator/taking-in.js';
import { EnvelopeGate } from '../services/envelope-gate.js';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { newLimiter } from '../services/concurrency.js';
import type { ServiceSession } from '../services/rounds.js';
import { heLengthOf, heSumTermsOf } from './he-task.js';
import { findReport, keepReport } from './party-files.js';
import { preparedAttempt, withCodes, type PartyParts, type PreparedAttempt } from './parts.js';
import { readReportMessage, type ReportMessage } from './report-message.js';

/** Reports checked at a time; how many may wait for it is the server's to bound. */
const AT_A_TIME = 4;

/**
 * Takes vehicles' reports in, as summer their ciphertexts, as mask holder their seeds: a receipt is given for what is
 * checked and on the disk, and for nothing else.
 */
export class HeIntake {
  readonly #parts: PartyParts;
  readonly #gate: EnvelopeGate;
  readonly #limited = newLimiter(AT_A_TIME);
  readonly #takingIn = new TakingIn();

  constructor(parts: PartyParts, session: ServiceSession) {
    this.#parts = parts;
    this.#gate = new EnvelopeGate(session);
  }

  /**
   * Takes a report from a vehicle that signed its envelope. The same again gives the same receipt.
   *
   * @throws SevError ROUND_STALE, ROUND_STATE, ATTEMPT_UNKNOWN, PART_NOT_HELD, VEHICLE_UNKNOWN,
   *   VEHICLE_NOT_ACTIVE, SIGNATURE_INVALID, SHARE_CONFLICT, SHARE_MALFORMED, SHARE_MISMATCH, SHARE_UNREADABLE,
   *   REPORT_MISMATCH, KEY_MISMATCH, CIPHERTEXT_MALFORMED, MASK_MISMATCH, STORAGE_FULL, STORAGE_FAILED; LedgerError.
   */
  async submit(submission: ShareSubmission): Promise<SignedBy> {
    const attempt = await preparedAttempt(this.#parts, submission, ['open', 'closed'], 'summer', 'mask-holder');
    if (attempt.round.baseModelHash !== submission.baseModelHash) {
      throw refused('ROUND_STALE', `${attemptKey(submission)} starts from another base model`);
    }
    const refusal = await this.#gate.refusalOf(attempt.round, submission.envelope);
    if (refusal !== undefined) {
      throw refused(refusal.code ?? 'SIGNATURE_INVALID', refusal.detail ?? '');
    }
    return this.#takingIn.tracked(submission, () => this.#limited(() => this.#take(attempt, submission)));
  }

  /** Takes no new report of the attempt from now on; resolves when those under way are on disk or refused. */
  close(ref: AttemptRef): Promise<void> {
    return this.#takingIn.close(ref);
  }

  /** Takes reports again, where nothing was signed after all. */
  reopen(ref: AttemptRef): void {
    this.#takingIn.reopen(ref);
  }

  /** Has a vehicle looked up again when its next report comes. */
  forgetVehicle(vehicleId: string): void {
    this.#gate.forget(vehicleId);
  }

  async #take(attempt: PreparedAttempt, submission: ShareSubmission): Promise<SignedBy> {
    const { mspId, book } = this.#parts;
    const { folder, secrets } = attempt;
    const { vehicleId, updateHash: root } = submission.envelope;
    const before = await findReport(folder, secrets, vehicleId);
    if (before !== undefined) {
      return this.#receiptAgain(submission, before.root, before.receipt);
    }
    if (this.#takingIn.isClosed(submission) || (await book.hasSigned(folder, 'sev/holdings/v1'))) {
      throw refused('ROUND_STATE', `what is held of ${attemptKey(submission)} is signed already`);
    }
    const content = await this.#checked(attempt, submission);
    const statement = { type: 'sev/share-receipt/v1', vehicleId, commitmentRoot: root } as const;
    const { signature } = await book.sign<ReceiptStatement>(submission, statement);
    if (await keepReport(folder, secrets, vehicleId, { root, receipt: signature, content })) {
      return { mspId, signature };
    }
    // The vehicle sent it twice at once.
    const first = await findReport(folder, secrets, vehicleId);
    return this.#receiptAgain(submission, first?.root, first?.receipt ?? '');
  }

  /** @returns what is kept of the report. */
  async #checked(attempt: PreparedAttempt, { envelope, sealed }: ShareSubmission): Promise<Uint8Array> {
    const { vehicleId, updateHash: root } = envelope;
    const bytes = Buffer.from(sealed, 'base64');
    const message = readReportMessage(bytes);
    const { baseModelHash } = attempt.round;
    const place = { consortium: await this.#parts.view.network(), ...attemptOf(attempt.round), baseModelHash };
    if (
      heReportRoot(message.header) !== root ||
      message.header.context !== reportContext({ ...place, reporter: vehicleId })
    ) {
      throw refused('SHARE_MISMATCH', `${vehicleId} signed another report, or made this one for another place`);
    }
    if (attempt.role === 'mask-holder') {
      return this.#seedOf(attempt, root, message);
    }
    const terms = heSumTermsOf(attempt.task, attempt.round.he.opening.publicKeyHash);
    const runtime = await this.#parts.runtime();
    await withCodes(() => {
      HeSummer.check(runtime, terms, root, summedReport(attempt.task, message));
    });
    return bytes;
  }

  async #seedOf({ task, round, secrets }: PreparedAttempt, root: string, message: ReportMessage): Promise<Uint8Array> {
    const holder = new HeMaskHolder({
      privateKey: Buffer.from(secrets.sealing?.privateKey ?? '', 'base64'),
      terms: heSumTermsOf(task, round.he.opening.publicKeyHash),
      minimumCohort: task.cohort.minimum,
    });
    const { header, payload: sealedSeed } = message;
    return (await withCodes(() => holder.accept(root, { header, sealedSeed }))).seed;
  }

  #receiptAgain({ envelope }: ShareSubmission, root: string | undefined, signature: string): SignedBy {
    if (root !== envelope.updateHash) {
      throw refused('SHARE_CONFLICT', `${envelope.vehicleId} has handed in another report for this attempt`);
    }
    return { mspId: this.#parts.mspId, signature };
  }
}

/** A message of the summer's as the library takes it. @throws HeError CIPHERTEXT_MALFORMED */
export function summedReport(task: PreparedAttempt['task'], { header, payload }: ReportMessage) {
  const count = ciphertextsFor(heLengthOf(task), HE_PARAMETERS);
  return { header, ciphertexts: ciphertextsFromBytes(payload, count) };
}

function refused(code: string, detail: string): SevError {
  return new SevError(code, detail, { exitCode: EXIT.refused });
}
