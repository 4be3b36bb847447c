// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { connect, signers, type Signer } from '@hyperledger/fabric-gateway';
import { encodeSignature, P256_HALF_ORDER, parseSignature } from '../embedded/msp/signature.js';
import type { KeyPairPem } from '../embedded/types.js';
import { PARITY_CHAINCODE, PARITY_CHANNEL, type ClientOptions, type ParityClient } from './scenario.js';

/** Long enough for whatever is not about deadlines. */
const DEADLINE_MS = 90_000;
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;

/** Where a gateway is, and who it is by default called by. */
export interface GatewayAddress {
  readonly mspId: string;
  /** `host:port`. */
  readonly address: string;
  /** PEM of the root that its TLS certificate leads to. */
  readonly tlsCaCert: string;
}

/** Connects the unmodified Gateway client. */
export function connectGateway(owner: GatewayAddress, member: KeyPairPem, options: ClientOptions = {}): ParityClient {
  const identity = options.identity ?? member;
  const grpc = new Client(owner.address, credentials.createSsl(Buffer.from(owner.tlsCaCert)), {
    'grpc.use_local_subchannel_pool': 1,
    // An endorsed transaction comes back whole; the transport's own 4 MB are less than a block may hold.
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  });
  const signer = signers.newPrivateKeySigner(createPrivateKey(options.signingKeyPem ?? identity.privateKeyPem));
  const deadline = (): { deadline: number } => ({ deadline: Date.now() + DEADLINE_MS });
  const gateway = connect({
    client: grpc,
    identity: { mspId: options.mspId ?? owner.mspId, credentials: Buffer.from(identity.certificatePem) },
    signer: options.highS === true ? withHighS(signer) : signer,
    evaluateOptions: deadline,
    endorseOptions: deadline,
    submitOptions: deadline,
    commitStatusOptions: deadline,
    ...options.deadlines,
  });
  const network = gateway.getNetwork(PARITY_CHANNEL);
  return {
    gateway,
    network,
    contract: network.getContract(PARITY_CHAINCODE),
    close: () => {
      gateway.close();
      grpc.close();
    },
  };
}

/** Turns the signatures (r, s) of a signer into (r, n − s), which verify too. */
function withHighS(signer: Signer): Signer {
  return async (digest) => {
    const signature = parseSignature(await signer(digest));
    if (signature === undefined) {
      throw new TypeError('the signer did not return an ECDSA signature on P-256');
    }
    const order = 2n * P256_HALF_ORDER + 1n;
    return encodeSignature({ r: signature.r, s: order - signature.s });
  };
}
