// SPDX-License-Identifier: Apache-2.0
import { attemptNumber, envelope, hash, identifier, roundNumber } from '@sev/chaincode/api';
import { z } from 'zod';

/** Base64 of a sealed share: seeds, salts and leaves for one aggregator of up to seven. */
const sealedShare = z
  .string()
  .min(1)
  .max(16_384)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/, 'base64');

/**
 * What a vehicle posts to each aggregator of an opening, before its envelope goes to the ledger. The envelope's signature
 * says who sends it, and binds the share's commitment root (`updateHash`) to the attempt and its base model.
 */
export const shareSubmission = z.strictObject({
  taskId: identifier,
  round: roundNumber,
  attempt: attemptNumber,
  baseModelHash: hash,
  envelope,
  sealed: sealedShare,
});
export type ShareSubmission = z.infer<typeof shareSubmission>;

/** An aggregator's signature over the {@link ReceiptStatement}: the share is checked and on its disk. */
export type { SignedBy as Receipt } from '@sev/chaincode/api';
