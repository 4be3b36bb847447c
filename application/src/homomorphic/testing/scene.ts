// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import {
  cohortHash,
  reportContext,
  type CommitHeSum,
  type HeOpening,
  type RoundRecord,
  type SignedBy,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { createHeReport, HeRuntime, openHeSum, slotsFromBytes, systemRandom, type HeReport } from '@sev/fl';
import { Inbox } from '../../aggregator/inbox.js';
import type { ShareSubmission } from '../../aggregator/share-submission.js';
import { attemptKey, type AttemptRef } from '../../services/attempt.js';
import { silentLog } from '../../services/log.js';
import { Federation, type FederationOptions } from '../../testing/federation.js';
import { heLengthOf, heSumTermsOf, heTermsOf } from '../he-task.js';
import { HeParty } from '../party.js';
import { reportMessage } from '../report-message.js';

export const [KEY_HOLDER, SUMMER, MASK_HOLDER] = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const PARTIES = [KEY_HOLDER, SUMMER, MASK_HOLDER];

/** What a vehicle would hand in. */
export interface PreparedReport {
  readonly values: Float64Array;
  readonly report: HeReport;
  readonly submissionFor: (mspId: string) => ShareSubmission;
}

/** The three organisations of mode `he` and their vehicles around a ledger in memory, whose rounds the tests take on. */
export class HeScene {
  readonly federation: Federation;
  readonly ref: AttemptRef;
  readonly base: string;
  readonly runtime: HeRuntime;
  readonly #directory: string;
  readonly #parties = new Map<string, HeParty>();

  private constructor(runtime: HeRuntime, directory: string, options: FederationOptions) {
    this.runtime = runtime;
    this.#directory = directory;
    this.federation = new Federation({ he: {}, vehicles: 4, minimum: 2, ...options });
    this.ref = { taskId: this.federation.task.taskId, round: 1, attempt: 1 };
    this.base = this.federation.task.model.initialModelHash;
  }

  /** @param runtime of the vehicles, the caller's to close. */
  static async start(runtime: HeRuntime, directory: string, options: FederationOptions = {}): Promise<HeScene> {
    const scene = new HeScene(runtime, directory, options);
    for (const mspId of PARTIES) {
      await scene.restart(mspId);
    }
    return scene;
  }

  /** Ends all parties. */
  async close(): Promise<void> {
    await Promise.all([...this.#parties.values()].map((party) => party.end()));
  }

  get round(): RoundRecord {
    return this.federation.ledger.rounds.get(this.ref.round)!;
  }

  at(mspId: string): HeParty {
    return this.#parties.get(mspId)!;
  }

  homeOf(mspId: string): string {
    return join(this.#directory, mspId);
  }

  /** A new process of the party, with what the one before left on the disk. */
  async restart(mspId: string): Promise<HeParty> {
    await this.#parties.get(mspId)?.end();
    const party = new HeParty({
      session: this.federation.ledger.session(mspId),
      store: this.federation.store,
      inbox: await Inbox.open(this.homeOf(mspId)),
      signingKey: this.federation.organisationKey(mspId),
      log: silentLog,
    });
    this.#parties.set(mspId, party);
    return party;
  }

  async opening(ref = this.ref): Promise<{ readonly opening: HeOpening; readonly statements: SignedBy[] }> {
    const parts = [];
    for (const mspId of PARTIES) {
      parts.push(await this.at(mspId).prepare(ref, this.base));
    }
    const opening = Object.assign({}, ...parts) as HeOpening;
    const statements = await Promise.all(PARTIES.map((mspId) => this.at(mspId).accept(ref, opening)));
    return { opening, statements };
  }

  async open(ref = this.ref): Promise<HeOpening> {
    const { opening } = await this.opening(ref);
    await this.federation.ledger
      .session(SUMMER)
      .submit('learning', 'OpenRound', { ...ref, baseModelHash: this.base, he: opening });
    return opening;
  }

  /** What a vehicle computes for the open round: a random vector of whole numbers, encrypted. */
  async report(vehicleId: string, reporter = vehicleId): Promise<PreparedReport> {
    const { federation, ref, base, runtime } = this;
    const { task, consortium } = federation;
    const { opening } = this.round.he!;
    const values = Float64Array.from({ length: heLengthOf(task) }, () => Math.floor((Math.random() - 0.5) * 30_000));
    const report = await createHeReport(runtime, {
      values,
      context: reportContext({ consortium, ...ref, baseModelHash: base, reporter }),
      terms: heSumTermsOf(task, opening.publicKeyHash),
      publicKey: await federation.store.get(opening.publicKeyHash),
      maskHolder: opening.sealingKey,
      random: systemRandom,
    });
    const envelope = federation.sign(this.round, vehicleId, report.root);
    const { header } = report;
    const submissionFor = (mspId: string): ShareSubmission => {
      const payload = mspId === SUMMER ? Buffer.concat(report.ciphertexts) : report.sealedSeed;
      const sealed = Buffer.from(reportMessage({ header, payload })).toString('base64');
      return { ...ref, baseModelHash: base, envelope, sealed };
    };
    return { values, report, submissionFor };
  }

  /** Hands a vehicle's report in, to both or only to these, and records its envelope. */
  async takePart(vehicleId: string, to: readonly string[] = [SUMMER, MASK_HOLDER]): Promise<PreparedReport> {
    const prepared = await this.report(vehicleId);
    await Promise.all(to.map((mspId) => this.at(mspId).submitReport(prepared.submissionFor(mspId))));
    const { envelope } = prepared.submissionFor(SUMMER);
    await this.federation.ledger
      .session(SUMMER)
      .submit('learning', 'RecordUpdates', { ...this.ref, baseModelHash: this.base, envelopes: [envelope] });
    return prepared;
  }

  closeRound(): void {
    this.federation.ledger.advance(this.ref, { state: 'closed' });
  }

  /** Fixes the cohort: all recorded updates, or those of these vehicles. */
  fixCohort(vehicleIds: readonly string[] = this.federation.vehicleIds): readonly UpdateRecord[] {
    const { ledger } = this.federation;
    const members = ledger.updates(this.ref).filter(({ vehicleId }) => vehicleIds.includes(vehicleId));
    ledger.cohorts.set(attemptKey(this.ref), {
      docType: 'cohort',
      schemaVersion: 1,
      ...this.ref,
      members: members.map(({ vehicleId, updateHash, weightClass }) => ({ vehicleId, updateHash, weightClass })),
    });
    const he = { ...this.round.he!, cohortHash: cohortHash(members), cohortSize: members.length };
    ledger.advance(this.ref, { state: 'cohort', he });
    return members;
  }

  /** Everybody takes part, and the cohort is fixed with these vehicles. */
  async toCohort(vehicleIds?: readonly string[]): Promise<ReadonlyMap<string, PreparedReport>> {
    await this.open();
    const reports = new Map<string, PreparedReport>();
    for (const vehicleId of this.federation.vehicleIds) {
      reports.set(vehicleId, await this.takePart(vehicleId));
    }
    this.closeRound();
    this.fixCohort(vehicleIds);
    return reports;
  }

  /** Has the sum made, masked and decrypted, and commits its hashes. */
  async commit(): Promise<Omit<CommitHeSum, keyof AttemptRef>> {
    const { ref } = this;
    const sum = await this.at(SUMMER).sum(ref);
    const masks = await this.at(MASK_HOLDER).masks(ref);
    const masked = await this.at(KEY_HOLDER).decrypt(ref, sum);
    const hashes = { sumHash: sum.sumHash, masksHash: masks.masksHash, maskedHash: masked.maskedHash };
    this.federation.ledger.advance(ref, { state: 'aggregated', he: { ...this.round.he!, ...hashes } });
    return { sum, masks, masked };
  }

  /** Has both openings published, and opens the sum as anyone can. */
  async publishedSum(): Promise<number[]> {
    const { task, store } = this.federation;
    const published = async (mspId: string): Promise<ReturnType<typeof slotsFromBytes>> => {
      const { hash } = await this.at(mspId).publish(this.ref);
      return slotsFromBytes(await store.get(hash), heLengthOf(task));
    };
    const masks = await published(MASK_HOLDER);
    const masked = await published(KEY_HOLDER);
    const terms = heSumTermsOf(task, this.round.he!.opening.publicKeyHash);
    return Array.from(openHeSum({ terms, masked, masks }));
  }

  /** The parts of the task, so that a test reads who is who. */
  get terms() {
    return heTermsOf(this.federation.task);
  }
}

/** The exact sum of what these vehicles reported. */
export function sumOf(reports: ReadonlyMap<string, PreparedReport>, vehicleIds: readonly string[]): number[] {
  const vectors = vehicleIds.map((vehicleId) => reports.get(vehicleId)!.values);
  return Array.from(vectors[0]!, (_, index) => vectors.reduce((sum, values) => sum + values[index]!, 0));
}
