// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Collections } from '../chaincode/collections.js';
import { Ledger } from '../ledger/ledger.js';
import { newSigningIdentity } from '../msp/identity.js';
import { newMembershipVerifier } from '../msp/verifier.js';
import { majority } from '../policies.js';
import { newConsortium } from '../testing/consortium.js';
import { eventually, rejection } from '../testing/harness.js';
import { Orderer, type QueueLimits } from './orderer.js';
import { BlockValidator } from './validator.js';

class FailingValidator extends BlockValidator {
  override validate(): Promise<never> {
    return Promise.reject(new Error('the disk is gone'));
  }
}

describe('The orderer', function () {
  this.timeout(30_000);
  let folder: string;
  let ledger: Ledger;
  const config = { batchTimeoutMs: 5, maxMessageCount: 100, preferredMaxBytes: 1_000_000, cutWhenIdle: false };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orderer-'));
    ledger = await Ledger.open(folder, () => undefined);
  });
  afterEach(async () => {
    await ledger.close();
    await rm(folder, { recursive: true, force: true });
  });

  const newOrderer = async (limits: QueueLimits, Validator = BlockValidator): Promise<Orderer> => {
    const [organisation] = await newConsortium(['AMSP']);
    const msp = newMembershipVerifier([{ mspId: 'AMSP', identityCaCert: organisation!.identityCa.certificatePem }]);
    const chaincode = { name: 'testcc', version: '1.0', policy: majority(['AMSP']) };
    const validator = new Validator('testchannel', chaincode, new Collections(['AMSP']), msp, ledger);
    const identity = newSigningIdentity('AMSP', organisation!.orderer);
    return new Orderer(ledger, validator, identity, config, () => undefined, limits);
  };
  const envelope = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(1);

  it('refuses more than may wait, by number and by bytes, until some is committed', async () => {
    for (const [limits, size] of [
      [{ transactions: 2, bytes: 1_000 }, 1],
      [{ transactions: 100, bytes: 1_000 }, 400],
    ] as const) {
      const orderer = await newOrderer(limits);
      const height = ledger.height;
      orderer.order(envelope(size));
      orderer.order(envelope(size));
      expect(() => {
        orderer.order(envelope(size));
      }).to.throw('2 transactions wait to be committed; try again later');
      await eventually('a block', () => (ledger.height > height ? true : undefined));
      await eventually('room', () => {
        try {
          orderer.order(envelope(size));
          return true;
        } catch {
          return undefined;
        }
      });
      await orderer.close();
    }
  });

  it('takes nothing more after a commit that failed, and tells those who wait at once', async () => {
    const orderer = await newOrderer({ transactions: 100, bytes: 1_000 }, FailingValidator);
    const { signal } = new AbortController();
    const waiting = rejection(ledger.waitForTransaction('some', signal));
    orderer.order(envelope(1));
    expect(await waiting).to.have.property('code', 'LEDGER_FAILED');
    expect(await ledger.failed).to.have.property('code', 'LEDGER_FAILED');
    expect(() => {
      orderer.order(envelope(1));
    }).to.throw('LEDGER_FAILED');
    await orderer.close();
  });
});
