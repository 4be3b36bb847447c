// SPDX-License-Identifier: Apache-2.0
import {
  parsePublicKey,
  verifyStatement,
  type ConsortiumRecord,
  type Signable,
  type SignedBy,
} from '@sev/chaincode/api';

/** Whether a member of the consortium signed this statement with the key that governance holds for it. */
export function isSigned(
  consortium: Pick<ConsortiumRecord, 'organisations'>,
  { mspId, signature }: SignedBy,
  statement: Signable,
): boolean {
  const member = consortium.organisations.find((organisation) => organisation.mspId === mspId);
  const key = member === undefined ? undefined : parsePublicKey(member.signingKey);
  return key !== undefined && verifyStatement(statement, signature, key);
}
