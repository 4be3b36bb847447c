// SPDX-License-Identifier: Apache-2.0
import { randomBytes, type KeyObject } from 'node:crypto';
import {
  cohortHash,
  encodeBitmap,
  heOpeningHash,
  proposalHash,
  signStatement,
  type AttestationStatement,
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
  type ReceiptStatement,
  type RoundState,
  type Signable,
  type Task,
  type UpdateStatement,
} from '@sev/chaincode/api';
import { BASE, HASH, newKey, NOW, publicText, Scenario, TASK, type Record_ } from './scenario.js';

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

interface Reporter {
  readonly vehicleId: string;
  readonly key: KeyObject;
  readonly updateHash: string;
}

/** A ledger with a task in mode `he` and three vehicles, one true or forged step after the other. */
export class HeScenario extends Scenario {
  readonly reporters: readonly Reporter[];
  he: HeRound = { opening: { publicKeyHash: '', sealingKey: '' }, openingHash: '', shownAttempts: [] };
  attempt = 0;
  #closedAtMs: number | undefined;

  constructor(readonly roundTask: Task = heTask()) {
    super();
    const reporters = Array.from({ length: 3 }, () => ({
      vehicleId: `v-${randomBytes(16).toString('base64url')}`,
      key: newKey(),
      updateHash: randomBytes(32).toString('hex'),
    }));
    this.reporters = reporters.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  /** Bootstrapped, with its vehicles and its task. */
  begin(): this {
    this.bootstrap();
    this.reporters.forEach(({ vehicleId, key }, index) => {
      const tag = HASH(String(index));
      this.enroll({ vehicleId, key, tag, record: { vehicleId, publicKey: publicText(key), tag } });
    });
    return this.task(this.roundTask);
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
    this.#closedAtMs = undefined;
    return this.#step('OpenRound', 'open', { baseModelHash: BASE, he: opening, statements }, {}, forgery);
  }

  /** Opened, recorded, closed. */
  closed(opening?: HeOpening): this {
    this.openHe(opening === undefined ? {} : { opening });
    const ref = { ...this.attemptRef(), baseModelHash: BASE };
    for (const { vehicleId, key, updateHash } of this.reporters) {
      const content = { vehicleId, updateHash, weightClass: 0 };
      const statement: UpdateStatement = { type: 'sev/update/v1', consortium: this.consortium, ...ref, ...content };
      const signature = signStatement(statement, key);
      const record = { docType: 'update', schemaVersion: 1, ...ref, ...content, signature, recordedAtMs: NOW };
      const name = `update/${String(this.attempt)}/${vehicleId}`;
      this.submit('learning:RecordUpdate', { ...ref, envelope: { ...content, signature } }, { [name]: record });
    }
    const statements = this.sign((mspId) => ({ type: 'sev/close-round/v1', ...this.ref(), mspId }), ALL);
    this.#closedAtMs = NOW;
    return this.#step('CloseRound', 'closed', { statements }, {}, {});
  }

  receipt(mspId: string, { vehicleId, updateHash }: Reporter): this {
    const content = { ...this.ref(), mspId, vehicleId, commitmentRoot: updateHash };
    const signature = this.signOne(mspId, { type: 'sev/share-receipt/v1', ...content } satisfies ReceiptStatement);
    const record = { docType: 'receipt', schemaVersion: 1, ...this.attemptRef(), vehicleId, mspId, signature };
    const argument = { ...this.attemptRef(), receipts: [{ vehicleId, mspId, signature }] };
    this.submit('learning:ShowReceipts', argument, { [`receipt/${vehicleId}/${mspId}`]: record });
    return this;
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
    const writes = { [`cohort/${String(this.attempt)}`]: record, [`shownSums/${BASE}`]: shown };
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
    const { cohortHash: hash = '', cohortSize = 0 } = this.he;
    const proposal: Proposal = {
      ...{ ...this.attemptRef(), baseModelHash: BASE, modelHash: HASH('e') },
      ...{ cohortHash: hash, cohortSize, excluded: [], ...forgery.proposal },
    };
    const content = { ...this.ref(), proposalHash: proposalHash(proposal) };
    const attestations = this.sign(
      (mspId): AttestationStatement => ({ type: 'sev/attest-model/v1', ...content, mspId }),
      forgery.signers ?? ALL,
    );
    const { modelHash } = proposal;
    const model = { docType: 'model', schemaVersion: 1, modelHash, ...this.attemptRef(), baseModelHash: BASE };
    const record = { proposal, attestations, ...forgery.record };
    const writes = { [`model/${modelHash}`]: model };
    return this.#step('FinaliseRound', 'finalised', { proposal, attestations }, writes, { ...forgery, record });
  }

  abortHe(): this {
    const reason = 'KEY_HOLDER_LOST';
    const statements = this.sign((mspId) => ({ type: 'sev/abort-round/v1', ...this.ref(), reason, mspId }), ALL);
    return this.#step('AbortRound', 'aborted', { reason, statements }, {}, { record: { abortReason: reason } });
  }

  attemptRef(): { taskId: string; round: number; attempt: number } {
    return { taskId: this.roundTask.taskId, round: 1, attempt: this.attempt };
  }

  ref(): { consortium: string; taskId: string; round: number; attempt: number } {
    return { consortium: this.consortium, ...this.attemptRef() };
  }

  signOne(mspId: string, statement: Signable): string {
    return this.sign(() => statement, [mspId])[0]?.signature ?? '';
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
      ...(this.#closedAtMs === undefined ? {} : { closedAtMs: this.#closedAtMs }),
      ...(this.he.cohortHash === undefined ? {} : { stateSinceMs: NOW }),
      he: { ...this.he, ...forgery.he },
      ...forgery.record,
    });
    const asked = name === 'FinaliseRound' ? argument : { ...this.attemptRef(), ...argument };
    this.submit(`learning:${name}`, { ...asked, ...forgery.argument }, { 'round/1': record, ...writes });
    return this;
  }
}

function memberOf({ vehicleId, updateHash }: Reporter): { vehicleId: string; updateHash: string; weightClass: number } {
  return { vehicleId, updateHash, weightClass: 0 };
}
