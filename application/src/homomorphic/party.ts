// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import {
  cohortHash,
  encodeBitmap,
  heOpeningHash,
  sha256Hex,
  type CommitHeSum,
  type FixCohort,
  type HeOpening,
  type HoldingsStatement,
  type LedgerEvent,
  type OpeningStatement,
  type SignedBy,
} from '@sev/chaincode/api';
import { HeRuntime, newSealingKey } from '@sev/fl';
import type { Inbox } from '../aggregator/inbox.js';
import { DEFAULT_RETENTION_MS, destroyOver, followAndClean } from '../aggregator/retention.js';
import type { ShareSubmission } from '../aggregator/share-submission.js';
import { StatementBook } from '../aggregator/statement-book.js';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { insistOnNext } from '../services/next-attempt.js';
import type { ServiceSession } from '../services/rounds.js';
import { changedVehicle } from '../services/vehicle-changes.js';
import type { ObjectStore } from '../store/object-store.js';
import { HeView } from './he-view.js';
import { HeIntake } from './intake.js';
import { KeyHolderPart } from './key-holder-part.js';
import { MaskHolderPart } from './mask-holder-part.js';
import type { HePartyClient, PreparedHePart } from './party-client.js';
import { ensureSecrets, findReport, requiredSecrets, secretsOf } from './party-files.js';
import { FROM_AGGREGATED, preparedAttempt, type PartyParts } from './parts.js';
import { SummerPart } from './summer-part.js';

export interface HePartyOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly inbox: Inbox;
  /** The organisation's key for signed statements. */
  readonly signingKey: KeyObject;
  /** How long keys and reports of a round that is over are kept; default 24 h. */
  readonly retentionMs?: number;
  readonly log: ServiceLog;
}

/**
 * One organisation's part in rounds of mode `he`: key holder, summer or mask holder, as the task says. Its own gateway's
 * view decides what it signs and opens, never who asks. All but the key holder's secret key is on its disk.
 */
export class HeParty implements HePartyClient {
  readonly mspId: string;
  readonly #options: HePartyOptions;
  readonly #parts: PartyParts;
  readonly #intake: HeIntake;
  readonly #keyHolder: KeyHolderPart;
  readonly #summer: SummerPart;
  readonly #maskHolder: MaskHolderPart;
  readonly #ending = new AbortController();
  /** Work under way, so that the same asked twice is done once. */
  readonly #running = new Map<string, Promise<unknown>>();
  #runtime: Promise<HeRuntime> | undefined;

  constructor(options: HePartyOptions) {
    const { session, store, inbox, signingKey, log } = options;
    const { mspId } = session;
    const view = new HeView(session);
    const runtime = (): Promise<HeRuntime> => (this.#runtime ??= HeRuntime.load());
    this.mspId = mspId;
    this.#options = options;
    this.#parts = { mspId, view, inbox, book: new StatementBook(mspId, signingKey, view.network), store, runtime, log };
    this.#intake = new HeIntake(this.#parts, session);
    this.#keyHolder = new KeyHolderPart(this.#parts);
    this.#summer = new SummerPart(this.#parts);
    this.#maskHolder = new MaskHolderPart(this.#parts);
  }

  /** Follows vehicles and rounds, and destroys what is over, until {@link end} is called. */
  run(): Promise<void> {
    const hear = (event: LedgerEvent): void => {
      this.#hear(event);
    };
    return followAndClean(this.#options, this.#ending.signal, hear, () => this.clean());
  }

  /** Ends, destroys keys in memory and frees WebAssembly memory. */
  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.allSettled(this.#running.values());
    this.#keyHolder.close();
    (await this.#runtime)?.close();
    this.#runtime = undefined;
  }

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedHePart> {
    return this.#once(`prepare/${baseModelHash}`, ref, async () => {
      const { view, inbox, log } = this.#parts;
      const task = await view.task(ref.taskId);
      await insistOnNext(ref, baseModelHash, task.task, view.bases);
      const secrets = await ensureSecrets(inbox.attempt(ref), baseModelHash, async () => {
        if (task.role !== 'mask-holder') {
          return undefined;
        }
        const { publicKey, privateKey } = await newSealingKey();
        return { publicKey, privateKey: Buffer.from(privateKey).toString('base64') };
      });
      log.info({ ...attemptOf(ref), role: task.role }, 'prepared');
      switch (task.role) {
        case 'key-holder':
          return { publicKeyHash: await this.#keyHolder.prepare(ref) };
        case 'mask-holder':
          return secrets.sealing === undefined ? {} : { sealingKey: secrets.sealing.publicKey };
        case 'summer':
          return {};
      }
    });
  }

  async accept(ref: AttemptRef, opening: HeOpening): Promise<SignedBy> {
    const { mspId, view, inbox, book, log } = this.#parts;
    const { role } = await view.task(ref.taskId);
    const { baseModelHash, sealing } = await requiredSecrets(inbox.attempt(ref));
    const openingHash = heOpeningHash(opening);
    const shown = await view.roundIfAny(ref);
    if (shown?.attempt === ref.attempt && shown.he?.openingHash !== openingHash) {
      throw new SevError('ROUND_CONFLICT', `the ledger shows ${attemptKey(ref)} with another opening`);
    }
    const isOwn =
      role === 'summer' ||
      (role === 'key-holder' && opening.publicKeyHash === this.#keyHolder.keyHash(ref)) ||
      (role === 'mask-holder' && opening.sealingKey === sealing?.publicKey);
    if (!isOwn) {
      throw refused('OPENING_INVALID', `its key is not the one that ${mspId} prepared`);
    }
    const statement = { type: 'sev/round-opening/v1', baseModelHash, openingHash } as const;
    const { signature } = await book.sign<OpeningStatement>(ref, statement);
    log.info({ ...attemptOf(ref) }, 'signed an opening');
    return { mspId, signature };
  }

  /** Takes a vehicle's report in. @returns the receipt. @throws as `HeIntake.submit`. */
  submitReport(submission: ShareSubmission): Promise<SignedBy> {
    return this.#intake.submit(submission);
  }

  holdings(ref: AttemptRef): Promise<FixCohort['holdings'][number]> {
    return this.#once('holdings', ref, async () => {
      const { book, inbox, mspId } = this.#parts;
      const folder = inbox.attempt(ref);
      await requiredSecrets(folder);
      const signed =
        (await book.signedBefore<HoldingsStatement>(folder, 'sev/holdings/v1')) ?? (await this.#signHoldings(ref));
      return { mspId, held: signed.statement.held, signature: signed.signature };
    });
  }

  sum(ref: AttemptRef): Promise<CommitHeSum['sum']> {
    return this.#once('sum', ref, () => this.#summer.sum(ref));
  }

  masks(ref: AttemptRef): Promise<CommitHeSum['masks']> {
    return this.#once('masks', ref, () => this.#maskHolder.masks(ref));
  }

  decrypt(ref: AttemptRef, sum: CommitHeSum['sum']): Promise<CommitHeSum['masked']> {
    // One at a time, whichever sum is asked for: the second finds what the first signed.
    const before = this.#running.get(`decrypt/${attemptKey(ref)}`) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(() => this.#keyHolder.decrypt(ref, sum));
    return this.#kept(`decrypt/${attemptKey(ref)}`, turn);
  }

  publish(ref: AttemptRef): Promise<{ readonly hash: string }> {
    return this.#once('publish', ref, async () => {
      const { store, log } = this.#parts;
      const attempt = await preparedAttempt(this.#parts, ref, FROM_AGGREGATED, 'key-holder', 'mask-holder');
      const { maskedHash, masksHash } = attempt.round.he;
      const isKeyHolder = attempt.role === 'key-holder';
      const bytes = isKeyHolder ? await this.#keyHolder.fitting(attempt) : await this.#maskHolder.sum(attempt);
      const hash = bytes === undefined ? undefined : sha256Hex(bytes);
      if (bytes === undefined || hash === undefined || hash !== (isKeyHolder ? maskedHash : masksHash)) {
        throw new SevError('SUMS_MISMATCH', 'the ledger shows another opening, or this one is no longer here', {
          hint: 'Nothing was published.',
          exitCode: EXIT.integrity,
        });
      }
      await store.put(bytes);
      log.info({ ...attemptOf(ref) }, 'published an opening');
      return { hash };
    });
  }

  /** Destroys keys and reports of rounds that are over for longer than the retention. @returns what was destroyed. */
  clean(nowMs = Date.now()): Promise<AttemptRef[]> {
    const retentionMs = this.#options.retentionMs ?? DEFAULT_RETENTION_MS;
    return destroyOver(this.#parts, { retentionMs, nowMs, createdAtMs: (ref) => this.#createdAtMs(ref) });
  }

  /** Damaged secrets open nothing any more, and hold nothing back. */
  async #createdAtMs(ref: AttemptRef): Promise<number> {
    const secrets = await secretsOf(this.#parts.inbox.attempt(ref)).catch((error: unknown) => {
      this.#options.log.warn({ ...attemptOf(ref), ...failureFields(error) }, 'the secrets of an attempt are damaged');
      return undefined;
    });
    return secrets?.createdAtMs ?? 0;
  }

  async #signHoldings(ref: AttemptRef) {
    const { view, book } = this.#parts;
    const { folder, secrets } = await preparedAttempt(this.#parts, ref, ['closed'], 'summer', 'mask-holder');
    await this.#intake.close(ref);
    try {
      const updates = await view.updates(ref);
      const held: boolean[] = [];
      for (const { vehicleId, updateHash } of updates) {
        const report = await findReport(folder, secrets, vehicleId, { fromDisk: true }).catch(() => undefined);
        held.push(report?.root === updateHash);
      }
      const content = { recordedHash: cohortHash(updates), held: encodeBitmap(held) };
      return await book.signOnce<HoldingsStatement>(folder, 'sev/holdings/v1', content);
    } catch (error) {
      this.#intake.reopen(ref);
      throw error;
    }
  }

  #hear(event: LedgerEvent): void {
    const changed = changedVehicle(event);
    if (changed !== undefined) {
      this.#intake.forgetVehicle(changed);
    } else if (event.type === 'RoundFinalised' || event.type === 'RoundAborted') {
      this.#keyHolder.forget(event);
    }
  }

  #once<T>(what: string, ref: AttemptRef, work: () => Promise<T>): Promise<T> {
    const key = `${what}/${attemptKey(ref)}`;
    const running = this.#running.get(key) as Promise<T> | undefined;
    return running ?? this.#kept(key, work());
  }

  async #kept<T>(key: string, work: Promise<T>): Promise<T> {
    this.#running.set(key, work);
    try {
      return await work;
    } finally {
      if (this.#running.get(key) === work) {
        this.#running.delete(key);
      }
    }
  }
}

function refused(code: string, detail: string): SevError {
  return new SevError(code, detail, { exitCode: EXIT.refused });
}
