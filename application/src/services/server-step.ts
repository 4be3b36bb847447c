// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type RoundRecord, type Task } from '@sev/chaincode/api';
import {
  initialServerState,
  ModelError,
  momentsOf,
  parametersFromBytes,
  parametersToBytes,
  serverStep,
  type ServerOptimiser,
} from '@sev/fl';
import { SevError } from '../errors.js';
import type { FindCorrection } from './corrections.js';
import type { FetchObject, RoundModel, RoundOutcome } from './round-outcome.js';
import type { LearningContract } from './rounds.js';

const MICRO = 1_000_000;

/** The optimiser of the server that a task names. */
export function serverOptimiserOf({ aggregation }: Task): ServerOptimiser {
  const { server } = aggregation;
  if (server === undefined) {
    return { kind: 'none' };
  }
  const common = { rate: server.rateMicro / MICRO, beta1: server.beta1Micro / MICRO };
  return server.kind === 'momentum'
    ? { kind: server.kind, ...common }
    : { kind: server.kind, ...common, beta2: server.beta2Micro / MICRO, tau: server.tauMicro / MICRO };
}

/**
 * What the optimiser's moments are before a round: the hash of their bytes, as the round before left them. Where the model
 * was corrected after that round, they are those that the first disputed round began with.
 *
 * @returns undefined where the task has no such optimiser, and where it begins.
 */
export async function stateBefore(
  task: Task,
  { round }: Pick<RoundRecord, 'round'>,
  learning: Pick<LearningContract, 'round'>,
  findCorrection: FindCorrection,
): Promise<string | undefined> {
  if (task.aggregation.server === undefined || round === 1) {
    return undefined;
  }
  const correction = await findCorrection(task, round - 1);
  return correction === undefined
    ? (await learning.round({ taskId: task.taskId, round: round - 1 })).proposal?.serverStateHash
    : stateBefore(task, { round: correction.cleanRound + 1 }, learning, findCorrection);
}

/**
 * The model that the task's optimiser of the server makes of a round's average; the same where it has none. Coordinator,
 * attesters and auditor run this one function.
 *
 * @param average as the aggregation gives it: its proposal names the average as the model.
 * @param stateHash of the moments after the round before, undefined in the first.
 * @throws SevError SUMS_UNUSABLE where the model would not be finite; whatever `fetch` throws.
 */
export async function movedByServer(
  task: Task,
  average: RoundModel,
  stateHash: string | undefined,
  fetch: FetchObject,
): Promise<RoundModel> {
  const optimiser = serverOptimiserOf(task);
  if (optimiser.kind === 'none') {
    return average;
  }
  const { parameters: count } = task.model;
  const base = parametersFromBytes(await fetch(average.proposal.baseModelHash), count);
  const state =
    stateHash === undefined
      ? initialServerState(optimiser, count)
      : parametersFromBytes(await fetch(stateHash), momentsOf(optimiser) * count);
  const moved = stepped(() => serverStep(optimiser, base, parametersFromBytes(average.bytes, count), state));
  const bytes = parametersToBytes(moved.parameters);
  const serverState = parametersToBytes(moved.state);
  const proposal = {
    ...average.proposal,
    modelHash: sha256Hex(bytes),
    serverStateHash: sha256Hex(serverState),
  };
  return { proposal, bytes, serverState };
}

/** {@link movedByServer} of an outcome that has a model. */
export async function outcomeMovedByServer(
  task: Task,
  outcome: RoundOutcome,
  stateHash: string | undefined,
  fetch: FetchObject,
): Promise<RoundOutcome> {
  return outcome.model === undefined
    ? outcome
    : { ...outcome, model: await movedByServer(task, outcome.model, stateHash, fetch) };
}

function stepped<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw error instanceof ModelError ? new SevError('SUMS_UNUSABLE', error.message, { cause: error }) : error;
  }
}
