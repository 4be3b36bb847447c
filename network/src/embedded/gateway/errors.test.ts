// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import { common, gateway as messages, peer } from '@hyperledger/fabric-protos';
import { EndorseError, GatewayError, type Proposal } from '@hyperledger/fabric-gateway';
import timestampProto from 'google-protobuf/google/protobuf/timestamp_pb.js';
import { expect } from 'chai';
import { issueIdentity } from '../testing/consortium.js';
import { rejection, useNetwork } from '../testing/harness.js';

/** What the Gateway answered, without what differs from run to run. */
function shape(error: GatewayError): { code: number; message: string; details: string[] } {
  return {
    code: error.code,
    message: error.message.replace(/^\d+ [A-Z_]+: /, ''),
    details: error.details.map(({ mspId, message }) => `${mspId}: ${message}`),
  };
}

describe('Errors of the Gateway', function () {
  this.timeout(60_000);
  const harness = useNetwork({ executeTimeoutMs: 500 });
  const contract = () => harness.client().contract;
  const endorse = (name: string, ...args: string[]): Promise<unknown> =>
    contract().newProposal(name, { arguments: args }).endorse();

  /** Endorses and evaluates, each expected to fail. */
  const failures = async (name: string, ...args: string[]) => ({
    endorse: shape(await rejection<GatewayError>(endorse(name, ...args))),
    evaluate: shape(await rejection<GatewayError>(contract().evaluateTransaction(name, ...args))),
  });

  it('tell what a contract threw', async () => {
    const { endorse: endorsed, evaluate } = await failures('fail', 'CODE: no');
    const detail = 'AMSP: chaincode response 500, CODE: no';
    expect(endorsed).to.deep.equal({
      code: status.ABORTED,
      message: 'failed to endorse transaction, see attached details for more info',
      details: [detail],
    });
    expect(evaluate).to.deep.equal({
      code: status.UNKNOWN,
      message: 'evaluate call to endorser returned error: chaincode response 500, CODE: no',
      details: [detail],
    });
    const error = await rejection<GatewayError>(endorse('fail', 'CODE: no'));
    expect(error).to.be.instanceOf(EndorseError);
    expect(error.details[0]?.address).to.match(/^localhost:\d+$/);
  });

  it('tell what every named organisation said', async () => {
    const proposal = contract().newProposal('fail', {
      arguments: ['no'],
      endorsingOrganizations: ['AMSP', 'BMSP'],
    });
    const { code, message, details } = shape(await rejection<GatewayError>(proposal.endorse()));
    expect(code).to.equal(status.ABORTED);
    expect(message).to.equal('failed to collect enough transaction endorsements, see attached details for more info');
    expect(details.sort()).to.deep.equal(['AMSP: chaincode response 500, no', 'BMSP: chaincode response 500, no']);
  });

  it('tell that peers got different results', async () => {
    const { code, message, details } = shape(await rejection<GatewayError>(endorse('random', 'key')));
    expect(code).to.equal(status.ABORTED);
    expect(message).to.equal('failed to collect enough transaction endorsements, see attached details for more info');
    expect(details.sort()).to.deep.equal([
      'BMSP: ProposalResponsePayloads do not match',
      'CMSP: ProposalResponsePayloads do not match',
    ]);
  });

  it('tell that a contract takes too long', async () => {
    const { endorse: endorsed } = await failures('sleep', '3000');
    expect(endorsed.code).to.equal(status.ABORTED);
    expect(endorsed.details[0]).to.match(
      /^AMSP: error in simulation: failed to execute transaction [0-9a-f]{64}: error sending: timeout expired while executing transaction$/,
    );
  });

  it('tell that a chaincode process ended', async () => {
    const { code, details } = shape(await rejection<GatewayError>(endorse('crash')));
    expect(code).to.equal(status.ABORTED);
    expect(details[0]).to.match(/^AMSP: error in simulation: .*: chaincode stream terminated$/);
    expect(await contract().submitTransaction('put', 'again', '1')).to.have.length(1);
  });

  it('tell what the embedded network does not support', async () => {
    for (const [name, text] of [
      ['query', 'GET_QUERY_RESULT failed: transaction ID: [0-9a-f]+: ExecuteQuery not supported for leveldb'],
      ['call', 'calling another chaincode is not supported by the embedded network'],
    ] as const) {
      const error = await rejection<GatewayError>(contract().evaluateTransaction(name));
      expect(error.message).to.match(new RegExp(text));
    }
    const system = await rejection<GatewayError>(
      harness.client().network.getContract('qscc').evaluateTransaction('GetChainInfo'),
    );
    expect(shape(system)).to.deep.equal({
      code: status.UNIMPLEMENTED,
      message: 'chaincode qscc is not supported by the embedded network',
      details: [],
    });
  });

  it('tell that a channel or a chaincode is unknown', async () => {
    const elsewhere = harness.client().gateway.getNetwork('nowhere').getContract('testcc');
    expect(shape(await rejection(elsewhere.evaluateTransaction('get', 'k')))).to.deep.equal({
      code: status.UNAVAILABLE,
      message: 'failed to get config for channel [nowhere]: could not get last config for channel nowhere',
      details: [],
    });
    expect(shape(await rejection(elsewhere.submitTransaction('put', 'k', 'v')))).to.deep.equal({
      code: status.FAILED_PRECONDITION,
      message:
        'no combination of peers can be derived which satisfy the endorsement policy: ' +
        'No metadata was found for chaincode testcc in channel nowhere',
      details: [],
    });
    const other = harness.client().network.getContract('othercc');
    expect(shape(await rejection(other.evaluateTransaction('get', 'k')))).to.deep.equal({
      code: status.FAILED_PRECONDITION,
      message: 'no peers available to evaluate chaincode othercc in channel testchannel',
      details: [],
    });
    expect(shape(await rejection(other.submitTransaction('put', 'k', 'v'))).message).to.contain(
      'No metadata was found for chaincode othercc in channel testchannel',
    );
    const named = contract().newProposal('put', { endorsingOrganizations: ['AMSP', 'ZMSP'] });
    expect(shape(await rejection(named.endorse()))).to.deep.equal({
      code: status.UNAVAILABLE,
      message: 'failed to find any endorsing peers for org(s): ZMSP',
      details: [],
    });
  });

  it('refuse an identity that the claimed organisation did not issue', async () => {
    const malformed =
      'error validating proposal: access denied: channel [testchannel] creator org unknown, creator is malformed';
    for (const options of [{ identity: harness.organisation(1).client }, { mspId: 'UnknownMSP' }]) {
      const client = harness.client(0, options);
      expect(shape(await rejection(client.contract.evaluateTransaction('get', 'k')))).to.deep.equal({
        code: status.FAILED_PRECONDITION,
        message: `evaluate call to endorser returned error: ${malformed}`,
        details: [`AMSP: ${malformed}`],
      });
      expect(shape(await rejection(client.contract.submitTransaction('put', 'k', 'v')))).to.deep.equal({
        code: status.ABORTED,
        message: 'failed to endorse transaction, see attached details for more info',
        details: [`AMSP: ${malformed}`],
      });
    }
  });

  it('refuse a signature that is not the creator’s', async () => {
    const client = harness.client(0, {
      signingKeyPem: harness.organisation(1).client.privateKeyPem,
    });
    const { details } = shape(await rejection(client.contract.submitTransaction('put', 'k', 'v')));
    expect(details).to.deep.equal([
      'AMSP: error validating proposal: access denied: channel [testchannel] creator org [AMSP]',
    ]);
  });

  it('refuse an expired certificate', async () => {
    const identity = await issueIdentity(harness.organisation(0).identityCa, 'client', -60_000);
    const client = harness.client(0, { identity });
    const { code, message, details } = shape(await rejection(client.contract.evaluateTransaction('get', 'k')));
    expect([code, message]).to.deep.equal([
      status.UNAVAILABLE,
      'failed to evaluate transaction, see attached details for more info',
    ]);
    expect(details[0]).to.equal('AMSP: proposal client identity expired');
    expect(details).to.have.length(3);
  });

  it('refuse a peer’s identity as a client’s', async () => {
    const client = harness.client(0, { identity: harness.organisation(0).peer });
    const { details } = shape(await rejection(client.contract.submitTransaction('put', 'k', 'v')));
    expect(details[0]).to.match(
      /Failed evaluating policy on signed data during check policy on channel \[testchannel\] with policy \[\/Channel\/Application\/Writers\]/,
    );
  });

  it('refuse a proposal whose time is not the peer’s, within a minute', async () => {
    const late = editProposal(contract().newProposal('get', { arguments: ['k'] }), (header) => {
      const timestamp = new timestampProto.Timestamp();
      timestamp.setSeconds(Math.floor(Date.now() / 1000) - 90);
      header.setTimestamp(timestamp);
    });
    const proposal = await resign(late);
    const { details } = shape(await rejection(proposal.endorse()));
    expect(details[0]).to.match(
      /^AMSP: request unauthorized due to incorrect timestamp \S+Z, peer time \S+Z, peer.authentication.timewindow 1m0s$/,
    );
  });

  it('refuse a transaction id that is not the hash of nonce and creator', async () => {
    const edited = editProposal(contract().newProposal('get', { arguments: ['k'] }), (header) => {
      header.setTxId('00');
    });
    const { details } = shape(await rejection((await resign(edited)).endorse()));
    expect(details[0]).to.match(
      /^AMSP: error validating proposal: incorrectly computed txid '00' -- expected '[0-9a-f]{64}'$/,
    );
  });

  it('refuse to simulate a committed transaction again', async () => {
    const proposal = contract().newProposal('put', { arguments: ['dup', '1'] });
    await (await (await proposal.endorse()).submit()).getStatus();
    const error = shape(await rejection(proposal.evaluate()));
    expect(error.code).to.equal(status.FAILED_PRECONDITION);
    expect(error.message).to.match(/duplicate transaction found \[[0-9a-f]{64}\]\. Creator \[/);
  });

  it('refuse an envelope that its creator did not sign', async () => {
    const honest = await contract()
      .newProposal('put', { arguments: ['k', 'v'] })
      .endorse();
    const thief = harness.client(0, {
      signingKeyPem: harness.organisation(1).client.privateKeyPem,
    });
    const error = await rejection<GatewayError>(thief.gateway.newTransaction(honest.getBytes()).submit());
    expect(error.name).to.equal('SubmitError');
    const { code, message, details } = shape(error);
    expect([code, message]).to.deep.equal([
      status.UNAVAILABLE,
      'insufficient number of orderers could successfully process transaction to satisfy quorum requirement',
    ]);
    expect(details).to.have.length(2);
    expect(details[0]).to.match(
      /^[A-Z]+: received unsuccessful response from orderer: status=FORBIDDEN, info=implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied: permission denied$/,
    );
  });

  it('refuse commit status and events to those who may not read', async () => {
    const submitted = await contract().submitAsync('put', { arguments: ['status', '1'] });
    const thief = harness.client(0, {
      signingKeyPem: harness.organisation(1).client.privateKeyPem,
    });
    const signed = messages.SignedCommitStatusRequest.deserializeBinary(submitted.getBytes());
    signed.setSignature('');
    const asked = thief.gateway.newCommit(signed.serializeBinary()).getStatus();
    const denied =
      'Failed evaluating policy on signed data during check policy on channel [testchannel] with policy ' +
      '[/Channel/Application/Readers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, ' +
      "but this policy requires 1 of the 'Readers' sub-policies to be satisfied]";
    expect(shape(await rejection(asked))).to.deep.equal({
      code: status.PERMISSION_DENIED,
      message: denied,
      details: [],
    });
    const events = await thief.network.getChaincodeEvents('testcc');
    const next = (async () => {
      for await (const _event of events) {
        break;
      }
    })();
    expect(shape(await rejection(next)).code).to.equal(status.PERMISSION_DENIED);
  });

  it('refuse messages that do not decode', async () => {
    const error = await rejection<GatewayError>(
      new Promise((_resolve, reject) => {
        harness.client().grpc.makeUnaryRequest(
          '/gateway.Gateway/Evaluate',
          (bytes: Buffer) => bytes,
          (bytes) => bytes,
          Buffer.from(new messages.EvaluateRequest().serializeBinary()),
          (failure) => {
            reject(failure ?? new Error('no error'));
          },
        );
      }),
    );
    expect(error.code).to.equal(status.INVALID_ARGUMENT);
    expect(error.message).to.contain('failed to unpack transaction proposal: a signed proposal is required');
  });

  it('answer UNIMPLEMENTED for services that are left out', async () => {
    const client = harness.client();
    for (const method of ['/protos.Endorser/ProcessProposal', '/discovery.Discovery/Discover']) {
      const error = await rejection<GatewayError>(
        new Promise((_resolve, reject) => {
          client.grpc.makeUnaryRequest(
            method,
            (bytes: Buffer) => bytes,
            (bytes) => bytes,
            Buffer.alloc(0),
            (failure) => {
              reject(failure ?? new Error('no error'));
            },
          );
        }),
      );
      expect(error.code).to.equal(status.UNIMPLEMENTED);
    }
  });

  /** Changes a proposal's channel header; the signature is then no longer right. */
  function editProposal(
    proposal: Proposal,
    edit: (header: common.ChannelHeader) => void,
  ): messages.ProposedTransaction {
    const proposed = messages.ProposedTransaction.deserializeBinary(proposal.getBytes());
    const signed = proposed.getProposal()!;
    const inner = peer.Proposal.deserializeBinary(signed.getProposalBytes_asU8());
    const header = common.Header.deserializeBinary(inner.getHeader_asU8());
    const channelHeader = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
    edit(channelHeader);
    header.setChannelHeader(channelHeader.serializeBinary());
    inner.setHeader(header.serializeBinary());
    signed.setProposalBytes(inner.serializeBinary());
    signed.setSignature('');
    return proposed;
  }

  function resign(proposed: messages.ProposedTransaction): Promise<Proposal> {
    return Promise.resolve(harness.client().gateway.newProposal(proposed.serializeBinary()));
  }
});
