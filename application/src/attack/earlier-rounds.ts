// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { parametersFromBytes } from '@sev/fl';
import { roundIfAny, type LearningContract } from '../services/rounds.js';
import { directionIfAny } from '../validation/directions.js';

/** What everybody can know of the rounds before, from ledger and store. */
export interface EarlierRounds {
  /** Models that they started from, oldest first, each of length d. */
  readonly bases: readonly Float32Array[];
  /** The reference direction of the last one, length d. */
  readonly lastDirection?: Int32Array;
}

/** As far as any attack looks back. */
const ROUNDS_BACK = 5;

/**
 * Looks up the rounds before one.
 *
 * @param round from 1 on.
 * @param fetch gives the bytes of a hash.
 * @throws LedgerError; whatever `fetch` throws.
 */
export async function earlierRounds(
  learning: LearningContract,
  task: Task,
  round: number,
  fetch: (hash: string) => Promise<Uint8Array>,
): Promise<EarlierRounds> {
  const first = Math.max(1, round - ROUNDS_BACK);
  const numbers = Array.from({ length: round - first }, (_, index) => first + index);
  const { taskId } = task;
  const records = (await Promise.all(numbers.map((number) => roundIfAny(learning, { taskId, round: number })))).flatMap(
    (record) => record ?? [],
  );
  const secure = records.at(-1)?.secure;
  const [bases, lastDirection] = await Promise.all([
    Promise.all(
      records.map(async ({ baseModelHash }) => parametersFromBytes(await fetch(baseModelHash), task.model.parameters)),
    ),
    secure && directionIfAny(secure, secure.references, task.model.parameters, fetch),
  ]);
  return { bases, ...(lastDirection === undefined ? {} : { lastDirection }) };
}
