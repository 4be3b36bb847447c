// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, Task } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, type AttemptRef } from './attempt.js';
import { correctionsOf, type FindCorrection } from './corrections.js';
import { roundIfAny, type ServiceSession } from './rounds.js';

/** Looks at the ledger by the own organisation's gateway. */
export interface BaseView {
  readonly round: (ref: Pick<AttemptRef, 'taskId' | 'round'>) => Promise<RoundRecord | undefined>;
  readonly correction: FindCorrection;
}

/** What a session's gateway shows of it. */
export function basesOf(session: Pick<ServiceSession, 'evaluate' | 'submit'>): BaseView {
  const contract = learning(session);
  return { round: (ref) => roundIfAny(contract, ref), correction: correctionsOf(session) };
}

/**
 * The base model of an attempt that the ledger would open next.
 *
 * @throws SevError ROUND_OUT_OF_ORDER for any other attempt.
 */
export async function nextBaseOf(ref: AttemptRef, task: Task, view: BaseView): Promise<string> {
  const { taskId, round, attempt } = ref;
  const [current, previous, correction] = await Promise.all([
    view.round(ref),
    round === 1 ? undefined : view.round({ taskId, round: round - 1 }),
    view.correction(task, round - 1),
  ]);
  const base = round === 1 ? task.model.initialModelHash : (correction?.modelHash ?? finalModel(previous));
  const isNext =
    round <= task.plannedRounds &&
    (current === undefined || current.state === 'aborted') &&
    attempt === (current?.attempt ?? 0) + 1;
  if (base === undefined || !isNext) {
    throw new SevError('ROUND_OUT_OF_ORDER', `the ledger does not open ${attemptKey(ref)} next`, {
      exitCode: EXIT.refused,
    });
  }
  return base;
}

/** @throws SevError ROUND_OUT_OF_ORDER; BASE_MODEL_MISMATCH where it starts from another model. */
export async function insistOnNext(ref: AttemptRef, baseModelHash: string, task: Task, view: BaseView): Promise<void> {
  const base = await nextBaseOf(ref, task, view);
  if (base !== baseModelHash) {
    throw new SevError('BASE_MODEL_MISMATCH', `${attemptKey(ref)} starts from ${base}`, { exitCode: EXIT.refused });
  }
}

function finalModel(round: RoundRecord | undefined): string | undefined {
  return round?.state === 'finalised' ? round.proposal?.modelHash : undefined;
}
