// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import type { LedgerEvent, RoundOpening, SignedBy } from '@sev/chaincode/api';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import type { ServiceSession } from '../services/rounds.js';
import { changedVehicle } from '../services/vehicle-changes.js';
import type { ObjectStore } from '../store/object-store.js';
import type {
  AggregatorClient,
  Deal,
  IncidentDisclosure,
  Nonces,
  OpenedNumbers,
  OpenedProjections,
  PreparedPart,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from './aggregator-client.js';
import { secretsIfAny } from './attempt-secrets.js';
import { Disclosure } from './disclosure.js';
import type { Inbox } from './inbox.js';
import { discloseForIncident } from './incident-disclosure.js';
import { Intake, type IntakeLimits } from './intake.js';
import { LedgerView } from './ledger-view.js';
import type { AggregatorParts } from './parts.js';
import { Preparation } from './preparation.js';
import { DEFAULT_RETENTION_MS, destroyOver, followAndClean } from './retention.js';
import type { ShareSubmission } from './share-submission.js';
import { StatementBook } from './statement-book.js';
import { Traceback } from './traceback.js';

export interface AggregatorOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly inbox: Inbox;
  /** The organisation's key for signed statements. */
  readonly signingKey: KeyObject;
  readonly limits?: IntakeLimits;
  /** How long keys and shares are kept once the traceback needs them no more; default 24 h. */
  readonly retentionMs?: number;
  readonly log: ServiceLog;
}

/**
 * One organisation's aggregator. It holds components of vehicles' updates and opens of them what the ledger has fixed
 * before, and nothing else: its own gateway's view decides, never who asks. Everything it relies on is on its disk, so
 * it may be killed at any point.
 */
export class Aggregator implements AggregatorClient {
  readonly mspId: string;
  readonly #options: AggregatorOptions;
  readonly #parts: AggregatorParts;
  readonly #preparation: Preparation;
  readonly #intake: Intake;
  readonly #disclosure: Disclosure;
  readonly #ending = new AbortController();

  constructor(options: AggregatorOptions) {
    const { session, store, inbox, signingKey, log, limits } = options;
    const { mspId } = session;
    const view = new LedgerView(session);
    this.mspId = mspId;
    this.#options = options;
    this.#parts = { mspId, view, inbox, book: new StatementBook(mspId, signingKey, view.network), store, log };
    this.#preparation = new Preparation(this.#parts);
    this.#intake = new Intake(this.#parts, session, limits);
    this.#disclosure = new Disclosure(this.#parts, this.#intake);
  }

  /** Follows vehicles and rounds, and destroys what is over, until {@link end} is called. */
  run(): Promise<void> {
    const hear = (event: LedgerEvent): void => {
      this.#hear(event);
    };
    return followAndClean(this.#options, this.#ending.signal, hear, () => this.clean());
  }

  end(): void {
    this.#ending.abort();
  }

  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart> {
    return this.#preparation.prepare(ref, baseModelHash);
  }

  deal(ref: AttemptRef, parts: readonly PreparedPart[]): Promise<readonly Deal[]> {
    return this.#preparation.deal(ref, parts);
  }

  accept(ref: AttemptRef, opening: RoundOpening, deals: readonly Deal[]): Promise<SignedBy> {
    return this.#preparation.accept(ref, opening, deals);
  }

  /** Takes a vehicle's share in. @returns the receipt. @throws as `Intake.submit`. */
  submitShare(submission: ShareSubmission): Promise<SignedBy> {
    return this.#intake.submit(submission);
  }

  holdings(ref: AttemptRef): Promise<SignedHoldings> {
    return this.#disclosure.holdings(ref);
  }

  reveal(ref: AttemptRef, nonces?: Nonces): Promise<Revealed> {
    return this.#disclosure.reveal(ref, nonces);
  }

  projections(ref: AttemptRef, nonces: Nonces, references?: readonly string[]): Promise<OpenedProjections> {
    return this.#disclosure.projections(ref, nonces, references);
  }

  pastNumbers(ref: AttemptRef): Promise<OpenedNumbers> {
    return this.#disclosure.pastNumbers(ref);
  }

  sums(ref: AttemptRef): Promise<SignedSums> {
    return this.#disclosure.sums(ref);
  }

  publish(ref: AttemptRef): Promise<SignedSums['components']> {
    return this.#disclosure.publish(ref);
  }

  release(ref: AttemptRef, component: number): Promise<Release> {
    return this.#disclosure.release(ref, component);
  }

  disclose(incidentId: string, ref: AttemptRef): Promise<IncidentDisclosure> {
    return discloseForIncident(this.#parts, incidentId, ref);
  }

  /**
   * Destroys keys and shares of rounds that are over, and out of reach of the traceback, for longer than the retention.
   *
   * @returns what was destroyed.
   */
  clean(nowMs = Date.now()): Promise<AttemptRef[]> {
    const traceback = new Traceback(this.#parts.view, nowMs);
    const retentionMs = this.#options.retentionMs ?? DEFAULT_RETENTION_MS;
    const createdAtMs = async (ref: AttemptRef): Promise<number> =>
      (await secretsIfAny(this.#parts.inbox.attempt(ref)))?.createdAtMs ?? 0;
    return destroyOver(this.#parts, {
      ...{ retentionMs, nowMs, createdAtMs },
      unneededSinceMs: (ref, round) => traceback.overSinceMs(ref, round),
    });
  }

  #hear(event: LedgerEvent): void {
    const changed = changedVehicle(event);
    if (changed !== undefined) {
      this.#intake.forgetVehicle(changed);
    }
    switch (event.type) {
      case 'CohortFixed':
        this.#disclosure.see(attemptOf(event));
        break;
      case 'RoundFinalised':
        this.#prepareAhead({ taskId: event.taskId, round: event.round + 1, attempt: 1 }, event.modelHash);
        break;
      case 'RoundAborted':
        this.#prepareAhead({ ...attemptOf(event), attempt: event.attempt + 1 }, event.modelHash);
    }
  }

  /** Drawing noise takes a while: what is asked next is made ready before. */
  #prepareAhead(ref: AttemptRef, baseModelHash: string): void {
    this.prepare(ref, baseModelHash).catch((error: unknown) => {
      this.#options.log.debug({ ...failureFields(error), ...ref }, 'nothing to prepare ahead');
    });
  }
}
