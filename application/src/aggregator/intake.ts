// SPDX-License-Identifier: Apache-2.0
import type { ReceiptStatement, SignedBy } from '@sev/chaincode/api';
import { EnvelopeGate } from '../services/envelope-gate.js';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { newLimiter } from '../services/concurrency.js';
import type { ServiceSession } from '../services/rounds.js';
import { readOpening, readSecrets } from './attempt-secrets.js';
import { HeldReports } from './held-reports.js';
import type { AttemptFolder } from './inbox.js';
import type { SecureRoundRecord } from './ledger-view.js';
import type { AggregatorParts } from './parts.js';
import type { ShareSubmission } from './share-submission.js';
import { TakingIn } from './taking-in.js';

export interface IntakeLimits {
  /** Shares opened at a time; default 16: each may fetch and check a whole vector. */
  readonly atATime?: number;
  /**
   * Shares that wait for that, at the most; default 256. More are turned away with SERVICE_BUSY, and so are those beyond as
   * many whose vehicles are looked up first.
   */
  readonly waiting?: number;
  /** How long the view of a round may be old, in ms; default 1 s. */
  readonly viewMs?: number;
}

interface SeenRound {
  readonly reading: Promise<SecureRoundRecord>;
  readonly readAt: number;
}

/** Takes vehicles' shares in: a receipt is given for what is checked and on the disk, and for nothing else. */
export class Intake {
  readonly #parts: AggregatorParts;
  readonly #gate: EnvelopeGate;
  readonly #limited: ReturnType<typeof newLimiter>;
  readonly #most: number;
  readonly #viewMs: number;
  readonly #seen = new Map<string, SeenRound>();
  readonly #takingIn = new TakingIn();
  /** Attempts of which the disk has shown no signed holdings. */
  readonly #unsigned = new Set<string>();
  #pending = 0;

  constructor(parts: AggregatorParts, session: ServiceSession, limits: IntakeLimits = {}) {
    const { atATime = 16, waiting = 256, viewMs = 1_000 } = limits;
    this.#parts = parts;
    this.#limited = newLimiter(atATime);
    this.#most = atATime + waiting;
    this.#gate = new EnvelopeGate(session, { maxWaiting: this.#most });
    this.#viewMs = viewMs;
  }

  /**
   * Takes a share from a vehicle that signed its envelope. The same again gives the same receipt.
   *
   * @throws SevError SERVICE_BUSY, ROUND_STALE, ROUND_STATE, OPENING_UNKNOWN, ATTEMPT_UNKNOWN, VEHICLE_UNKNOWN,
   *   VEHICLE_NOT_ACTIVE, SIGNATURE_INVALID, SHARE_CONFLICT, SHARE_UNREADABLE, SHARE_MALFORMED, SHARE_MISMATCH,
   *   SHARE_INCOMPLETE, STORAGE_FULL, STORAGE_FAILED, STORE_UNREACHABLE; LedgerError.
   */
  async submit(submission: ShareSubmission): Promise<SignedBy> {
    const round = await this.#acceptingRound(submission);
    await this.#insistOnVehicle(round, submission);
    // Only now: whoever makes vehicles up takes no place from those that there are.
    if (this.#pending >= this.#most) {
      throw new SevError('SERVICE_BUSY', `${String(this.#pending)} shares are waiting`);
    }
    this.#pending++;
    try {
      return await this.#takingIn.tracked(submission, () => this.#limited(() => this.#take(round, submission)));
    } finally {
      this.#pending--;
    }
  }

  /** Takes no new share of the attempt from now on; resolves when those under way are on disk or refused. */
  close(ref: AttemptRef): Promise<void> {
    return this.#takingIn.close(ref);
  }

  /** Takes shares again, unless the disk shows that holdings were signed though writing them failed. */
  reopen(ref: AttemptRef): void {
    this.#unsigned.delete(attemptKey(ref));
    this.#takingIn.reopen(ref);
  }

  /** Has a vehicle looked up again when its next share comes. */
  forgetVehicle(vehicleId: string): void {
    this.#gate.forget(vehicleId);
  }

  async #acceptingRound(submission: ShareSubmission): Promise<SecureRoundRecord> {
    const key = attemptKey(submission);
    const now = performance.now();
    const seen = this.#seen.get(key);
    const fresh = seen !== undefined && now - seen.readAt < this.#viewMs;
    const reading = fresh ? seen.reading : this.#parts.view.attempt(submission, ['open', 'closed']);
    if (!fresh) {
      this.#seen.set(key, { reading, readAt: now });
      this.#forgetOld(now);
    }
    const round = await reading;
    if (round.baseModelHash !== submission.baseModelHash) {
      throw new SevError('ROUND_STALE', `${key} starts from another base model`, { exitCode: EXIT.refused });
    }
    return round;
  }

  #forgetOld(now: number): void {
    for (const [key, { readAt }] of this.#seen) {
      if (now - readAt >= this.#viewMs) {
        this.#seen.delete(key);
      }
    }
  }

  async #insistOnVehicle(round: SecureRoundRecord, { envelope }: ShareSubmission): Promise<void> {
    const refusal = await this.#gate.refusalOf(round, envelope);
    if (refusal !== undefined) {
      throw new SevError(refusal.code ?? 'SIGNATURE_INVALID', refusal.detail ?? '', { exitCode: EXIT.refused });
    }
  }

  async #take(round: SecureRoundRecord, submission: ShareSubmission): Promise<SignedBy> {
    const { mspId, view, inbox, book, store } = this.#parts;
    const { vehicleId, updateHash: root } = submission.envelope;
    const folder = inbox.attempt(submission);
    const secrets = await readSecrets(folder);
    const reports = new HeldReports(folder, secrets);
    // One that is damaged is taken in again: the vehicle still has it.
    const before = await reports.findIntact(vehicleId);
    if (before !== undefined) {
      return this.#receiptAgain(submission, before.share.root, before.receipt);
    }
    if (await this.#isSigned(folder)) {
      throw new SevError('ROUND_STATE', `what is held of ${attemptKey(submission)} is signed already`, {
        exitCode: EXIT.refused,
      });
    }
    await readOpening(folder, round.secure.openingHash);
    const task = await view.task(submission.taskId);
    const place = {
      ...attemptOf(submission),
      consortium: await view.network(),
      baseModelHash: round.baseModelHash,
    };
    const share = await reports.open({ task, place, store }, vehicleId, root, submission.sealed);
    const statement = { type: 'sev/share-receipt/v1', vehicleId, commitmentRoot: root } as const;
    const { signature } = await book.sign<ReceiptStatement>(submission, statement);
    if (await reports.keep(vehicleId, { share, receipt: signature })) {
      return { mspId, signature };
    }
    // The vehicle sent it twice at once.
    const first = await reports.findIntact(vehicleId);
    return this.#receiptAgain(submission, first?.share.root, first?.receipt ?? '');
  }

  /** Whether holdings are signed or being signed, by this process or by one before. The home is this process's alone. */
  async #isSigned(folder: AttemptFolder): Promise<boolean> {
    const key = attemptKey(folder.ref);
    if (!this.#unsigned.has(key) && !(await this.#parts.book.hasSigned(folder, 'sev/holdings/v1'))) {
      this.#unsigned.add(key);
    }
    return !this.#unsigned.has(key) || this.#takingIn.isClosed(folder.ref);
  }

  #receiptAgain({ envelope }: ShareSubmission, root: string | undefined, signature: string): SignedBy {
    if (root !== envelope.updateHash) {
      throw new SevError('SHARE_CONFLICT', `${envelope.vehicleId} has handed in another share for this attempt`, {
        exitCode: EXIT.refused,
      });
    }
    return { mspId: this.#parts.mspId, signature };
  }
}
