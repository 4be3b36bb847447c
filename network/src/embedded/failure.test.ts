// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { GatewayError } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { startEmbeddedNetwork } from './network.js';
import { connectClient, type TestClient } from './testing/client.js';
import { networkConfig, newConsortium } from './testing/consortium.js';
import { eventually, rejection } from './testing/harness.js';
import { MspError, type EmbeddedNetwork, type MembershipVerifier } from './types.js';

describe('Between admission and commit', function () {
  this.timeout(60_000);
  let folder: string;
  let network: EmbeddedNetwork;
  let client: TestClient;
  /** What the membership checks say of every identity, when it is not the truth. */
  let admission: 'EXPIRED' | 'REVOKED' | undefined;
  let atCommit: Error | undefined;
  const failures: Error[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'embedded-failure-'));
    const consortium = await newConsortium(['AMSP', 'BMSP', 'CMSP']);
    const config = networkConfig(folder, consortium);
    const msp: MembershipVerifier = {
      mspIds: config.msp.mspIds,
      verify: (...args) => {
        config.msp.verify(...args);
      },
      identify: (serialized, atMs) => {
        if (admission !== undefined) {
          throw new MspError(admission, 'no longer admitted');
        }
        return config.msp.identify(serialized, atMs);
      },
      identifyAtAnyTime: (serialized) => {
        if (atCommit !== undefined) {
          throw atCommit;
        }
        return config.msp.identifyAtAnyTime(serialized);
      },
    };
    network = await startEmbeddedNetwork({
      ...config,
      msp,
      // Long enough for the membership checks to change while a transaction waits for its block.
      ordering: { ...config.ordering, batchTimeoutMs: 500, cutWhenIdle: false },
      onFailure: (error) => failures.push(error),
    });
    client = connectClient(consortium[0]!, network.gatewayPorts.get('AMSP') ?? 0);
  });
  after(async () => {
    client.close();
    await network.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const reason of ['EXPIRED', 'REVOKED'] as const) {
    it(`a certificate that is ${reason.toLowerCase()} meanwhile leaves a transaction valid`, async () => {
      const height = network.height();
      const submitted = await client.contract.submitAsync('put', { arguments: [reason, 'x'] });
      admission = reason;
      await eventually('the block', () => (network.height() > height ? true : undefined));
      admission = undefined;
      expect((await submitted.getStatus()).successful).to.equal(true);
    });
  }

  it('a failure ends waiting calls as unavailable, and nothing more is taken', async () => {
    const submitted = await client.contract.submitAsync('put', { arguments: ['lost', 'x'] });
    const unsent = await client.contract.newProposal('put', { arguments: ['late', 'x'] }).endorse();
    atCommit = new Error('the disk is gone');
    const error = await rejection<GatewayError>(submitted.getStatus());
    expect(error.code).to.equal(status.UNAVAILABLE);
    expect(error.message).to.contain('LEDGER_FAILED');
    expect(failures.map(({ cause }) => cause)).to.deep.equal([atCommit]);
    const refused = await rejection<GatewayError>(unsent.submit());
    expect(refused.code).to.equal(status.UNAVAILABLE);
    expect(refused.message).to.contain('LEDGER_FAILED');
    expect((await rejection<GatewayError>(submitted.getStatus())).code).to.equal(status.UNAVAILABLE);
  });
});
