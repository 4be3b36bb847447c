// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  departuresIn,
  newValidators,
  standingsAfter,
  validatorsAfter,
  type SecureRound,
  type StandingRecord,
  type ValidatorRecord,
} from '@sev/chaincode/api';
import {
  attemptKey,
  recordError,
  standingKey,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { Audited } from './records.js';

type Round = Audited<'round'>;

/** Validators of a task, as the rounds before left them. */
export function validatorsOf({ validators }: DomainState, taskId: string): readonly ValidatorRecord[] {
  return [...(validators.get(taskId)?.values() ?? [])];
}

/**
 * What becomes of validators follows from the rounds that a transaction opens or finalises: the first word binds a validator to
 * its data, a final round names those that departed in it. Nothing else writes their records.
 *
 * @throws AuditError VALIDATION_INVALID
 */
export function checkValidatorWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'validator'>>[],
  rounds: readonly RecordWrite<Round>[],
): void {
  const expected = rounds.flatMap(({ record }) => validatorsBy(state, transaction, record));
  const written = writes.map(({ record }) => record);
  if (canonicalJson(byName(written)) !== canonicalJson(byName(expected))) {
    const names = [...new Set([...written, ...expected].map(({ mspId }) => mspId))].sort().join(', ');
    throw recordError(
      transaction,
      'VALIDATION_INVALID',
      `what is on record of ${names} does not follow from the round`,
    );
  }
  for (const record of written) {
    const ofTask = state.validators.get(record.taskId) ?? new Map<string, Audited<'validator'>>();
    state.validators.set(record.taskId, ofTask.set(record.mspId, record));
  }
}

/**
 * A vehicle's standing is written with the end of a round, of each member of its cohort, from the evidence that was attested,
 * and when an incident clears it; nothing is left out, and nobody is in quarantine, or out of it, otherwise.
 *
 * @param cleared - what an incident makes of it.
 * @throws AuditError STANDING_INVALID
 */
export function checkStandingWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Audited<'standing'>>[],
  rounds: readonly RecordWrite<Round>[],
  cleared: readonly StandingRecord[],
): void {
  const judged = rounds.flatMap(({ record }) => standingsBy(state, transaction, record));
  const expected = new Map([...judged, ...cleared].map((record) => [standingKey(record), record]));
  for (const { record } of writes) {
    const key = standingKey(record);
    if (canonicalJson(record) !== canonicalJson(expected.get(key) ?? null)) {
      throw recordError(transaction, 'STANDING_INVALID', `${key} does not follow from the evidence of its rounds`);
    }
    expected.delete(key);
    state.standings.set(key, record);
  }
  const [forgotten] = expected.keys();
  if (forgotten !== undefined) {
    throw recordError(transaction, 'STANDING_INVALID', `${forgotten} was not written as it follows`);
  }
}

function validatorsBy(state: DomainState, { name }: DomainTransaction, round: Round): readonly ValidatorRecord[] {
  const known = validatorsOf(state, round.taskId);
  if (name === 'learning:OpenRound') {
    return newValidators(round.taskId, round.secure?.opening.validations ?? [], known);
  }
  const end = judgedEnd(state, name, round);
  return end === undefined ? [] : validatorsAfter(known, round.round, departuresIn(end.secure, end.scores));
}

function standingsBy(state: DomainState, { name }: DomainTransaction, round: Round): readonly StandingRecord[] {
  const end = judgedEnd(state, name, round);
  const cohort = state.cohorts.get(attemptKey(round));
  if (end === undefined || cohort === undefined) {
    return [];
  }
  const { taskId } = round;
  const before = new Map(
    cohort.members.flatMap(({ vehicleId }) => {
      const record = state.standings.get(standingKey({ taskId, vehicleId }));
      return record === undefined ? [] : [[vehicleId, record] as const];
    }),
  );
  return standingsAfter(cohort, end.scores, end.secure.scoresHash ?? '', before, end.terms);
}

/** What a round's end judges by; undefined where it is not its end, or where the task has no validators. */
function judgedEnd({ tasks, scores }: DomainState, name: string, round: Round) {
  const terms = tasks.get(round.taskId)?.secure?.validation;
  const { secure }: { secure?: SecureRound } = round;
  const attested = scores.get(attemptKey(round))?.scores;
  const isEnd = name === 'learning:FinaliseRound' && terms !== undefined;
  return isEnd && secure !== undefined && attested !== undefined ? { terms, secure, scores: attested } : undefined;
}

function byName(records: readonly ValidatorRecord[]): readonly ValidatorRecord[] {
  return [...records].sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}
