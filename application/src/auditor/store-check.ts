// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  ringBitsOfTerms,
  sha256Hex,
  type CohortRecord,
  type Proposal,
  type Scores,
} from '@sev/chaincode/api';
import { SecureError } from '@sev/fl';
import { hasCode } from '../errors.js';
import { heModel } from '../homomorphic/he-outcome.js';
import { computeOutcome, type RoundModel } from '../services/round-outcome.js';
import { secureModel } from '../services/secure-outcome.js';
import { movedByServer } from '../services/server-step.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { objectMissing } from '../store/object-store.js';
import { afterKey, attemptKey, type DomainState, type FinalisedRound } from './domain-context.js';
import { AuditError, type AuditCode, type AuditKind } from './failure.js';
import type { ObjectReader } from './objects.js';

/** Told after each round whose objects were checked. */
export type StoreProgress = (done: number, total: number) => void;

export interface StoreCheck {
  readonly store: ObjectReader;
  /** Only the objects of this task; of all tasks where it is absent. */
  readonly taskId?: string;
  readonly progress?: StoreProgress;
}

function failure(kind: AuditKind, where: string, code: AuditCode, detail: string): AuditError {
  return new AuditError({ kind, where, code, detail });
}

/**
 * Checks everything that finalised rounds refer to: every model and every update that entered one exists in the store,
 * hashes to its name, has the task's length; and aggregating the recorded updates again gives the recorded model. Of a
 * secure round the component sums are there, hash to what was committed, and give the recorded model.
 *
 * @throws AuditError at the first object or round that does not hold; RECORD_UNKNOWN where no block creates the task.
 */
export async function checkStore(state: DomainState, { store, taskId, progress }: StoreCheck): Promise<void> {
  if (taskId !== undefined && !state.tasks.has(taskId)) {
    throw failure('record', `task ${taskId}`, 'RECORD_UNKNOWN', 'its objects were to be checked, no block creates it');
  }
  const isAsked = (record: { readonly taskId: string }): boolean => taskId === undefined || record.taskId === taskId;
  const reader = new CheckedReader(store, state);
  for (const task of [...state.tasks.values()].filter(isAsked)) {
    const { initialModelHash, parameters } = task.model;
    await reader.parameters(initialModelHash, parameters, `initial model of task ${task.taskId}`);
  }
  await checkOtherUpdates(state, reader, isAsked);
  const rounds = state.finalised.filter(({ record }) => isAsked(record));
  for (const [done, round] of rounds.entries()) {
    await checkRound(state, reader, round);
    progress?.(done + 1, rounds.length);
  }
}

/**
 * Updates of attempts that gave no model may be gone; the bytes of those that are there must be theirs. In a secure mode an
 * update's hash names commitments, no object.
 */
async function checkOtherUpdates(
  state: DomainState,
  reader: CheckedReader,
  isAsked: (record: { readonly taskId: string }) => boolean,
): Promise<void> {
  const finalised = new Set(state.finalised.map(({ record }) => attemptKey(record)));
  for (const [attempt, updates] of state.updates) {
    const isPlain = ({ taskId }: { readonly taskId: string }): boolean => state.tasks.get(taskId)?.privacy === 'plain';
    const others = finalised.has(attempt) ? [] : [...updates.values()].filter((u) => isAsked(u) && isPlain(u));
    for (const { vehicleId, updateHash } of others) {
      await reader.ifPresent(updateHash, `update of ${vehicleId} in round ${attempt}`);
    }
  }
}

async function checkRound(state: DomainState, reader: CheckedReader, finalised: FinalisedRound): Promise<void> {
  const { task, record, scores, cohort } = finalised;
  const round = `round ${attemptKey(record)}`;
  const { proposal } = record;
  if (proposal === undefined) {
    return;
  }
  await reader.parameters(record.baseModelHash, task.model.parameters, `base model of ${round}`);
  await reader.parameters(proposal.modelHash, task.model.parameters, `model of ${round}`);
  const average =
    cohort !== undefined
      ? await openedAgain(reader, finalised, cohort.members)
      : scores !== undefined
        ? await summedAgain(reader, finalised, scores.scores)
        : await averagedAgain(reader, finalised, proposal);
  const found = average && (await movedAgain(state, reader, finalised, average));
  if (found === undefined || canonicalJson(found) !== canonicalJson(proposal)) {
    const detail = `the record names model ${proposal.modelHash}, its updates give ${found?.modelHash ?? 'none'}`;
    throw failure('model', round, 'AGGREGATION_MISMATCH', detail);
  }
  state.counts.aggregations += 1;
}

/** The step of the task's optimiser of the server. */
async function movedAgain(
  state: DomainState,
  reader: CheckedReader,
  { task, record }: FinalisedRound,
  average: RoundModel,
): Promise<Proposal> {
  const round = `round ${attemptKey(record)}`;
  const { serverStateHash } = record.proposal ?? {};
  if (serverStateHash !== undefined) {
    await reader.bytes(serverStateHash, `moments after ${round}`);
  }
  const before = roundBefore(state, record);
  const fetch = (hash: string): Promise<Uint8Array> => reader.bytes(hash, round);
  return (await movedByServer(task, average, before?.record.proposal?.serverStateHash, fetch)).proposal;
}

/** The round whose moments the optimiser goes on from: where the model was corrected since, the last clean one. */
function roundBefore(
  state: Pick<DomainState, 'finalised' | 'corrections'>,
  { taskId, round }: { readonly taskId: string; readonly round: number },
): FinalisedRound | undefined {
  const correction = state.corrections.get(afterKey({ taskId, afterRound: round - 1 }));
  return correction === undefined
    ? state.finalised.find(({ record }) => record.taskId === taskId && record.round === round - 1)
    : roundBefore(state, { taskId, round: correction.cleanRound + 1 });
}

async function averagedAgain(
  reader: CheckedReader,
  { task, record, updates }: FinalisedRound,
  proposal: Proposal,
): Promise<RoundModel | undefined> {
  const round = `round ${attemptKey(record)}`;
  const excluded = new Map(proposal.excluded.map((e) => [e.vehicleId, e.reason]));
  const absent = new Set<string>();
  for (const { vehicleId, updateHash } of updates) {
    const reason = excluded.get(vehicleId);
    const what = `update of ${vehicleId} in ${round}`;
    if (reason === 'UPDATE_MISSING') {
      absent.add(updateHash);
    } else if (reason === undefined) {
      await reader.parameters(updateHash, task.model.parameters, what);
    } else {
      await reader.bytes(updateHash, what);
    }
  }
  const fetch = (hash: string): Promise<Uint8Array> =>
    absent.has(hash) ? Promise.reject(objectMissing(hash)) : reader.bytes(hash, round);
  return (await computeOutcome(task, record, updates, fetch)).model;
}

async function summedAgain(
  reader: CheckedReader,
  { task, record }: FinalisedRound,
  scores: Scores,
): Promise<RoundModel> {
  const round = `round ${attemptKey(record)}`;
  const terms = secureTermsOf(task);
  const vector = { length: task.model.parameters + terms.metrics.length, bits: ringBitsOfTerms(terms) };
  for (const [component, hashes] of (record.secure?.sums ?? []).entries()) {
    for (const hash of hashes) {
      await reader.values(hash, vector, `sum of component ${String(component)} in ${round}`);
    }
  }
  try {
    return await secureModel(task, record, scores, (hash) => reader.bytes(hash, round));
  } catch (error) {
    throw error instanceof SecureError ? failure('model', round, 'AGGREGATION_MISMATCH', error.message) : error;
  }
}

/** The sum's ciphertexts are there too, though only the key holder could decrypt them. */
async function openedAgain(
  reader: CheckedReader,
  { task, record }: FinalisedRound,
  members: CohortRecord['members'],
): Promise<RoundModel> {
  const round = `round ${attemptKey(record)}`;
  await reader.bytes(record.he?.sumHash ?? '', `sum of ciphertexts in ${round}`);
  await reader.bytes(record.he?.opening.publicKeyHash ?? '', `public key of ${round}`);
  try {
    return await heModel(task, record, members, (hash) => reader.bytes(hash, round));
  } catch (error) {
    if (hasCode(error, 'SUM_INVALID')) {
      throw failure('model', round, 'AGGREGATION_MISMATCH', error.message);
    }
    throw error;
  }
}

/** Reads each object once and checks it against its name, however the store answers. */
class CheckedReader {
  readonly #checked = new Set<string>();

  constructor(
    readonly store: ObjectReader,
    readonly state: DomainState,
  ) {}

  async bytes(hash: string, what: string): Promise<Uint8Array> {
    const where = `object ${hash} (${what})`;
    let bytes: Uint8Array;
    try {
      bytes = await this.store.get(hash);
    } catch (error) {
      if (hasCode(error, 'OBJECT_MISSING', 'CONTENT_HASH_MISMATCH')) {
        throw failure(
          'object',
          where,
          error.code === 'OBJECT_MISSING' ? error.code : 'CONTENT_HASH_MISMATCH',
          error.message,
        );
      }
      throw error;
    }
    const actual = sha256Hex(bytes);
    if (actual !== hash) {
      throw failure('object', where, 'CONTENT_HASH_MISMATCH', `the bytes hash to ${actual}`);
    }
    if (!this.#checked.has(hash)) {
      this.#checked.add(hash);
      this.state.counts.objects += 1;
    }
    return bytes;
  }

  async ifPresent(hash: string, what: string): Promise<void> {
    try {
      await this.bytes(hash, what);
    } catch (error) {
      if (!(error instanceof AuditError && error.failure.code === 'OBJECT_MISSING')) {
        throw error;
      }
    }
  }

  parameters(hash: string, length: number, what: string): Promise<void> {
    return this.values(hash, { length, bits: 32 }, what);
  }

  async values(hash: string, { length, bits }: { length: number; bits: 16 | 32 }, what: string): Promise<void> {
    const bytes = await this.bytes(hash, what);
    const needed = (length * bits) / 8;
    if (bytes.length !== needed) {
      const detail = `it has ${String(bytes.length)} bytes, ${String(length)} values need ${String(needed)}`;
      throw failure('object', `object ${hash} (${what})`, 'OBJECT_MALFORMED', detail);
    }
  }
}
