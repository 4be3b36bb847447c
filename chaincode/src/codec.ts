// SPDX-License-Identifier: Apache-2.0
import type { z } from 'zod';
import { canonicalJson, ContractError } from './api';

/** Longest argument of a transaction, in bytes of UTF-8. */
export const MAX_ARGUMENT_BYTES = 1_000_000;

/** Longest text of a schema violation that is repeated to the caller or kept in a batch result, in characters. */
const MAX_DETAIL = 200;

/** Says in one short line where a value departs from its schema, without repeating the value. */
export function describeIssue(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) {
    return 'does not have the documented form';
  }
  const path = issue.path.map(String).join('.');
  return `${path === '' ? 'argument' : path}: ${issue.message}`.slice(0, MAX_DETAIL);
}

/**
 * Reads a transaction's one argument, a JSON text.
 *
 * @param batch - the property that holds a batch's items, where the transaction takes one.
 * @throws ContractError ARGUMENT_INVALID, naming the path of the first value that does not fit; BATCH_TOO_LARGE.
 */
export function parseArgument<T>(schema: z.ZodType<T>, text: string, batch?: string): T {
  if (Buffer.byteLength(text) > MAX_ARGUMENT_BYTES) {
    throw new ContractError('ARGUMENT_INVALID', `argument: longer than ${MAX_ARGUMENT_BYTES} bytes`);
  }
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    const oversized = parsed.error.issues.some(
      ({ code, path }) => code === 'too_big' && path.length === 1 && path[0] === batch,
    );
    throw new ContractError(oversized ? 'BATCH_TOO_LARGE' : 'ARGUMENT_INVALID', describeIssue(parsed.error));
  }
  return parsed.data;
}

/** The canonical JSON (RFC 8785) of a transaction's result. */
export function encodeResult(value: unknown): string {
  return canonicalJson(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ContractError('ARGUMENT_INVALID', 'argument: not JSON');
  }
}
