// SPDX-License-Identifier: Apache-2.0
import { ContractError, majorityOf, verifyStatement, type Organisation, type Signable, type SignedBy } from '../api';
import { publicKeyOf } from './public-keys';

/**
 * The statements that hold: one an organisation, of members only, signed with the member's key; sorted by MSP id.
 * Others are left out rather than refused, so that one bad statement cannot spoil a majority of good ones.
 */
export function validStatements<T extends SignedBy>(
  statements: readonly T[],
  organisations: readonly Organisation[],
  statementOf: (mspId: string, statement: T) => Signable,
): T[] {
  const signingKeys = new Map(organisations.map(({ mspId, signingKey }) => [mspId, signingKey]));
  const valid = new Map<string, T>();
  for (const statement of statements) {
    const text = signingKeys.get(statement.mspId);
    const key = text === undefined || valid.has(statement.mspId) ? undefined : publicKeyOf(text);
    if (key !== undefined && verifyStatement(statementOf(statement.mspId, statement), statement.signature, key)) {
      valid.set(statement.mspId, statement);
    }
  }
  return [...valid.values()].sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}

/** Checks one organisation's statement. @throws ContractError SIGNATURE_INVALID, naming what was to be signed and by whom. */
export function requireSigned(
  statement: Signable & { readonly mspId: string },
  signature: string,
  organisations: readonly Organisation[],
): void {
  const { mspId, type } = statement;
  if (validStatements([{ mspId, signature }], organisations, () => statement).length === 0) {
    throw new ContractError('SIGNATURE_INVALID', `${type} is not signed by ${mspId}`);
  }
}

/** @throws ContractError STATEMENTS_INSUFFICIENT, naming the organisations whose statements hold. */
export function requireMajority(valid: readonly SignedBy[], organisations: readonly Organisation[]): void {
  const needed = majorityOf(organisations.length);
  if (valid.length < needed) {
    const names = valid.map(({ mspId }) => mspId).join(', ') || 'none';
    throw new ContractError(
      'STATEMENTS_INSUFFICIENT',
      `${needed} of ${organisations.length} organisations are needed; valid: ${names}`,
    );
  }
}
