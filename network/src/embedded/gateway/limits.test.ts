// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { gateway as messages } from '@hyperledger/fabric-protos';
import type { Commit, GatewayError } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { CertificateAuthority } from '../ca/authority.js';
import { encodeSignature, P256_HALF_ORDER, parseSignature } from '../msp/signature.js';
import { newMembershipVerifier } from '../msp/verifier.js';
import { x509 } from '../msp/x509.js';
import { startEmbeddedNetwork } from '../network.js';
import { connectClient } from '../testing/client.js';
import { networkConfig, newConsortium } from '../testing/consortium.js';
import { eventually, rejection, useNetwork } from '../testing/harness.js';

const MIB = 1024 * 1024;
const CONCURRENT_CALLS = 500;

describe('The limits of a gateway', function () {
  this.timeout(120_000);
  const harness = useNetwork();

  it('are on the size of a message: 100 MiB', async () => {
    const call = new Promise((_resolve, reject) => {
      harness.client().grpc.makeUnaryRequest(
        '/gateway.Gateway/Evaluate',
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        Buffer.alloc(100 * MIB + 1),
        (failure) => {
          reject(failure ?? new Error('no error'));
        },
      );
    });
    expect((await rejection<GatewayError>(call)).code).to.equal(status.RESOURCE_EXHAUSTED);
  });

  it('are on the size of a transaction: 10 MiB', async () => {
    const large = await harness
      .client()
      .contract.newProposal('put', { arguments: ['large', 'x'.repeat(6 * MIB)] })
      .endorse();
    const error = await rejection<GatewayError>(large.submit());
    expect(error.code).to.equal(status.UNAVAILABLE);
    expect(error.details[0]?.message).to.match(
      /^received unsuccessful response from orderer: status=BAD_REQUEST, info=message payload is \d+ bytes and exceeds maximum allowed 10485760 bytes$/,
    );
    expect(await harness.client().contract.submitTransaction('put', 'small', 'x')).to.have.length(1);
  });

  it('are on the calls that run at once, those that wait for a commit included', async () => {
    const { contract, gateway } = harness.client();
    const committed = await contract.submitAsync('put', { arguments: ['k', 'v'] });
    expect((await committed.getStatus()).successful).to.equal(true);
    const never = (index: number): Commit => {
      const signed = messages.SignedCommitStatusRequest.deserializeBinary(committed.getBytes());
      const request = messages.CommitStatusRequest.deserializeBinary(signed.getRequest_asU8());
      request.setTransactionId(String(index));
      signed.setRequest(request.serializeBinary());
      signed.setSignature('');
      return gateway.newCommit(signed.serializeBinary());
    };
    const refusals: GatewayError[] = [];
    const waiting = Array.from({ length: CONCURRENT_CALLS + 2 }, (_, index) =>
      never(index)
        .getStatus({ deadline: Date.now() + 60_000 })
        .catch((error: unknown) => refusals.push(error as GatewayError)),
    );
    await eventually('the calls beyond the limit', () => (refusals.length === 2 ? true : undefined));
    refusals.push(await rejection<GatewayError>(contract.evaluateTransaction('get', 'k')));
    expect(refusals.map(({ code, details }) => [code, details])).to.deep.equal(refusals.map(() => [2, []]));
    expect(refusals.map(({ message }) => message.replace(/^.*UNKNOWN: /, ''))).to.deep.equal(
      refusals.map(() => 'too many requests for /gateway.Gateway, exceeding concurrency limit (500)'),
    );
    expect(await harness.client(1).contract.evaluateTransaction('get', 'k')).to.have.length(1);
    await harness.stop();
    await Promise.all(waiting);
  });
});

describe('A signature with the higher S', function () {
  this.timeout(60_000);
  const harness = useNetwork();

  it('is refused, although it would verify', async () => {
    const spoil = (der: Uint8Array): Uint8Array => {
      const { r, s } = parseSignature(der)!;
      return encodeSignature({ r, s: 2n * P256_HALF_ORDER + 1n - s });
    };
    const error = await rejection<GatewayError>(
      harness.client(0, { spoil }).contract.submitTransaction('put', 'k', 'v'),
    );
    expect(error.details.map(({ message }) => message)).to.deep.equal([
      'error validating proposal: access denied: channel [testchannel] creator org [AMSP]',
    ]);
  });
});

describe('A client that is revoked', function () {
  this.timeout(60_000);

  it('is refused at once, and its open stream of blocks ends with the next block', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'embedded-revoked-'));
    const consortium = await newConsortium(['AMSP', 'BMSP', 'CMSP']);
    const [owner, other] = [consortium[0]!, consortium[1]!];
    const msp = newMembershipVerifier(
      consortium.map(({ mspId, identityCa }) => ({ mspId, identityCaCert: identityCa.certificatePem })),
    );
    const network = await startEmbeddedNetwork(networkConfig(folder, consortium, { msp }));
    const revoked = connectClient(owner, network.gatewayPorts.get('AMSP')!);
    const trusted = connectClient(other, network.gatewayPorts.get('BMSP')!);
    try {
      const blocks = await revoked.network.getBlockEvents({ startBlock: 0n });
      let seen = 0;
      const stream = (async () => {
        for await (const _block of blocks) {
          seen += 1;
        }
      })();
      stream.catch(() => undefined);
      await revoked.contract.submitTransaction('put', 'before', 'x');
      await eventually('two blocks', () => (seen === 2 ? true : undefined));

      const authority = await CertificateAuthority.open(owner.identityCa);
      const serial = new X509Certificate(owner.client.certificatePem).serialNumber.toLowerCase();
      const entry = { serial, revokedAtMs: Date.now(), reason: x509.X509CrlReason.keyCompromise };
      await msp.setRevocationLists('AMSP', [await authority.issueRevocationList([entry])]);

      const denied = 'error validating proposal: access denied: channel [testchannel] creator org [AMSP]';
      const evaluated = await rejection<GatewayError>(revoked.contract.evaluateTransaction('get', 'before'));
      expect(evaluated.code).to.equal(status.FAILED_PRECONDITION);
      expect(evaluated.details[0]?.message).to.equal(denied);
      const submitted = await rejection<GatewayError>(revoked.contract.submitTransaction('put', 'k', 'v'));
      expect(submitted.code).to.equal(status.ABORTED);
      expect(submitted.details[0]?.message).to.equal(denied);
      await trusted.contract.submitTransaction('put', 'after', 'x');
      expect((await rejection(stream)).message).to.contain('403');
      expect(seen).to.equal(2);
    } finally {
      revoked.close();
      trusted.close();
      await network.close();
      await rm(folder, { recursive: true });
    }
  });
});
