// SPDX-License-Identifier: Apache-2.0
import {
  awaitedLosses,
  canonicalJson,
  correctModel,
  heardValidators,
  lowerMedian,
  MAX_SHOWN_ATTEMPTS,
  type CorrectionStatement,
  type CorrectModel,
} from '@sev/chaincode/api';
import {
  afterKey,
  baseKey,
  consortiumOf,
  isSigned,
  recordError,
  requireMajority,
  roundKey,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { AuditError } from './failure.js';
import { incidentOf } from './incident-rules.js';
import type { Audited } from './records.js';
import { validatorsOf } from './validation-rules.js';

type Correction = Audited<'correction'>;

/**
 * A model is corrected after a confirmed incident, once, while no further round is open: with what a majority's losses say is
 * the better of the base of the first disputed round and the candidate, as far as the task can go on from them.
 *
 * @returns the correction that the transaction made.
 * @throws AuditError CORRECTION_INVALID, STATEMENTS_INSUFFICIENT, RECORD_UNKNOWN
 */
export function checkCorrectionWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: readonly RecordWrite<Correction>[],
): Correction | undefined {
  const expected = transaction.name === 'incidents:CorrectModel' ? corrected(state, transaction) : undefined;
  const written = writes.map(({ record }) => record);
  if (canonicalJson(written) !== canonicalJson(expected === undefined ? [] : [expected])) {
    throw correctionError(transaction, 'the model that was kept is not the one that follows');
  }
  if (expected !== undefined) {
    state.corrections.set(afterKey(expected), expected);
  }
  return expected;
}

function corrected(state: DomainState, transaction: DomainTransaction): Correction | undefined {
  const asked = correctModel.parse(transaction.argument);
  const { incidentId, afterRound, rollbackHash, candidateHash } = asked;
  const incident = incidentOf(state, transaction, incidentId);
  const { taskId } = incident;
  if (state.corrections.has(afterKey({ taskId, afterRound }))) {
    return undefined;
  }
  requireDue(state, transaction, incident, asked);
  const losses = signedLosses(state, transaction, taskId, asked);
  requireAllHeard(state, transaction, incident, losses);
  const medians = {
    rollbackLossMicro: lowerMedian(losses.map((loss) => loss.rollbackLossMicro)),
    candidateLossMicro: lowerMedian(losses.map((loss) => loss.candidateLossMicro)),
  };
  const kept = better(state, taskId, { ...asked, ...medians });
  return {
    docType: 'correction',
    schemaVersion: 1,
    ...{ taskId, afterRound, incidentId, kept },
    modelHash: kept === 'rollback' ? rollbackHash : candidateHash,
    cleanRound: firstOf(incident) - 1,
    ...{ rollbackHash, candidateHash, ...medians },
    attestedBy: losses.map(({ mspId }) => mspId),
    correctedAtMs: transaction.timestampMs,
  };
}

/** After a confirmed incident that was not corrected, from the base of its first disputed round, while no further one is open. */
function requireDue(
  { rounds }: DomainState,
  transaction: DomainTransaction,
  incident: Audited<'incident'>,
  { afterRound, rollbackHash }: CorrectModel,
): void {
  const { taskId, disputed, incidentId } = incident;
  const roundAt = (round: number): Audited<'round'> | undefined => rounds.get(roundKey({ taskId, round }));
  const next = roundAt(afterRound + 1)?.state ?? 'aborted';
  const isLast = roundAt(afterRound)?.state === 'finalised' && next === 'aborted';
  const isPast = afterRound >= (disputed.at(-1)?.round ?? 0);
  const isDue = incident.state === 'confirmed' && incident.correctedAfter === undefined;
  if (!isDue || !isLast || !isPast || roundAt(firstOf(incident))?.baseModelHash !== rollbackHash) {
    throw correctionError(transaction, `${incidentId} does not ask for it after round ${String(afterRound)}`);
  }
}

/** The first disputed round. */
function firstOf({ disputed }: Audited<'incident'>): number {
  return disputed[0]?.round ?? 1;
}

function signedLosses(
  state: DomainState,
  transaction: DomainTransaction,
  taskId: string,
  { incidentId, afterRound, rollbackHash, candidateHash, losses }: CorrectModel,
): CorrectModel['losses'] {
  const { bootstrapHash: consortium } = consortiumOf(state, transaction);
  const about = { consortium, incidentId, taskId, afterRound, rollbackHash, candidateHash };
  const statementOf = ({ signature: _signature, ...loss }: CorrectModel['losses'][number]): CorrectionStatement => ({
    type: 'sev/correct-model/v1',
    ...about,
    ...loss,
  });
  if (new Set(losses.map(({ mspId }) => mspId)).size < losses.length) {
    throw correctionError(transaction, 'an organisation says twice what it measured');
  }
  const valid = losses.filter((loss) => isSigned(state, transaction, statementOf(loss), loss.signature));
  requireMajority(state, transaction, valid, (mspId) => {
    const loss = valid.find((one) => one.mspId === mspId);
    return { type: 'sev/correct-model/v1', ...about, ...(loss && statementOf(loss)) };
  });
  return [...valid].sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}

/** Who submits does not choose whose losses count, until the others have had their time. */
function requireAllHeard(
  state: DomainState,
  transaction: DomainTransaction,
  incident: Audited<'incident'>,
  losses: CorrectModel['losses'],
): void {
  const terms = state.tasks.get(incident.taskId)?.secure?.validation;
  const { organisations } = consortiumOf(state, transaction);
  const facts = { validators: validatorsOf(state, incident.taskId), organisations };
  const heard = terms === undefined ? [] : heardValidators(terms, facts);
  const awaited = awaitedLosses(heard, losses, incident, transaction.timestampMs);
  if (awaited.length > 0) {
    throw correctionError(transaction, `it did not wait for the losses of ${awaited.join(', ')}`);
  }
}

function better(
  state: DomainState,
  taskId: string,
  asked: Pick<Correction, 'rollbackHash' | 'candidateHash' | 'rollbackLossMicro' | 'candidateLossMicro'>,
): Correction['kept'] {
  const mayRollBack = canServe(state, taskId, asked.rollbackHash);
  const mayGoOn = canServe(state, taskId, asked.candidateHash);
  const isBetter = asked.candidateLossMicro < asked.rollbackLossMicro;
  return mayGoOn && (isBetter || !mayRollBack) ? 'candidate' : 'rollback';
}

/** Whether a round may be opened on a model: it is no other task's, and not as many sums on it were shown as may be. */
function canServe({ bases, shownSums }: DomainState, taskId: string, baseModelHash: string): boolean {
  const owner = bases.get(baseModelHash)?.taskId ?? taskId;
  const shown = shownSums.get(baseKey({ taskId, baseModelHash }))?.attempts.length ?? 0;
  return owner === taskId && shown < MAX_SHOWN_ATTEMPTS;
}

function correctionError(transaction: DomainTransaction, detail: string): AuditError {
  return recordError(transaction, 'CORRECTION_INVALID', detail);
}
