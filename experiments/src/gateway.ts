// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers, type Network } from '@hyperledger/fabric-gateway';
import { organisationNamed, type ConnectionProfile, type StoredIdentity } from '@sev/application';

/** The network's channel as an identity reaches it through its organisation's peer, with the unmodified Gateway client. */
export function openGateway(
  profile: ConnectionProfile,
  { mspId, certificate, privateKey }: Pick<StoredIdentity, 'mspId' | 'certificate' | 'privateKey'>,
): { channel: Network; close: () => void } {
  const { address, tlsCaCert } = organisationNamed(profile, mspId).gateway;
  const client = new grpc.Client(address, grpc.credentials.createSsl(Buffer.from(tlsCaCert)));
  const gateway = connect({
    client,
    identity: { mspId, credentials: Buffer.from(certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(privateKey)),
    hash: hash.sha256,
  });
  return {
    channel: gateway.getNetwork(profile.channel),
    close: () => {
      gateway.close();
      client.close();
    },
  };
}
