// SPDX-License-Identifier: Apache-2.0
import { createHmac, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { hash, identifier, type Task, type VehicleValidation } from '@sev/chaincode/api';
import { predictionLossMicro } from '@sev/fl';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { makePrivateDirectory, PRIVATE_FILE, readJson, writeJson } from '../store/files.js';
import { canonicalValidationData, type ValidationData } from '../validation/validation-data.js';

const keptFile = z.strictObject({
  schemaVersion: z.literal(1),
  /** Without it nobody can try out which rows have a hash. */
  key: hash,
  /** What the vehicle called its rows in each task in which it said something of them. */
  given: z.record(identifier, hash),
});
type Kept = z.infer<typeof keptFile>;

/**
 * What one vehicle says of base models when it is drawn: the loss on its own rows, and which rows these are, by a hash under a
 * key that stays in its home.
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
   * @returns undefined where the rows are others than those that the vehicle spoke of in this task before: the ledger would
   *   refuse its update with them.
   */
  async say({ taskId }: Pick<Task, 'taskId'>, predictions: Float32Array): Promise<VehicleValidation | undefined> {
    const kept = await this.#kept();
    const dataHash = this.#hashUnder(kept.key);
    const before = kept.given[taskId];
    if (before === undefined) {
      // Before anybody hears of it, so that a vehicle that breaks off says the same again.
      await this.#keep({ ...kept, given: { ...kept.given, [taskId]: dataHash } });
    }
    const isSame = before === undefined || before === dataHash;
    return isSame ? { lossMicro: predictionLossMicro(predictions, this.#data.data), dataHash } : undefined;
  }

  #hashUnder(key: string): string {
    const hmac = createHmac('sha256', Buffer.from(key, 'hex'));
    for (const part of canonicalValidationData(this.#data)) {
      hmac.update(part);
    }
    return hmac.digest('hex');
  }

  async #kept(): Promise<Kept> {
    const path = this.#path();
    const value = await readJson(path);
    return value === undefined
      ? { schemaVersion: 1, key: randomBytes(32).toString('hex'), given: {} }
      : parseFile(keptFile, path, value);
  }

  async #keep(kept: Kept): Promise<void> {
    await makePrivateDirectory(inHome.vehicleData(this.#home));
    await writeJson(this.#path(), kept, { mode: PRIVATE_FILE });
  }

  #path(): string {
    return join(inHome.vehicleData(this.#home), `${this.#vehicleId}.json`);
  }
}
