// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import type { Agent } from 'node:https';
import { signedBy, verifyStatement, type ReceiptStatement, type SignedBy } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { postJson, problemOf, type JsonAnswer } from '../services/http-client.js';
import type { SharePath } from '../vehicle/messages.js';
import { SEVERAL_SHARES_PATH, type ShareSubmission } from './share-submission.js';

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

export interface PostShareOptions {
  /** Default 15 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/** What an aggregator answers about several shares: of each what it would have answered about it alone. */
const severalAnswers = z.object({ answers: z.array(z.object({ status: z.int(), body: z.unknown() })) });

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
  options: PostShareOptions & { readonly path?: SharePath } = {},
): Promise<SignedBy> {
  const { path = '/shares' } = options;
  return checkedReceipt(recipient, consortium, submission, await post(recipient, path, submission, options));
}

/**
 * Hands in several shares, of whatever vehicles, in one request: each is taken, or refused, by itself.
 *
 * @param submissions at most {@link MAX_SHARES_TOGETHER}.
 * @returns in their order, as `postShare` returns or throws of each.
 * @throws SevError as `postShare`, where the request as a whole came to nothing.
 */
export async function postShares(
  recipient: ShareRecipient,
  consortium: string,
  submissions: readonly ShareSubmission[],
  options: PostShareOptions = {},
): Promise<PromiseSettledResult<SignedBy>[]> {
  const answer = await post(recipient, SEVERAL_SHARES_PATH, { shares: submissions }, options);
  const parsed = severalAnswers.safeParse(answer.body);
  if (answer.status === 200 && parsed.data?.answers.length !== submissions.length) {
    throw new SevError('SERVICE_ANSWER_MALFORMED', `${recipient.url} did not answer about each share`);
  }
  const answers = parsed.data?.answers ?? submissions.map(() => answer);
  return Promise.allSettled(
    submissions.map((submission, index) =>
      Promise.resolve(answers[index] ?? answer).then((own) => checkedReceipt(recipient, consortium, submission, own)),
    ),
  );
}

function post(
  { url, agent }: ShareRecipient,
  path: string,
  body: unknown,
  { timeoutMs = TIMEOUT_MS, signal }: PostShareOptions,
): Promise<JsonAnswer> {
  return postJson(`${url.replace(/\/+$/, '')}${path}`, body, {
    timeoutMs,
    tls: agent,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** @throws SevError with the code of the refusal, SERVICE_ANSWER_MALFORMED, RECEIPT_INVALID. */
function checkedReceipt(
  { mspId, url, signingKey }: ShareRecipient,
  consortium: string,
  submission: ShareSubmission,
  answer: JsonAnswer,
): SignedBy {
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
