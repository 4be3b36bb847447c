// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash as hashOfCohort,
  encodeBitmap,
  heOpeningHash,
  heParties,
  type CohortStatement,
  type CommitHeSum,
  type FixCohort,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeOpening,
  type HeRound,
  type HeSumStatement,
  type HeTaskTerms,
  type HoldingsStatement,
  type OpeningStatement,
  type OpenRound,
  type Page,
  type Proposal,
  type ReceiptStatement,
  type RoundRecord,
  type ShowReceipts,
  type Signable,
  type SignedBy,
  type Task,
  type UpdateRecord,
} from '../api';
import { CITY, GRID, MAKER, REGULATOR } from './consortium';
import type { Vehicle } from './fleet';
import { randomHash, signingKey } from './identities';
import { INITIAL_MODEL, ROUND_1, RoundDriver, taskOf, type RoundRef } from './learning';

/** Who has which part in the tests' tasks. */
export const KEY_HOLDER = CITY;
export const SUMMER = GRID;
export const MASK_HOLDER = MAKER;
const MAJORITY = [GRID, CITY, REGULATOR];

export function heTermsOf(change: Partial<HeTaskTerms> = {}): HeTaskTerms {
  return {
    keyHolder: KEY_HOLDER,
    summer: SUMMER,
    maskHolder: MASK_HOLDER,
    clipMilli: 4_000,
    fractionBits: 11,
    maxVehicles: 1_024,
    metrics: ['loss'],
    receiptMs: 0,
    ...change,
  };
}

/** A task in mode `he`; of 19 parameters. */
export function heTask(terms: Partial<HeTaskTerms> = {}, change: Partial<Task> = {}): Task {
  const aggregation = { ...taskOf().aggregation, weightClasses: [{ minSamples: 1, weight: 4 }] };
  return taskOf({ privacy: 'he', aggregation, he: heTermsOf(terms), cohort: { minimum: 3, target: 3 }, ...change });
}

/** Drives mode `he` as coordinator, parties and attesters would, all sums being made up. */
export class HeDriver extends RoundDriver {
  newOpening(): HeOpening {
    return { publicKeyHash: randomHash(), sealingKey: signingKey().publicKey };
  }

  /** An opening with the statements of all three parties. */
  signedOpening(
    he: HeOpening,
    ref: RoundRef = ROUND_1,
    baseModelHash = INITIAL_MODEL,
    signers: readonly string[] = heParties(heTermsOf()),
  ): OpenRound {
    const content = { ...this.named(ref), baseModelHash, openingHash: heOpeningHash(he) };
    const statements = this.sign(signers, (mspId): OpeningStatement => ({
      type: 'sev/round-opening/v1',
      ...content,
      mspId,
    }));
    return { ...ref, baseModelHash, he, statements };
  }

  async open(task: Task, ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    await this.coordinate('CreateTask', task);
    return this.coordinate('OpenRound', this.signedOpening(this.newOpening(), ref));
  }

  /** Opens, records and closes with these vehicles. */
  async closed(task: Task, vehicles: readonly Vehicle[], ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    await this.open(task, ref);
    await this.record(this.envelopes(vehicles, ref), ref);
    return this.close(MAJORITY, ref);
  }

  round({ taskId, round }: RoundRef = ROUND_1): Promise<RoundRecord> {
    return this.consortium.evaluate('learning:GetRound', { taskId, round });
  }

  async he(ref: RoundRef = ROUND_1): Promise<HeRound> {
    const { he } = await this.round(ref);
    if (he === undefined) {
      throw new Error('the round does not run in mode he');
    }
    return he;
  }

  async recorded(ref: RoundRef = ROUND_1): Promise<readonly UpdateRecord[]> {
    const argument = { ...ref, pageSize: 1_000, bookmark: '' };
    return (await this.consortium.evaluate<Page<UpdateRecord>>('learning:ListUpdates', argument)).items;
  }

  async receipt(mspId: string, vehicleId: string, ref: RoundRef = ROUND_1): Promise<ShowReceipts> {
    const commitmentRoot = (await this.recorded(ref)).find((u) => u.vehicleId === vehicleId)?.updateHash ?? '';
    const content = { ...this.named(ref), mspId, vehicleId, commitmentRoot };
    const signature = this.signOne(mspId, { type: 'sev/share-receipt/v1', ...content } satisfies ReceiptStatement);
    return { ...ref, receipts: [{ vehicleId, mspId, signature }] };
  }

  /** @param lacking - vehicles that a party says it does not hold. */
  async holdings(
    lacking: Readonly<Record<string, readonly string[]>> = {},
    ref: RoundRef = ROUND_1,
    mspIds: readonly string[] = [SUMMER, MASK_HOLDER],
  ): Promise<FixCohort['holdings']> {
    const updates = await this.recorded(ref);
    const recordedHash = hashOfCohort(updates);
    return mspIds.map((mspId) => {
      const held = encodeBitmap(updates.map(({ vehicleId }) => lacking[mspId]?.includes(vehicleId) !== true));
      const content = { ...this.named(ref), mspId, recordedHash, held };
      const signature = this.signOne(mspId, { type: 'sev/holdings/v1', ...content } satisfies HoldingsStatement);
      return { mspId, held, signature };
    });
  }

  /** A majority's word that a cohort without some vehicles may be fixed. */
  async cohortStatements(without: readonly string[], ref: RoundRef = ROUND_1): Promise<SignedBy[]> {
    const updates = await this.recorded(ref);
    const members = updates.filter(({ vehicleId }) => !without.includes(vehicleId));
    const hashes = { recordedHash: hashOfCohort(updates), cohortHash: hashOfCohort(members) };
    const content = { ...this.named(ref), ...hashes, holders: [SUMMER, MASK_HOLDER].sort() };
    return this.sign(MAJORITY, (mspId): CohortStatement => ({ type: 'sev/fix-cohort/v1', ...content, mspId }));
  }

  async fix(ref: RoundRef = ROUND_1, without: readonly string[] = []): Promise<RoundRecord> {
    const holdings = await this.holdings({ [SUMMER]: without }, ref);
    const statements = without.length === 0 ? [] : await this.cohortStatements(without, ref);
    return this.coordinate('FixCohort', { ...ref, holdings, statements });
  }

  /** The three hashes, each signed by its party, or by another one. */
  async committing(
    ref: RoundRef = ROUND_1,
    signers: { readonly summer?: string; readonly maskHolder?: string; readonly keyHolder?: string } = {},
  ): Promise<CommitHeSum> {
    const { cohortHash = '' } = await this.he(ref);
    const content = { ...this.named(ref), cohortHash };
    const [sumHash, masksHash, maskedHash] = [randomHash(), randomHash(), randomHash()];
    const sum = { type: 'sev/he-sum/v1', ...content, mspId: SUMMER, sumHash } satisfies HeSumStatement;
    const masks = { type: 'sev/he-masks/v1', ...content, mspId: MASK_HOLDER, masksHash } satisfies HeMasksStatement;
    const opened = { ...content, mspId: KEY_HOLDER, sumHash, maskedHash };
    const masked = { type: 'sev/he-masked/v1', ...opened } satisfies HeMaskedStatement;
    return {
      ...ref,
      sum: { sumHash, signature: this.signOne(signers.summer ?? SUMMER, sum) },
      masks: { masksHash, signature: this.signOne(signers.maskHolder ?? MASK_HOLDER, masks) },
      masked: { maskedHash, signature: this.signOne(signers.keyHolder ?? KEY_HOLDER, masked) },
    };
  }

  async commit(ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    return this.coordinate('CommitHeSum', await this.committing(ref));
  }

  override async proposal(ref: RoundRef = ROUND_1): Promise<Proposal> {
    const { baseModelHash } = await this.round(ref);
    const { cohortHash = '', cohortSize = 0 } = await this.he(ref);
    return { ...ref, baseModelHash, modelHash: randomHash(), cohortHash, cohortSize, excluded: [] };
  }

  abort(ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    const reason = 'KEY_HOLDER_LOST';
    return this.coordinate('AbortRound', { ...ref, reason, statements: this.abortStatements(MAJORITY, reason, ref) });
  }

  signOne(mspId: string, statement: Signable): string {
    return this.sign([mspId], () => statement)[0]?.signature ?? '';
  }

  named({ taskId, round, attempt }: RoundRef): RoundRef & { readonly consortium: string } {
    return { consortium: this.consortium.bootstrapHash, taskId, round, attempt };
  }
}
