// SPDX-License-Identifier: Apache-2.0
import { referencesProblem } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { FirstSeen } from '../services/first-seen.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { pause } from '../services/wake-up.js';
import type { ObjectStore } from '../store/object-store.js';
import {
  committedDirection,
  committedValidations,
  REFERENCES_MS,
  referenceDirection,
  type ReferenceDirection,
} from '../validation/directions.js';
import type { ValidatorClient } from '../validation/validator-client.js';
import type { AggregatorPanel } from './aggregator-panel.js';
import { secureOf, type SecureAttempt } from './secure-attempt.js';

export interface RoundReferencesOptions {
  readonly store: Pick<ObjectStore, 'get'>;
  readonly validators: AggregatorPanel<ValidatorClient>;
  readonly log: ServiceLog;
}

/** How often validators are asked for a direction that the store lacks. */
const AGAIN_MS = 250;

/** Has validators show the directions that an opening commits them to, and settles which make the round's reference. */
export class RoundReferences {
  readonly #options: RoundReferencesOptions;
  readonly #seen = new FirstSeen(() => performance.now());

  constructor(options: RoundReferencesOptions) {
    this.#options = options;
  }

  /**
   * All validators whose word counts; those that show no direction are waited for as long as aggregators insist on them.
   *
   * @returns undefined where the task has no validators.
   * @throws SevError REFERENCES_MISSING where no majority shows one.
   */
  async of(attempt: SecureAttempt): Promise<ReferenceDirection | undefined> {
    const { task, round } = attempt;
    const secure = secureOf(round);
    if (secureTermsOf(task).validation === undefined) {
      return undefined;
    }
    const committed = committedValidations(secure);
    for (;;) {
      const ageMs = this.#seen.inStateMs(round, round.state);
      const shown = await this.#shown(attempt);
      if (shown.length === committed.length || ageMs >= REFERENCES_MS) {
        this.#insistOnEnough(attempt, shown);
        return referenceDirection(secure, shown, task.model.parameters, (hash) => this.#options.store.get(hash));
      }
      await pause(AGAIN_MS);
    }
  }

  /** Who has shown its direction, sorted. */
  async #shown(attempt: SecureAttempt): Promise<string[]> {
    const { task, round } = attempt;
    const committed = committedValidations(secureOf(round));
    const inStore = await Promise.all(committed.map((one) => this.#isInStore(one, task.model.parameters)));
    const missing = committed.filter((_, index) => inStore[index] !== true);
    if (missing.length === 0) {
      return committed.map(({ mspId }) => mspId);
    }
    const ref = attemptOf(round);
    const names = missing.map(({ mspId }) => mspId);
    const { answers } = await this.#options.validators
      .only(names)
      .gather('showing directions', names.length, (client) => client.publish(ref));
    const asked = answers.map(({ mspId }) => mspId);
    const after = await Promise.all(
      missing.map(async (one) => asked.includes(one.mspId) && (await this.#isInStore(one, task.model.parameters))),
    );
    return committed
      .filter((one, index) => inStore[index] === true || after[missing.indexOf(one)] === true)
      .map(({ mspId }) => mspId);
  }

  /** What is there has the committed hash by its name; whether it is a direction is another matter. */
  async #isInStore(validation: Parameters<typeof committedDirection>[0], length: number): Promise<boolean> {
    try {
      committedDirection(validation, length, await this.#options.store.get(validation.directionHash));
      return true;
    } catch (error) {
      this.#options.log.debug({ ...failureFields(error), validator: validation.mspId }, 'no direction yet');
      return false;
    }
  }

  #insistOnEnough({ task, round }: SecureAttempt, shown: readonly string[]): void {
    const secure = secureOf(round);
    const problem = referencesProblem(secureTermsOf(task).validation, secure, shown);
    if (problem !== undefined) {
      throw new SevError(
        'REFERENCES_MISSING',
        `directions are shown by ${shown.join(', ') || 'nobody'}: ${problem.detail}`,
      );
    }
  }
}
