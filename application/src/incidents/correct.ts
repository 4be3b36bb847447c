// SPDX-License-Identifier: Apache-2.0
import type { CorrectionRecord, CorrectModel } from '@sev/chaincode/api';
import { median } from '@sev/fl';
import { messageOf } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { incidents } from '../ledger/incidents.js';
import { correctionsOf } from '../services/corrections.js';
import { errorCode } from '../services/log.js';
import type { ServiceSession } from '../services/rounds.js';
import type { ObjectStore } from '../store/object-store.js';
import {
  computeCorrections,
  lastFinalisedRound,
  type CandidateModel,
  type CorrectedModel,
  type Corrections,
} from './correction.js';
import { DisputedUpdates, type Discloser } from './disputed-updates.js';
import type { CandidateLoss, CorrectionMeasurer, CorrectionRef, MeasureRequest } from './measurer.js';

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
  readonly corrections: Omit<Corrections, 'candidates'>;
  /** The same as the rollback where there is none. */
  readonly candidate: CandidateModel;
  /** Lower medians over the organisations, by how many of the last rounds the culprit is taken out of. */
  readonly tried: readonly CandidateLoss[];
  readonly losses: CorrectModel['losses'];
  readonly unmeasured: readonly Unmeasured[];
}

/**
 * Corrects a task's model after a confirmed incident: computes rollback and candidates, has every organisation measure them
 * on its own data, and has the contract keep the better of the rollback and the best candidate. A repetition finds the same
 * record.
 *
 * @throws SevError INCIDENT_STATE, EVIDENCE_INCOMPLETE, CORRECTION_INVALID; LedgerError STATEMENTS_INSUFFICIENT where no
 *   majority measured the same two models.
 */
export async function correctAfter(options: CorrectOptions): Promise<Corrected> {
  const { incidentId, session, store, aggregators, measurers, rollbackOnly = false } = options;
  const updates = await DisputedUpdates.of(incidentId, session, aggregators);
  const contract = learning(session);
  const afterRound = updates.incident.correctedAfter ?? (await lastFinalisedRound(contract, updates.task.taskId));
  const fetch = (hash: string): Promise<Uint8Array> => store.get(hash);
  const sources = { updates, learning: contract, findCorrection: correctionsOf(session), fetch };
  const { candidates, ...corrections } = await computeCorrections(sources, afterRound, rollbackOnly ? [] : undefined);
  const tried = candidates.length === 0 ? [] : await triedBy(measurers, { incidentId, afterRound });
  const { rollback } = corrections;
  const candidate = best(candidates, tried) ?? { ...rollback, takenOut: 0 };
  await Promise.all([rollback, candidate].map(({ bytes }) => store.put(bytes)));
  const request = { incidentId, afterRound, takenOut: candidate.takenOut };
  const asked = await Promise.all(measurers.map((measurer) => ask(measurer, request, rollback, candidate)));
  const losses = asked.flatMap((one) => ('loss' in one ? [one.loss] : []));
  const { result: record } = await incidents(session).correct({
    ...{ incidentId, afterRound, rollbackHash: rollback.hash, candidateHash: candidate.hash },
    losses: losses.sort((a, b) => (a.mspId < b.mspId ? -1 : 1)),
  });
  const unmeasured = asked.flatMap((one) => ('loss' in one ? [] : [one]));
  return { record, corrections, candidate, tried, losses, unmeasured };
}

/** The candidate with the lowest median loss; of equal ones the one that leaves the most as it is. All where nobody says. */
function best(candidates: readonly CandidateModel[], tried: readonly CandidateLoss[]): CandidateModel | undefined {
  const least = Math.min(...tried.map(({ lossMicro }) => lossMicro));
  const chosen = tried.find(({ lossMicro }) => lossMicro === least);
  return candidates.find(({ takenOut }) => takenOut === chosen?.takenOut) ?? candidates.at(-1);
}

/** Lower medians of what organisations find of the candidates; who does not answer is not counted. */
async function triedBy(measurers: readonly CorrectionMeasurer[], ref: CorrectionRef): Promise<CandidateLoss[]> {
  const answers = await Promise.allSettled(measurers.map((measurer) => measurer.candidates(ref)));
  const byDepth = new Map<number, number[]>();
  for (const answer of answers) {
    for (const { takenOut, lossMicro } of answer.status === 'fulfilled' ? answer.value : []) {
      byDepth.set(takenOut, [...(byDepth.get(takenOut) ?? []), lossMicro]);
    }
  }
  return [...byDepth]
    .map(([takenOut, losses]) => ({ takenOut, lossMicro: median(losses) }))
    .sort((a, b) => a.takenOut - b.takenOut);
}

async function ask(
  measurer: CorrectionMeasurer,
  request: MeasureRequest,
  rollback: CorrectedModel,
  candidate: CorrectedModel,
): Promise<{ readonly loss: CorrectModel['losses'][number] } | Unmeasured> {
  const { mspId } = measurer;
  try {
    const { rollbackHash, candidateHash, loss } = await measurer.measure(request);
    const message = `${mspId} computed other models: ${rollbackHash}, ${candidateHash}`;
    const isSame = rollbackHash === rollback.hash && candidateHash === candidate.hash;
    return isSame ? { loss } : { mspId, code: 'CORRECTION_DIFFERS', message };
  } catch (error) {
    return { mspId, code: errorCode(error) ?? 'SERVICE_FAILED', message: messageOf(error) };
  }
}
