// SPDX-License-Identifier: Apache-2.0
import { deriveSeed, newRandom, VALIDATION_NOISE, withNoise } from '@sev/fl';
import type { ServiceLog } from '../services/log.js';
import type { ValidationData } from '../validation/validation-data.js';
import { knownAttack, unsuited, type AttackRequest } from './attack-order.js';

/**
 * The data of a validator that departs from the others on purpose: its targets carry noise, the same at every start, so
 * that their hash stays what it is on the ledger.
 *
 * @param data undefined where the organisation does not validate.
 * @throws SevError ATTACK_UNKNOWN, ATTACK_UNSUITED
 */
export function noisyValidation(
  { name, seed = 0 }: Omit<AttackRequest, 'vehicleIds'>,
  data: ValidationData | undefined,
  log: ServiceLog,
): ValidationData {
  knownAttack(name, 'validator');
  if (data === undefined) {
    throw unsuited(`${name} is run on validation data, and none are given`);
  }
  log.warn({ attack: name }, `EXERCISE: this validator departs on purpose, by ${name}`);
  return { ...data, data: withNoise(data.data, VALIDATION_NOISE, newRandom(deriveSeed(seed, 'validation'))) };
}
