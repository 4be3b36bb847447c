// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import {
  cohortHash,
  encodeBitmap,
  heOpeningHash,
  type CohortStatement,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeOpening,
  type HeRound,
  type HeSumStatement,
  type HeTaskTerms,
  type HoldingsStatement,
  type OpeningStatement,
  type Proposal,
  type RoundState,
  type Signable,
  type Task,
} from '@sev/chaincode/api';
import { memberOf, ReportingScenario, type Reporter } from './reporting-scenario.js';
import { BASE, HASH, newKey, NOW, publicText, TASK, type Record_ } from './scenario.js';

export const [KEY_HOLDER, SUMMER, MASK_HOLDER] = ['AMSP', 'BMSP', 'CMSP'] as const;
const ALL = ['AMSP', 'BMSP', 'CMSP'] as const;

export function heTask(terms: Partial<HeTaskTerms> = {}): Task {
  const he: HeTaskTerms = {
    ...{ keyHolder: KEY_HOLDER, summer: SUMMER, maskHolder: MASK_HOLDER },
    ...{ clipMilli: 4_000, fractionBits: 11, maxVehicles: 16, metrics: ['loss'], receiptMs: 0 },
    ...terms,
  };
  const aggregation = { ...TASK.aggregation, weightClasses: [{ minSamples: 1, weight: 4 }] };
  return { ...TASK, aggregation, cohort: { minimum: 2, target: 3 }, privacy: 'he', he };
}

/** How a forger departs from the true step. */
export interface HeForgery {
  /** Replaces parts of what is asked for. */
  readonly argument?: Record_;
  /** Replaces parts of what the round carries. */
  readonly he?: Partial<HeRound>;
  /** Replaces parts of the round's record. */
  readonly record?: Record_;
  /** Whose statements there are. */
  readonly signers?: readonly string[];
}

/** A ledger with a task in mode `he` and three vehicles, one true or forged step after the other. */
export class HeScenario extends ReportingScenario {
  he: HeRound = { opening: { publicKeyHash: '', sealingKey: '' }, openingHash: '', shownAttempts: [] };

  constructor(roundTask: Task = heTask()) {
    super(roundTask);
  }

  openHe(forgery: HeForgery & { readonly opening?: HeOpening } = {}): this {
    this.attempt += 1;
    const sealingKey = publicText(newKey());
    const { opening = { publicKeyHash: randomBytes(32).toString('hex'), sealingKey } } = forgery;
    const openingHash = heOpeningHash(opening);
    const content = { ...this.ref(), baseModelHash: BASE, openingHash };
    const statements = this.sign(
      (mspId): OpeningStatement => ({ type: 'sev/round-opening/v1', ...content, mspId }),
      forgery.signers ?? ALL,
    );
    this.he = { opening, openingHash, shownAttempts: this.he.shownAttempts };
    this.closedAtMs = undefined;
    return this.#step('OpenRound', 'open', { baseModelHash: BASE, he: opening, statements }, {}, forgery);
  }

  /** Opened, recorded, closed. */
  closed(opening?: HeOpening): this {
    this.openHe(opening === undefined ? {} : { opening });
    this.recordUpdates();
    const statements = this.sign((mspId) => ({ type: 'sev/close-round/v1', ...this.ref(), mspId }), ALL);
    this.closedAtMs = NOW;
    return this.#step('CloseRound', 'closed', { statements }, {}, {});
  }

  /** @param forgery.lacking - indices of recorded vehicles that a receiver says it does not hold. */
  fix(
    forgery: HeForgery & {
      readonly lacking?: Readonly<Record<string, readonly number[]>>;
      readonly cohort?: readonly Reporter[];
      readonly contradicted?: readonly string[];
      readonly receivers?: readonly string[];
      /** Replaces parts of what is kept of the base. */
      readonly shown?: Record_;
    } = {},
  ): this {
    const { lacking = {}, cohort = this.reporters, contradicted = [], receivers = [SUMMER, MASK_HOLDER] } = forgery;
    const recordedHash = cohortHash(this.reporters.map(memberOf));
    const holdings = receivers.map((mspId) => {
      const held = encodeBitmap(this.reporters.map((_, index) => lacking[mspId]?.includes(index) !== true));
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...this.ref(), mspId, recordedHash, held };
      return { mspId, held, signature: this.signOne(mspId, statement) };
    });
    const members = cohort.map(memberOf);
    const hash = cohortHash(members);
    const content = { ...this.ref(), recordedHash, cohortHash: hash, holders: [SUMMER, MASK_HOLDER] };
    const statements = this.sign(
      (mspId): CohortStatement => ({ type: 'sev/fix-cohort/v1', ...content, mspId }),
      forgery.signers ?? [],
    );
    const shownAttempts = [...this.he.shownAttempts, { round: 1, attempt: this.attempt }];
    const fixed = { contradicted: [...contradicted], cohortHash: hash, cohortSize: members.length, shownAttempts };
    this.he = { ...this.he, ...fixed };
    const record = { docType: 'cohort', schemaVersion: 1, ...this.attemptRef(), members };
    const base = { taskId: this.roundTask.taskId, baseModelHash: BASE };
    const shown = { docType: 'shownSums', schemaVersion: 1, ...base, attempts: shownAttempts, ...forgery.shown };
    const writes = { [`cohort/${this.place()}`]: record, [`shownSums/${BASE}`]: shown };
    return this.#step('FixCohort', 'cohort', { holdings, statements }, writes, forgery);
  }

  /** @param forgery.by - who signs in place of whom. */
  commit(
    forgery: HeForgery & {
      readonly hashes?: { readonly sumHash: string; readonly masksHash: string; readonly maskedHash: string };
      readonly by?: Readonly<Record<string, string>>;
    } = {},
  ): this {
    const { by = {}, hashes = { sumHash: HASH('1'), masksHash: HASH('2'), maskedHash: HASH('3') } } = forgery;
    const { sumHash, masksHash, maskedHash } = hashes;
    const ref = { ...this.ref(), cohortHash: this.he.cohortHash ?? '' };
    const signed = (mspId: string, statement: Signable): string => this.signOne(by[mspId] ?? mspId, statement);
    const sum: HeSumStatement = { type: 'sev/he-sum/v1', ...ref, mspId: SUMMER, sumHash };
    const masks: HeMasksStatement = { type: 'sev/he-masks/v1', ...ref, mspId: MASK_HOLDER, masksHash };
    const masked: HeMaskedStatement = { type: 'sev/he-masked/v1', ...ref, mspId: KEY_HOLDER, sumHash, maskedHash };
    const argument = {
      sum: { sumHash, signature: signed(SUMMER, sum) },
      masks: { masksHash, signature: signed(MASK_HOLDER, masks) },
      masked: { maskedHash, signature: signed(KEY_HOLDER, masked) },
    };
    this.he = { ...this.he, ...hashes };
    return this.#step('CommitHeSum', 'aggregated', argument, {}, forgery);
  }

  finaliseHe(forgery: HeForgery & { readonly proposal?: Partial<Proposal> } = {}): this {
    const signers = forgery.signers ?? ALL;
    const { proposal, attestations, writes } = this.proposed(this.he, forgery.proposal, signers);
    const record = { proposal, attestations, ...forgery.record };
    return this.#step('FinaliseRound', 'finalised', { proposal, attestations }, writes, { ...forgery, record });
  }

  abortHe(): this {
    const reason = 'KEY_HOLDER_LOST';
    const statements = this.sign((mspId) => ({ type: 'sev/abort-round/v1', ...this.ref(), reason, mspId }), ALL);
    return this.#step('AbortRound', 'aborted', { reason, statements }, {}, { record: { abortReason: reason } });
  }

  /** One transaction with the round's record as it should be, but for the forgery. */
  #step(
    name: string,
    state: RoundState,
    argument: Record_,
    writes: Readonly<Record<string, Record_>>,
    forgery: HeForgery,
  ): this {
    const record = this.round(state, {
      attempt: this.attempt,
      privacy: 'he',
      ...(this.closedAtMs === undefined ? {} : { closedAtMs: this.closedAtMs }),
      ...(this.he.cohortHash === undefined ? {} : { stateSinceMs: NOW }),
      he: { ...this.he, ...forgery.he },
      ...forgery.record,
    });
    const asked = name === 'FinaliseRound' ? argument : { ...this.attemptRef(), ...argument };
    this.submit(`learning:${name}`, { ...asked, ...forgery.argument }, { 'round/1': record, ...writes });
    return this;
  }
}
