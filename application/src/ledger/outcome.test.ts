// SPDX-License-Identifier: Apache-2.0
import { Metadata, Server, ServerCredentials, status, Client, credentials } from '@grpc/grpc-js';
import { connect, hash, StatusCode } from '@hyperledger/fabric-gateway';
import { gateway, google } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import anyProto from 'google-protobuf/google/protobuf/any_pb.js';
import { gatewayError } from '../testing/gateway-errors.js';
import { rejection } from '../testing/temporary.js';
import { failureOf, outcomeOfStatus, statusName } from './outcome.js';

describe('reading of gateway errors', () => {
  it('finds a contract error in the details, where endorsement puts it', () => {
    const text = 'chaincode response 500, VEHICLE_UNKNOWN: v-1';
    const failure = failureOf(gatewayError(status.ABORTED, 'failed to endorse transaction', [text]));
    expect(failure).to.include({ outcome: 'contract-error', contractCode: 'VEHICLE_UNKNOWN', detail: 'v-1' });
  });

  it('finds a contract error in the message, where evaluation puts it', () => {
    const failure = failureOf(gatewayError(status.UNKNOWN, 'evaluate call: chaincode response 500, TASK_UNKNOWN: t'));
    expect(failure).to.include({ outcome: 'contract-error', contractCode: 'TASK_UNKNOWN', detail: 't' });
  });

  const table: [string, status, string, string[], string][] = [
    ['no connection', status.UNAVAILABLE, 'No connection established', [], 'unavailable'],
    ['a connection cut off', status.INTERNAL, 'Received RST_STREAM with code 2', [], 'unavailable'],
    ['a bug in the peer', status.INTERNAL, 'index out of range', [], 'failed'],
    ['a deadline', status.DEADLINE_EXCEEDED, 'Deadline exceeded', [], 'timeout'],
    ['a bad status request', status.PERMISSION_DENIED, 'access denied', [], 'refused'],
    [
      'a foreign creator',
      status.ABORTED,
      'failed to endorse transaction',
      ['error validating proposal: access denied: channel [sevchannel] creator org [CityMSP]'],
      'refused',
    ],
    ['an expired creator', status.UNAVAILABLE, 'evaluate call: proposal client identity expired', [], 'refused'],
    [
      'peers that answer differently',
      status.ABORTED,
      'failed to collect enough transaction endorsements',
      ['ProposalResponsePayloads do not match'],
      'conflict',
    ],
    [
      'a chaincode process that starts again',
      status.ABORTED,
      'failed to endorse transaction',
      ['error in simulation: failed to execute transaction 12ab: error sending: chaincode stream terminated'],
      'unavailable',
    ],
    [
      'a revoked creator',
      status.ABORTED,
      'failed to endorse transaction, see attached details for more info',
      ['error validating proposal: access denied: channel [sevchannel] creator org [GridOperatorMSP]'],
      'refused',
    ],
    [
      'a network whose peers do not know each other yet',
      status.FAILED_PRECONDITION,
      'no combination of peers can be derived which satisfy the endorsement policy: no peer combination can satisfy it',
      [],
      'unavailable',
    ],
    [
      'a gateway that knows no peer of another organisation yet',
      status.FAILED_PRECONDITION,
      'failed to find any endorsing peers for org(s): CityMSP',
      [],
      'unavailable',
    ],
    [
      'a policy that the peers which answer cannot satisfy',
      status.UNAVAILABLE,
      'failed to select a set of endorsers that satisfy the endorsement policy due to unavailability of peers',
      [],
      'unavailable',
    ],
    [
      'an overloaded peer',
      status.UNKNOWN,
      'too many requests for /gateway.Gateway, exceeding concurrency limit (500)',
      [],
      'unavailable',
    ],
    ['a gateway without orderers', status.UNAVAILABLE, 'no orderer nodes available', [], 'unavailable'],
    [
      'orderers that have the transaction already',
      status.UNAVAILABLE,
      'insufficient number of orderers could successfully process transaction to satisfy quorum requirement',
      ['received unsuccessful response from orderer: status=SERVICE_UNAVAILABLE, info=request already processed'],
      'ordered',
    ],
    [
      'orderers that are about to order the transaction',
      status.UNAVAILABLE,
      'insufficient number of orderers could successfully process transaction to satisfy quorum requirement',
      ['received unsuccessful response from orderer: status=SERVICE_UNAVAILABLE, info=request already exists'],
      'ordered',
    ],
    ['an unknown chaincode', status.FAILED_PRECONDITION, 'no peers available to evaluate chaincode x', [], 'failed'],
  ];
  for (const [what, code, message, details, expected] of table) {
    it(`takes ${what} for ${expected}`, () => {
      expect(failureOf(gatewayError(code, message, details)).outcome).to.equal(expected);
    });
  }

  it('tells which organisation said what', () => {
    const failure = failureOf(gatewayError(status.ABORTED, 'failed to endorse', ['no such thing']));
    expect(failure.detail).to.equal('failed to endorse: GridOperatorMSP (localhost:7051): no such thing');
  });

  it('maps validation codes', () => {
    expect(outcomeOfStatus(StatusCode.VALID)).to.equal(undefined);
    expect(outcomeOfStatus(StatusCode.MVCC_READ_CONFLICT)).to.equal('conflict');
    expect(outcomeOfStatus(StatusCode.PHANTOM_READ_CONFLICT)).to.equal('conflict');
    expect(outcomeOfStatus(StatusCode.DUPLICATE_TXID)).to.equal('duplicate');
    expect(outcomeOfStatus(StatusCode.ENDORSEMENT_POLICY_FAILURE)).to.equal('invalid');
    expect(statusName(StatusCode.ENDORSEMENT_POLICY_FAILURE)).to.equal('ENDORSEMENT_POLICY_FAILURE');
  });

  describe('over the wire', () => {
    const server = new Server();
    let client: Client;

    before(async () => {
      const identity = (bytes: Buffer) => bytes;
      const method = {
        path: '/gateway.Gateway/Evaluate',
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      } as const;
      server.addService(
        { evaluate: method },
        {
          evaluate: (_call: unknown, done: (error: object) => void) => {
            const metadata = new Metadata();
            metadata.set('grpc-status-details-bin', statusDetails('chaincode response 500, QUOTA_EXCEEDED: slot 9'));
            done({ code: status.UNKNOWN, details: 'see attached details', metadata });
          },
        },
      );
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
          if (error === null) {
            resolve(bound);
          } else {
            reject(error);
          }
        });
      });
      client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    });
    after(() => {
      client.close();
      server.forceShutdown();
    });

    it('reads grpc-status-details-bin', async () => {
      const session = connect({
        client,
        identity: { mspId: 'GridOperatorMSP', credentials: Buffer.from('certificate') },
        signer: () => Promise.resolve(Buffer.from('signature')),
        hash: hash.none,
      });
      const contract = session.getNetwork('sevchannel').getContract('sev');
      const failure = failureOf(await rejection(contract.evaluate('x')));
      expect(failure).to.include({ outcome: 'contract-error', contractCode: 'QUOTA_EXCEEDED', detail: 'slot 9' });
    });
  });
});

function statusDetails(message: string): Buffer {
  const detail = new gateway.ErrorDetail();
  detail.setMessage(message);
  const any = new anyProto.Any();
  any.pack(detail.serializeBinary(), 'gateway.ErrorDetail');
  const result = new google.rpc.Status();
  result.setDetailsList([any]);
  return Buffer.from(result.serializeBinary());
}
