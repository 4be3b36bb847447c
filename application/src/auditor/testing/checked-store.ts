// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { objectMissing } from '../../store/object-store.js';
import { AuditError, type AuditFailure } from '../failure.js';
import { checkStore } from '../store-check.js';
import type { Scenario } from './scenario.js';

/** What the audit finds wrong with these objects, by hash, after a scenario. */
export async function failureOfStore(
  { replay }: Pick<Scenario, 'replay'>,
  objects: ReadonlyMap<string, Uint8Array>,
): Promise<AuditFailure | undefined> {
  const get = (hash: string): Promise<Uint8Array> => {
    const bytes = objects.get(hash);
    return bytes === undefined ? Promise.reject(objectMissing(hash)) : Promise.resolve(bytes);
  };
  try {
    await checkStore(replay.state, { store: { get } });
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(AuditError);
    return (error as AuditError).failure;
  }
}
