// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  parameterCount,
  proposalHash,
  sha256Hex,
  signStatement,
  type AbortReason,
  type AbortStatement,
  type AttestationStatement,
  type BatchResult,
  type CloseStatement,
  type Envelope,
  type Exclusion,
  type FinaliseRound,
  type Page,
  type Proposal,
  type RoundRecord,
  type Signable,
  type SignedBy,
  type Task,
  type UpdateRecord,
} from '../api';
import { GRID, type TestConsortium } from './consortium';
import { envelopeOf, type SignedUpdate, type Vehicle } from './fleet';
import { randomHash } from './identities';

export const INITIAL_MODEL = 'a'.repeat(64);
export const ROUND_MS = 600_000;

export function taskOf(change: Partial<Task> = {}): Task {
  const layers = [4, 3, 1];
  return {
    taskId: 'price-1',
    kind: 'price',
    features: 'price/cardekho-v1',
    model: { layers, parameters: parameterCount(layers), initialModelHash: INITIAL_MODEL },
    engine: 'dense',
    training: { epochs: 1, batchSize: 32, learningRateMicro: 10_000, seed: 7 },
    aggregation: {
      rule: 'fedavg',
      weightClasses: [
        { minSamples: 1, weight: 1 },
        { minSamples: 100, weight: 4 },
      ],
      maxAbsolute: 1_000,
    },
    privacy: 'plain',
    cohort: { minimum: 2, target: 3 },
    deadlines: { graceMs: 5_000, roundMs: ROUND_MS },
    plannedRounds: 10,
    ...change,
  };
}

/** The same with an initial model of its own: tasks that keep updates secret do not begin with the same. */
export function withOwnModel(task: Task): Task {
  return { ...task, model: { ...task.model, initialModelHash: sha256Hex(task.taskId) } };
}

export interface RoundRef {
  readonly taskId: string;
  readonly round: number;
  readonly attempt: number;
}

export const ROUND_1: RoundRef = { taskId: 'price-1', round: 1, attempt: 1 };

/** Drives the learning contract as coordinator and attesters would. */
export class RoundDriver {
  readonly consortium: TestConsortium;

  constructor(consortium: TestConsortium) {
    this.consortium = consortium;
  }

  coordinate<T = RoundRecord>(transaction: string, argument: unknown): Promise<T> {
    return this.consortium.submit<T>(`learning:${transaction}`, argument, GRID, 'coordinator');
  }

  async openFirst(task: Task = taskOf()): Promise<RoundRecord> {
    await this.coordinate('CreateTask', task);
    return this.coordinate('OpenRound', { ...ROUND_1, taskId: task.taskId, baseModelHash: INITIAL_MODEL });
  }

  content(ref: RoundRef = ROUND_1, change: Partial<SignedUpdate> = {}): SignedUpdate {
    const consortium = this.consortium.bootstrapHash;
    return { consortium, ...ref, baseModelHash: INITIAL_MODEL, updateHash: randomHash(), weightClass: 0, ...change };
  }

  record(envelopes: readonly unknown[], ref: RoundRef = ROUND_1, baseModelHash = INITIAL_MODEL): Promise<BatchResult> {
    return this.coordinate<BatchResult>('RecordUpdates', { ...ref, baseModelHash, envelopes });
  }

  envelopes(vehicles: readonly Vehicle[], ref: RoundRef = ROUND_1, baseModelHash = INITIAL_MODEL): Envelope[] {
    return vehicles.map((vehicle) => envelopeOf(vehicle, this.content(ref, { baseModelHash })));
  }

  sign(mspIds: readonly string[], statementOf: (mspId: string) => Signable): SignedBy[] {
    return mspIds.map((mspId) => {
      const key = this.consortium.signingKeys.get(mspId);
      if (key === undefined) {
        throw new Error(`no key of ${mspId}`);
      }
      return { mspId, signature: signStatement(statementOf(mspId), key.privateKey) };
    });
  }

  closeStatements(
    mspIds: readonly string[],
    ref: RoundRef = ROUND_1,
    consortium = this.consortium.bootstrapHash,
  ): SignedBy[] {
    return this.sign(mspIds, (mspId): CloseStatement => ({ type: 'sev/close-round/v1', consortium, ...ref, mspId }));
  }

  abortStatements(
    mspIds: readonly string[],
    reason: AbortReason,
    ref: RoundRef = ROUND_1,
    consortium = this.consortium.bootstrapHash,
    accused?: readonly string[],
  ): SignedBy[] {
    const content = { consortium, ...ref, reason, ...(accused === undefined ? {} : { accused }) };
    return this.sign(mspIds, (mspId): AbortStatement => ({ type: 'sev/abort-round/v1', ...content, mspId }));
  }

  close(mspIds: readonly string[], ref: RoundRef = ROUND_1): Promise<RoundRecord> {
    return this.coordinate('CloseRound', { ...ref, statements: this.closeStatements(mspIds, ref) });
  }

  async proposal(ref: RoundRef = ROUND_1, excluded: readonly Exclusion[] = []): Promise<Proposal> {
    const page = await this.consortium.evaluate<Page<UpdateRecord>>('learning:ListUpdates', {
      ...ref,
      pageSize: 1_000,
      bookmark: '',
    });
    const round = await this.consortium.evaluate<RoundRecord>('learning:GetRound', {
      taskId: ref.taskId,
      round: ref.round,
    });
    return {
      ...ref,
      baseModelHash: round.baseModelHash,
      modelHash: randomHash(),
      cohortHash: cohortHash(page.items),
      cohortSize: page.items.length,
      excluded: [...excluded],
    };
  }

  attested(proposal: Proposal, mspIds: readonly string[], consortium = this.consortium.bootstrapHash): FinaliseRound {
    const { taskId, round, attempt } = proposal;
    const content = { consortium, taskId, round, attempt, proposalHash: proposalHash(proposal) };
    const attestations = this.sign(mspIds, (mspId): AttestationStatement => ({
      type: 'sev/attest-model/v1',
      ...content,
      mspId,
    }));
    return { proposal, attestations };
  }

  finalise(proposal: Proposal, mspIds: readonly string[]): Promise<RoundRecord> {
    return this.coordinate('FinaliseRound', this.attested(proposal, mspIds));
  }
}
