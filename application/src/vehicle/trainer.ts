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
import type { TrainedUpdate, TrainingOrder, WorkerStart } from './messages.js';
import { OwnValidation } from './own-validation.js';
import { secureReport, type TrainedModel } from './secure-report.js';

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
    const validation = await this.#word(order, model);
    const word = validation === undefined ? {} : { validation };
    const sign = (updateHash: string): Envelope => {
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
    return { vehicleId, bytes: report.ciphertext, shares, envelope: sign(report.root) };
  }

  /** What the vehicle says of the base, if it is asked; never in mode `dp`, whatever contract asks: nobody would charge it. */
  async #word({ task, round }: TrainingOrder, { predictions }: TrainedModel): Promise<VehicleValidation | undefined> {
    const isDrawn = task.privacy === 'secure' && round.drawn?.includes(this.vehicleId) === true;
    return isDrawn ? this.#extras.validation?.say(task, predictions) : undefined;
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

  /** Records the update as the vehicle itself. The session is opened for this one call: it is the exception. */
  async record(profile: WorkerStart['profile'], argument: RecordUpdate): Promise<void> {
    const { openSession } = await import('../ledger/gateway-session.js');
    const session = await openSession({ profile, identity: this.#identity });
    try {
      await learning(session).recordUpdate(argument);
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
