// SPDX-License-Identifier: Apache-2.0
import { status as GrpcStatus } from '@grpc/grpc-js';
import { GatewayError, StatusCode } from '@hyperledger/fabric-gateway';
import { parseContractError } from '@sev/chaincode/api';
import { messageOf } from '../errors.js';
import type { Outcome } from './retry.js';

/** How grpc-js names a stream that its peer cut off. */
const STREAM_RESET = /RST_STREAM/;

/** What a failed call means, and what to tell of it. */
export interface Failure {
  readonly outcome: Outcome;
  /** Code of the contract error, where it is one. */
  readonly contractCode?: string;
  readonly detail: string;
  readonly cause: unknown;
}

/** How peers say that they do not accept a creator, or its clock: no error code tells it apart. */
const CREATOR_REFUSED =
  /access denied|creator org|creator is malformed|client identity expired|incorrect timestamp|failed evaluating policy on signed data/i;
/** How peers say that they or their chaincode process cannot be reached at the moment. */
const PEER_UNAVAILABLE = /failed to execute transaction|rpc error: code = Unavailable/i;
/** How gateways say that they do not (yet) know enough peers of other organisations to have anything endorsed. */
const PEERS_UNKNOWN =
  /no combination of peers can be derived|failed to find any endorsing peers|failed to select a set of endorsers/i;
/** A peer takes only so many calls at once; it says so without a code of its own. */
const OVERLOADED = /too many requests for .*exceeding concurrency limit/i;
/** How orderers of a byzantine fault tolerant service say that they have the transaction already. */
const ORDERED_ALREADY = /request already (processed|exists)/i;
/** Peers whose states differ for a moment answer differently. */
const ANSWERS_DIFFER = /ProposalResponsePayloads do not match/i;

/**
 * Reads the error of a Gateway call. What a peer or contract said travels in the details of the gRPC status
 * (`grpc-status-details-bin`); the message itself may say only that there are details.
 */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof GatewayError)) {
    return { outcome: 'failed', detail: messageOf(error), cause: error };
  }
  const texts = [...error.details.map((d) => d.message), error.cause.details, error.message];
  for (const text of texts) {
    const refusal = parseContractError(text);
    if (refusal !== undefined) {
      return { outcome: 'contract-error', contractCode: refusal.code, detail: refusal.detail, cause: error };
    }
  }
  return { outcome: outcomeOf(error.code, texts), detail: describe(error), cause: error };
}

/** Codes that mean the same whatever the text says. */
const BY_CODE: ReadonlyMap<number, Outcome> = new Map([
  [GrpcStatus.PERMISSION_DENIED, 'refused'],
  [GrpcStatus.UNAUTHENTICATED, 'refused'],
  [GrpcStatus.DEADLINE_EXCEEDED, 'timeout'],
]);
/** A connection that breaks under a request shows as one of these, or as a stream that was reset. */
const DISCONNECTED: ReadonlySet<number> = new Set([GrpcStatus.UNAVAILABLE, GrpcStatus.CANCELLED]);

function outcomeOf(code: number, texts: readonly string[]): Outcome {
  const says = (pattern: RegExp) => texts.some((text) => pattern.test(text));
  const settled = BY_CODE.get(code);
  if (settled !== undefined) {
    return settled;
  }
  if (says(ORDERED_ALREADY)) {
    return 'ordered';
  }
  if (says(CREATOR_REFUSED)) {
    return 'refused';
  }
  if (says(ANSWERS_DIFFER)) {
    return 'conflict';
  }
  const isTransient = [PEER_UNAVAILABLE, PEERS_UNKNOWN, OVERLOADED, STREAM_RESET].some(says);
  return DISCONNECTED.has(code) || isTransient ? 'unavailable' : 'failed';
}

function describe(error: GatewayError): string {
  const text = error.cause.details === '' ? error.message : error.cause.details;
  const details = error.details
    .filter((d) => !text.includes(d.message))
    .map((d) => `${d.mspId} (${d.address}): ${d.message}`);
  return details.length === 0 ? text : `${text}: ${details.join('; ')}`;
}

/** What a validation code of the block means; undefined for a valid transaction. */
export function outcomeOfStatus(code: number): Outcome | undefined {
  switch (code) {
    case StatusCode.VALID:
      return undefined;
    case StatusCode.MVCC_READ_CONFLICT:
    case StatusCode.PHANTOM_READ_CONFLICT:
      return 'conflict';
    case StatusCode.DUPLICATE_TXID:
      return 'duplicate';
    default:
      return 'invalid';
  }
}

const NAMES = new Map<number, string>(Object.entries(StatusCode).map(([name, code]) => [code, name]));

/** Name of a validation code, as Fabric's protocol buffers have it. */
export function statusName(code: number): string {
  return NAMES.get(code) ?? String(code);
}
