// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, type KeyObject } from 'node:crypto';
import {
  sha256Hex,
  signStatement,
  updateStatement,
  weightClassOf,
  type Envelope,
  type RecordUpdate,
  type Task,
  type VehicleValidation,
} from '@sev/chaincode/api';
import { parametersToBytes, reportedStatistics, type Dataset } from '@sev/fl';
import { Colluders } from '../attack/colluders.js';
import { inHome } from '../config/homes.js';
import { SevError } from '../errors.js';
import { vehicleHeReport } from '../homomorphic/vehicle-report.js';
import { openWallet, type IdentityWallet } from '../identity/wallet.js';
import type { StoredIdentity } from '../identity/stored-identity.js';
import { learning } from '../ledger/contracts.js';
import { engineOf, modelSpecOf, trainingOf } from '../services/model-spec.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { loadClients, trainingSeed } from './data.js';
import { failureOf } from './failure.js';
import type { TrainedUpdate, TrainingOrder, WorkerFailure, WorkerStart } from './messages.js';
import { OwnValidation } from './own-validation.js';
import { secureReport, type TrainedModel } from './secure-report.js';
import { refusesWord } from './word-refusal.js';

const NONE = new Float32Array(0);

/** What not every vehicle does. */
export interface TrainerExtras {
  /** Where the vehicle is hostile: those that it acts in concert with, itself among them. */
  readonly colluders?: Colluders | undefined;
  /** Where it says how well a base model fits its rows when it is drawn. */
  readonly validation?: OwnValidation | undefined;
}

/** One vehicle with its key and its data; lives in a worker and nothing of either leaves it but trained parameters. */
export class Trainer {
  readonly vehicleId: string;
  /** Organisation that enrolled the vehicle. */
  readonly mspId: string;
  /** Name of the feature set of its data. */
  readonly features: string;
  readonly #client: number;
  readonly #wallet: Pick<IdentityWallet, 'get'>;
  readonly #data: Dataset;
  readonly #extras: TrainerExtras;
  #identity: StoredIdentity;
  #key: KeyObject;

  constructor(
    identity: StoredIdentity,
    wallet: Pick<IdentityWallet, 'get'>,
    client: number,
    features: string,
    data: Dataset,
    extras: TrainerExtras = {},
  ) {
    this.features = features;
    this.vehicleId = identity.label;
    this.mspId = identity.mspId;
    this.#wallet = wallet;
    this.#client = client;
    this.#identity = identity;
    this.#key = createPrivateKey(identity.privateKey);
    this.#data = data;
    this.#extras = extras;
  }

  /** Number of training rows. */
  get samples(): number {
    return this.#data.rows;
  }

  /** Takes up the identity that the wallet holds now: the vehicle's key may have been rotated while it runs. */
  async refresh(): Promise<void> {
    const identity = await this.#wallet.get(this.vehicleId);
    if (identity.privateKey !== this.#identity.privateKey) {
      this.#key = createPrivateKey(identity.privateKey);
    }
    this.#identity = identity;
  }

  /**
   * Trains on the vehicle's rows from the base parameters, or adds its statistics to them, and signs for the result. In plain mode the update is the full
   * parameters, in a secure mode shares of their difference from the base, in mode `he` its masked ciphertexts. Where the
   * vehicle is drawn, it also says the base's loss on its rows.
   *
   * @throws SevError SAMPLES_TOO_FEW where the task has no weight class for so few rows; ModelError TRAINING_DIVERGED.
   */
  async train(order: TrainingOrder): Promise<TrainedUpdate> {
    const { consortium, task, round } = order;
    const weightClass = weightClassOf(task, this.samples);
    if (weightClass === undefined) {
      throw new SevError('SAMPLES_TOO_FEW', `${String(this.samples)} rows are fewer than task ${task.taskId} takes`);
    }
    const model = await this.#modelOf(order);
    const { taskId, attempt, baseModelHash, opening, he } = round;
    const { vehicleId } = this;
    const sign = (updateHash: string, word: Pick<Envelope, 'validation'> = {}): Envelope => {
      const said = { vehicleId, updateHash, weightClass, ...word };
      const place = { taskId, round: round.round, attempt, baseModelHash };
      const statement = updateStatement(consortium, { ...place, ...said });
      return { ...said, signature: signStatement(statement, this.#key) };
    };
    if (he !== undefined) {
      const keyed = { ...round, he };
      const { root, messages } = await vehicleHeReport(
        consortium,
        task,
        keyed,
        { vehicleId, weightClass },
        model,
        this.#data,
      );
      const shares = { path: '/he/shares', needed: Object.keys(messages).length, sealed: messages } as const;
      return { vehicleId, bytes: new Uint8Array(), shares, envelope: sign(root) };
    }
    if (opening === undefined) {
      const bytes = parametersToBytes(model.trained);
      return { vehicleId, bytes, envelope: sign(sha256Hex(bytes)) };
    }
    const report = await secureReport(consortium, task, { ...round, opening }, vehicleId, model, this.#data);
    const shares = { path: '/shares', needed: secureTermsOf(task).threshold + 1, sealed: report.shares } as const;
    const { validation, unsaid } = await this.#word(order, model);
    return {
      ...{ vehicleId, bytes: report.ciphertext, shares },
      ...(validation === undefined
        ? { envelope: sign(report.root) }
        : { envelope: sign(report.root, { validation }), silent: sign(report.root) }),
      ...(unsaid === undefined ? {} : { unsaid }),
    };
  }

  /** What the vehicle says of the base, if it is asked; a home that cannot be read or written costs it its word alone. */
  async #word(
    { task, round }: TrainingOrder,
    { predictions }: TrainedModel,
  ): Promise<{ readonly validation?: VehicleValidation | undefined; readonly unsaid?: WorkerFailure }> {
    try {
      return this.#isAsked(task, round) ? { validation: await this.#extras.validation?.say(task, predictions) } : {};
    } catch (error) {
      return { unsaid: failureOf(error) };
    }
  }

  /**
   * Whether the list of those drawn is one that the task can have, with this vehicle in it. Never in mode `dp`, whatever
   * contract asks: nobody would charge what it says.
   */
  #isAsked({ privacy, secure }: Task, { drawn = [] }: TrainingOrder['round']): boolean {
    const most = privacy === 'secure' ? (secure?.validation?.vehicles ?? 0) : 0;
    return drawn.length <= most && drawn.includes(this.vehicleId);
  }

  /** What the vehicle makes of the base parameters: a trained model, or its statistics added to them. */
  async #modelOf(order: TrainingOrder): Promise<TrainedModel> {
    const { task, parameters: base } = order;
    const { colluders } = this.#extras;
    if (colluders?.attackIn(order.round.round) === true) {
      const update = colluders.update(this.#client, order);
      const trained = base.map((value, index) => value + (update[index] ?? 0));
      return { base, trained, predictions: await this.#predictions(task, base), isUnclipped: true };
    }
    if (task.kind === 'statistics') {
      const own = reportedStatistics(this.#data);
      return { base, trained: base.map((value, index) => value + (own[index] ?? 0)), predictions: NONE };
    }
    const engine = await engineOf(task);
    const options = trainingOf(task, trainingSeed(task.training.seed, order.round.round, this.#client));
    const trained = await engine.train(modelSpecOf(task.model), base, this.#data, options);
    return { base, trained, predictions: await this.#predictions(task, base) };
  }

  async #predictions(task: Task, base: Float32Array): Promise<Float32Array> {
    return task.privacy === 'plain'
      ? NONE
      : await (await engineOf(task)).predict(modelSpecOf(task.model), base, this.#data);
  }

  /** Takes it from a ledger that refuses the vehicle's word, as after its home was lost, and says nothing more in the task. */
  async heed({ taskId, envelope }: Pick<RecordUpdate, 'taskId' | 'envelope'>, refusal: unknown): Promise<void> {
    if (envelope.validation !== undefined && refusesWord(refusal)) {
      // Where the home cannot be written, the next refusal says it again; this one is what the caller has to see.
      await this.#extras.validation?.fallSilent({ taskId }).catch(() => undefined);
    }
  }

  /** Records the update as the vehicle itself. The session is opened for this one call: it is the exception. */
  async record(profile: WorkerStart['profile'], argument: RecordUpdate): Promise<void> {
    const { openSession } = await import('../ledger/gateway-session.js');
    const session = await openSession({ profile, identity: this.#identity });
    try {
      await learning(session).recordUpdate(argument);
    } catch (error) {
      await this.heed(argument, error);
      throw error;
    } finally {
      session.close();
    }
  }
}

/** Reads keys and data of the vehicles that a worker is started with. @throws SevError IDENTITY_MISSING; DataError. */
export async function loadTrainers(start: WorkerStart): Promise<Map<string, Trainer>> {
  const wallet = await openWallet(inHome.wallet(start.home));
  const clients = start.vehicles.map(({ client }) => client);
  const [{ features, data }, colluders, identities] = await Promise.all([
    loadClients(start.plan, clients),
    loadColluders(start),
    Promise.all(start.vehicles.map(({ vehicleId }) => wallet.get(vehicleId))),
  ]);
  const trainers = new Map<string, Trainer>();
  identities.forEach((identity, index) => {
    const own = data[index];
    const client = clients[index];
    if (own !== undefined && client !== undefined) {
      const { label } = identity;
      const extras = {
        colluders: colluders?.includes(client) === true ? colluders : undefined,
        validation:
          start.validates === false ? undefined : new OwnValidation(start.home, label, { features, data: own }),
      };
      trainers.set(label, new Trainer(identity, wallet, client, features, own, extras));
    }
  });
  return trainers;
}

/** Undefined where none of the worker's vehicles is hostile: it sees no other's data then. */
async function loadColluders({ plan, vehicles, attack }: WorkerStart): Promise<Colluders | undefined> {
  if (attack === undefined || !vehicles.some(({ client }) => attack.clients.includes(client))) {
    return undefined;
  }
  return new Colluders(attack, (await loadClients(plan, attack.clients)).data);
}
