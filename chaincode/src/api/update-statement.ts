// SPDX-License-Identifier: Apache-2.0
import type { Envelope, UpdateStatement } from './learning';

/** Where an envelope counts, and what is in it but for its signature. */
export type UpdateContent = Pick<UpdateStatement, 'taskId' | 'round' | 'attempt' | 'baseModelHash'> &
  Omit<Envelope, 'signature'>;

/** What a vehicle signs for an update. What it does not say is not there, so that other envelopes keep their bytes. */
export function updateStatement(consortium: string, content: UpdateContent): UpdateStatement {
  const { taskId, round, attempt, baseModelHash, vehicleId, updateHash, weightClass, validation } = content;
  return {
    type: 'sev/update/v1',
    ...{ consortium, taskId, round, attempt, baseModelHash, vehicleId, updateHash, weightClass },
    ...(validation === undefined ? {} : { validation }),
  };
}
