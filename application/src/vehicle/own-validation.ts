// SPDX-License-Identifier: Apache-2.0
import { createHmac, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hash, type Task, type VehicleValidation } from '@sev/chaincode/api';
import { predictionLossMicro } from '@sev/fl';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { makePrivateDirectory, PRIVATE_FILE, readJson, writeFileOnce } from '../store/files.js';
import { canonicalValidationData, type ValidationData } from '../validation/validation-data.js';

const keyFile = z.strictObject({
  schemaVersion: z.literal(1),
  /** Without it nobody can try out which rows have a hash. */
  key: hash,
});

/** What the vehicle called its rows in a task. */
const givenFile = z.strictObject({ schemaVersion: z.literal(1), dataHash: hash });

/** The ledger takes no word of the vehicle in a task. */
const silentFile = z.strictObject({ schemaVersion: z.literal(1), isSilent: z.literal(true) });

/**
 * What one vehicle says of base models when it is drawn: the loss on its own rows, and which rows these are, by a hash under a
 * key that stays in its home. Each file there is written once, so that whatever runs at the same time says the same.
 */
export class OwnValidation {
  readonly #home: string;
  readonly #vehicleId: string;
  readonly #data: ValidationData;

  constructor(home: string, vehicleId: string, data: ValidationData) {
    this.#home = home;
    this.#vehicleId = vehicleId;
    this.#data = data;
  }

  /**
   * @param predictions of the base model, one a row.
   * @returns undefined where the rows are others than those that the vehicle spoke of in this task before, as the ledger would
   *   refuse its update with them; and where it refused one.
   * @throws SevError FILE_MALFORMED; the system's error where the home cannot be read or written.
   */
  async say({ taskId }: Pick<Task, 'taskId'>, predictions: Float32Array): Promise<VehicleValidation | undefined> {
    if ((await this.#read(silentName(taskId), silentFile)) !== undefined) {
      return undefined;
    }
    const { key } = await this.#once('key.json', keyFile, { schemaVersion: 1, key: randomBytes(32).toString('hex') });
    const dataHash = this.#hashUnder(key, taskId);
    // Before anybody hears of it, so that a vehicle that breaks off says the same again.
    const given = await this.#once(`${taskId}.given.json`, givenFile, { schemaVersion: 1, dataHash });
    return given.dataHash === dataHash
      ? { lossMicro: predictionLossMicro(predictions, this.#data.data), dataHash }
      : undefined;
  }

  /** Has the vehicle say nothing more in a task: the ledger refused what it said. */
  async fallSilent({ taskId }: Pick<Task, 'taskId'>): Promise<void> {
    await this.#once(silentName(taskId), silentFile, { schemaVersion: 1, isSilent: true });
  }

  /** Of the task, too, so that nobody sees from two tasks that a vehicle has the same rows in both. */
  #hashUnder(key: string, taskId: string): string {
    const hmac = createHmac('sha256', Buffer.from(key, 'hex')).update(`sev/vehicle-data/v1 ${taskId}\n`);
    for (const part of canonicalValidationData(this.#data)) {
      hmac.update(part);
    }
    return hmac.digest('hex');
  }

  /** What the file holds, after it was written unless it was there: of several writers at once, one's word stays. */
  async #once<T>(name: string, schema: z.ZodType<T>, value: T): Promise<T> {
    const before = await this.#read(name, schema);
    if (before !== undefined) {
      return before;
    }
    await makePrivateDirectory(inHome.vehicleData(this.#home));
    await makePrivateDirectory(this.#folder());
    const isOurs = await writeFileOnce(this.#path(name), `${JSON.stringify(value)}\n`, { mode: PRIVATE_FILE });
    return isOurs ? value : ((await this.#read(name, schema)) ?? value);
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const path = this.#path(name);
    const value = await readJson(path);
    return value === undefined ? undefined : parseFile(schema, path, value);
  }

  #path(name: string): string {
    return join(this.#folder(), name);
  }

  #folder(): string {
    return join(inHome.vehicleData(this.#home), this.#vehicleId);
  }
}

function silentName(taskId: string): string {
  return `${taskId}.silent.json`;
}
