// SPDX-License-Identifier: Apache-2.0
import { correctModel, hash, identifier, roundNumber, type CorrectModel } from '@sev/chaincode/api';
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
import { computeCorrection } from './correction.js';
import { DisputedUpdates, type Discloser } from './disputed-updates.js';

/** What is to be measured; the models are not named: whoever measures computes them. */
export interface MeasureRequest {
  readonly incidentId: string;
  readonly afterRound: number;
  /** Leaves the candidate away. */
  readonly rollbackOnly: boolean;
}

/** An organisation's word on rollback and candidate, and which models it measured. */
export interface MeasuredCorrection {
  readonly rollbackHash: string;
  readonly candidateHash: string;
  /** As incidents:CorrectModel takes it. */
  readonly loss: CorrectModel['losses'][number];
}

/** One organisation that measures corrections on its own validation data, in this process or over HTTP. */
export interface CorrectionMeasurer {
  readonly mspId: string;
  /**
   * Recomputes both models from its own look at the ledger, the stored sums and the updates that it has opened itself,
   * measures them, and signs.
   *
   * @throws SevError INCIDENT_STATE, CORRECTION_INVALID, EVIDENCE_INCOMPLETE, VALIDATION_DATA_FOREIGN.
   */
  measure(request: MeasureRequest): Promise<MeasuredCorrection>;
}

export const measureRequest = z.strictObject({
  incidentId: identifier,
  afterRound: roundNumber,
  rollbackOnly: z.boolean(),
});
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

  constructor(options: MeasurerOptions) {
    this.#options = options;
    this.mspId = options.session.mspId;
  }

  async measure({ incidentId, afterRound, rollbackOnly }: MeasureRequest): Promise<MeasuredCorrection> {
    const { session, store, signer, aggregators, data, log } = this.#options;
    const updates = await DisputedUpdates.of(incidentId, session, aggregators);
    const { task } = updates;
    if (task.features !== data.features) {
      const detail = `task ${task.taskId} learns from ${task.features}, the validation data are ${data.features}`;
      throw new SevError('VALIDATION_DATA_FOREIGN', detail, { exitCode: EXIT.refused });
    }
    const sources = { updates, learning: learning(session), findCorrection: correctionsOf(session) };
    const fetch = (object: string): Promise<Uint8Array> => store.get(object);
    const { rollback, candidate } = await computeCorrection({ ...sources, fetch }, afterRound, rollbackOnly);
    const engine = await engineOf(task);
    const spec = modelSpecOf(task.model);
    const lossOf = async ({ bytes }: { readonly bytes: Uint8Array }): Promise<number> => {
      const parameters = parametersFromBytes(bytes, task.model.parameters);
      return predictionLossMicro(await engine.predict(spec, parameters, data.data), data.data);
    };
    const hashes = { rollbackHash: rollback.hash, candidateHash: candidate.hash };
    const losses = { rollbackLossMicro: await lossOf(rollback), candidateLossMicro: await lossOf(candidate) };
    const { mspId, signature } = await signer.correction({
      ...{ incidentId, taskId: task.taskId, afterRound },
      ...hashes,
      ...losses,
    });
    log.info({ incidentId, afterRound, ...hashes, ...losses }, 'measured a correction');
    return { ...hashes, loss: { mspId, ...losses, signature } };
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

  async measure(request: MeasureRequest): Promise<MeasuredCorrection> {
    const answer = await postJson(`${this.#url}/corrections/measure`, request, { timeoutMs: TIMEOUT_MS });
    if (answer.status !== 200) {
      const { code, detail } = problemOf(answer);
      throw new SevError(code, `${this.mspId}: ${detail}`);
    }
    const parsed = measuredAnswer.safeParse(answer.body);
    if (!parsed.success || parsed.data.loss.mspId !== this.mspId) {
      throw new SevError('SERVICE_ANSWER_MALFORMED', `${this.#url} did not answer as the attester of ${this.mspId}`);
    }
    return parsed.data;
  }
}
