// SPDX-License-Identifier: Apache-2.0
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';
import { signers } from '@hyperledger/fabric-gateway';
import { common, msp, orderer } from '@hyperledger/fabric-protos';
import timestamps from 'google-protobuf/google/protobuf/timestamp_pb.js';
import { required } from '../embedded/protocol/block.js';
import { NetworkError } from '../errors.js';
import type { OrdererTarget } from './admin.js';
import { mspFiles, type Member } from './layout.js';

const BROADCAST_DEADLINE_MS = 15_000;
const METHOD = '/orderer.AtomicBroadcast/Broadcast';
/** Length of Fabric's nonces. */
const NONCE_BYTES = 24;

/** An envelope as its organisation's administrator submits it: with a header and a signature of his own. */
export async function signedEnvelope(member: Member, channel: string, unsigned: Uint8Array): Promise<Uint8Array> {
  const files = mspFiles(member.layout.adminMsp);
  const inner = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(unsigned).getPayload_asU8());

  const channelHeader = new common.ChannelHeader();
  channelHeader.setType(common.HeaderType.CONFIG_UPDATE);
  channelHeader.setChannelId(channel);
  channelHeader.setTimestamp(timestamps.Timestamp.fromDate(new Date()));

  const creator = new msp.SerializedIdentity();
  creator.setMspid(member.organisation.mspId);
  creator.setIdBytes(await readFile(files.certificate));
  const signatureHeader = new common.SignatureHeader();
  signatureHeader.setCreator(creator.serializeBinary());
  signatureHeader.setNonce(randomBytes(NONCE_BYTES));

  const header = new common.Header();
  header.setChannelHeader(channelHeader.serializeBinary());
  header.setSignatureHeader(signatureHeader.serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(inner.getData_asU8());

  const bytes = payload.serializeBinary();
  const sign = signers.newPrivateKeySigner(createPrivateKey(await readFile(files.key)));
  const envelope = new common.Envelope();
  envelope.setPayload(bytes);
  envelope.setSignature(await sign(createHash('sha256').update(bytes).digest()));
  return envelope.serializeBinary();
}

/** What an orderer answered; not `SUCCESS` where it could not be reached either. */
interface Answer {
  readonly status: number;
  readonly detail: string;
}

async function broadcastTo({ address, tlsRootFile }: OrdererTarget, envelope: Uint8Array): Promise<Answer> {
  const client = new grpc.Client(address, grpc.credentials.createSsl(await readFile(tlsRootFile)));
  try {
    return await new Promise((resolve) => {
      const call = client.makeBidiStreamRequest(
        METHOD,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => orderer.BroadcastResponse.deserializeBinary(bytes),
        new grpc.Metadata(),
        { deadline: Date.now() + BROADCAST_DEADLINE_MS },
      );
      call.once('data', (response: orderer.BroadcastResponse) => {
        resolve({ status: response.getStatus(), detail: response.getInfo() });
        call.end();
      });
      call.once('error', (error) => {
        resolve({ status: common.Status.SERVICE_UNAVAILABLE, detail: error.message });
      });
      call.write(envelope);
    });
  } finally {
    client.close();
  }
}

/**
 * Gives one and the same envelope to all orderers, as SmartBFT's clients have to: an orderer that alone knows of a
 * request the leader does not order ends up alone in a change of leader.
 * @throws NetworkError PROGRAM_FAILED where none takes it, with what an orderer that judged it says
 */
export async function broadcast(targets: readonly OrdererTarget[], envelope: Uint8Array): Promise<void> {
  const answers = await Promise.all(targets.map((target) => broadcastTo(target, envelope)));
  if (answers.some(({ status }) => status === common.Status.SUCCESS)) {
    return;
  }
  const isJudgement = ({ status }: Answer): boolean =>
    status === common.Status.BAD_REQUEST || status === common.Status.FORBIDDEN;
  const telling = required(answers.find(isJudgement) ?? answers[0], 'an orderer to send to');
  throw new NetworkError('PROGRAM_FAILED', `no orderer takes the change: ${telling.detail}`);
}
