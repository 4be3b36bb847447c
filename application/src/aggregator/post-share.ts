// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import type { Agent } from 'node:https';
import { signedBy, verifyStatement, type ReceiptStatement, type SignedBy } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { postJson, problemOf } from '../services/http-client.js';
import type { SharePath } from '../vehicle/messages.js';
import type { ShareSubmission } from './share-submission.js';

/** One aggregator as a vehicle knows it. */
export interface ShareRecipient {
  readonly mspId: string;
  /** `https://127.0.0.1:1234`. */
  readonly url: string;
  /** From {@link aggregatorAgent} with the organisation's TLS root and no identity; shared by a pool of vehicles. */
  readonly agent: Agent;
  /** The organisation's key for signed statements, as the ledger shows it. */
  readonly signingKey: KeyObject;
}

const TIMEOUT_MS = 15_000;

/**
 * Hands a share in. Posting the same again is harmless and gives the same receipt.
 *
 * @param consortium the network's name in signed statements.
 * @returns the receipt, whose signature holds: anyone can show it on the ledger.
 * @throws SevError with the code of the refusal; SERVICE_UNREACHABLE, SERVICE_TIMEOUT, SERVICE_BUSY and STORAGE_FULL,
 *   after which it may be tried again; SERVICE_ANSWER_MALFORMED, RECEIPT_INVALID.
 */
export async function postShare(
  recipient: ShareRecipient,
  consortium: string,
  submission: ShareSubmission,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal; readonly path?: SharePath } = {},
): Promise<SignedBy> {
  const { mspId, url, agent, signingKey } = recipient;
  const { timeoutMs = TIMEOUT_MS, signal, path = '/shares' } = options;
  const answer = await postJson(`${url.replace(/\/+$/, '')}${path}`, submission, {
    timeoutMs,
    tls: agent,
    ...(signal === undefined ? {} : { signal }),
  });
  if (answer.status !== 200) {
    const { code, detail } = problemOf(answer);
    throw new SevError(code, `${mspId}: ${detail}`);
  }
  const receipt = signedBy.safeParse(answer.body);
  if (!receipt.success) {
    throw new SevError('SERVICE_ANSWER_MALFORMED', `${url} did not answer with a receipt`);
  }
  const { vehicleId, updateHash: commitmentRoot } = submission.envelope;
  const statement: ReceiptStatement = {
    type: 'sev/share-receipt/v1',
    ...{ consortium, ...attemptOf(submission), mspId, vehicleId, commitmentRoot },
  };
  if (receipt.data.mspId !== mspId || !verifyStatement(statement, receipt.data.signature, signingKey)) {
    throw new SevError('RECEIPT_INVALID', `${mspId} did not sign its receipt`);
  }
  return receipt.data;
}
