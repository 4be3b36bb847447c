// SPDX-License-Identifier: Apache-2.0
import type { Scores, SecureRound } from '@sev/chaincode/api';
import { medianDirection, ringFromBytes, toSigned } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import type { FetchObject } from '../services/round-outcome.js';

/**
 * The direction that a scored round measured updates by: the median of those that its opening commits validators to.
 *
 * @param length d.
 * @returns undefined where the task has no validators.
 * @throws SevError REFERENCES_INVALID; whatever `fetch` throws where the store lacks a direction.
 */
export async function referenceOf(
  { opening }: Pick<SecureRound, 'opening'>,
  { references }: Pick<Scores, 'references'>,
  length: number,
  fetch: FetchObject,
): Promise<Int32Array | undefined> {
  if (references === undefined) {
    return undefined;
  }
  const directions = await Promise.all(
    references.map(async (mspId) => {
      const committed = opening.validations?.find((validation) => validation.mspId === mspId);
      if (committed === undefined) {
        throw new SevError('REFERENCES_INVALID', `the opening holds no direction of ${mspId}`, {
          exitCode: EXIT.integrity,
        });
      }
      return toSigned(ringFromBytes(await fetch(committed.directionHash), length));
    }),
  );
  return medianDirection(directions);
}
