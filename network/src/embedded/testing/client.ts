// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, sign } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import { connect, type Contract, type Gateway, type Network } from '@hyperledger/fabric-gateway';
import { toLowS } from '../msp/signature.js';
import type { KeyPairPem } from '../types.js';
import { TEST_CHAINCODE, TEST_CHANNEL, type OrganisationMaterial } from './consortium.js';

/** A client of one organisation's gateway. */
export interface TestClient {
  readonly gateway: Gateway;
  readonly network: Network;
  readonly contract: Contract;
  readonly grpc: Client;
  close(): void;
}

/** How a client differs from an honest member of the organisation. */
export interface ClientOptions {
  readonly mspId?: string;
  readonly identity?: KeyPairPem;
  /** Signs with this key instead of the identity's own. */
  readonly signingKeyPem?: string;
  /** Changes each signature, which is DER with the lower S. */
  readonly spoil?: (signature: Uint8Array) => Uint8Array;
}

/** What a client knows of the organisation whose gateway it uses. */
type GatewayOwner = Pick<OrganisationMaterial, 'mspId' | 'client'> & {
  readonly tlsCa: Pick<KeyPairPem, 'certificatePem'>;
};

/** Connects the unmodified Gateway client to a gateway on loopback. */
export function connectClient(organisation: GatewayOwner, port: number, options: ClientOptions = {}): TestClient {
  const identity = options.identity ?? organisation.client;
  const key = createPrivateKey(options.signingKeyPem ?? identity.privateKeyPem);
  const grpc = new Client(
    `localhost:${String(port)}`,
    credentials.createSsl(Buffer.from(organisation.tlsCa.certificatePem)),
    { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': -1 },
  );
  const gateway = connect({
    client: grpc,
    identity: {
      mspId: options.mspId ?? organisation.mspId,
      credentials: Buffer.from(identity.certificatePem),
    },
    signer: (digest) => Promise.resolve((options.spoil ?? ((der) => der))(toLowS(signDigest(digest, key)))),
    // The signer gets the message itself; it hashes and signs in one step.
    hash: (message) => message,
  });
  const network = gateway.getNetwork(TEST_CHANNEL);
  return {
    gateway,
    network,
    contract: network.getContract(TEST_CHAINCODE.name),
    grpc,
    close: () => {
      gateway.close();
      grpc.close();
    },
  };
}

function signDigest(message: Uint8Array, key: ReturnType<typeof createPrivateKey>): Uint8Array {
  return sign('sha256', message, key);
}
