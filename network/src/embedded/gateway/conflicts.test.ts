// SPDX-License-Identifier: Apache-2.0
import { common, gateway as gatewayMessages, msp, peer } from '@hyperledger/fabric-protos';
import { CommitError, type Contract, type Transaction } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { rejection, useNetwork } from '../testing/harness.js';

const CODE = peer.TxValidationCode;

describe('Validation', function () {
  this.timeout(60_000);
  // Two transactions that are submitted together come into one block.
  const harness = useNetwork({
    ordering: {
      batchTimeoutMs: 50,
      maxMessageCount: 100,
      preferredMaxBytes: 1_000_000,
      cutWhenIdle: false,
    },
  });
  let contract: Contract;
  before(() => {
    contract = harness.client().contract;
  });

  const endorse = (name: string, ...args: string[]): Promise<Transaction> =>
    contract.newProposal(name, { arguments: args }).endorse();
  const commit = async (transaction: Transaction): Promise<number> =>
    (await (await transaction.submit()).getStatus()).code;

  it('finds that a key was written since it was read: in an earlier block', async () => {
    const stale = await endorse('increment', 'counter');
    await contract.submitTransaction('increment', 'counter');
    expect(await commit(stale)).to.equal(CODE.MVCC_READ_CONFLICT);
  });

  it('finds that a key was written since it was read: earlier in the same block', async () => {
    const both = [await endorse('increment', 'block'), await endorse('increment', 'block')];
    const submitted = await Promise.all(both.map((one) => one.submit()));
    const results = await Promise.all(submitted.map((one) => one.getStatus()));
    expect(results.map(({ code }) => code).sort()).to.deep.equal([CODE.VALID, CODE.MVCC_READ_CONFLICT]);
    expect(results[0]?.blockNumber).to.equal(results[1]?.blockNumber);
  });

  it('finds a key that appeared in a range, or left it, since the range was read', async () => {
    const missing = await endorse('countInto', 'ph-', 'ph.', 'ph-count');
    await contract.submitTransaction('put', 'ph-1', 'x');
    expect(await commit(missing)).to.equal(CODE.PHANTOM_READ_CONFLICT);
    const present = await endorse('countInto', 'ph-', 'ph-9', 'count');
    await contract.submitTransaction('del', 'ph-1');
    expect(await commit(present)).to.equal(CODE.PHANTOM_READ_CONFLICT);
  });

  it('finds a phantom among many keys, and one of the same block', async () => {
    await contract.submitTransaction('putMany', 'merkle-', '130');
    const unchanged = await endorse('countInto', 'merkle-', 'merkle.', 'count-1');
    expect(await commit(unchanged)).to.equal(CODE.VALID);
    const changed = await endorse('countInto', 'merkle-', 'merkle.', 'count-2');
    const write = await endorse('put', 'merkle-0042', 'changed');
    const [first, second] = [await write.submit(), await changed.submit()];
    expect((await first.getStatus()).code).to.equal(CODE.VALID);
    expect((await second.getStatus()).code).to.equal(CODE.PHANTOM_READ_CONFLICT);
  });

  it('does not mind writes outside the range, nor to keys that were only written', async () => {
    const counted = await endorse('countInto', 'in-', 'in.', 'count-3');
    const blind = await endorse('put', 'in-between', 'mine');
    await contract.submitTransaction('put', 'out', 'x');
    expect(await commit(counted)).to.equal(CODE.VALID);
    await contract.submitTransaction('put', 'in-between', 'other');
    expect(await commit(blind)).to.equal(CODE.VALID);
  });

  it('takes a transaction once, however often it is submitted', async () => {
    const transaction = await endorse('increment', 'once');
    const bytes = transaction.getBytes();
    const gateway = harness.client().gateway;
    const again = gateway.newTransaction(bytes);
    expect(await commit(transaction)).to.equal(CODE.VALID);
    await again.submit();
    await contract.submitTransaction('put', 'marker', '1');
    expect(Buffer.from(await contract.evaluateTransaction('get', 'once')).toString()).to.equal('1');
    expect((await again.submit()).getTransactionId()).to.equal(transaction.getTransactionId());
  });

  it('refuses results that fewer than a majority of organisations endorsed', async () => {
    const proposal = contract.newProposal('put', {
      arguments: ['few', 'x'],
      endorsingOrganizations: ['AMSP'],
    });
    expect(await commit(await proposal.endorse())).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
    expect((await contract.evaluateTransaction('get', 'few')).length).to.equal(0);
  });

  it('refuses endorsements that do not belong to the results', async () => {
    const transaction = await endorse('put', 'forged', 'honest');
    const prepared = Buffer.from(transaction.getBytes());
    const at = prepared.lastIndexOf('honest');
    expect(at).to.be.greaterThan(0);
    prepared.write('forger', at);
    const forged = harness.client().gateway.newTransaction(prepared);
    expect(await commit(forged)).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
  });

  it('goes on after an endorsement whose certificate holds a broken key', async () => {
    const transaction = await endorse('put', 'poisoned', 'x');
    const broken = withEndorsers(transaction.getBytes(), (pem) => {
      const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
      const curve = Buffer.from('06082a8648ce3d030107', 'hex');
      der[der.indexOf(curve) + curve.length - 1] = 0x7f;
      return `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
    });
    const poisoned = harness.client().gateway.newTransaction(broken);
    expect(await commit(poisoned)).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
    await contract.submitTransaction('put', 'after-poison', 'x');
  });

  it('answers with the valid one of two transactions that share an id and a block', async () => {
    const transaction = await endorse('put', 'shared', 'x');
    const bytes = Buffer.from(transaction.getBytes());
    const unendorsed = harness.client().gateway.newTransaction(withEndorsers(bytes, () => 'nobody'));
    const [valid] = [await transaction.submit(), await unendorsed.submit()];
    expect((await valid.getStatus()).code).to.equal(CODE.VALID);
  });

  it('reports a conflict to a client that waits for the commit', async () => {
    const stale = contract.newProposal('increment', { arguments: ['waits'] });
    const endorsed = await stale.endorse();
    await contract.submitTransaction('increment', 'waits');
    const submitted = await endorsed.submit();
    const status = await submitted.getStatus();
    expect(status.successful).to.equal(false);
    const racing = await Promise.allSettled(
      Array.from({ length: 3 }, () => contract.submitTransaction('increment', 'waits')),
    );
    const lost = racing.filter((one) => one.status === 'rejected').map((one) => one.reason as Error);
    expect(lost.length).to.be.greaterThan(0);
    expect(lost[0]).to.be.instanceOf(CommitError);
    expect((lost[0] as CommitError).code).to.equal(CODE.MVCC_READ_CONFLICT);
  });

  it('waits for the status of a transaction until the client gives up', async () => {
    const transaction = await endorse('put', 'never-submitted', 'x');
    const gateway = harness.client().gateway;
    const never = gateway.newTransaction(transaction.getBytes());
    const waiting = harness
      .client()
      .gateway.newCommit(await commitBytes(never, contract))
      .getStatus({ deadline: Date.now() + 200 });
    expect(await rejection(waiting)).to.have.property('code', 4);
  });
});

/** A prepared transaction with other certificates in its endorsements. */
function withEndorsers(bytes: Uint8Array, certificateOf: (pem: string) => string): Uint8Array {
  const prepared = gatewayMessages.PreparedTransaction.deserializeBinary(bytes);
  const envelope = prepared.getEnvelope()!;
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const transaction = peer.Transaction.deserializeBinary(payload.getData_asU8());
  const [action] = transaction.getActionsList();
  const body = peer.ChaincodeActionPayload.deserializeBinary(action!.getPayload_asU8());
  for (const endorsement of body.getAction()!.getEndorsementsList()) {
    const endorser = msp.SerializedIdentity.deserializeBinary(endorsement.getEndorser_asU8());
    endorser.setIdBytes(Buffer.from(certificateOf(Buffer.from(endorser.getIdBytes_asU8()).toString())));
    endorsement.setEndorser(endorser.serializeBinary());
  }
  action!.setPayload(body.serializeBinary());
  payload.setData(transaction.serializeBinary());
  envelope.setPayload(payload.serializeBinary());
  return prepared.serializeBinary();
}

/** The commit request of a transaction that the network never got. */
async function commitBytes(transaction: Transaction, contract: Contract): Promise<Uint8Array> {
  const { gateway } = await import('@hyperledger/fabric-protos');
  const committed = await contract.submitAsync('put', { arguments: ['other', 'x'] });
  await committed.getStatus();
  const signed = gateway.SignedCommitStatusRequest.deserializeBinary(committed.getBytes());
  const request = gateway.CommitStatusRequest.deserializeBinary(signed.getRequest_asU8());
  request.setTransactionId(transaction.getTransactionId());
  signed.setRequest(request.serializeBinary());
  signed.setSignature('');
  return signed.serializeBinary();
}
