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

/** Where several shares are posted together, as `{shares: [...]}`. */
export const SEVERAL_SHARES_PATH = '/shares/several';
/** Shares in one request, at the most. */
export const MAX_SHARES_TOGETHER = 32;

/** Each is read by itself: a malformed one does not keep the others out. */
export const severalShares = z.strictObject({ shares: z.array(z.unknown()).min(1).max(MAX_SHARES_TOGETHER) });

/** An aggregator's signature over the {@link ReceiptStatement}: the share is checked and on its disk. */
export type { SignedBy as Receipt } from '@sev/chaincode/api';
