// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers, type Contract } from '@hyperledger/fabric-gateway';
import { networkPaths } from '../../supervisor/paths.js';
import { loadConnectionProfile } from '../../supervisor/profile.js';
import { mspFiles, organisationLayout } from '../layout.js';

/** A contract as an organisation's administrator calls it, through its own gateway. */
export interface TestClient {
  readonly contract: Contract;
  close(): void;
}

export async function newTestClient(home: string, organisation: string, chaincode = 'testcc'): Promise<TestClient> {
  const paths = networkPaths(home, 'fabric');
  const profile = await loadConnectionProfile(paths.profile);
  const found = profile.organisations.find(({ name }) => name === organisation);
  if (found === undefined) {
    throw new Error(`no organisation ${organisation}`);
  }
  const { adminMsp } = organisationLayout(paths.state, organisation);
  const client = new grpc.Client(
    found.gateway.address,
    grpc.credentials.createSsl(Buffer.from(found.gateway.tlsCaCert)),
  );
  const gateway = connect({
    client,
    identity: { mspId: found.mspId, credentials: await readFile(mspFiles(adminMsp).certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(await readFile(mspFiles(adminMsp).key))),
    hash: hash.sha256,
  });
  return {
    contract: gateway.getNetwork(profile.channel).getContract(chaincode),
    close: () => {
      gateway.close();
      client.close();
    },
  };
}
