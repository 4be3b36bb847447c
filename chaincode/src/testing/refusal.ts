// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { ContractError, type ErrorCode } from '../api';

/** Expects that a call is refused with this code, and returns the refusal. */
export async function expectRefusal(call: Promise<unknown>, code: ErrorCode): Promise<ContractError> {
  const outcome = await call.then(
    (value: unknown) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome)) {
    throw new Error(`expected ${code}, got ${JSON.stringify(outcome.value)}`);
  }
  expect(outcome.error, String(outcome.error)).to.be.instanceOf(ContractError);
  const refusal = outcome.error as ContractError;
  expect(refusal.code, refusal.message).to.equal(code);
  return refusal;
}

/** The same for a pure rule. */
export function expectThrown(rule: () => unknown, code: ErrorCode): void {
  try {
    rule();
  } catch (error) {
    expect(error, String(error)).to.be.instanceOf(ContractError).with.property('code', code);
    return;
  }
  throw new Error(`expected ${code}`);
}
