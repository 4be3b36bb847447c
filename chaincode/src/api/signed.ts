// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { mspId, signature } from './primitives';

/**
 * Everything that is signed for the ledger names the network that it is signed for, so that it holds on no other one.
 * A network's name is the content hash of its bootstrap (`bootstrapHash` of governance:GetConsortium), which covers the
 * random signing keys of its organisations and therefore is unique.
 */
export interface NetworkBound {
  readonly consortium: string;
}

/** An organisation's signature over a statement that names it. */
export const signedBy = z.strictObject({ mspId, signature });
export type SignedBy = z.infer<typeof signedBy>;
