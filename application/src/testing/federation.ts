// SPDX-License-Identifier: Apache-2.0
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  parameterCount,
  publicKeyText,
  sha256Hex,
  signStatement,
  type BatchResult,
  type Envelope,
  type HeTaskTerms,
  type ItemResult,
  type RoundRecord,
  type SecureTerms,
  type Task,
  type UpdateStatement,
} from '@sev/chaincode/api';
import { parametersToBytes } from '@sev/fl';
import { attemptOf } from '../services/attempt.js';
import { StatementSigner } from '../services/statement-signer.js';
import { objectMissing, type ObjectStore } from '../store/object-store.js';
import { FakeLedger } from './fake-ledger.js';

/** A store in memory. */
export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();

  put(bytes: Uint8Array): Promise<string> {
    const hash = sha256Hex(bytes);
    this.objects.set(hash, bytes);
    return Promise.resolve(hash);
  }

  get(hash: string): Promise<Uint8Array> {
    const bytes = this.objects.get(hash);
    return bytes === undefined ? Promise.reject(objectMissing(hash)) : Promise.resolve(bytes);
  }

  has(hash: string): Promise<boolean> {
    return Promise.resolve(this.objects.has(hash));
  }
}

export interface FederationOptions {
  readonly server?: Task['aggregation']['server'];
  readonly vehicles?: number;
  readonly minimum?: number;
  readonly target?: number;
  readonly graceMs?: number;
  readonly roundMs?: number;
  readonly now?: () => number;
  /** Runs the task in mode `secure`, or `dp` where the terms have it, with these terms in place of the usual ones. */
  readonly secure?: Partial<SecureTerms>;
  /** Runs the task in mode `he`, with these terms in place of the usual ones. */
  readonly he?: Partial<HeTaskTerms>;
  /** A member that settles disputes; none has the role by default. */
  readonly auditor?: string;
}

/** Terms of mode `he` among three of the organisations. */
const HE_TERMS: HeTaskTerms = {
  keyHolder: 'CityMSP',
  summer: 'GridMSP',
  maskHolder: 'MakerMSP',
  clipMilli: 4_000,
  fractionBits: 11,
  maxVehicles: 1_024,
  metrics: ['loss'],
  receiptMs: 0,
};

/** Terms of secure aggregation among three of the organisations. */
const SECURE_TERMS: SecureTerms = {
  aggregators: ['CityMSP', 'GridMSP', 'MakerMSP'],
  threshold: 1,
  clipMilli: 4_000,
  fractionBits: 11,
  shardSize: 1_024,
  metrics: ['loss'],
  projections: 4,
  rule: 'uniform',
  openedShareMilli: 250,
  receiptMs: 0,
};

/** Organisations, vehicles, a task, a store and a ledger in memory, for tests of the services. */
export class Federation {
  /** The network's name in signed statements. */
  readonly consortium = sha256Hex('a consortium for tests');
  readonly mspIds = ['GridMSP', 'MakerMSP', 'CityMSP', 'RegulatorMSP'] as const;
  readonly vehicleIds: readonly string[];
  readonly store = new MemoryStore();
  readonly task: Task;
  readonly ledger: FakeLedger;
  readonly #organisationKeys = new Map<string, KeyObject>();
  readonly #vehicleKeys = new Map<string, KeyObject>();
  readonly #enrolledKeys = new Map<string, KeyObject>();

  constructor(options: FederationOptions = {}) {
    const count = options.vehicles ?? 5;
    this.vehicleIds = Array.from({ length: count }, (_, index) => vehicleIdOf(index)).sort();
    const layers = [3, 2, 1];
    const initial = parametersToBytes(new Float32Array(parameterCount(layers)).fill(0.5));
    this.store.objects.set(sha256Hex(initial), initial);
    this.task = {
      taskId: 'price-test',
      kind: 'price',
      features: 'price/cardekho-v1',
      model: { layers, parameters: parameterCount(layers), initialModelHash: sha256Hex(initial) },
      engine: 'dense',
      training: { epochs: 1, batchSize: 32, learningRateMicro: 1_000, seed: 1 },
      aggregation: {
        rule: 'fedavg',
        weightClasses: [
          { minSamples: 1, weight: 1 },
          ...(options.he === undefined ? [{ minSamples: 100, weight: 3 }] : []),
        ],
        maxAbsolute: 1_000,
        ...(options.server === undefined ? {} : { server: options.server }),
      },
      ...(options.he === undefined ? privacyOf(options.secure) : { privacy: 'he', he: { ...HE_TERMS, ...options.he } }),
      cohort: { minimum: options.minimum ?? 1, target: options.target ?? count },
      deadlines: { graceMs: options.graceMs ?? 60_000, roundMs: options.roundMs ?? 600_000 },
      plannedRounds: 3,
    };
    for (const id of this.vehicleIds) {
      this.rotate(id);
    }
    const organisations = this.mspIds.map((mspId) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      this.#organisationKeys.set(mspId, privateKey);
      return {
        name: mspId.toLowerCase(),
        mspId,
        signingKey: publicKeyText(publicKey),
        roles: [mspId === options.auditor ? ('auditor' as const) : ('coordinator' as const)],
      };
    });
    this.ledger = new FakeLedger({
      consortium: this.consortium,
      task: this.task,
      organisations,
      vehicles: this.#enrolledKeys,
      ...(options.now === undefined ? {} : { now: options.now }),
    });
  }

  /** Gives a vehicle a new key, on the ledger too. */
  rotate(vehicleId: string): void {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#vehicleKeys.set(vehicleId, privateKey);
    this.#enrolledKeys.set(vehicleId, publicKey);
  }

  /** Opens the first attempt at the first round. */
  async openRound(changes: object = {}): Promise<RoundRecord> {
    const { taskId, model } = this.task;
    const argument = { taskId, round: 1, attempt: 1, baseModelHash: model.initialModelHash, ...changes };
    return (await this.ledger.session('GridMSP').submit('learning', 'OpenRound', argument)).result as RoundRecord;
  }

  /** Has envelopes recorded in one transaction, as an organisation's batcher does. @returns the ledger's results. */
  async recordBatch(round: RoundRecord, envelopes: readonly Envelope[]): Promise<readonly ItemResult[]> {
    const argument = { ...attemptOf(round), baseModelHash: round.baseModelHash, envelopes };
    const { result } = await this.ledger.session('GridMSP').submit('learning', 'RecordUpdates', argument);
    return (result as BatchResult).results;
  }

  signer(mspId: string): StatementSigner {
    return new StatementSigner(mspId, this.organisationKey(mspId), () => Promise.resolve(this.consortium));
  }

  organisationKey(mspId: string): KeyObject {
    return this.#organisationKeys.get(mspId)!;
  }

  /** The update that this vehicle would have for the round: some numbers of its own, put into the store. */
  async envelope(round: RoundRecord, vehicleId: string, bytes = this.updateBytes(round, vehicleId)): Promise<Envelope> {
    return this.sign(round, vehicleId, await this.store.put(bytes));
  }

  sign(
    round: RoundRecord,
    vehicleId: string,
    updateHash: string,
    word: Pick<UpdateStatement, 'validation'> = {},
  ): Envelope {
    const statement: UpdateStatement = {
      type: 'sev/update/v1',
      consortium: this.consortium,
      ...attemptOf(round),
      baseModelHash: round.baseModelHash,
      vehicleId,
      updateHash,
      weightClass: 0,
      ...word,
    };
    return {
      vehicleId,
      updateHash,
      weightClass: 0,
      ...word,
      signature: signStatement(statement, this.#vehicleKeys.get(vehicleId)!),
    };
  }

  updateBytes(round: RoundRecord, vehicleId: string): Uint8Array {
    const start =
      createHash('sha256')
        .update(`${vehicleId}/${String(round.round)}`)
        .digest()
        .readUInt16LE() / 65_536;
    return parametersToBytes(Float32Array.from({ length: this.task.model.parameters }, (_, i) => start + i));
  }
}

function privacyOf(terms: Partial<SecureTerms> | undefined): Pick<Task, 'privacy' | 'secure'> {
  if (terms === undefined) {
    return { privacy: 'plain' };
  }
  return { privacy: terms.dp === undefined ? 'secure' : 'dp', secure: { ...SECURE_TERMS, ...terms } };
}

/** A vehicle id that depends on the index only. */
export function vehicleIdOf(index: number): string {
  return `v-${createHash('sha256').update(String(index)).digest('base64url').slice(0, 22)}`;
}

/** Waits until a condition holds. @throws Error after five seconds. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition();) {
    if (Date.now() > deadline) {
      throw new Error(`waited five seconds for ${what}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
