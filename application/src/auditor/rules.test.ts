// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import {
  cohortHash,
  hashOf,
  proposalHash,
  TIME_MARGIN_MS,
  publicKeyText,
  signStatement,
  type AbortStatement,
  type AttestationStatement,
  type CloseStatement,
  type Envelope,
  type MakerAttestation,
  type Proposal,
  type Signable,
  type Task,
  type UpdateStatement,
} from '@sev/chaincode/api';
import { expect } from 'chai';
import { priceTask } from '../run/price-task.js';
import { DomainReplay } from './domain-replay.js';
import { AuditError, newAuditCounts, type AuditCode } from './failure.js';

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const publicText = (key: KeyObject): string => publicKeyText(createPublicKey(key));
const HASH = (digit: string): string => digit.repeat(64);

const MSPS = ['AMSP', 'BMSP', 'CMSP', 'DMSP'] as const;
const NOW = 1_700_000_000_000;
const TASK = priceTask({
  taskId: 'price-1',
  vehicles: 2,
  rounds: 3,
  seed: 1,
  trainingRows: 100,
  minimumCohort: 1,
  roundMs: 60_000,
}).task;
const FOREIGN = HASH('9');
const BASE = TASK.model.initialModelHash;

type Record_ = Readonly<Record<string, unknown>>;

/** A ledger of records without contracts: it writes whatever a test wants, true or forged, for the rules to judge. */
class Scenario {
  readonly replay = new DomainReplay(newAuditCounts());
  readonly keys = new Map<string, KeyObject>(MSPS.map((mspId) => [mspId, newKey()]));
  readonly maker = newKey();
  readonly vehicle = newKey();
  readonly vehicleId = `v-${randomBytes(16).toString('base64url')}`;
  consortium = '';
  readonly #state = new Map<string, Uint8Array>();
  #number = 0;

  /** One transaction: its request, and the records that it writes under these keys. */
  submit(
    name: string,
    argument: unknown,
    writes: Readonly<Record<string, Record_>>,
    options: { by?: string; at?: number } = {},
  ): void {
    const values = Object.entries(writes).map(([key, record]) => {
      const value = Buffer.from(JSON.stringify(record));
      const before = this.#state.get(key);
      this.#state.set(key, value);
      return { key, isDelete: false, value, before };
    });
    const blockNumber = ++this.#number;
    const where = `block ${String(blockNumber)}, transaction 0`;
    const { by = 'AMSP', at = NOW } = options;
    this.replay.apply({ where, blockNumber, name, argument, creatorMspId: by, timestampMs: at }, values);
  }

  bootstrap(): this {
    const organisations = MSPS.map((mspId) => ({
      name: mspId.toLowerCase(),
      mspId,
      signingKey: publicText(this.keys.get(mspId)!),
      roles: ['operator'],
    }));
    const makers = [{ makerKeyId: 'maker-1', mspId: 'BMSP', publicKey: publicText(this.maker) }];
    const policy = { vehicleQuota: 10, enrollmentsPerWindow: 10, enrollmentWindowMs: 1_000 };
    const content = { organisations, makers, policy };
    this.consortium = hashOf(content);
    this.submit('governance:Bootstrap', content, {});
    return this;
  }

  enroll(
    change: { vehicleId?: string; tag?: string; signer?: KeyObject; consortium?: string; record?: Record_ } = {},
  ): this {
    const vehicleId = change.vehicleId ?? this.vehicleId;
    const tag = change.tag ?? HASH('a');
    const publicKey = publicText(this.vehicle);
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
      schemaVersion: 1,
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
      ...change,
    };
  }

  setStatus(status: string, options: { by?: string; name?: string; record?: Record_ } = {}): this {
    const { by, name = 'registry:SetVehicleStatus', record = {} } = options;
    const argument = { vehicleId: this.vehicleId, status, reason: 'test' };
    const write = { [`vehicle/${this.vehicleId}`]: this.vehicleRecord({ status, ...record }) };
    this.submit(name, argument, write, by === undefined ? {} : { by });
    return this;
  }

  task(change: Partial<Task> = {}): this {
    const task = { ...TASK, ...change };
    const model = {
      docType: 'model',
      schemaVersion: 1,
      modelHash: BASE,
      taskId: 'price-1',
      round: 0,
      attempt: 0,
      baseModelHash: null,
    };
    this.submit('learning:CreateTask', task, {
      task: { docType: 'task', schemaVersion: 1, task },
      [`model/${BASE}`]: model,
    });
    return this;
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

  update(change: { signer?: KeyObject; consortium?: string; record?: Record_; key?: string } = {}): this {
    const ref = { taskId: 'price-1', round: 1, attempt: 1, baseModelHash: BASE };
    const content = { ...ref, vehicleId: this.vehicleId, updateHash: HASH('d'), weightClass: 0 };
    const { consortium = this.consortium } = change;
    const statement: UpdateStatement = { type: 'sev/update/v1', consortium, ...content };
    const signature = signStatement(statement, change.signer ?? this.vehicle);
    const envelope: Envelope = { vehicleId: this.vehicleId, updateHash: HASH('d'), weightClass: 0, signature };
    const record = { docType: 'update', schemaVersion: 1, ...content, signature, recordedAtMs: NOW, ...change.record };
    this.submit('learning:RecordUpdate', { ...ref, envelope }, { [change.key ?? 'update/1']: record });
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

const ready = (): Scenario => new Scenario().bootstrap().enroll().task().open();

function codeOf(work: () => unknown): AuditCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(AuditError);
    return (error as AuditError).failure.code;
  }
}

describe('audit rules', () => {
  it('accept a round from enrollment to its model', () => {
    const scenario = ready().update().close().finalise();
    const next = scenario.open({ round: 2, baseModelHash: HASH('e') });
    expect(next.replay.state.counts).to.deep.include({ vehicles: 1, updates: 1, rounds: 1, models: 2 });
    expect(next.replay.state.finalised).to.have.length(1);
  });

  it('accept a round closed by one organisation after its deadline', () => {
    expect(
      codeOf(() =>
        ready()
          .update()
          .close([], NOW + 120_001),
      ),
    ).to.equal(undefined);
  });

  it('accept a round closed below its minimum cohort: it can only be aborted', () => {
    expect(codeOf(() => ready().close())).to.equal(undefined);
  });

  it('accept the abort of a closed round by a majority at once, by one organisation when attesters had their time', () => {
    const closed = (at: number): Scenario => ready().update().close([], at);
    const closedAtMs = NOW + 120_001;
    const aborted = { closedAtMs };
    const majority = ['AMSP', 'CMSP', 'DMSP'];
    expect(codeOf(() => closed(closedAtMs).abort(majority, closedAtMs, aborted))).to.equal(undefined);
    const aloneAt = closedAtMs + TASK.deadlines.roundMs + TIME_MARGIN_MS + 1;
    expect(codeOf(() => closed(closedAtMs).abort([], aloneAt, aborted))).to.equal(undefined);
    expect(codeOf(() => closed(closedAtMs).abort([], aloneAt - 1, aborted))).to.equal('STATEMENTS_INSUFFICIENT');
  });

  it("accept the same tag of another maker's organisation", () => {
    const scenario = new Scenario().bootstrap().enroll();
    const maker = { makerKeyId: 'maker-1', mspId: 'CMSP', publicKey: publicText(scenario.maker) };
    scenario.submit('governance:Propose', { proposalId: 'p-1', change: { kind: 'put-maker', maker } }, {});
    for (const by of ['BMSP', 'CMSP']) {
      scenario.submit('governance:Vote', { proposalId: 'p-1', approve: true }, {}, { by });
    }
    scenario.submit('governance:Execute', { proposalId: 'p-1' }, {});
    const second = { vehicleId: `v-${'B'.repeat(22)}`, record: { makerMspId: 'CMSP' } };
    expect(codeOf(() => scenario.enroll(second))).to.equal(undefined);
    expect(codeOf(() => scenario.enroll({ ...second, vehicleId: `v-${'C'.repeat(22)}` }))).to.equal('TAG_REUSED');
  });

  const forgeries: readonly (readonly [string, AuditCode, () => unknown])[] = [
    [
      'a vehicle that no accredited maker attested',
      'MAKER_ATTESTATION',
      () => new Scenario().bootstrap().enroll({ signer: newKey() }),
    ],
    [
      'a second identity for the same car',
      'TAG_REUSED',
      () =>
        new Scenario()
          .bootstrap()
          .enroll()
          .enroll({ vehicleId: `v-${'B'.repeat(22)}` }),
    ],
    [
      'a vehicle record that differs from the request',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().enroll({ record: { mspId: 'BMSP' } }),
    ],
    [
      'a vehicle attested for another network',
      'MAKER_ATTESTATION',
      () => new Scenario().bootstrap().enroll({ consortium: FOREIGN }),
    ],
    [
      'a vehicle in the name of another maker',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().enroll({ record: { makerMspId: 'CMSP' } }),
    ],
    ['an update signed for another network', 'UPDATE_SIGNATURE', () => ready().update({ consortium: FOREIGN })],
    [
      'a round closed by statements for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'BMSP', 'CMSP'], NOW, {}, FOREIGN),
    ],
    [
      'a round aborted by statements for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().abort(['AMSP', 'BMSP', 'CMSP'], NOW, {}, FOREIGN),
    ],
    [
      'a model attested for another network',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close().finalise({ consortium: FOREIGN }),
    ],
    [
      'a closed round that is aborted by one organisation after the deadline',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close()
          .abort([], NOW + 60_000 + TIME_MARGIN_MS, { closedAtMs: NOW }),
    ],
    [
      'a round aborted for another reason than was asked for',
      'RECORD_MALFORMED',
      () => ready().abort(['AMSP', 'BMSP', 'CMSP'], NOW, { abortReason: 'OPERATOR' }),
    ],
    [
      'a round closed at another time than its transaction',
      'RECORD_MALFORMED',
      () =>
        ready()
          .update()
          .close(['AMSP', 'BMSP', 'CMSP'], NOW, { closedAtMs: NOW - 1 }),
    ],
    [
      'a closed round that changes when it was closed',
      'RECORD_OVERWRITTEN',
      () =>
        ready()
          .update()
          .close()
          .finalise({ record: { closedAtMs: NOW - 1 } }),
    ],
    ['a round that the task does not plan', 'ROUND_TRANSITION', () => ready().open({ round: 4 })],
    [
      'a task whose grace time is longer than its rounds',
      'RECORD_MALFORMED',
      () => new Scenario().bootstrap().task({ deadlines: { graceMs: 60_001, roundMs: 60_000 } }),
    ],
    ['a vehicle suspended by a stranger', 'VEHICLE_TRANSITION', () => ready().setStatus('suspended', { by: 'BMSP' })],
    ['a revoked vehicle that comes back', 'VEHICLE_TRANSITION', () => ready().setStatus('revoked').setStatus('active')],
    ['an update with a signature of another key', 'UPDATE_SIGNATURE', () => ready().update({ signer: newKey() })],
    [
      'an update with other content than was signed',
      'UPDATE_SIGNATURE',
      () => ready().update({ record: { updateHash: HASH('f') } }),
    ],
    ['an update of a suspended vehicle', 'UPDATE_INVALID', () => ready().setStatus('suspended').update()],
    [
      'an update for another base model',
      'UPDATE_INVALID',
      () => ready().update({ record: { baseModelHash: HASH('0') } }),
    ],
    ['two updates of one vehicle in a round', 'UPDATE_INVALID', () => ready().update().update({ key: 'update/2' })],
    ['an update that is written over', 'RECORD_OVERWRITTEN', () => ready().update().update()],
    [
      'an update after the round was closed',
      'UPDATE_INVALID',
      () => ready().update().close().update({ key: 'update/2' }),
    ],
    [
      'a round closed by two of four organisations',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'BMSP']),
    ],
    [
      'a round closed with the same statement three times',
      'STATEMENTS_INSUFFICIENT',
      () => ready().update().close(['AMSP', 'AMSP', 'AMSP']),
    ],
    [
      'a round closed by one organisation within the margin of its deadline',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close([], NOW + 120_000),
    ],
    [
      'a round whose deadline is brought forward as it is closed',
      'RECORD_OVERWRITTEN',
      () =>
        ready()
          .update()
          .close([], NOW + 60_001, { deadlineMs: NOW }),
    ],
    [
      'a round with a shorter deadline than its task gives',
      'RECORD_MALFORMED',
      () => ready().open({ round: 2, deadlineMs: NOW }),
    ],
    ['a round opened in the name of another', 'RECORD_MALFORMED', () => ready().open({ round: 2, openedBy: 'BMSP' })],
    ['an update that is dated back', 'UPDATE_INVALID', () => ready().update({ record: { recordedAtMs: NOW - 1 } })],
    [
      "an organisation's suspension in the name of all",
      'VEHICLE_TRANSITION',
      () => ready().setStatus('suspended', { record: { statusSetBy: 'consortium' } }),
    ],
    [
      'a suspension that prolongs the certificate',
      'RECORD_OVERWRITTEN',
      () => ready().setStatus('suspended', { record: { certificateNotAfterMs: NOW + 2e9 } }),
    ],
    [
      'a model final with fewer updates than the minimum cohort',
      'COHORT_MISMATCH',
      () => {
        const scenario = ready().update().close();
        const excluded = [{ vehicleId: scenario.vehicleId, reason: 'UPDATE_MISSING' as const }];
        return scenario.finalise({ proposal: { excluded } });
      },
    ],
    [
      'a model attested by two of four',
      'STATEMENTS_INSUFFICIENT',
      () =>
        ready()
          .update()
          .close()
          .finalise({ mspIds: ['AMSP', 'BMSP'] }),
    ],
    ['a round finalised before it was closed', 'ROUND_TRANSITION', () => ready().update().finalise()],
    [
      'a proposal that leaves an update out',
      'COHORT_MISMATCH',
      () =>
        ready()
          .update()
          .close()
          .finalise({ proposal: { cohortHash: HASH('1') } }),
    ],
    [
      'a model record of another hash',
      'MODEL_CHAIN',
      () =>
        ready()
          .update()
          .close()
          .finalise({ modelHash: HASH('2') }),
    ],
    [
      'a next round from another base model',
      'MODEL_CHAIN',
      () => ready().update().close().finalise().open({ round: 2, baseModelHash: BASE }),
    ],
    ['a round opened while the one before is open', 'MODEL_CHAIN', () => ready().open({ round: 2 })],
    ['an attempt that is skipped', 'ROUND_TRANSITION', () => new Scenario().bootstrap().task().open({ attempt: 2 })],
    [
      'a record that is not what is documented',
      'RECORD_MALFORMED',
      () => ready().update({ record: { updateHash: 'x' } }),
    ],
  ];
  for (const [what, code, forge] of forgeries) {
    it(`name ${what}: ${code}`, () => {
      expect(codeOf(forge)).to.equal(code);
    });
  }

  it('name a batch whose results do not match what it wrote', () => {
    const batch = {
      docType: 'updateBatch',
      schemaVersion: 1,
      results: [{ id: `v-${'C'.repeat(22)}`, accepted: true }],
    };
    expect(
      codeOf(() => {
        ready().submit('learning:RecordUpdates', {}, { 'batch/1': batch });
      }),
    ).to.equal('BATCH_RESULT');
  });

  describe('of governance', () => {
    const change = { kind: 'vehicle-status', vehicleId: '', status: 'suspended', reason: 'test' };
    const propose = (scenario: Scenario): Scenario => {
      const argument = { proposalId: 'p-1', change: { ...change, vehicleId: scenario.vehicleId } };
      scenario.submit('governance:Propose', argument, {});
      return scenario;
    };
    const vote = (scenario: Scenario, by: string): void => {
      scenario.submit('governance:Vote', { proposalId: 'p-1', approve: true }, {}, { by });
    };
    const execute = (scenario: Scenario): void => {
      const record = scenario.vehicleRecord({ status: 'suspended', statusSetBy: 'consortium' });
      scenario.submit('governance:Execute', { proposalId: 'p-1' }, { [`vehicle/${scenario.vehicleId}`]: record });
    };

    it('accept what three of four voted for', () => {
      const scenario = propose(ready());
      vote(scenario, 'BMSP');
      vote(scenario, 'CMSP');
      expect(
        codeOf(() => {
          execute(scenario);
        }),
      ).to.equal(undefined);
    });

    it("name a vehicle attested by a maker's key that left with its organisation", () => {
      const scenario = new Scenario().bootstrap();
      const removal = { kind: 'remove-organisation', mspId: 'BMSP' };
      scenario.submit('governance:Propose', { proposalId: 'p-1', change: removal }, {});
      vote(scenario, 'CMSP');
      vote(scenario, 'DMSP');
      scenario.submit('governance:Execute', { proposalId: 'p-1' }, {});
      expect(codeOf(() => scenario.enroll())).to.equal('MAKER_ATTESTATION');
    });

    it('name a change that two of four voted for', () => {
      const scenario = propose(ready());
      vote(scenario, 'BMSP');
      expect(
        codeOf(() => {
          execute(scenario);
        }),
      ).to.equal('GOVERNANCE_INVALID');
    });
  });
});
