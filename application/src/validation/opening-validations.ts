// SPDX-License-Identifier: Apache-2.0
import {
  isAscending,
  validationStatement,
  type ConsortiumRecord,
  type SecureTerms,
  type Validation,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import type { AttemptRef } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';

/** What binds a validator's word to its attempt. */
export interface ValidationPlace extends AttemptRef {
  readonly consortium: string;
  readonly baseModelHash: string;
}

/** Whether a validator signed this word about the base of this attempt. */
export function isValidationSigned(
  consortium: Pick<ConsortiumRecord, 'organisations'>,
  place: ValidationPlace,
  { signature, ...word }: Validation,
): boolean {
  return isSigned(consortium, { mspId: word.mspId, signature }, validationStatement(place, word));
}

/**
 * Refuses an opening whose directions are not committed to by the task's validators themselves, each once.
 *
 * @throws SevError OPENING_INVALID
 */
export function insistOnValidations(
  consortium: Pick<ConsortiumRecord, 'organisations'>,
  { validation }: Pick<SecureTerms, 'validation'>,
  place: ValidationPlace,
  validations: readonly Validation[] | undefined,
): void {
  const isDue = validation !== undefined;
  const named = (validations ?? []).map(({ mspId }) => mspId);
  const areNamed = named.every((mspId) => validation?.validators.includes(mspId) === true);
  const areSigned = (validations ?? []).every((one) => isValidationSigned(consortium, place, one));
  if (isDue !== (validations !== undefined) || !isAscending(named) || !areNamed || !areSigned) {
    throw new SevError(
      'OPENING_INVALID',
      "the opening's validations are missing, or not signed by the task's validators",
      {
        exitCode: EXIT.refused,
      },
    );
  }
}
