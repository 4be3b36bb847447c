// SPDX-License-Identifier: Apache-2.0
import {
  attemptNumber,
  disputePhase,
  hash,
  identifier,
  mspId,
  publicKey,
  roundNumber,
  roundOpening,
  signature,
  signedBy,
} from '@sev/chaincode/api';
import { z } from 'zod';

const ref = z.strictObject({ taskId: identifier, round: roundNumber, attempt: attemptNumber });
const component = z.int().min(0).max(63);

/** Bodies of `POST /arbiter/key|opening|verdict`, and what they are answered with. */
export const keyRequest = z.strictObject({ ref });
export const keyAnswer = z.strictObject({ mspId, sealingKey: publicKey });
export const openingRequest = z.strictObject({ ref, baseModelHash: hash, opening: roundOpening });
export const openingAnswer = signedBy;
export const verdictRequest = z.strictObject({
  ref,
  phase: disputePhase,
  component,
  releases: z
    .array(z.strictObject({ mspId, release: z.strictObject({ component, objects: z.array(hash).min(1).max(10_000) }) }))
    .min(1)
    .max(7),
});
export const verdictAnswer = z.strictObject({ faulty: z.array(mspId).max(7), signature });
