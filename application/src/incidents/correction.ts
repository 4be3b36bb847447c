// SPDX-License-Identifier: Apache-2.0
import { ringBitsOfTerms, sha256Hex, type CorrectionRecord, type RoundRecord } from '@sev/chaincode/api';
import { initialServerState, momentsOf, parametersFromBytes, parametersToBytes } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import type { FindCorrection } from '../services/corrections.js';
import type { FetchObject } from '../services/round-outcome.js';
import type { LearningContract } from '../services/rounds.js';
import { addedTotals } from '../services/secure-outcome.js';
import { serverOptimiserOf, stateBefore } from '../services/server-step.js';
import { Candidate, distance, type CorrectionStep, type RoundStep, type ServerPoint } from './candidate.js';
import type { DisputedUpdates } from './disputed-updates.js';

/** A model that a task could go on from. */
export interface CorrectedModel {
  readonly hash: string;
  /** Little-endian float32, 4·d. */
  readonly bytes: Uint8Array;
  /** ‖model − present model‖. */
  readonly distance: number;
}

/** What a round's model loses. */
export interface RemovedContribution {
  readonly round: number;
  /** Of the culprit; 0 where it counted nothing. */
  readonly weight: number;
  readonly ofWeights: number;
  /** ‖weight · update / Σ weights‖: how far the culprit alone moved the model. */
  readonly moved: number;
}

/** The two models that validation decides between. */
export interface Correction {
  readonly afterRound: number;
  /** Last finalised round before the disputed ones; 0: the initial model. */
  readonly cleanRound: number;
  readonly presentHash: string;
  readonly rollback: CorrectedModel;
  /** The same as the rollback where the update was never opened, or nothing but a rollback is wanted. */
  readonly candidate: CorrectedModel;
  readonly removed: readonly RemovedContribution[];
}

/** Where it is read what happened. */
export interface CorrectionSources {
  readonly updates: DisputedUpdates;
  readonly learning: LearningContract;
  readonly findCorrection: FindCorrection;
  readonly fetch: FetchObject;
}

/**
 * Computes rollback and candidate after a confirmed incident, from the ledger, the stored sums and the opened updates:
 * organisations that are asked to measure them do the same.
 *
 * @param afterRound last finalised round of the task.
 * @param rollbackOnly leaves the candidate away; for where the opened updates can no longer be had.
 * @throws SevError INCIDENT_STATE, CORRECTION_INVALID; EVIDENCE_INCOMPLETE; whatever `fetch` throws.
 */
export async function computeCorrection(
  sources: CorrectionSources,
  afterRound: number,
  rollbackOnly = false,
): Promise<Correction> {
  const { updates, learning, fetch } = sources;
  const { incident, task } = updates;
  if (incident.state !== 'confirmed') {
    throw new SevError('INCIDENT_STATE', `incident ${incident.incidentId} is ${incident.state}, not confirmed`, {
      exitCode: EXIT.refused,
    });
  }
  const first = incident.disputed[0]?.round ?? 1;
  const [begin, last] = await Promise.all([
    learning.round({ taskId: task.taskId, round: first }),
    finalised(learning, task.taskId, afterRound),
  ]);
  const { parameters: count } = task.model;
  const presentHash = last.proposal?.modelHash ?? '';
  const present = parametersFromBytes(await fetch(presentHash), count);
  const base = parametersFromBytes(await fetch(begin.baseModelHash), count);
  const described = (model: Float32Array): CorrectedModel => {
    const bytes = parametersToBytes(model);
    return { hash: sha256Hex(bytes), bytes, distance: distance(model, present) };
  };
  const common = { afterRound, cleanRound: first - 1, presentHash, rollback: described(base) };
  if (rollbackOnly || !updates.hasVectors) {
    return { ...common, candidate: common.rollback, removed: [] };
  }
  const terms = { optimiser: serverOptimiserOf(task), fractionBits: updates.terms.fractionBits };
  const candidate = new Candidate({ model: base, state: await stateAt(sources, first) }, terms);
  const removed: RemovedContribution[] = [];
  for await (const step of stepsOf(sources, first, afterRound)) {
    candidate.take(step);
    if (step.kind === 'round') {
      removed.push(removedIn(step, terms.fractionBits, count));
    }
  }
  return { ...common, candidate: described(candidate.model), removed };
}

/** @throws SevError CORRECTION_INVALID where there is no finalised round. */
export async function lastFinalisedRound(learning: LearningContract, taskId: string): Promise<number> {
  let last = 0;
  for await (const round of learning.rounds(taskId)) {
    last = round.state === 'finalised' ? Math.max(last, round.round) : last;
  }
  if (last === 0) {
    throw invalid(`task ${taskId} has no finalised round`);
  }
  return last;
}

/** One at a time: sums of many rounds would not fit in memory. */
async function* stepsOf(
  sources: CorrectionSources,
  first: number,
  afterRound: number,
): AsyncGenerator<CorrectionStep, void, undefined> {
  for (let round = first; round <= afterRound; round++) {
    yield await roundStep(sources, round);
    const earlier = round < afterRound ? await sources.findCorrection(sources.updates.task, round) : undefined;
    if (earlier !== undefined) {
      yield await earlierStep(sources, earlier, first);
    }
  }
}

async function roundStep({ updates, learning, fetch }: CorrectionSources, number: number): Promise<RoundStep> {
  const { task, terms } = updates;
  const round = await finalised(learning, task.taskId, number);
  const { scores } = await learning.scores(round);
  const vector = { length: task.model.parameters + terms.metrics.length, bits: ringBitsOfTerms(terms) };
  const total = await addedTotals(round.secure?.sums ?? [], vector, fetch);
  const weight = scores.weights.reduce((sum, one) => sum + one, 0);
  const ref = updates.refs.find((disputed) => disputed.round === number);
  if (ref === undefined) {
    return { kind: 'round', round: number, total, weight };
  }
  const disputed = await updates.round(ref);
  if (disputed.weight === 0) {
    return { kind: 'round', round: number, total, weight };
  }
  const { opened } = await updates.open(disputed);
  return { kind: 'round', round: number, total, weight, culprit: { weight: disputed.weight, vector: opened.values } };
}

/** What an earlier correction did to the model between two rounds. */
async function earlierStep(
  sources: CorrectionSources,
  { kept, afterRound, cleanRound, modelHash }: CorrectionRecord,
  first: number,
): Promise<CorrectionStep> {
  const { updates, learning, fetch } = sources;
  const { taskId, model } = updates.task;
  const read = async (hash: string): Promise<Float32Array> => parametersFromBytes(await fetch(hash), model.parameters);
  const toRound = cleanRound + 1;
  const began = toRound >= first ? undefined : await pointAt(sources, toRound);
  if (kept === 'rollback') {
    return { kind: 'undone', toRound, began };
  }
  const before = await finalised(learning, taskId, afterRound);
  const [from, to] = await Promise.all([read(before.proposal?.modelHash ?? ''), read(modelHash)]);
  return { kind: 'moved', from, to, toRound, began };
}

async function pointAt(sources: CorrectionSources, number: number): Promise<ServerPoint> {
  const { updates, learning, fetch } = sources;
  const { taskId, model } = updates.task;
  const { baseModelHash } = await learning.round({ taskId, round: number });
  return {
    model: parametersFromBytes(await fetch(baseModelHash), model.parameters),
    state: await stateAt(sources, number),
  };
}

/** The optimiser's moments as a round began with them. */
async function stateAt({ updates, learning, findCorrection, fetch }: CorrectionSources, round: number) {
  const { task } = updates;
  const optimiser = serverOptimiserOf(task);
  const { parameters } = task.model;
  const hash = await stateBefore(task, { round }, learning, findCorrection);
  return hash === undefined
    ? initialServerState(optimiser, parameters)
    : parametersFromBytes(await fetch(hash), momentsOf(optimiser) * parameters);
}

function removedIn({ round, weight, culprit }: RoundStep, fractionBits: number, count: number): RemovedContribution {
  if (culprit === undefined) {
    return { round, weight: 0, ofWeights: weight, moved: 0 };
  }
  let squares = 0;
  for (let i = 0; i < count; i++) {
    squares += (culprit.vector[i] ?? 0) ** 2;
  }
  const moved = (culprit.weight * Math.sqrt(squares)) / (weight * 2 ** fractionBits);
  return { round, weight: culprit.weight, ofWeights: weight, moved };
}

async function finalised(learning: LearningContract, taskId: string, round: number): Promise<RoundRecord> {
  const record = await learning.round({ taskId, round });
  if (record.state !== 'finalised') {
    throw invalid(`round ${String(round)} of task ${taskId} is ${record.state}`);
  }
  return record;
}

function invalid(message: string): SevError {
  return new SevError('CORRECTION_INVALID', message, { exitCode: EXIT.refused });
}
