// SPDX-License-Identifier: Apache-2.0
import { type RoundRecord, type RoundState, type Task, type Validation } from '@sev/chaincode/api';
import { parametersFromBytes, predictionLossMicro, quantiseDirection } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { engineOf, modelSpecOf, trainingOf } from '../services/model-spec.js';
import { basesOf, insistOnNext } from '../services/next-attempt.js';
import type { RoundEvent } from '../services/round-events.js';
import { roundIfAny, type LearningContract, type ServiceSession } from '../services/rounds.js';
import type { StatementSigner } from '../services/statement-signer.js';
import type { ObjectStore } from '../store/object-store.js';
import { trainingSeed } from '../vehicle/data.js';
import { directionBytes, directionHashOf } from './directions.js';
import { validationDataHash, type ValidationData } from './validation-data.js';
import type { ValidatorClient } from './validator-client.js';

export interface ValidatorOptions {
  readonly session: Pick<ServiceSession, 'mspId' | 'evaluate' | 'submit'>;
  readonly store: Pick<ObjectStore, 'get' | 'put'>;
  readonly signer: StatementSigner;
  readonly data: ValidationData;
  readonly log: ServiceLog;
}

/** What training from a base on the validation data came to. */
interface Trained {
  readonly lossMicro: number;
  readonly direction: Uint8Array;
  readonly directionHash: string;
}

/** States in which the cohort is fixed. */
const FROM_COHORT: readonly RoundState[] = ['cohort', 'scored', 'aggregated', 'finalised'];
/** Attempts whose training is remembered. */
const REMEMBERED = 4;

/**
 * One organisation's validator. Before a round opens it trains from the base model as a vehicle does, on its own data, and
 * commits itself to the direction; once its own ledger shows that the cohort is fixed, it shows it. It keeps nothing: after
 * a restart the same training gives the same direction.
 */
export class Validator implements ValidatorClient {
  readonly mspId: string;
  readonly #options: ValidatorOptions;
  readonly #learning: LearningContract;
  readonly #dataHash: string;
  readonly #tasks = new Map<string, Promise<Task>>();
  readonly #trained = new Map<string, Promise<Trained>>();
  readonly #published = new Map<string, Promise<string>>();

  constructor(options: ValidatorOptions) {
    this.#options = options;
    this.mspId = options.session.mspId;
    this.#learning = learning(options.session);
    this.#dataHash = validationDataHash(options.data);
  }

  async validate(ref: AttemptRef, baseModelHash: string): Promise<Validation> {
    const task = await this.#task(ref.taskId);
    await insistOnNext(ref, baseModelHash, task, basesOf(this.#options.session));
    const { lossMicro: loss, directionHash } = await this.#train(task, ref, baseModelHash);
    const content = { dataHash: this.#dataHash, lossMicro: loss, directionHash };
    const { mspId, signature } = await this.#options.signer.validation(ref, { ...content, baseModelHash });
    return { mspId, ...content, signature };
  }

  publish(ref: AttemptRef): Promise<string> {
    return remembered(this.#published, attemptKey(ref), () => this.#publish(ref));
  }

  /** Trains before anybody asks, where the task names this validator; what is asked next is ready then. */
  prepareAhead(ref: AttemptRef, baseModelHash: string): void {
    this.#task(ref.taskId)
      .then((task) => this.#train(task, ref, baseModelHash))
      .catch((error: unknown) => {
        this.#options.log.debug({ ...failureFields(error), ...attemptOf(ref) }, 'nothing to validate ahead');
      });
  }

  /** Follows the rounds: trains from the model that the next attempt starts from, shows what a fixed cohort waits for. */
  hear(event: RoundEvent): void {
    switch (event.type) {
      case 'RoundFinalised':
        this.prepareAhead({ taskId: event.taskId, round: event.round + 1, attempt: 1 }, event.modelHash);
        break;
      case 'RoundAborted':
        this.prepareAhead({ ...attemptOf(event), attempt: event.attempt + 1 }, event.modelHash);
        break;
      case 'CohortFixed':
        this.publish(attemptOf(event)).catch((error: unknown) => {
          this.#options.log.debug({ ...failureFields(error), ...attemptOf(event) }, 'no direction to show');
        });
    }
  }

  async #publish(ref: AttemptRef): Promise<string> {
    const [task, round] = await Promise.all([this.#task(ref.taskId), roundIfAny(this.#learning, ref)]);
    const { baseModelHash, committed } = this.#committed(ref, round);
    const { direction, directionHash } = await this.#train(task, ref, baseModelHash);
    if (directionHash !== committed) {
      throw new SevError('DIRECTION_MISMATCH', `${attemptKey(ref)}: the data are no longer those of the opening`, {
        hint: 'Nothing was shown. Give the validation data that the task was begun with.',
        exitCode: EXIT.integrity,
      });
    }
    await this.#options.store.put(direction);
    this.#options.log.info(attemptOf(ref), 'showed the direction');
    return directionHash;
  }

  /** A direction that vehicles could know before they report would be one that they could follow. */
  #committed(ref: AttemptRef, round: RoundRecord | undefined): { baseModelHash: string; committed: string } {
    const { mspId } = this;
    if (round?.attempt !== ref.attempt) {
      throw refusal('ROUND_STALE', `the ledger does not show ${attemptKey(ref)}`);
    }
    if (!FROM_COHORT.includes(round.state)) {
      throw refusal('ROUND_STATE', `${attemptKey(ref)} is ${round.state}: its cohort is not fixed`);
    }
    const own = round.secure?.opening.validations?.find((validation) => validation.mspId === mspId);
    if (own === undefined) {
      throw refusal('VALIDATION_UNKNOWN', `the opening of ${attemptKey(ref)} holds no validation of ${mspId}`);
    }
    return { baseModelHash: round.baseModelHash, committed: own.directionHash };
  }

  #train(task: Task, ref: AttemptRef, baseModelHash: string): Promise<Trained> {
    const { features } = this.#options.data;
    if (task.secure?.validation?.validators.includes(this.mspId) !== true) {
      return Promise.reject(refusal('VALIDATOR_NOT_NAMED', `task ${task.taskId} does not name ${this.mspId}`));
    }
    if (features !== task.features) {
      const detail = `task ${task.taskId} learns from ${task.features}, the validation data are ${features}`;
      return Promise.reject(refusal('VALIDATION_DATA_FOREIGN', detail));
    }
    return remembered(this.#trained, `${attemptKey(ref)}/${baseModelHash}`, async () => {
      const { data } = this.#options.data;
      const base = parametersFromBytes(await this.#options.store.get(baseModelHash), task.model.parameters);
      const engine = await engineOf(task);
      const spec = modelSpecOf(task.model);
      const seed = validationSeed(task, ref, this.mspId);
      const trained = await engine.train(spec, base, data, trainingOf(task, seed));
      const direction = quantiseDirection(trained.map((value, index) => value - (base[index] ?? 0)));
      const bytes = directionBytes(direction);
      return {
        lossMicro: predictionLossMicro(await engine.predict(spec, base, data), data),
        direction: bytes,
        directionHash: directionHashOf(bytes),
      };
    });
  }

  #task(taskId: string): Promise<Task> {
    return remembered(this.#tasks, taskId, async () => (await this.#learning.task(taskId)).task);
  }
}

/** Another one in each attempt: a direction that was shown is not the one that the next attempt is judged by. */
function validationSeed({ training }: Task, { round, attempt }: AttemptRef, mspId: string): number {
  return trainingSeed(training.seed, round, `${mspId}/${String(attempt)}`);
}

/** Work that is done once; a failure is not kept, and of the rest the newest few are. */
function remembered<T>(known: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const before = known.get(key);
  if (before !== undefined) {
    return before;
  }
  const started = work();
  known.set(key, started);
  started.catch(() => known.delete(key));
  const [oldest] = known.keys();
  if (known.size > REMEMBERED && oldest !== undefined) {
    known.delete(oldest);
  }
  return started;
}

function refusal(code: string, detail: string): SevError {
  return new SevError(code, detail, { exitCode: EXIT.refused });
}
