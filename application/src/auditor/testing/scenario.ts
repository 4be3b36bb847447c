// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import {
  cohortHash,
  hashOf,
  proposalHash,
  publicKeyText,
  sha256Hex,
  signStatement,
  type AbortStatement,
  type AttestationStatement,
  type Change,
  type CloseStatement,
  type Envelope,
  type KeyRecoveryAttestation,
  type KeyRotationStatement,
  type MakerAttestation,
  type Proposal,
  type Signable,
  type Task,
  type UpdateStatement,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../../run/learning-task.js';
import { DomainReplay } from '../domain-replay.js';
import { AuditError, newAuditCounts, type AuditCode } from '../failure.js';

export const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
export const publicText = (key: KeyObject): string => publicKeyText(createPublicKey(key));
export const HASH = (digit: string): string => digit.repeat(64);

export const MSPS = ['AMSP', 'BMSP', 'CMSP', 'DMSP'] as const;
export const NOW = 1_700_000_000_000;
const PREPARED = priceTask({
  taskId: 'price-1',
  vehicles: 2,
  rounds: 3,
  seed: 1,
  trainingRows: 100,
  minimumCohort: 1,
  roundMs: 60_000,
});
export const TASK = PREPARED.task;
export const INITIAL_MODEL = PREPARED.initialModel;
const STAFF_KEY = { publicKey: '', notAfterMs: NOW + 1e9 };
export const FOREIGN = HASH('9');
export const BASE = TASK.model.initialModelHash;

export type Record_ = Readonly<Record<string, unknown>>;

export interface ProposalOptions {
  readonly id?: string;
  readonly by?: string;
  /** Of the contracts that write the record. */
  readonly version?: 1 | 2;
  readonly record?: Record_;
}

/** A ledger of records without contracts: it writes whatever a test wants, true or forged, for the rules to judge. */
export class Scenario {
  readonly replay = new DomainReplay(newAuditCounts());
  readonly keys = new Map<string, KeyObject>(MSPS.map((mspId) => [mspId, newKey()]));
  readonly maker = newKey();
  readonly vehicle = newKey();
  readonly vehicleId = `v-${randomBytes(16).toString('base64url')}`;
  consortium = '';
  /** Whether the contracts write whose base a model is when a task or a model is made. */
  claimsBases = true;
  readonly #state = new Map<string, Uint8Array>();
  #number = 0;
  readonly #proposals = new Map<string, { change: Change; by: string; version: 1 | 2 }>();

  /** One transaction: its request, and the records that it writes under these keys. */
  submit(
    name: string,
    argument: unknown,
    writes: Readonly<Record<string, Record_>>,
    options: { by?: string; at?: number; creatorKey?: { publicKey: string; notAfterMs: number } } = {},
  ): void {
    const values = Object.entries(writes).map(([key, record]) => {
      const value = Buffer.from(JSON.stringify(record));
      const before = this.#state.get(key);
      this.#state.set(key, value);
      return { key, isDelete: false, value, before };
    });
    const blockNumber = ++this.#number;
    const where = `block ${String(blockNumber)}, transaction 0`;
    const { by = 'AMSP', at = NOW, creatorKey = STAFF_KEY } = options;
    const txId = sha256Hex(where);
    const request = { where, blockNumber, txId, name, argument, creatorMspId: by, creatorKey, timestampMs: at };
    this.replay.apply(request, values);
  }

  bootstrap(): this {
    const organisations = MSPS.map((mspId) => ({
      name: mspId.toLowerCase(),
      mspId,
      signingKey: publicText(this.keys.get(mspId)!),
      roles: mspId === 'DMSP' ? ['operator', 'vehicle', 'auditor'] : ['operator', 'vehicle'],
    }));
    const makers = [{ makerKeyId: 'maker-1', mspId: 'BMSP', publicKey: publicText(this.maker) }];
    const policy = { vehicleQuota: 10, enrollmentsPerWindow: 10, enrollmentWindowMs: 1_000 };
    const content = { organisations, makers, policy };
    this.consortium = hashOf(content);
    this.submit('governance:Bootstrap', content, {});
    return this;
  }

  enroll(
    change: {
      vehicleId?: string;
      key?: KeyObject;
      tag?: string;
      signer?: KeyObject;
      consortium?: string;
      record?: Record_;
    } = {},
  ): this {
    const vehicleId = change.vehicleId ?? this.vehicleId;
    const tag = change.tag ?? HASH('a');
    const publicKey = publicText(change.key ?? this.vehicle);
    const statement: MakerAttestation = {
      type: 'sev/maker-attestation/v1',
      consortium: change.consortium ?? this.consortium,
      makerKeyId: 'maker-1',
      publicKey,
      mspId: 'AMSP',
      domain: 'learning',
      tag,
    };
    const attestation = signStatement(statement, change.signer ?? this.maker);
    const common = { vehicleId, publicKey, certificateNotAfterMs: NOW + 1e9, tag, makerKeyId: 'maker-1' };
    const request = { ...common, attestation, quotaSlot: 0, rateSlot: 0 };
    this.submit(
      'registry:EnrollVehicles',
      { domain: 'learning', window: 0, vehicles: [request] },
      {
        [`vehicle/${vehicleId}`]: this.vehicleRecord({ ...common, ...change.record }),
      },
    );
    return this;
  }

  vehicleRecord(change: Record_ = {}): Record_ {
    return {
      docType: 'vehicle',
      schemaVersion: 2,
      vehicleId: this.vehicleId,
      mspId: 'AMSP',
      domain: 'learning',
      publicKey: publicText(this.vehicle),
      certificateNotAfterMs: NOW + 1e9,
      tag: HASH('a'),
      makerKeyId: 'maker-1',
      makerMspId: 'BMSP',
      status: 'active',
      statusSetBy: 'organisation',
      enrolledAtMs: NOW,
      keyRotations: 0,
      previousKeyHash: null,
      keySetAtMs: NOW,
      keySetBy: 'enrollment',
      ...change,
    };
  }

  /** The same record as the first version of the contracts wrote it. */
  firstVersionRecord(change: Record_ = {}): Record_ {
    const {
      keyRotations: _n,
      previousKeyHash: _hash,
      keySetAtMs: _at,
      keySetBy: _by,
      ...record
    } = this.vehicleRecord();
    return { ...record, schemaVersion: 1, ...change };
  }

  propose(change: Change, options: ProposalOptions = {}): this {
    const { by = 'AMSP', version = 2, record = {}, id = 'p-1' } = options;
    this.#proposals.set(id, { change, by, version });
    const write = this.#proposalRecord(id, 'open', version, record);
    this.submit('governance:Propose', { proposalId: id, change }, write, { by });
    return this;
  }

  vote(by: string, approve = true, id = 'p-1'): this {
    this.submit('governance:Vote', { proposalId: id, approve }, {}, { by });
    return this;
  }

  /** `version`: that of the contracts that execute; default: the one that proposed. */
  execute(options: ProposalOptions & { readonly writes?: Readonly<Record<string, Record_>> } = {}): this {
    const { by = 'AMSP', id = 'p-1', record = {}, writes = {} } = options;
    const { version = this.#proposals.get(id)?.version ?? 2 } = options;
    const all = { ...this.#proposalRecord(id, 'executed', version, record), ...writes };
    this.submit('governance:Execute', { proposalId: id }, all, { by });
    return this;
  }

  /** Proposed by the first, voted for by the others, executed by the first. */
  decide(change: Change, by: readonly string[] = ['AMSP', 'BMSP', 'CMSP'], options: ProposalOptions = {}): this {
    const [first = '', ...others] = by;
    this.propose(change, { ...options, by: first });
    for (const mspId of others) {
      this.vote(mspId, true, options.id);
    }
    return this.execute({ ...options, by: first });
  }

  withdraw(by: string): this {
    const id = 'p-1';
    this.submit('governance:Withdraw', { proposalId: id }, this.#proposalRecord(id, 'withdrawn', 2, {}), { by });
    return this;
  }

  #proposalRecord(id: string, state: string, version: 1 | 2, record: Record_): Record<string, Record_> {
    const { change, by } = this.#proposals.get(id)!;
    const common = { docType: 'proposal', schemaVersion: version, proposalId: id, change, proposedBy: by };
    const decided = version === 1 ? { executed: state === 'executed' } : { state };
    return { [`proposal/${id}`]: { ...common, changeHash: hashOf(change), ...decided, ...record } };
  }

  setStatus(status: string, options: { by?: string; name?: string; record?: Record_ } = {}): this {
    const { by, name = 'registry:SetVehicleStatus', record = {} } = options;
    const argument = { vehicleId: this.vehicleId, status, reason: 'test' };
    const write = { [`vehicle/${this.vehicleId}`]: this.vehicleRecord({ status, ...record }) };
    this.submit(name, argument, write, by === undefined ? {} : { by });
    return this;
  }

  /** A change of the vehicle's key as the contracts would record it; each part may be forged. */
  changeKey(
    next: KeyObject,
    change: {
      present?: KeyObject;
      newSigner?: KeyObject;
      statement?: Partial<KeyRotationStatement>;
      /** With the maker's word instead of the present key's. */
      recovery?: { signer?: KeyObject; attested?: Partial<KeyRecoveryAttestation> };
      creatorKey?: { publicKey: string; notAfterMs: number };
      by?: string;
      at?: number;
      record?: Record_;
    } = {},
  ): this {
    const { vehicleId, consortium } = this;
    const { present = this.vehicle, newSigner = next, recovery, by = 'AMSP', at = NOW } = change;
    const asked = { vehicleId, rotation: 1, publicKey: publicText(next), certificateNotAfterMs: NOW + 2e9 };
    const statement: KeyRotationStatement = { type: 'sev/rotate-key/v1', consortium, ...asked, ...change.statement };
    const attestation: KeyRecoveryAttestation = {
      type: 'sev/key-recovery/v1',
      consortium,
      makerKeyId: 'maker-1',
      vehicleId,
      rotation: 1,
      publicKey: asked.publicKey,
      mspId: 'AMSP',
      domain: 'learning',
      tag: HASH('a'),
      ...recovery?.attested,
    };
    const record = this.vehicleRecord({
      publicKey: asked.publicKey,
      certificateNotAfterMs: asked.certificateNotAfterMs,
      keyRotations: 1,
      previousKeyHash: sha256Hex(publicText(this.vehicle)),
      keySetAtMs: at,
      keySetBy: recovery === undefined ? 'vehicle' : 'maker',
      ...change.record,
    });
    const proof =
      recovery === undefined
        ? { previousKeyProof: signStatement(statement, present), newKeyProof: signStatement(statement, newSigner) }
        : { makerKeyId: 'maker-1', attestation: signStatement(attestation, recovery.signer ?? this.maker) };
    const { creatorKey = { publicKey: asked.publicKey, notAfterMs: asked.certificateNotAfterMs } } = change;
    this.submit(
      recovery === undefined ? 'registry:RotateKey' : 'registry:RecoverKey',
      { ...asked, ...proof },
      { [`vehicle/${vehicleId}`]: record },
      { by, at, creatorKey },
    );
    return this;
  }

  /** @param writes - beside, or instead of, the records of task, model and base. */
  task(change: Partial<Task> = {}, writes: Readonly<Record<string, Record_>> = {}, at = NOW): this {
    const task = { ...TASK, ...change };
    const model = {
      docType: 'model',
      schemaVersion: 1,
      modelHash: task.model.initialModelHash,
      taskId: task.taskId,
      round: 0,
      attempt: 0,
      baseModelHash: null,
    };
    const claimed = task.privacy !== 'plain' && this.claimsBases;
    const all = {
      [`task/${task.taskId}`]: { docType: 'task', schemaVersion: 1, task },
      [`model/${task.taskId}`]: model,
      ...(claimed ? this.baseRecord(task.taskId, task.model.initialModelHash, { begunAtMs: at }) : {}),
      ...writes,
    };
    this.submit('learning:CreateTask', task, all, { at });
    return this;
  }

  baseRecord(taskId: string, baseModelHash: string, change: Record_ = {}): Record<string, Record_> {
    const record = { docType: 'base', schemaVersion: 1, baseModelHash, taskId, ...change };
    return { [`base/${baseModelHash}`]: record };
  }

  round(state: string, change: Record_ = {}): Record_ {
    return {
      docType: 'round',
      schemaVersion: 1,
      taskId: 'price-1',
      round: 1,
      attempt: 1,
      state,
      privacy: 'plain',
      baseModelHash: BASE,
      openedBy: 'AMSP',
      openedAtMs: NOW,
      deadlineMs: NOW + 60_000,
      ...change,
    };
  }

  open(change: Record_ = {}): this {
    const record = this.round('open', change);
    this.submit('learning:OpenRound', {}, { [`round/${String(record['round'])}`]: record });
    return this;
  }

  update(change: { signer?: KeyObject; consortium?: string; record?: Record_; key?: string; by?: string } = {}): this {
    const ref = { taskId: 'price-1', round: 1, attempt: 1, baseModelHash: BASE };
    const content = { ...ref, vehicleId: this.vehicleId, updateHash: HASH('d'), weightClass: 0 };
    const { consortium = this.consortium } = change;
    const statement: UpdateStatement = { type: 'sev/update/v1', consortium, ...content };
    const signature = signStatement(statement, change.signer ?? this.vehicle);
    const envelope: Envelope = { vehicleId: this.vehicleId, updateHash: HASH('d'), weightClass: 0, signature };
    const record = { docType: 'update', schemaVersion: 1, ...content, signature, recordedAtMs: NOW, ...change.record };
    const write = { [change.key ?? 'update/1']: record };
    this.submit('learning:RecordUpdate', { ...ref, envelope }, write, { by: change.by ?? 'AMSP' });
    return this;
  }

  sign(statementOf: (mspId: string) => Signable, mspIds: readonly string[]): { mspId: string; signature: string }[] {
    return mspIds.map((mspId) => ({ mspId, signature: signStatement(statementOf(mspId), this.keys.get(mspId)!) }));
  }

  close(
    mspIds: readonly string[] = ['AMSP', 'BMSP', 'CMSP'],
    at = NOW,
    change: Record_ = {},
    consortium = this.consortium,
  ): this {
    const ref = { taskId: 'price-1', round: 1, attempt: 1 };
    const content = { consortium, ...ref };
    const statements = this.sign(
      (mspId): CloseStatement => ({ type: 'sev/close-round/v1', ...content, mspId }),
      mspIds,
    );
    const record = this.round('closed', { closedAtMs: at, ...change });
    this.submit('learning:CloseRound', { ...ref, statements }, { 'round/1': record }, { at });
    return this;
  }

  abort(mspIds: readonly string[], at = NOW, change: Record_ = {}, consortium = this.consortium): this {
    const ref = { taskId: 'price-1', round: 1, attempt: 1 };
    const content = { consortium, ...ref, reason: 'NO_MAJORITY' as const };
    const statements = this.sign(
      (mspId): AbortStatement => ({ type: 'sev/abort-round/v1', ...content, mspId }),
      mspIds,
    );
    const record = this.round('aborted', { abortReason: 'NO_MAJORITY', ...change });
    this.submit('learning:AbortRound', { ...ref, reason: 'NO_MAJORITY', statements }, { 'round/1': record }, { at });
    return this;
  }

  finalise(
    change: {
      mspIds?: readonly string[];
      proposal?: Partial<Proposal>;
      modelHash?: string;
      consortium?: string;
      record?: Record_;
    } = {},
  ): this {
    const updates = [{ vehicleId: this.vehicleId, updateHash: HASH('d'), weightClass: 0 }];
    const proposal: Proposal = {
      taskId: 'price-1',
      round: 1,
      attempt: 1,
      baseModelHash: BASE,
      modelHash: HASH('e'),
      cohortHash: cohortHash(updates),
      cohortSize: 1,
      excluded: [],
      ...change.proposal,
    };
    const ref = { taskId: 'price-1', round: 1, attempt: 1 };
    const statement = {
      consortium: change.consortium ?? this.consortium,
      ...ref,
      proposalHash: proposalHash(proposal),
    };
    const attestations = this.sign(
      (mspId): AttestationStatement => ({ type: 'sev/attest-model/v1', ...statement, mspId }),
      change.mspIds ?? ['AMSP', 'BMSP', 'DMSP'],
    );
    const model = {
      docType: 'model',
      schemaVersion: 1,
      modelHash: change.modelHash ?? proposal.modelHash,
      taskId: 'price-1',
      round: 1,
      attempt: 1,
      baseModelHash: BASE,
    };
    this.submit(
      'learning:FinaliseRound',
      { proposal, attestations },
      {
        'round/1': this.round('finalised', { closedAtMs: NOW, proposal, attestations, ...change.record }),
        [`model/${model.modelHash}`]: model,
      },
    );
    return this;
  }
}

/** A ledger with a vehicle, a task and its first round open. */
export function ready(vehicle: Record_ = {}): Scenario {
  return new Scenario().bootstrap().enroll({ record: vehicle }).task().open();
}

export function codeOf(work: () => unknown): AuditCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(AuditError);
    return (error as AuditError).failure.code;
  }
}
