// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, sign } from 'node:crypto';
import { msp } from '@hyperledger/fabric-protos';
import { MspError, type KeyPairPem, type SigningIdentity } from '../types.js';
import { toLowS } from './signature.js';

/** Bytes of `msp.SerializedIdentity`: how an identity appears in proposals, endorsements and block signatures. */
export function serializeIdentity(mspId: string, certificatePem: string): Uint8Array {
  const identity = new msp.SerializedIdentity();
  identity.setMspid(mspId);
  identity.setIdBytes(Buffer.from(certificatePem));
  return identity.serializeBinary();
}

/** @throws MspError MALFORMED when the bytes are no `msp.SerializedIdentity`. */
export function deserializeIdentity(bytes: Uint8Array): { mspId: string; idBytes: Uint8Array } {
  try {
    const identity = msp.SerializedIdentity.deserializeBinary(bytes);
    return { mspId: identity.getMspid(), idBytes: identity.getIdBytes_asU8() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MspError('MALFORMED', `could not deserialize a SerializedIdentity: ${reason}`);
  }
}

/** A signing identity from PEM. Signatures are DER, over SHA-256 of the message, with the low S that peers insist on. */
export function newSigningIdentity(mspId: string, pair: KeyPairPem): SigningIdentity {
  const key = createPrivateKey(pair.privateKeyPem);
  return {
    mspId,
    serialized: serializeIdentity(mspId, pair.certificatePem),
    sign: (message) => toLowS(sign('sha256', message, key)),
  };
}
