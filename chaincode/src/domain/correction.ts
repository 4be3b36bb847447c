// SPDX-License-Identifier: Apache-2.0
import {
  awaitedLosses,
  ContractError,
  heardValidators,
  lowerMedian,
  MAX_SHOWN_ATTEMPTS,
  type BaseRecord,
  type CorrectionRecord,
  type CorrectionStatement,
  type CorrectModel,
  type IncidentRecord,
  type ModelRecord,
  type RoundRecord,
  type ShownSumsRecord,
  type Task,
  type ValidatorRecord,
} from '../api';
import type { TransitionFacts } from './round';
import { requireMajority, validStatements } from './statements';

/** What the ledger holds of a model that a task could go on from. */
export interface BaseFacts {
  readonly base: BaseRecord | undefined;
  readonly shown: ShownSumsRecord | undefined;
}

export interface CorrectionFacts extends TransitionFacts {
  /** The correction after this round, where there is one. */
  readonly existing: CorrectionRecord | undefined;
  /** The round of the first disputed attempt. */
  readonly first: RoundRecord | undefined;
  /** The round after which the model is corrected, and the one that follows. */
  readonly last: RoundRecord | undefined;
  readonly next: RoundRecord | undefined;
  /** Of the task, as its rounds have left them. */
  readonly validators: readonly ValidatorRecord[];
  readonly rollback: BaseFacts;
  readonly candidate: BaseFacts;
}

type Losses = CorrectModel['losses'];

/**
 * Which model a task goes on from after a confirmed incident: by the lower medians of the losses that a majority measured,
 * the rollback where they are equal. A model is kept only if the task can go on from it: one that is another task's base, or
 * on which as many sums were shown as may be, is not, whatever its loss. So where the last clean model has served two cohorts
 * already, the candidate remains; where it has served one, it serves one more, as every base does.
 *
 * @returns the record to write, or the one on the ledger where the same was decided before.
 * @throws ContractError INCIDENT_STATE, CORRECTION_INVALID, CORRECTION_CONFLICT, STATEMENTS_INSUFFICIENT
 */
export function correctModel(
  task: Task,
  incident: IncidentRecord,
  input: CorrectModel,
  facts: CorrectionFacts,
): CorrectionRecord {
  const { existing, first } = facts;
  const { incidentId, afterRound, rollbackHash, candidateHash } = input;
  if (existing !== undefined) {
    const isSame =
      existing.incidentId === incidentId &&
      existing.rollbackHash === rollbackHash &&
      existing.candidateHash === candidateHash;
    if (!isSame) {
      throw new ContractError('CORRECTION_CONFLICT', `corrected with ${existing.modelHash} by ${existing.incidentId}`);
    }
    return existing;
  }
  if (incident.state !== 'confirmed') {
    throw new ContractError('INCIDENT_STATE', `${incidentId} is ${incident.state}, not confirmed`);
  }
  if (incident.correctedAfter !== undefined) {
    throw new ContractError(
      'CORRECTION_CONFLICT',
      `${incidentId} was corrected after round ${incident.correctedAfter}`,
    );
  }
  checkRounds(incident, input, facts);
  const losses = signedLosses(task, input, facts);
  const { validation } = task.secure ?? {};
  const heard = validation === undefined ? [] : heardValidators(validation, facts);
  const awaited = awaitedLosses(heard, losses, incident, facts.nowMs);
  insist(awaited.length === 0, `the losses of ${awaited.join(', ')} are still waited for`);
  const rollbackLossMicro = lowerMedian(losses.map((loss) => loss.rollbackLossMicro));
  const candidateLossMicro = lowerMedian(losses.map((loss) => loss.candidateLossMicro));
  const kept = better(task, { rollbackLossMicro, candidateLossMicro }, facts);
  return {
    docType: 'correction',
    schemaVersion: 1,
    taskId: task.taskId,
    afterRound,
    incidentId,
    kept,
    modelHash: kept === 'rollback' ? rollbackHash : candidateHash,
    cleanRound: (first?.round ?? 1) - 1,
    ...{ rollbackHash, candidateHash, rollbackLossMicro, candidateLossMicro },
    attestedBy: losses.map(({ mspId }) => mspId),
    correctedAtMs: facts.nowMs,
  };
}

/** The record of the model that a correction has kept, for where the task has not seen it. */
export function correctedModelOf(
  { taskId, afterRound, modelHash, rollbackHash }: CorrectionRecord,
  { attempt }: Pick<RoundRecord, 'attempt'>,
): ModelRecord {
  return {
    docType: 'model',
    schemaVersion: 1,
    ...{ modelHash, taskId, round: afterRound, attempt },
    baseModelHash: rollbackHash,
  };
}

function checkRounds(
  incident: IncidentRecord,
  { afterRound, rollbackHash }: CorrectModel,
  { first, last, next }: CorrectionFacts,
): void {
  const lastDisputed = incident.disputed.at(-1)?.round ?? 0;
  insist(last?.state === 'finalised', `round ${afterRound} is ${last?.state ?? 'not opened'}`);
  insist(afterRound >= lastDisputed, `round ${lastDisputed} is disputed; correct after it`);
  insist(next === undefined || next.state === 'aborted', `round ${afterRound + 1} is ${next?.state ?? ''}`);
  const clean = first?.baseModelHash ?? '';
  insist(rollbackHash === clean, `the base of the first disputed round is ${clean}`);
}

/** Those that their organisations signed, sorted, of a majority. @throws ContractError CORRECTION_INVALID, STATEMENTS_INSUFFICIENT */
function signedLosses(task: Task, input: CorrectModel, { consortium, organisations }: TransitionFacts): Losses {
  const { incidentId, afterRound, rollbackHash, candidateHash, losses } = input;
  insist(new Set(losses.map(({ mspId }) => mspId)).size === losses.length, 'losses: an organisation occurs twice');
  const about = { consortium, incidentId, taskId: task.taskId, afterRound, rollbackHash, candidateHash };
  const valid = validStatements(
    losses,
    organisations,
    (_, { signature: _signature, ...loss }): CorrectionStatement => ({
      type: 'sev/correct-model/v1',
      ...about,
      ...loss,
    }),
  );
  requireMajority(valid, organisations);
  return valid;
}

/** @throws ContractError CORRECTION_INVALID where the task can go on from neither. */
function better(
  task: Task,
  losses: Pick<CorrectionRecord, 'rollbackLossMicro' | 'candidateLossMicro'>,
  { rollback, candidate }: CorrectionFacts,
): CorrectionRecord['kept'] {
  const mayRollBack = canServe(task, rollback);
  const mayGoOn = canServe(task, candidate);
  insist(mayRollBack || mayGoOn, 'the task can go on from neither model: their bases are spent or taken');
  if (!mayRollBack || !mayGoOn) {
    return mayGoOn ? 'candidate' : 'rollback';
  }
  return losses.candidateLossMicro < losses.rollbackLossMicro ? 'candidate' : 'rollback';
}

/** Whether a round may be opened on a model. */
function canServe({ taskId }: Task, { base, shown }: BaseFacts): boolean {
  const isOthers = base !== undefined && base.taskId !== taskId;
  return !isOthers && (shown?.attempts.length ?? 0) < MAX_SHOWN_ATTEMPTS;
}

function insist(holds: boolean, problem: string): void {
  if (!holds) {
    throw new ContractError('CORRECTION_INVALID', problem);
  }
}
