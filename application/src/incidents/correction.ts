// SPDX-License-Identifier: Apache-2.0
import { ringBitsOfTerms, sha256Hex, type CorrectionRecord, type RoundRecord } from '@sev/chaincode/api';
import {
  directionNorm,
  initialServerState,
  momentsOf,
  parametersFromBytes,
  parametersToBytes,
  type ServerPoint,
} from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import type { FindCorrection } from '../services/corrections.js';
import type { FetchObject } from '../services/round-outcome.js';
import type { LearningContract } from '../services/rounds.js';
import { addedTotals } from '../services/secure-outcome.js';
import { serverOptimiserOf, stateBefore } from '../services/server-step.js';
import { Candidate, distance, type CorrectionStep, type RoundStep } from './candidate.js';
import type { DisputedUpdates } from './disputed-updates.js';

/** A model that a task could go on from. */
export interface CorrectedModel {
  readonly hash: string;
  /** Little-endian float32, 4·d. */
  readonly bytes: Uint8Array;
  /** ‖model − present model‖. */
  readonly distance: number;
}

/** What the culprit's part in one round was. */
export interface CulpritPart {
  readonly round: number;
  readonly weight: number;
  readonly ofWeights: number;
  /** ‖weight · update / Σ weights‖: how far the culprit alone moved the model. */
  readonly moved: number;
}

/** A candidate from whose last rounds the culprit is taken out. */
export interface CandidateModel extends CorrectedModel {
  /** Of the rounds that it counted in, so many of the last. */
  readonly takenOut: number;
}

/** The models that a task can go on from after a confirmed incident. */
export interface Corrections {
  readonly afterRound: number;
  /** Last finalised round before the disputed ones; 0: the initial model. */
  readonly cleanRound: number;
  readonly presentHash: string;
  readonly rollback: CorrectedModel;
  readonly candidates: readonly CandidateModel[];
  /** Of the disputed rounds that it counted in, ascending; none where its updates were never opened. */
  readonly parts: readonly CulpritPart[];
}

/** Where it is read what happened. */
export interface CorrectionSources {
  readonly updates: DisputedUpdates;
  readonly learning: LearningContract;
  readonly findCorrection: FindCorrection;
  readonly fetch: FetchObject;
}

/** Candidates that are made at the most: each is a whole model. */
const MOST_CANDIDATES = 16;

/**
 * From how many of the last rounds a culprit may be taken out. What it did long ago others have made up for since, and taking
 * that out as well overshoots; how far back is best, validation tells. All numbers where they are few, else some, all among
 * them.
 *
 * @param counted disputed rounds that it counted in.
 */
export function depthsOf(counted: number): number[] {
  const step = Math.max(1, counted / MOST_CANDIDATES);
  const all = Array.from({ length: Math.min(counted, MOST_CANDIDATES) }, (_, index) => Math.round((index + 1) * step));
  return [...new Set(all)];
}

/**
 * Computes rollback and candidates after a confirmed incident, from the ledger, the stored sums and the opened updates:
 * organisations that are asked to measure them do the same.
 *
 * @param afterRound last finalised round of the task.
 * @param depths how many of the last rounds that it counted in the culprit is taken out of, one a candidate; default those of
 *   {@link depthsOf}. Where its updates were never opened there are no candidates.
 * @throws SevError INCIDENT_STATE, CORRECTION_INVALID; EVIDENCE_INCOMPLETE; whatever `fetch` throws.
 */
export async function computeCorrections(
  sources: CorrectionSources,
  afterRound: number,
  depths?: readonly number[],
): Promise<Corrections> {
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
  const asked = updates.hasVectors ? depths : [];
  const made =
    asked?.length === 0 ? { models: [], parts: [] } : await madeOf(sources, { first, afterRound, base }, asked);
  const candidates = made.models.map(({ takenOut, model }) => ({ takenOut, ...described(model) }));
  return { ...common, candidates, parts: made.parts };
}

interface Made {
  readonly models: readonly { readonly takenOut: number; readonly model: Float32Array }[];
  readonly parts: readonly CulpritPart[];
}

/** All candidates at once: what happened is read once. */
async function madeOf(
  sources: CorrectionSources,
  span: { readonly first: number; readonly afterRound: number; readonly base: Float32Array },
  asked: readonly number[] | undefined,
): Promise<Made> {
  const { updates } = sources;
  const disputed = await Promise.all(updates.refs.map((ref) => updates.round(ref)));
  const counted = disputed.filter(({ weight }) => weight > 0).map(({ ref }) => ref.round);
  const earlier = await earlierCorrections(sources, span);
  const start = { parameters: span.base, state: await stateAt(sources, span.first) };
  const candidates = (asked ?? depthsOf(counted.length)).map((takenOut) => {
    const fromRound = counted[counted.length - takenOut];
    if (fromRound === undefined) {
      throw invalid(`it counted in ${String(counted.length)} disputed rounds, not in ${String(takenOut)}`);
    }
    const marks = new Set([...earlier.values()].map(({ cleanRound }) => cleanRound + 1));
    const terms = { optimiser: serverOptimiserOf(updates.task), fractionBits: updates.terms.fractionBits };
    return { takenOut, candidate: new Candidate(start, { ...terms, fromRound, marks }) };
  });
  const parts: CulpritPart[] = [];
  for await (const step of stepsOf(sources, span, earlier)) {
    candidates.forEach(({ candidate }) => {
      candidate.take(step);
    });
    parts.push(...(step.kind === 'round' ? partsIn(step, updates) : []));
  }
  return { models: candidates.map(({ takenOut, candidate }) => ({ takenOut, model: candidate.model })), parts };
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

/** Corrections between the disputed rounds and now, by the round that they follow. */
async function earlierCorrections(
  { updates, findCorrection }: CorrectionSources,
  { first, afterRound }: { readonly first: number; readonly afterRound: number },
): Promise<ReadonlyMap<number, CorrectionRecord>> {
  const rounds = Array.from({ length: afterRound - first }, (_, index) => first + index);
  const found = await Promise.all(rounds.map((round) => findCorrection(updates.task, round)));
  return new Map(found.flatMap((one) => (one === undefined ? [] : [[one.afterRound, one] as const])));
}

/** One at a time: sums of many rounds would not fit in memory. */
async function* stepsOf(
  sources: CorrectionSources,
  { first, afterRound }: { readonly first: number; readonly afterRound: number },
  earlier: ReadonlyMap<number, CorrectionRecord>,
): AsyncGenerator<CorrectionStep, void, undefined> {
  for (let round = first; round <= afterRound; round++) {
    yield await roundStep(sources, round);
    const correction = earlier.get(round);
    if (correction !== undefined) {
      yield await earlierStep(sources, correction, first);
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
  return { kind: 'round', round: number, total, weight, culprit: { weight: disputed.weight, update: opened.values } };
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
    parameters: parametersFromBytes(await fetch(baseModelHash), model.parameters),
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

function partsIn({ round, weight, culprit }: RoundStep, { task, terms }: DisputedUpdates): CulpritPart[] {
  if (culprit === undefined) {
    return [];
  }
  const norm = directionNorm(culprit.update.subarray(0, task.model.parameters));
  const moved = (culprit.weight * norm) / (weight * 2 ** terms.fractionBits);
  return [{ round, weight: culprit.weight, ofWeights: weight, moved }];
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
