// SPDX-License-Identifier: Apache-2.0
import { randomBytes, type KeyObject } from 'node:crypto';
import {
  proposalHash,
  signStatement,
  updateStatement,
  type AttestationStatement,
  type Proposal,
  type ReceiptStatement,
  type Signable,
  type Task,
  type VehicleValidation,
} from '@sev/chaincode/api';
import { BASE, HASH, newKey, NOW, publicText, Scenario, type Record_ } from './scenario.js';

export interface Reporter {
  readonly vehicleId: string;
  readonly key: KeyObject;
  readonly updateHash: string;
}

/** A ledger with a task in a mode that keeps updates secret, and three vehicles that report to the attempts at its round. */
export abstract class ReportingScenario extends Scenario {
  readonly reporters: readonly Reporter[];
  number = 1;
  attempt = 0;
  /** The model that the attempts at the round work from. */
  base = BASE;
  protected closedAtMs: number | undefined;

  constructor(readonly roundTask: Task) {
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

  recordUpdates(reporters: readonly Reporter[] = this.reporters): this {
    const ref = { ...this.attemptRef(), baseModelHash: this.base };
    for (const { vehicleId, key, updateHash } of reporters) {
      const validation = this.wordOf(vehicleId);
      const word = validation === undefined ? {} : { validation };
      const content = { vehicleId, updateHash, weightClass: 0, ...word };
      const signature = signStatement(updateStatement(this.consortium, { ...ref, ...content }), key);
      const record = { docType: 'update', schemaVersion: 1, ...ref, ...content, signature, recordedAtMs: NOW };
      const writes = this.updateWrites(vehicleId, { [`update/${this.place()}/${vehicleId}`]: record });
      this.submit('learning:RecordUpdate', { ...ref, envelope: { ...content, signature } }, writes);
    }
    return this;
  }

  /** What a vehicle says of the base in its envelope. */
  protected wordOf(_vehicleId: string): VehicleValidation | undefined {
    return undefined;
  }

  /** What is written with a vehicle's update, given the update itself. */
  protected updateWrites(
    _vehicleId: string,
    update: Readonly<Record<string, Record_>>,
  ): Readonly<Record<string, Record_>> {
    return update;
  }

  receipt(mspId: string, { vehicleId, updateHash }: Reporter, signer: string = mspId): this {
    const content = { ...this.ref(), mspId, vehicleId, commitmentRoot: updateHash };
    const statement: ReceiptStatement = { type: 'sev/share-receipt/v1', ...content };
    const signature = this.signOne(signer, statement);
    const record = { docType: 'receipt', schemaVersion: 1, ...this.attemptRef(), vehicleId, mspId, signature };
    const argument = { ...this.attemptRef(), receipts: [{ vehicleId, mspId, signature }] };
    this.submit('learning:ShowReceipts', argument, { [`receipt/${vehicleId}/${mspId}`]: record });
    return this;
  }

  attemptRef(): { taskId: string; round: number; attempt: number } {
    return { taskId: this.roundTask.taskId, round: this.number, attempt: this.attempt };
  }

  /** Names what an attempt writes once. */
  protected place(): string {
    return `${String(this.number)}/${String(this.attempt)}`;
  }

  ref(): { consortium: string; taskId: string; round: number; attempt: number } {
    return { consortium: this.consortium, ...this.attemptRef() };
  }

  signOne(mspId: string, statement: Signable): string {
    return this.sign(() => statement, [mspId])[0]?.signature ?? '';
  }

  /** A proposal over the fixed cohort, attested, with the record of its model. */
  protected proposed(
    { cohortHash = '', cohortSize = 0 }: { readonly cohortHash?: string; readonly cohortSize?: number },
    change: Partial<Proposal> | undefined,
    signers: readonly string[],
  ) {
    const proposal: Proposal = {
      ...{ ...this.attemptRef(), baseModelHash: this.base, modelHash: madeIn(this.number) },
      ...{ cohortHash, cohortSize, excluded: [], ...change },
    };
    const content = { ...this.ref(), proposalHash: proposalHash(proposal) };
    const attestations = this.sign(
      (mspId): AttestationStatement => ({ type: 'sev/attest-model/v1', ...content, mspId }),
      signers,
    );
    const { modelHash } = proposal;
    const model = { docType: 'model', schemaVersion: 1, modelHash, ...this.attemptRef(), baseModelHash: this.base };
    const base = this.claimsBases ? this.baseRecord(this.roundTask.taskId, modelHash) : {};
    const writes: Readonly<Record<string, Record_>> = { [`model/${modelHash}`]: model, ...base };
    return { proposal, attestations, writes };
  }
}

/** The model that a round ends with: `e…` the first one. */
export function madeIn(round: number): string {
  return HASH((13 + round).toString(16));
}

export function memberOf({ vehicleId, updateHash }: Reporter): {
  vehicleId: string;
  updateHash: string;
  weightClass: number;
} {
  return { vehicleId, updateHash, weightClass: 0 };
}
