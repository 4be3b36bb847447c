// SPDX-License-Identifier: Apache-2.0
import type { CorrectionRecord, CorrectModel } from '@sev/chaincode/api';
import { messageOf } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { incidents } from '../ledger/incidents.js';
import { correctionsOf } from '../services/corrections.js';
import { errorCode } from '../services/log.js';
import type { ServiceSession } from '../services/rounds.js';
import type { ObjectStore } from '../store/object-store.js';
import { computeCorrection, lastFinalisedRound, type Correction } from './correction.js';
import { DisputedUpdates, type Discloser } from './disputed-updates.js';
import type { CorrectionMeasurer, MeasureRequest } from './measurer.js';

export interface CorrectOptions {
  readonly incidentId: string;
  /** Of an operator, coordinator or auditor. */
  readonly session: Pick<ServiceSession, 'evaluate' | 'submit'>;
  readonly store: Pick<ObjectStore, 'get' | 'put'>;
  readonly aggregators: readonly Discloser[];
  /** One an organisation. */
  readonly measurers: readonly CorrectionMeasurer[];
  readonly rollbackOnly?: boolean;
}

/** Whose word is missing, and why. */
export interface Unmeasured {
  readonly mspId: string;
  readonly code: string;
  readonly message: string;
}

/** What a correction came to. */
export interface Corrected {
  readonly record: CorrectionRecord;
  readonly correction: Correction;
  readonly losses: CorrectModel['losses'];
  readonly unmeasured: readonly Unmeasured[];
}

/**
 * Corrects a task's model after a confirmed incident: computes rollback and candidate, puts them into the store, has every
 * organisation measure them on its own data, and has the contract keep the better. A repetition finds the same record.
 *
 * @throws SevError INCIDENT_STATE, EVIDENCE_INCOMPLETE, CORRECTION_INVALID; LedgerError STATEMENTS_INSUFFICIENT where no
 *   majority measured the same two models.
 */
export async function correctAfter(options: CorrectOptions): Promise<Corrected> {
  const { incidentId, session, store, aggregators, measurers, rollbackOnly = false } = options;
  const updates = await DisputedUpdates.of(incidentId, session, aggregators);
  const contract = learning(session);
  const afterRound = updates.incident.correctedAfter ?? (await lastFinalisedRound(contract, updates.task.taskId));
  const sources = { updates, learning: contract, findCorrection: correctionsOf(session) };
  const fetch = (hash: string): Promise<Uint8Array> => store.get(hash);
  const correction = await computeCorrection({ ...sources, fetch }, afterRound, rollbackOnly);
  const { rollback, candidate } = correction;
  await Promise.all([rollback, candidate].map(({ bytes }) => store.put(bytes)));
  const request = { incidentId, afterRound, rollbackOnly };
  const asked = await Promise.all(measurers.map((measurer) => ask(measurer, request, correction)));
  const losses = asked.flatMap((one) => ('loss' in one ? [one.loss] : []));
  const { result: record } = await incidents(session).correct({
    ...{ incidentId, afterRound, rollbackHash: rollback.hash, candidateHash: candidate.hash },
    losses: losses.sort((a, b) => (a.mspId < b.mspId ? -1 : 1)),
  });
  return { record, correction, losses, unmeasured: asked.flatMap((one) => ('loss' in one ? [] : [one])) };
}

async function ask(
  measurer: CorrectionMeasurer,
  request: MeasureRequest,
  { rollback, candidate }: Correction,
): Promise<{ readonly loss: CorrectModel['losses'][number] } | Unmeasured> {
  const { mspId } = measurer;
  try {
    const { rollbackHash, candidateHash, loss } = await measurer.measure(request);
    return rollbackHash === rollback.hash && candidateHash === candidate.hash
      ? { loss }
      : {
          mspId,
          code: 'CORRECTION_DIFFERS',
          message: `${mspId} computed other models: ${rollbackHash}, ${candidateHash}`,
        };
  } catch (error) {
    return { mspId, code: errorCode(error) ?? 'SERVICE_FAILED', message: messageOf(error) };
  }
}
