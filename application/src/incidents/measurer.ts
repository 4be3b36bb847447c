// SPDX-License-Identifier: Apache-2.0
import {
  correctModel,
  hash,
  identifier,
  MAX_DISPUTED,
  roundNumber,
  type CorrectModel,
  type Task,
} from '@sev/chaincode/api';
import { parametersFromBytes, predictionLossMicro } from '@sev/fl';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { correctionsOf } from '../services/corrections.js';
import { postJson, problemOf } from '../services/http-client.js';
import type { ServiceLog } from '../services/log.js';
import { engineOf, modelSpecOf } from '../services/model-spec.js';
import type { ServiceSession } from '../services/rounds.js';
import type { StatementSigner } from '../services/statement-signer.js';
import type { ObjectStore } from '../store/object-store.js';
import type { ValidationData } from '../validation/validation-data.js';
import { computeCorrections, type Corrections } from './correction.js';
import { DisputedUpdates, type Discloser } from './disputed-updates.js';

/** What is to be measured; the models are not named: whoever measures computes them. */
export interface CorrectionRef {
  readonly incidentId: string;
  readonly afterRound: number;
}
export interface MeasureRequest extends CorrectionRef {
  /** Of how many of the last rounds the culprit is taken out in the candidate; 0: the candidate is the rollback. */
  readonly takenOut: number;
}

/** What one of several candidates is worth to an organisation. */
export interface CandidateLoss {
  readonly takenOut: number;
  readonly lossMicro: number;
}

/** An organisation's word on rollback and candidate, and which models it measured. */
export interface MeasuredCorrection {
  readonly rollbackHash: string;
  readonly candidateHash: string;
  /** As incidents:CorrectModel takes it. */
  readonly loss: CorrectModel['losses'][number];
}

/**
 * One organisation that measures corrections on its own validation data, in this process or over HTTP. It recomputes all
 * models from its own look at the ledger, the stored sums and the updates that it has opened itself.
 */
export interface CorrectionMeasurer {
  readonly mspId: string;
  /**
   * What it finds of all candidates, for the choice of one.
   *
   * @throws SevError INCIDENT_STATE, CORRECTION_INVALID, EVIDENCE_INCOMPLETE, VALIDATION_DATA_FOREIGN.
   */
  candidates(ref: CorrectionRef): Promise<readonly CandidateLoss[]>;
  /** Measures rollback and one candidate, and signs. @throws as `candidates`. */
  measure(request: MeasureRequest): Promise<MeasuredCorrection>;
}

const ref = { incidentId: identifier, afterRound: roundNumber };
const takenOut = z.int().min(0).max(MAX_DISPUTED);
const lossMicro = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const candidatesRequest = z.strictObject(ref);
export const measureRequest = z.strictObject({ ...ref, takenOut });
const candidatesAnswer = z.strictObject({ losses: z.array(z.strictObject({ takenOut, lossMicro })).max(MAX_DISPUTED) });
const measuredAnswer = z.strictObject({
  rollbackHash: hash,
  candidateHash: hash,
  loss: correctModel.shape.losses.element,
});

export interface MeasurerOptions {
  readonly session: Pick<ServiceSession, 'mspId' | 'evaluate' | 'submit'>;
  readonly store: Pick<ObjectStore, 'get'>;
  readonly signer: StatementSigner;
  readonly aggregators: readonly Discloser[];
  readonly data: ValidationData;
  readonly log: ServiceLog;
}

/** The organisation whose process this is. */
export class OwnMeasurer implements CorrectionMeasurer {
  readonly mspId: string;
  readonly #options: MeasurerOptions;
  /** What was opened of the last incident, which is asked for several times. */
  #last: { readonly incidentId: string; readonly updates: Promise<DisputedUpdates> } | undefined;

  constructor(options: MeasurerOptions) {
    this.#options = options;
    this.mspId = options.session.mspId;
  }

  async candidates({ incidentId, afterRound }: CorrectionRef): Promise<readonly CandidateLoss[]> {
    const { task, candidates } = await this.#compute(incidentId, afterRound);
    const losses: CandidateLoss[] = [];
    for (const { takenOut: depth, bytes } of candidates) {
      losses.push({ takenOut: depth, lossMicro: await this.#lossOf(task, bytes) });
    }
    return losses;
  }

  async measure({ incidentId, afterRound, takenOut: depth }: MeasureRequest): Promise<MeasuredCorrection> {
    const { signer, log } = this.#options;
    const { task, rollback, candidates } = await this.#compute(incidentId, afterRound, depth === 0 ? [] : [depth]);
    const candidate = candidates[0] ?? rollback;
    const hashes = { rollbackHash: rollback.hash, candidateHash: candidate.hash };
    const losses = {
      rollbackLossMicro: await this.#lossOf(task, rollback.bytes),
      candidateLossMicro: await this.#lossOf(task, candidate.bytes),
    };
    const { mspId, signature } = await signer.correction({
      ...{ incidentId, taskId: task.taskId, afterRound },
      ...hashes,
      ...losses,
    });
    log.info({ incidentId, afterRound, takenOut: depth, ...hashes, ...losses }, 'measured a correction');
    return { ...hashes, loss: { mspId, ...losses, signature } };
  }

  async #compute(
    incidentId: string,
    afterRound: number,
    depths?: readonly number[],
  ): Promise<Corrections & { readonly task: Task }> {
    const { session, store, data } = this.#options;
    const updates = await this.#updates(incidentId);
    const { task } = updates;
    if (task.features !== data.features) {
      const detail = `task ${task.taskId} learns from ${task.features}, the validation data are ${data.features}`;
      throw new SevError('VALIDATION_DATA_FOREIGN', detail, { exitCode: EXIT.refused });
    }
    const fetch = (object: string): Promise<Uint8Array> => store.get(object);
    const sources = { updates, learning: learning(session), findCorrection: correctionsOf(session), fetch };
    return { ...(await computeCorrections(sources, afterRound, depths)), task };
  }

  /** A confirmed incident does not change any more: what is opened of it is opened once. */
  async #updates(incidentId: string): Promise<DisputedUpdates> {
    const { session, aggregators } = this.#options;
    if (this.#last?.incidentId !== incidentId || (await this.#last.updates).incident.state !== 'confirmed') {
      this.#last = { incidentId, updates: DisputedUpdates.of(incidentId, session, aggregators) };
      this.#last.updates.catch(() => {
        this.#last = undefined;
      });
    }
    return this.#last.updates;
  }

  async #lossOf(task: Task, bytes: Uint8Array): Promise<number> {
    const { data } = this.#options.data;
    const engine = await engineOf(task);
    const parameters = parametersFromBytes(bytes, task.model.parameters);
    return predictionLossMicro(await engine.predict(modelSpecOf(task.model), parameters, data), data);
  }
}

/** Opening and adding up many rounds, on a busy machine. */
const TIMEOUT_MS = 300_000;

/** Another organisation's attester over HTTP. */
export class HttpMeasurer implements CorrectionMeasurer {
  readonly mspId: string;
  readonly #url: string;

  constructor(mspId: string, url: string) {
    this.mspId = mspId;
    this.#url = url.replace(/\/+$/, '');
  }

  async candidates(about: CorrectionRef): Promise<readonly CandidateLoss[]> {
    const { incidentId, afterRound } = about;
    return (await this.#ask('candidates', { incidentId, afterRound }, candidatesAnswer)).losses;
  }

  async measure(request: MeasureRequest): Promise<MeasuredCorrection> {
    const measured = await this.#ask('measure', request, measuredAnswer);
    if (measured.loss.mspId !== this.mspId) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} answered for ${measured.loss.mspId}`);
    }
    return measured;
  }

  async #ask<T>(what: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const answer = await postJson(`${this.#url}/corrections/${what}`, body, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new SevError(code, `${this.mspId}: ${detail}`);
    }
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} did not answer as an attester`);
    }
    return parsed.data;
  }
}
